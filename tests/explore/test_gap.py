from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from explore.builders_explore import Change, corpus, world

from pcaug import catalogue
from pcaug.cloud import PointCloud, concatenate
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import LabelError, PcaugError
from pcaug.explore import report
from pcaug.explore.distances import Measured
from pcaug.explore.faults import _rings, faults
from pcaug.explore.gap import Gap, explore
from pcaug.explore.inventory import oddities
from pcaug.explore.probe import Probe, probe
from pcaug.explore.profile import profile
from pcaug.explore.report import largest, ranked, write_report
from pcaug.explore.statistics import Sample, sample
from pcaug.explore.verdict import _difference, class_verdict, overall, phrases, scanner_differences
from pcaug.labels import ClassSet
from pcaug.scene.recipe import load_recipe
from pcaug.sensor.compose import compose_one

ID = catalogue.taxonomy().id
Rng = np.random.Generator
CLASSES = ClassSet.of_cut(catalogue.taxonomy(), [ID(name) for name in ("terrain", "tree", "building")])


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


def treeless(cloud: PointCloud, rng: Rng) -> PointCloud:
    return cloud.take(cloud["label"] != ID("tree"))


def taller(cloud: PointCloud, rng: Rng) -> PointCloud:
    z = cloud.xyz[:, 2] * np.where(cloud["label"] == ID("building"), 2.5, 1.0)
    return replace(cloud, xyz=np.column_stack([cloud.xyz[:, :2], z]))


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, Corpus]:
    whole = corpus(tmp_path_factory.mktemp("whole") / "whole", 3, scans=8)
    return whole.only(units=whole.units[::2]), whole.only(units=whole.units[1::2])


@pytest.fixture(scope="module")
def split(halves: tuple[Corpus, Corpus]) -> Gap:
    return explore(*halves, 0)


def test_the_same_data_split_in_two_fits(split: Gap) -> None:
    assert split.verdict.startswith("It fits")
    assert split.faults == []
    assert {row.verdict for row in split.classes} == {"fits"}
    assert split.test.auc == pytest.approx(split.test_floor, abs=0.08)
    assert split.shares.value < 0.02
    assert split.density == pytest.approx(1, abs=0.1)
    assert split.probe.synthetic == pytest.approx(split.probe.real, abs=0.06)
    assert split.probe.both > split.probe.real - 0.04
    assert split.frechet.value < 3 * split.frechet.ceiling + 0.01
    assert not any(found.beyond and found.value > 0.5 for row in split.classes for found in row.distance.values())


def test_the_same_seed_gives_the_same_figures(halves: tuple[Corpus, Corpus], split: Gap) -> None:
    assert split.to_json() == explore(*halves, 0).to_json()


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
        (shifted, "labels terrain, tree, building of the synthetic set look shifted among each other"),
        (renamed, "labels tree and building look swapped"),
        (doubled, "100 % .* exactly on another"),
    ],
)
def test_a_fault_is_named(real_sample: Sample, tmp_path: Path, change: Change, words: str) -> None:
    made = sample(corpus(tmp_path / "made", 2, change=change), CLASSES, (0, 1))
    said = faults(real_sample, made, probe(real_sample, made, 3, np.random.default_rng(0)), CLASSES)
    assert len(said) == 1
    assert re.search(words, said[0])


CALLED = np.array([[80, 10, 5, 5], [10, 60, 25, 5], [5, 25, 60, 10], [5, 5, 30, 60]]) * 10
"""What a forest takes the points of four classes for (columns)."""


@pytest.mark.parametrize(
    ("order", "rings"),
    [([0, 1, 2, 3], []), ([3, 1, 2, 0], [[0, 3]]), ([1, 2, 0, 3], [[0, 1, 2]]), ([3, 2, 1, 0], [[0, 3], [1, 2]])],
)
def test_classes_that_stand_for_each_other_are_found_by_what_they_are_taken_for(order: list[int], rings: list[list[int]]) -> None:
    found = Probe(0.5, 0.5, 0.5, CALLED[order], np.stack([CALLED, CALLED]))
    assert _rings(found) == rings


def test_a_class_that_differs_as_much_between_halves_of_the_real_set_is_not_accused() -> None:
    control = np.stack([CALLED, CALLED[[3, 1, 2, 0]]])
    assert _rings(Probe(0.5, 0.5, 0.5, CALLED[[3, 1, 2, 0]], control)) == []


def test_colours_of_eight_bits_and_empty_fields_are_named(tmp_path: Path) -> None:
    def coloured(cloud: PointCloud, rng: Rng) -> PointCloud:
        fields = {"rgb": rng.integers(0, 256, (len(cloud), 3)).astype(np.uint16), "intensity": np.zeros(len(cloud), np.float32)}
        return cloud.with_fields(**fields)

    said = sample(found := corpus(tmp_path / "c", 1, scans=1, change=coloured), CLASSES, (0,)).contents
    assert [text.split(":")[0] for text in oddities(found, said)] == [
        "its colours use 8 of their 16 bits",
        "its intensity is 0 everywhere",
    ]


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


def test_scanners_are_compared_in_words_with_the_key_to_turn() -> None:
    street = load_recipe("street")
    other = street.sensor.model_copy(update={"height": (2.2, 2.2), "azimuth_steps": 1000, "noise": 0.05, "dropout": 0.2})
    recipes = (street, street.model_copy(update={"sensor": other}))
    a, b = (profile([compose_one(recipe, 1, 0)], "sensor") for recipe in recipes)
    said = " / ".join(scanner_differences(a, b, recipes[1].model_dump(mode="json")))
    for words in (
        "lower sensor.height (now 2.2 to 2.2)",
        "raise sensor.azimuth_steps (now 1000)",
        "lower sensor.noise",
        "lower sensor.dropout",
    ):
        assert words in said
    assert scanner_differences(a, a, None) == []
    assert (
        "is single scans, the synthetic one a map"
        in scanner_differences(a, profile([world(np.random.default_rng(0))], "map"), None)[0]
    )


def test_doubled_density_is_named_and_is_no_fault(real: Corpus, tmp_path: Path) -> None:
    gap = compared(real, tmp_path, lambda cloud, rng: world(rng, 14.0))
    assert gap.faults == []
    assert re.search(r"It differs.* It is (1\.[89]|2\.[0-3]) times as dense", gap.verdict)
    assert gap.density == pytest.approx(2, rel=0.1)
    assert gap.test.giveaways[0][0] == "point spacing"
    assert "denser" in next(row.verdict for row in gap.classes if row.name == "terrain")


def test_a_missing_class_and_one_of_another_size_are_named_with_the_knob(real: Corpus, tmp_path: Path) -> None:
    recipe = {"town": {"eaves": [2.0, 9.0]}, "sensor": {"kind": "airborne"}}
    made = corpus(
        tmp_path / "made", 2, change=lambda c, rng: treeless(taller(c, rng), rng), made_by={"recipe": recipe}, kind="synthetic"
    )
    gap = explore(real, made, 0)
    rows = {row.name: row.verdict for row in gap.classes}
    assert re.search(r"higher above the ground \(\S+ against \S+ m\): lower town.eaves \(now 2 to 9\)", rows["building"])
    assert rows["tree"].startswith("missing")
    assert "Missing: tree." in gap.verdict


def test_a_set_that_lacks_a_class_does_not_fit_and_few_units_have_no_floor(split: Gap) -> None:
    rows = [("building", "missing in the synthetic set: training on it teaches nothing about this class"), ("car", "fits")]
    said = overall(split.test, split.test_floor, split.shares, rows, [], 1.0)
    assert said.startswith("It differs")
    assert "Missing: building." in said
    unknown = overall(split.test, float("nan"), split.shares, rows, [], 1.0)
    assert "no floor: too few units" in unknown
    assert "nan" not in unknown


def test_where_halves_of_the_real_set_differ_the_classifier_judges_nothing(split: Gap) -> None:
    def said(auc: float, floor: float, rows: list[tuple[str, str]], dense: float) -> str:
        return overall(replace(split.test, auc=auc), floor, split.shares, rows, [], dense)

    gone = [("building", "missing in the synthetic set: x"), ("car", "fits")]
    few = "Too few real units to judge by a classifier: it tells halves of them apart, too"
    assert said(1.0, 0.95, gone[1:], 1.0) == f"Class shares and density fit. {few} (AUC 1.00, floor 0.95)."
    for auc in (0.92, 1.0):
        text = said(auc, 0.95, gone, 3.0)
        assert text.startswith(f"It differs. {few} (AUC {auc:.2f}, floor 0.95). Class shares differ by")
        assert text.endswith("It is 3.0 times as dense. Missing: building.")
    assert "though a classifier cannot tell" in said(0.55, 0.6, gone, 1.0)
    assert "tells the sets apart with AUC 0.80 (floor 0.60)" in said(0.8, 0.6, gone, 1.0)


def test_a_fault_is_the_verdict(split: Gap) -> None:
    rows = [(row.name, row.verdict) for row in split.classes]
    said = overall(split.test, split.test_floor, split.shares, rows, ["metres or feet?", "labels swapped"], 1.0)
    assert said == "Something is wrong: metres or feet?; labels swapped."


def test_several_sets_are_ranked_and_those_with_faults_come_last(
    halves: tuple[Corpus, Corpus], split: Gap, tmp_path: Path
) -> None:
    worse = replace(split, frechet=replace(split.frechet, value=9.0, low=8.0, high=10.0))
    gaps = [replace(split, faults=["y is up"]), worse, split]
    assert ranked(gaps) == [2, 1, 0]
    sets = [replace(halves[1], folder=halves[1].folder.with_name(name)) for name in ("bad", "so-so", "<good>")]
    page = _written(gaps, halves[0], sets, tmp_path)
    assert "&lt;good&gt; fits best" in page
    assert "<good>" not in page
    assert len(json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))) == 3


def test_sets_whose_intervals_overlap_are_not_ranked(split: Gap) -> None:
    def distant(value: float, low: float, high: float) -> Gap:
        return replace(split, frechet=Measured(value, low, high, 0.1, 0.2))

    near, wide, far = distant(0.3, 0.1, 0.54), distant(0.35, 0.01, 0.82), distant(3.0, 2.0, 4.0)
    said = report.best([far, wide, near], ["far", "wide", "near"])
    assert said.startswith("No measurable difference between near and wide: ")
    assert said.endswith("Ranked by faults, then by the Fréchet distance of local geometry.")
    assert report.best([far, near], ["far", "near"]).startswith("near fits best.")
    assert report.best([replace(wide, faults=["y is up"]), near], ["wide", "near"]).startswith("near fits best.")
    unknown = distant(0.4, float("nan"), float("nan"))
    assert report.best([unknown, near], ["unknown", "near"]).startswith("No measurable difference between near and unknown")


def test_the_report_and_its_json_say_the_same(halves: tuple[Corpus, Corpus], split: Gap, tmp_path: Path) -> None:
    page = _written([split], halves[0], [halves[1]], tmp_path)
    data = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    assert data["verdict"] == split.verdict
    assert {row["name"] for row in data["classes"]} == {"terrain", "building", "tree"}
    assert all(row["verdict"] in page for row in data["classes"])
    assert page.count("data:image/png") == 1
    assert page.count("<iframe") == 1
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def _written(gaps: list[Gap], real: Corpus, made: list[Corpus], folder: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "largest", lambda corpus: world(np.random.default_rng(0)))
        return write_report(gaps, real, made, folder / "fit.html").read_text(encoding="utf-8")


def test_a_map_is_shown_by_a_square_of_its_largest_site_and_the_rest_is_not_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with CorpusWriter(tmp_path / "map", frame="map") as writer:
        for index in range(6):
            cloud = world(rng, 9.0 if index == 2 else 3.0)
            writer.add(replace(cloud, xyz=cloud.xyz + (40 * index, 0, 0)), f"t{index}", "site")
    made = Corpus.open(tmp_path / "map")
    for tile in made.tiles[:1] + made.tiles[4:]:
        (made.folder / tile.path).unlink()
    shown = largest(made)
    np.testing.assert_allclose(shown.bounds[:, 0], (70, 130), atol=1)


def test_a_composed_map_is_shown_without_the_scenes_that_lie_at_the_same_place(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "map", kind="synthetic", frame="map") as writer:
        for index in range(3):
            writer.add(world(np.random.default_rng(index)), f"t{index}", f"town{index}")
    made = Corpus.open(tmp_path / "map")
    assert len(made.sites()) == 3
    assert len(largest(made)) <= max(tile.points for tile in made.tiles)


def test_a_difference_is_told_by_numbers_that_differ() -> None:
    ones = np.ones(1000)
    some, few, most = ones.copy(), ones.copy(), ones.copy()
    some[:200], few[:20], most[:700] = 2, 2, 2
    assert _difference("returns", some, ones) == (False, "less varied in returns (nine tenths within 1 to 1 against 1 to 2)")
    assert _difference("returns", few, ones)[1].endswith("(on average 1 against 1.02)")
    assert _difference("returns", ones, most)[0]


TREE = catalogue.taxonomy()


def test_a_share_that_halves_of_the_real_set_differ_by_is_not_blamed() -> None:
    def said(low: float) -> str:
        times = Measured(value=1.5, low=low, high=2.0, floor=0.5, ceiling=1.0)
        return class_verdict("car", (0.1, 0.3), times, {}, {}, None, TREE)

    assert "too common" in said(1.2)
    assert "too common" not in said(0.8)


def test_a_class_of_too_few_points_is_told_by_its_share() -> None:
    def said(real: float, made: float, recipe: dict[str, object] | None = None) -> str:
        off = abs(float(np.log2(made / real)))
        times = Measured(value=off, low=0.0, high=2 * off, floor=0.5, ceiling=1.0)
        return class_verdict("person", (real, made), times, {}, {}, recipe, TREE)

    assert said(0.099, 0.001) == "99 times rarer (0.1 % against 9.9 %): compose more of it; too few points for its shape"
    assert ": raise street.people (now 1 to 2); too few" in said(0.099, 0.001, {"street": {"people": [1, 2]}})
    assert said(0.001, 0.1).startswith("too common (10.0 % against 0.1 %): ")
    assert said(0.001, 0.0009) == "too few points to tell"
