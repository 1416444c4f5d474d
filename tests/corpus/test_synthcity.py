"""SynthCity: nine large areas, floats for class ids, ``eol`` of any type, an order of classes that must be checked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from pcaug.corpus.card import load_card
from pcaug.corpus.convert import convert
from pcaug.corpus.read import Corpus
from pcaug.corpus.sources import scans
from pcaug.errors import FileError, LabelError

NAMES = ("X", "Y", "Z", "X_noise", "Y_noise", "Z_noise", "R", "G", "B", "time", "eol", "label")
PUBLISHED = {int(key): c.points for key, c in load_card("synthcity").classes.items() if c.points}


def area(path: Path, labels: NDArray[Any], eol: str = "f8", **columns: Any) -> Path:
    rng = np.random.default_rng(0)
    count = len(labels)
    table = {name: rng.uniform(0, 50, count) for name in NAMES}
    table |= {f"{axis}_noise": table[axis] + rng.normal(0, 0.005, count) for axis in "XYZ"}
    table |= {name: rng.integers(0, 256, count).astype(float) for name in "RGB"}
    table |= {"eol": (np.arange(count) % 3 == 2).astype(eol), "label": labels.astype(float)}
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(table | columns), path, row_group_size=1 << 26)
    return path


@pytest.mark.parametrize("eol", ["?", "i8", "f8"])
def test_areas_are_recognised_split_and_typed_alike(tmp_path: Path, eol: str) -> None:
    labels = np.arange(9).repeat(4)
    for number in (1, 3):
        area(tmp_path / f"set/area{number}.parquet", labels, eol)
    first, third = scans(tmp_path / "set")
    assert (first.split, third.split) == ("train", "test")
    cloud = next(first.chunks())
    assert {name: cloud[name].dtype.str[1:] for name in ("rgb", "eol", "native_label")} == {
        "rgb": "u2",
        "eol": "u1",
        "native_label": "i4",
    }
    assert cloud["eol"][:6].tolist() == [0, 0, 1, 0, 0, 1]
    convert(tmp_path / "set", tmp_path / "corpus", split="official")
    corpus = Corpus.open(tmp_path / "corpus")
    assert set(corpus.splits) == {"train", "test"}
    assert corpus.points == 72
    assert set(corpus.counts().values()) == {8}


def test_what_does_not_fit_its_type_is_refused(tmp_path: Path) -> None:
    path = area(tmp_path / "area1.parquet", np.zeros(4), R=np.array([0.5, 1, 2, 3]))
    with pytest.raises(FileError, match="'rgb' that do not fit u2"):
        next(scans(path)[0].chunks())
    with pytest.raises(LabelError, match="not whole numbers"):
        next(scans(area(tmp_path / "area2.parquet", np.array([0.5, 1])))[0].chunks())


def mine(path: Path, points: dict[int, int]) -> Path:
    """A card like the shipped one, with other published counts."""
    classes = "\n".join(f'{key} = {{ name = "c{key}", node = "building", points = {n} }}' for key, n in points.items())
    path.write_text(
        'name = "mine"\ntitle = "mine"\nfiles = ["area*.parquet"]\nencoding = "parquet"\nsensor = "mobile"\n'
        f'licence = "mine"\n[classes]\n{classes}\n'
    )
    return path


def test_classes_in_another_order_are_refused_with_their_shares(tmp_path: Path) -> None:
    total = sum(PUBLISHED.values())
    assert total == 367_927_029
    small = {key: round(10_000 * n / total) for key, n in PUBLISHED.items()}
    card = mine(tmp_path / "mine.toml", small)
    right = np.repeat(list(small), list(small.values()))
    convert(area(tmp_path / "area1.parquet", right), tmp_path / "corpus", card)
    swapped = (right + 3) % 9
    with pytest.raises(LabelError, match=r"c8 58\.7% \(published 6\.0%\)"):
        convert(area(tmp_path / "area2.parquet", swapped), tmp_path / "wrong", card)
    assert not (tmp_path / "wrong").exists()
    convert(area(tmp_path / "area3.parquet", swapped[:100]), tmp_path / "crop", card)  # too little of it to tell


def test_published_shares_need_not_be_met_exactly(tmp_path: Path) -> None:
    """An area without most classes, more built-up than the whole, is still in order."""
    card = mine(tmp_path / "mine.toml", PUBLISHED | {9: 0})
    text = card.read_text()
    card.write_text(text.replace("215870472", "2158").replace("97973820", "979").replace("21986017", "219"))
    convert(area(tmp_path / "area1.parquet", np.repeat([5, 0, 8], [300, 500, 100])), tmp_path / "corpus", card)


STREAM = """
import sys
import pyarrow as pa
from pcaug.corpus.sources import scans
(scan,) = scans(sys.argv[1])
print(sum(len(chunk) for chunk in scan.chunks(50_000)), pa.default_memory_pool().max_memory())
"""


def test_a_row_group_of_any_size_is_read_in_constant_memory(tmp_path: Path) -> None:
    share = np.array([PUBLISHED[key] for key in range(9)], float)
    labels = np.random.default_rng(0).choice(9, 600_000, p=share / share.sum())
    path = area(tmp_path / "area7.parquet", labels)
    assert pq.ParquetFile(path).num_row_groups == 1
    run = subprocess.run([sys.executable, "-c", STREAM, path], check=True, capture_output=True, text=True)
    points, peak = map(int, run.stdout.split())
    assert points == 600_000
    assert peak < 35e6  # the columns need 58 MB at once
