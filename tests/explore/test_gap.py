from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from explore.builders_explore import Change, corpus

from pcaug import catalogue
from pcaug.cloud import PointCloud, concatenate
from pcaug.corpus.read import Corpus
from pcaug.errors import LabelError, PcaugError
from pcaug.explore.gap import Gap, _divergence, _phrases, explore
from pcaug.explore.report import write_report

ID = catalogue.taxonomy().id
Rng = np.random.Generator


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return corpus(tmp_path_factory.mktemp("real") / "real", 1)


def compared(real: Corpus, folder: Path, change: Change | None) -> Gap:
    return explore(real, corpus(folder / "made", 2, change=change), 0)


def turned(cloud: PointCloud, rng: Rng) -> PointCloud:
    return replace(cloud, xyz=cloud.xyz[:, [0, 2, 1]])


def larger(factor: float) -> Change:
    return lambda cloud, rng: replace(cloud, xyz=cloud.xyz * factor)


def swapped(cloud: PointCloud, rng: Rng) -> PointCloud:
    label = cloud["label"].copy()
    label[cloud["label"] == ID("building")], label[cloud["label"] == ID("tree")] = ID("tree"), ID("building")
    return cloud.with_fields(label=label)


def renamed(cloud: PointCloud, rng: Rng) -> PointCloud:
    label = np.where(cloud["label"] == ID("building"), ID("tree"), cloud["label"])
    keep = (cloud["label"] == ID("building")) & (rng.random(len(cloud)) < 0.02)
    label = np.where(cloud["label"] == ID("tree"), ID("building"), label)
    return cloud.with_fields(label=np.where(keep, ID("building"), label).astype(np.uint16))


def doubled(cloud: PointCloud, rng: Rng) -> PointCloud:
    return concatenate([cloud, cloud])


def thinned(cloud: PointCloud, rng: Rng) -> PointCloud:
    return cloud.take(rng.random(len(cloud)) < 0.4)


def treeless(cloud: PointCloud, rng: Rng) -> PointCloud:
    return cloud.take(cloud["label"] != ID("tree"))


def taller(cloud: PointCloud, rng: Rng) -> PointCloud:
    z = cloud.xyz[:, 2] * np.where(cloud["label"] == ID("building"), 2.5, 1.0)
    return replace(cloud, xyz=np.column_stack([cloud.xyz[:, :2], z]))


def test_the_same_kind_of_world_fits(real: Corpus, tmp_path: Path) -> None:
    gap = compared(real, tmp_path, None)
    assert gap.verdict.startswith("It fits")
    assert gap.faults == []
    assert gap.auc == pytest.approx(gap.auc_floor, abs=0.06)
    assert gap.density == pytest.approx(1, abs=0.1)
    assert [row.verdict for row in gap.classes] == ["fits"] * 3
    assert gap.probe_synthetic == pytest.approx(gap.probe_real, abs=0.05)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (larger(100), "about 100 times .* centimetres"),
        (larger(1000), "about 1000 times .* millimetres"),
        (turned, "face along y: is y its up axis"),
        (swapped, "labels tree and building look swapped"),
        (renamed, "labels tree and building look swapped"),
        (doubled, "100 % .* exactly on another"),
    ],
)
def test_a_fault_is_named(real: Corpus, tmp_path: Path, change: Change, words: str) -> None:
    gap = compared(real, tmp_path, change)
    assert len(gap.faults) == 1
    assert re.search(words, gap.faults[0])
    assert gap.verdict == f"Something is wrong: {gap.faults[0]}."


def test_another_density_is_said_and_is_no_fault(real: Corpus, tmp_path: Path) -> None:
    gap = compared(real, tmp_path, thinned)
    assert gap.faults == []
    assert gap.verdict.startswith("It differs")
    assert "times as sparse" in gap.verdict
    assert gap.density == pytest.approx(0.4, rel=0.2)
    assert gap.giveaways[0][0] == "point spacing"
    assert "sparser" in next(row.verdict for row in gap.classes if row.name == "terrain")


def test_a_missing_class_is_missing(real: Corpus, tmp_path: Path) -> None:
    gap = compared(real, tmp_path, treeless)
    assert "Missing: tree." in gap.verdict
    assert next(row for row in gap.classes if row.name == "tree").verdict.startswith("missing")


def test_a_class_of_another_size_names_the_quantity_the_numbers_and_the_knob(real: Corpus, tmp_path: Path) -> None:
    recipe = {"town": {"eaves": [2.0, 9.0]}, "sensor": {"kind": "airborne"}}
    made = corpus(tmp_path / "made", 2, change=taller, made_by={"recipe": recipe}, kind="synthetic")
    rows = {row.name: row.verdict for row in explore(real, made, 0).classes}
    assert re.search(r"higher above the ground \(\S+ against \S+ m\): lower town.eaves \(now 2 to 9\)", rows["building"])
    assert rows["terrain"] == "fits"


def test_the_same_seed_gives_the_same_figures(real: Corpus, tmp_path: Path) -> None:
    made = corpus(tmp_path / "made", 2, scans=2)
    assert explore(real, made, 3).to_json() == explore(real, made, 3).to_json()


def test_one_tile_has_a_floor_too(tmp_path: Path) -> None:
    one, two = corpus(tmp_path / "one", 1, scans=1), corpus(tmp_path / "two", 2, scans=1)
    gap = explore(one, two, 0)
    assert 0.4 < gap.auc_floor < 0.8
    assert gap.classes[0].floor


def test_sets_without_a_class_in_common_are_refused(tmp_path: Path) -> None:
    def only(name: str) -> Change:
        return lambda cloud, rng: cloud.with_fields(label=np.full(len(cloud), ID(name), np.uint16))

    one = corpus(tmp_path / "one", 1, scans=1, change=only("car"))
    two = corpus(tmp_path / "two", 2, scans=1, change=only("tree"))
    with pytest.raises(LabelError, match="share no class"):
        explore(one, two, 0)


def test_an_empty_corpus_is_refused(real: Corpus, tmp_path: Path) -> None:
    empty = corpus(tmp_path / "empty", 1, scans=1, change=lambda cloud, rng: cloud.take(slice(0, 0)))
    with pytest.raises(PcaugError):
        explore(real, empty, 0)


def test_divergence_is_that_of_the_paper() -> None:
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.0, 1.0])
    assert _divergence(p, p) == 0
    assert _divergence(p, q) == pytest.approx(1)
    a, b = np.array([0.7, 0.3]), np.array([0.4, 0.6])
    m = (a + b) / 2
    assert _divergence(a, b) == pytest.approx(sum((x * np.log2(x / m)).sum() for x in (a, b)) / 2)


def test_a_knob_is_not_turned_both_ways() -> None:
    words = [
        (2.0, "flatter", "raise sensor.noise (now 0.02)"),
        (1.0, "rougher", "lower sensor.noise (now 0.02)"),
        (0.9, "nearer", "x"),
    ]
    assert _phrases(words) == ["flatter: raise sensor.noise (now 0.02)", "rougher", "nearer: x"]


def test_the_report_and_its_json_say_the_same(real: Corpus, tmp_path: Path) -> None:
    made = corpus(tmp_path / "<made>", 2, scans=2, change=treeless)
    gap = explore(real, made, 0)
    page = write_report(gap, real, made, tmp_path / "fit.html").read_text(encoding="utf-8")
    data = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    assert data["verdict"] == gap.verdict
    assert {row["name"] for row in data["classes"]} == {"terrain", "building", "tree"}
    assert "<made>" not in page
    assert "&lt;made&gt;" in page
    assert page.count("data:image/png") == 2
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
