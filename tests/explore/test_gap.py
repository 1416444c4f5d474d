from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from explore.builders_explore import Change, corpus, world

from pcaug import catalogue
from pcaug.cloud import PointCloud, concatenate
from pcaug.corpus.read import Corpus
from pcaug.errors import LabelError, PcaugError
from pcaug.explore import gap as gap_room
from pcaug.explore import statistics
from pcaug.explore.faults import faults
from pcaug.explore.gap import Gap, explore
from pcaug.explore.inventory import oddities
from pcaug.explore.probe import probe
from pcaug.explore.report import write_report
from pcaug.explore.statistics import Sample, sample
from pcaug.explore.verdict import phrases
from pcaug.labels import ClassSet

ID = catalogue.taxonomy().id
Rng = np.random.Generator
CLASSES = ClassSet.of_cut(catalogue.taxonomy(), [ID(name) for name in ("terrain", "tree", "building")])


@pytest.fixture(autouse=True, scope="module")
def fewer_points() -> Iterator[None]:
    """Smaller samples than a user's: what is tested does not hang on them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "PER_TILE", 2500)
        patch.setattr(gap_room, "TEST", 3000)
        patch.setattr(gap_room, "MOST", 1500)
        patch.setattr(gap_room, "DRAWS", 15)
        yield


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


def shifted(cloud: PointCloud, rng: Rng) -> PointCloud:
    ring = {ID("terrain"): ID("building"), ID("building"): ID("tree"), ID("tree"): ID("terrain")}
    return cloud.with_fields(label=np.vectorize(ring.get)(cloud["label"]).astype(np.uint16))


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
    assert gap.test.auc == pytest.approx(gap.test_floor, abs=0.06)
    assert gap.density == pytest.approx(1, abs=0.1)
    assert [row.verdict for row in gap.classes] == ["fits"] * 3
    assert gap.probe.synthetic == pytest.approx(gap.probe.real, abs=0.05)
    assert gap.probe.both > gap.probe.real - 0.03
    assert gap.frechet.value < 3 * gap.frechet.ceiling + 0.01
    assert not any(found.beyond and found.value > 0.5 for row in gap.classes for found in row.distance.values())


@pytest.fixture(scope="module")
def real_sample(real: Corpus) -> Sample:
    return sample(real, CLASSES, (0, 0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (larger(100), "about 100 times .* centimetres"),
        (larger(1000), "about 1000 times .* millimetres"),
        (turned, "face along y: is y its up axis"),
        (swapped, "labels tree and building look swapped"),
        (shifted, "look shifted: what it calls terrain looks like .*, tree looks like .*, building looks like"),
        (renamed, "labels tree and building look swapped"),
        (doubled, "100 % .* exactly on another"),
    ],
)
def test_a_fault_is_named(real_sample: Sample, tmp_path: Path, change: Change, words: str) -> None:
    made = sample(corpus(tmp_path / "made", 2, change=change), CLASSES, (0, 1))
    said = faults(real_sample, made, probe(real_sample, made, 3, np.random.default_rng(0)), CLASSES)
    assert len(said) == 1
    assert re.search(words, said[0])


def test_a_fault_is_the_verdict(real: Corpus, tmp_path: Path) -> None:
    gap = compared(real, tmp_path, larger(100))
    assert gap.verdict == f"Something is wrong: {gap.faults[0]}."


def test_the_same_data_split_in_two_fits(tmp_path: Path) -> None:
    whole = corpus(tmp_path / "whole", 3, scans=8)
    one, two = whole.only(units=whole.units[::2]), whole.only(units=whole.units[1::2])
    gap = explore(one, two, 0)
    assert gap.verdict.startswith("It fits")
    assert {row.verdict for row in gap.classes} == {"fits"}
    assert gap.shares.value < 0.02
    assert gap.density == pytest.approx(1, abs=0.1)


def test_doubled_density_is_named(real: Corpus, tmp_path: Path) -> None:
    def denser(cloud: PointCloud, rng: Rng) -> PointCloud:
        return world(rng, 14.0)

    gap = compared(real, tmp_path, denser)
    assert gap.faults == []
    assert re.search(r"It is (1\.[89]|2\.[0-3]) times as dense", gap.verdict)
    assert gap.density == pytest.approx(2, rel=0.1)


def test_colours_of_eight_bits_and_empty_fields_are_named(tmp_path: Path) -> None:
    def coloured(cloud: PointCloud, rng: Rng) -> PointCloud:
        fields = {"rgb": rng.integers(0, 256, (len(cloud), 3)).astype(np.uint16), "intensity": np.zeros(len(cloud), np.float32)}
        return cloud.with_fields(**fields)

    said = sample(found := corpus(tmp_path / "c", 1, scans=1, change=coloured), CLASSES, (0,)).contents
    assert [text.split(":")[0] for text in oddities(found, said)] == [
        "its colours use 8 of their 16 bits",
        "its intensity is 0 everywhere",
    ]


def test_another_density_is_said_and_is_no_fault(real: Corpus, tmp_path: Path) -> None:
    gap = compared(real, tmp_path, thinned)
    assert gap.faults == []
    assert gap.verdict.startswith("It differs")
    assert "times as sparse" in gap.verdict
    assert gap.density == pytest.approx(0.4, rel=0.2)
    assert gap.test.giveaways[0][0] == "point spacing"
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
    one, two = (explore(real, made, 3).to_json() for _ in range(2))
    for found in (one, two):
        del found["seconds"], found["probe"]["seconds"]
    assert one == two


def test_one_tile_has_a_floor_too(tmp_path: Path) -> None:
    one, two = corpus(tmp_path / "one", 1, scans=1), corpus(tmp_path / "two", 2, scans=1)
    gap = explore(one, two, 0)
    assert 0.4 < gap.test_floor < 0.8
    assert gap.classes[0].distance
    assert "blocks" in gap.real.sampled


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


def test_a_knob_is_not_turned_both_ways() -> None:
    words = [
        (2.0, "flatter", "raise sensor.noise (now 0.02)"),
        (1.0, "rougher", "lower sensor.noise (now 0.02)"),
        (0.9, "nearer", "x"),
    ]
    assert phrases(words) == ["flatter: raise sensor.noise (now 0.02)", "rougher", "nearer: x"]


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
