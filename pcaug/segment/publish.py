"""A published model: a run's weights in half precision, its card without anybody's paths, and a page on what it is good for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from pcaug.corpus.read import Corpus
from pcaug.errors import NotFound, PcaugError, RecipeError
from pcaug.files import Kind, claim, write_text
from pcaug.segment.checkpoint import write
from pcaug.segment.evaluate import Scores
from pcaug.segment.run import CARD, WEIGHTS, Run

PAGE = "README.md"
KIND = Kind("a published model", (WEIGHTS, CARD), (PAGE, "recipe.toml"))
"""The recipe may be kept there for the next training, and stays."""
OPEN = ("CC0", "CC BY 4.0", "Etalab 2.0", "public domain", "made by pcaug", "yours")
"""How licences begin that let weights be given to anybody; a corpus that states none is the user's own."""


def publish(run: Run, scores: Scores, test: str, folder: Path, *, force: bool = False) -> Path:
    """Write a model that ``pcaug predict NAME`` finds once its folder lies in ``models/``.

    Args:
        run: A finished run of a network.
        scores: On clouds that it was not trained on.
        test: What these were, in words.
        folder: The model; its last part is the name.
        force: Write over a model that was published there.

    Raises:
        RecipeError: For a forest, whose weights are the training points themselves.
        PcaugError: If the folder exists, or if the licence of a training corpus is not an open one.
    """
    if run.recipe.is_forest:
        raise RecipeError("a forest is kept as its training points, which are not to be published", do="train a network")
    claim(folder, force=force, kind=KIND)
    sources = [_source(Path(str(row["corpus"])), row) for row in run.data]
    weights = load_file(run.folder / WEIGHTS)
    write({n: v.to(torch.float16) if v.dtype == torch.float32 else v for n, v in weights.items()}, folder / WEIGHTS)
    replace(run, folder=folder, data=tuple({**row, "corpus": Path(str(row["corpus"])).name} for row in run.data)).save()
    write_text(folder / PAGE, _page(run, scores, test, folder.name, sources))
    return folder


def _source(corpus: Path, row: Any) -> str:
    """A line on a training corpus: what it is, how large, under which licence."""
    try:
        opened = Corpus.open(corpus)
    except NotFound:
        raise PcaugError("a training corpus is gone, its licence cannot be told", corpus, "publish where it lies") from None
    closed = [licence for licence in opened.licences if not licence.startswith(OPEN)]
    if closed:
        raise PcaugError(
            f"its licence ({closed[0]}) does not let weights trained on it be published", corpus, "train on other data"
        )
    cards = sorted({source.card or source.path for source in opened.sources})
    licences = "; ".join(opened.licences) or "no licence stated"
    return f"- {', '.join(cards)}: {row['points']:,} points of {len(row['units'])} units ({licences})"


def _page(run: Run, scores: Scores, test: str, name: str, sources: list[str]) -> str:
    recipe = run.recipe
    spread = f" ({told})" if (told := scores.interval_text()) else ""
    rows = [f"| {key} | {100 * value:.1f} | {100 * scores.recall[key]:.1f} |" for key, value in scores.iou.items()]
    frame = " and ".join(sorted(run.frames))
    return "\n".join([
        f"# {name}",
        "",
        f"`{recipe.network}` for the classes {', '.join(run.classes.names)}; use it with `pcaug predict {name} SCAN -o OUT`.",
        "",
        "## Data",
        *sources,
        "",
        f"## Measured on {test}",
        f"mIoU {100 * scores.miou:.1f}{spread}, accuracy {100 * scores.accuracy:.1f} %, "
        f"calibration error {100 * scores.calibration_error:.1f} %, over {scores.confusion.sum():,} points.",
        "",
        "| class | IoU | recall |",
        "| --- | --- | --- |",
        *rows,
        "",
        "## Limits",
        f"Trained on clouds in the {frame} frame, thinned to {recipe.voxel:g} m, with the features {', '.join(recipe.features)}. "
        "`pcaug predict` warns where a scan does not look like them; other sensors, regions and densities were not measured.",
        "",
    ])  # fmt: skip
