"""The gap report says "fits" of two halves of one set, and names the fault of a set that has one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import LabelError
from pcaug.explore.gap import explore
from pcaug.explore.report import write_report

TREE = catalogue.taxonomy()


def made(folder: Path, seed: int, *, scale: float = 1.0, rough: float = 0.02, houses: bool = True, swap: bool = False) -> Corpus:
    with CorpusWriter(folder) as writer:
        for unit in range(4):
            rng = np.random.default_rng((seed, unit))
            ground = np.column_stack([rng.uniform(0, 20, (2000, 2)), rng.normal(0, rough, 2000)])
            walls = np.column_stack([rng.uniform(5, 12, 800), np.full(800, 9.0), rng.uniform(0, 6, 800)])
            parts, names = [ground, walls][: 1 + houses], ["ground", "building"][: 1 + houses]
            if swap:
                names = names[::-1]
            label = np.concatenate([np.full(len(p), TREE.id(n), np.uint16) for p, n in zip(parts, names, strict=True)])
            xyz = np.concatenate(parts) * scale
            intensity = rng.gamma(4, 10, len(xyz)).astype(np.float32)
            writer.add(PointCloud(xyz, {"label": label, "intensity": intensity}, TREE), f"u{unit}", f"u{unit}")
    return Corpus.open(folder)


@pytest.fixture
def real(tmp_path: Path) -> Corpus:
    return made(tmp_path / "real", 0)


def test_the_same_kind_of_data_fits(real: Corpus, tmp_path: Path) -> None:
    gap = explore(real, made(tmp_path / "twin", 1))
    assert gap.verdict.startswith("It fits")
    assert {row.name: row.verdict for row in gap.classes} == {"ground": "fits", "building": "fits"}
    assert gap.auc < 0.6
    assert gap.share_divergence == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("fault", "name", "words"),
    [
        ({"rough": 0.2}, "ground", "roughness differs|rougher"),
        ({"scale": 100.0}, "building", "height above ground differs|point spacing differs|centimetres|unit"),
        ({"houses": False}, "building", "missing in the synthetic set"),
        ({"swap": True}, "building", "too common|swapped"),
    ],
)
def test_a_fault_is_named(real: Corpus, tmp_path: Path, fault: dict[str, float], name: str, words: str) -> None:
    import re

    gap = explore(real, made(tmp_path / "faulty", 1, **fault))  # type: ignore[arg-type]
    assert not gap.verdict.startswith("It fits")
    assert re.search(words, gap.verdict + next(row.verdict for row in gap.classes if row.name == name))


def test_the_report_stands_alone_and_repeats(real: Corpus, tmp_path: Path) -> None:
    other = made(tmp_path / "<b>other", 1, rough=0.1)
    gap = explore(real, other, seed=3)
    assert gap.to_json() == explore(real, other, seed=3).to_json()
    page = write_report(gap, real, other, tmp_path / "report.html").read_text()
    assert "<b>other" not in page
    assert "&lt;b&gt;other" in page
    assert 'src="http' not in page
    assert json.loads((tmp_path / "report.json").read_text())["auc"] == gap.auc


def test_nothing_in_common_is_an_error(real: Corpus, tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "indoor") as writer:
        label = np.full(10, TREE.id("seating"), np.uint16)
        writer.add(PointCloud(np.random.default_rng(0).random((10, 3)), {"label": label}, TREE), "a", "a")
    with pytest.raises(LabelError, match="share no class"):
        explore(real, Corpus.open(tmp_path / "indoor"))
