"""The log of a training: CSV always, TensorBoard where it is asked for."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pcaug.errors import MissingExtra
from pcaug.files import write_text

COLUMNS = ("step", "loss", "accuracy", "learning_rate", "seconds", "miou")


class Log:
    """Rows of ``log.csv``: one a step, with the validation's IoU of each class where there was one.

    Args:
        path: The CSV file; rows of steps from ``start`` on are done again and go.
        start: First step to come.
        classes: Their names.
        tensorboard: Whether to write events beside it, too.
    """

    def __init__(self, path: Path, start: int, classes: Sequence[str], *, tensorboard: bool = False) -> None:
        self.began = time.perf_counter() - (spent(path) if start else 0.0)
        kept = path.read_text().splitlines(keepends=True)[: start + 1] if path.is_file() and start else []
        write_text(path, "".join(kept))
        self.file = path.open("a", newline="", buffering=1)  # line by line: others follow it
        self.rows = csv.DictWriter(self.file, [*COLUMNS, *(f"iou {name}" for name in classes)], lineterminator="\n")
        if not kept:
            self.rows.writeheader()
        self.events = _events(path.with_name("tensorboard"), start) if tensorboard else None

    def row(self, step: int, values: Mapping[str, float]) -> None:
        """Add a step, with the seconds since the training began, those before an interruption too; what is not known stays
        empty."""
        values = {**values, "seconds": time.perf_counter() - self.began}
        self.rows.writerow({"step": step} | {name: f"{value:.6g}" for name, value in values.items()})
        if self.events is not None:
            for name, value in values.items():
                self.events.add_scalar(name.replace(" ", "/", 1), value, step)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        if self.events is not None:
            self.events.close()


def spent(path: Path) -> float:
    """Seconds that the training of a log has taken so far."""
    rows = path.read_text().splitlines()[1:] if path.is_file() else []
    told = [row.split(",") for row in rows if row.count(",") >= len(COLUMNS) - 1]  # a row may be cut short
    return float(told[-1][COLUMNS.index("seconds")]) if told else 0.0


def _events(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtra("TensorBoard is not installed", do="pip install 'pcaug[tensorboard]'") from None
    return SummaryWriter(str(folder), purge_step=start)
