"""Scores: known by hand, told apart by range and height, and a page that says it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from builders import run as run_command
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from segment.builders_segment import SMALL, TREE, garden, gardens
from sklearn.metrics import jaccard_score, precision_score, recall_score

from pcaug.cli.app import main
from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.labels import IGNORE
from pcaug.segment.evaluate import Scores, chosen_on, confusion, evaluate, trained_on
from pcaug.segment.ground import height_above_ground
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.report import confusion_picture, write_report
from pcaug.segment.run import Run
from pcaug.segment.selftrain import self_train
from pcaug.segment.train import train


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, guess = np.array(pairs).T
    table = confusion(truth, guess, 4)
    scores = Scores(["a", "b", "c", "d"], table, table[None])
    present = np.unique(truth)
    names = [scores.names[i] for i in present]
    expected = jaccard_score(truth, guess, labels=present, average=None)
    np.testing.assert_allclose([scores.iou[n] for n in names], expected)
    assert scores.miou == pytest.approx(expected.mean())
    np.testing.assert_allclose([scores.recall[n] for n in names], recall_score(truth, guess, labels=present, average=None))
    named = np.intersect1d(present, guess)
    found = [scores.precision[scores.names[i]] for i in named]
    if len(named):
        np.testing.assert_allclose(found, precision_score(truth, guess, labels=named, average=None))
    assert all(np.isnan(scores.precision[scores.names[i]]) for i in present if i not in guess)


def test_calibration_error_by_hand() -> None:
    calibration = np.zeros((10, 3))
    calibration[9] = (10, 9.5, 8)  # ten points of 0.95 confidence, eight right: off by 0.15
    calibration[5] = (10, 5.5, 6)  # off by 0.05
    scores = Scores(["a"], np.array([[20]]), np.array([[[20]]]), {}, calibration)
    assert scores.calibration_error == pytest.approx(0.1)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 40])
def test_an_interval_of_few_clouds_is_as_wide_as_students_or_none(n: int) -> None:
    right = 500 + np.round(100 * stats.norm.ppf((np.arange(n) + 0.5) / n)).astype(int)  # of 1000 points of the only class
    tables = np.zeros((n, 2, 2), np.int64)
    tables[:, 0, 0], tables[:, 0, 1] = right, 1000 - right
    scores = Scores(["a", "b"], tables.sum(axis=0), tables, clouds=tuple(map(str, range(n))))
    low, high = scores.interval()
    if n < 5:
        assert np.isnan([low, high]).all()
        assert scores.interval_text() == ""
    else:
        expected = stats.t.interval(0.95, n - 1, right.mean() / 1000, stats.sem(right) / 1000)
        assert low < scores.miou < high
        np.testing.assert_allclose((high - low) / np.diff(expected), 1, atol=0.3 if n < 8 else 0.1)  # five clouds make few sums


def test_tiles_of_one_unit_are_not_called_independent() -> None:
    tables = np.tile(np.array([[60, 40], [10, 90]]), (6, 1, 1)) + np.arange(6)[:, None, None]
    drives = Scores(["a", "b"], tables.sum(axis=0), tables, clouds=tuple("abcdef"))
    assert drives.interval_text().startswith("95 % over 6 independent clouds: ")
    frames = Scores(["a", "b"], tables.sum(axis=0), tables, clouds=tuple("abcdef"), one_unit=True)
    assert frames.interval_text().startswith("95 % over 6 tiles of one unit: ")
    assert frames.interval_text().endswith(", too narrow for other places")


def test_an_interval_is_over_the_same_classes_in_every_draw() -> None:
    tables = np.zeros((8, 3, 3), np.int64)
    tables[:, 0, 0] = tables[:, 0, 1] = tables[:, 1, 1] = 50  # every cloud is as good as any other
    tables[3, 2, 2], tables[3, 2, 0] = 1, 9  # a class of a single cloud, and hardly found
    scores = Scores(["a", "b", "c"], tables.sum(axis=0), tables, clouds=[str(i) for i in range(8)])
    low, high = scores.interval()
    assert low == pytest.approx(scores.miou, abs=0.01)
    assert high == pytest.approx(scores.miou, abs=0.01)


def test_every_group_adds_up_to_the_whole(trained: Run, corpus: Corpus) -> None:
    scores = evaluate(trained, corpus)
    for tables in scores.groups.values():
        np.testing.assert_array_equal(sum(tables.values()), scores.confusion)
    assert set(scores.groups) >= {"source", "height"}
    assert scores.calibration[:, 0].sum() == scores.confusion.sum()
    assert len(scores.per_cloud) == 3  # gardens are independent
    assert np.isnan(scores.interval()).all()  # and too few
    ground = scores.names.index("ground")
    assert next(iter(scores.groups["height"])) == "below 0.5 m"
    high_up = scores.groups["height"]["5 to 10 m"]
    assert high_up[ground].sum() == 0


def test_a_split_tells_the_parts_of_a_site_apart_wherever_its_corpus_lies(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "site") as writer:
        for seed, split in enumerate(("train", "test")):
            writer.add(garden(seed), split, "site", split)
    run = train(TrainRecipe(**SMALL | {"steps": 2}), tmp_path / "site", (), tmp_path / "run")
    shutil.move(tmp_path / "site", tmp_path / "moved")
    assert trained_on(run, Corpus.open(tmp_path / "moved"), "test") == []
    assert trained_on(run, Corpus.open(tmp_path / "moved"), "train") == ["site"]


def test_a_corpus_of_scans_is_told_to_a_run_of_maps(trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for frame in ("map", "sensor"):
        with CorpusWriter(tmp_path / frame, frame=frame) as writer:
            cloud = garden(9)
            writer.add(PointCloud(cloud.xyz - cloud.xyz.mean(axis=0), dict(cloud.fields), TREE), "a", "new")
    assert (
        "trained on maps, and this corpus is of scans" in run_command(capsys, "evaluate", trained.folder, tmp_path / "sensor")[1]
    )
    assert "this corpus is of" not in run_command(capsys, "evaluate", trained.folder, tmp_path / "map")[1]


def test_units_that_the_weights_were_chosen_on_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with CorpusWriter(tmp_path / "sites") as writer:
        for seed, split in enumerate(("train", "val", "test")):
            writer.add(garden(seed), split, f"site {split}", split)
    sites = Corpus.open(tmp_path / "sites")
    plain = train(TrainRecipe(**SMALL | {"steps": 2}), sites, (), tmp_path / "plain")
    chosen = train(TrainRecipe(**SMALL | {"steps": 2, "validate_every": 1}), sites, (), tmp_path / "chosen")
    assert chosen_on(plain, sites) == chosen_on(chosen, sites, "test") == []
    assert chosen_on(chosen, sites) == chosen_on(chosen, sites, "val") == ["site val"]
    told = run_command(capsys, "evaluate", tmp_path / "chosen", tmp_path / "sites", "--split", "val")
    assert "chosen on the split val, site val" in told[1]
    run_command(capsys, "export", tmp_path / "chosen", "-o", tmp_path / "model", "--test", tmp_path / "sites")
    with CorpusWriter(tmp_path / "untested") as writer:
        for seed, split in enumerate(("train", "val")):
            writer.add(garden(seed), split, f"site {split}", split)
    shutil.rmtree(tmp_path / "model")
    again = train(TrainRecipe(**SMALL | {"steps": 2, "validate_every": 1}), tmp_path / "untested", (), tmp_path / "again")
    words = ("export", again.folder, "-o", tmp_path / "model", "--test", tmp_path / "untested")
    assert "trained on units of these names" in run_command(capsys, *words, code=1)[1]


def test_a_split_tells_the_parts_of_a_site_apart_that_a_run_labelled_itself(tmp_path: Path) -> None:
    for name, seeds in (("real", (5,)), ("site", (0, 1))):
        with CorpusWriter(tmp_path / name) as writer:
            for seed, split in zip(seeds, ("train", "test"), strict=False):
                writer.add(garden(seed), split, name, split)
    run = self_train(TrainRecipe(**SMALL | {"steps": 2}), tmp_path / "real", [tmp_path / "site"], (), tmp_path / "run")
    shutil.move(tmp_path / "site", tmp_path / "moved")
    run, moved = Run.open(run.folder), Corpus.open(tmp_path / "moved")
    assert trained_on(run, moved, "test") == []
    assert trained_on(run, moved, "train") == trained_on(run, moved) == ["site"]
    with CorpusWriter(tmp_path / "again") as writer:
        writer.add(garden(7), "a", "site", "test")
    assert trained_on(run, Corpus.open(tmp_path / "again"), "test") == ["site"]


def test_units_that_were_trained_on_are_told(
    trained: Run, corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained_on(trained, corpus) == corpus.only(split="train").units
    assert trained_on(trained, corpus, "test") == []
    copy = shutil.copytree(corpus.folder, tmp_path / "copy")
    assert trained_on(trained, Corpus.open(copy)) == corpus.only(split="train").units
    with pytest.raises(SystemExit):
        main(["evaluate", str(trained.folder), str(corpus.folder)])
    assert "warning: trained on units of these names" in capsys.readouterr().err


def test_a_page_that_exists_is_not_written_over(
    trained: Run, corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(SystemExit):
        main(["evaluate", str(trained.folder), str(corpus.folder), "--report", str(tmp_path / "page")])
    assert "already exists" in capsys.readouterr().err
    assert (tmp_path / "page.html").read_text() == "mine"


def test_the_page_says_it_and_escapes(trained: Run, corpus: Corpus, tmp_path: Path) -> None:
    scores = evaluate(trained, corpus, "test")
    page = write_report(scores, trained, "<script>corpus</script>", tmp_path / "page.html").read_text()
    for text in ("mIoU", "precision", "By height above ground", "Is it as right as it is sure?", "weakest class"):
        assert text in page
    assert "<script>corpus" not in page
    picture = confusion_picture(scores.confusion, scores.names)
    assert picture.ndim == 3
    assert picture.std() > 5


def test_the_command_writes_page_and_json(trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = gardens(tmp_path / "corpus", ("test",))
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", str(trained.folder), str(made.folder), "--json", "--report", str(tmp_path / "page.html")])
    assert caught.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) >= {"miou", "interval", "iou", "precision", "recall", "calibration_error", "groups", "confusion"}
    assert told["interval"] == [None, None]  # one cloud says nothing of others
    assert (tmp_path / "page.html").is_file()


def test_what_is_of_other_classes_is_not_scored_and_told(
    trained: Run, corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(trained, corpus).others == {}
    cloud = next(corpus.clouds())
    tree = cloud.taxonomy
    assert tree is not None
    label = cloud["label"].copy()
    label[:300], label[300:400], label[400:450] = tree.id("car"), tree.id("vegetation"), IGNORE
    with CorpusWriter(tmp_path / "other", kind="real", frame="map") as writer:
        writer.add(cloud.with_fields(label=label), "a", "a", "test")
    scores = evaluate(trained, tmp_path / "other")
    assert scores.others == {"car": 300, "vegetation": 100}  # vegetation is coarser than tree
    assert scores.confusion.sum() == len(cloud) - 450
    said = f"{40_000 / (len(cloud) - 50):.1f} % of the labelled points are not scored"
    told = run_command(capsys, "evaluate", trained.folder, tmp_path / "other", "--report", tmp_path / "p.html")[0]
    assert f"{said}, being of other or coarser classes: car, vegetation" in told
    assert said in (tmp_path / "p.html").read_text()


@pytest.mark.parametrize("slope", [0.08, 0.7])
def test_height_above_ground_on_a_slope_with_a_house(slope: float) -> None:
    rng = np.random.default_rng(0)
    plan = rng.uniform(0, 60, (20_000, 2))
    ground = np.column_stack([plan, slope * plan[:, 0]])
    inside = (np.abs(plan - 30) < 6).all(axis=1)
    roof = np.column_stack([plan[inside], slope * plan[inside, 0] + 6.0])
    height = height_above_ground(np.concatenate([ground[~inside], roof]))
    outside = np.abs(height[: (~inside).sum()])
    assert outside.max() < 0.01
    np.testing.assert_allclose(np.median(height[(~inside).sum() :]), 6.0, atol=0.5)


@pytest.mark.parametrize(("edge", "share", "roof"), [(20, 0.5, 6.0), (30, 0.4, 8.0), (35, 0.45, 20.0)])
def test_a_roof_along_one_side_is_no_slope(edge: float, share: float, roof: float) -> None:
    plan = np.random.default_rng(0).uniform(0, edge, (8000, 2))
    built = plan[:, 0] < share * edge
    height = height_above_ground(np.column_stack([plan, roof * built]))
    assert np.abs(height[~built]).max() < 0.01
    np.testing.assert_allclose(np.median(height[built]), roof, atol=0.01)


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_height_above_ground_of_few_points_is_finite(n: int) -> None:
    xyz = np.random.default_rng(0).uniform(0, 1e7, (n, 3))
    height = height_above_ground(xyz)
    assert height.shape == (n,)
    assert np.isfinite(height).all()


def test_an_interval_does_not_hang_on_its_seed() -> None:
    rng = np.random.default_rng(0)
    tables = rng.integers(0, 200, (6, 4, 4)) + np.eye(4, dtype=int) * rng.integers(0, 900, (6, 1, 1))
    tables[:3, 2] = 0  # a class that half of the clouds lack
    scores = Scores(list("abcd"), tables.sum(axis=0), tables)
    bounds = np.array([scores.interval(seed) for seed in range(5)])
    assert np.ptp(bounds, axis=0).max() < 0.01


def test_scores_by_range_and_confidence_are_those_of_the_points(trained: Run, tmp_path: Path) -> None:
    np.random.default_rng(0)
    cloud = garden(0)
    xyz = cloud.xyz - (650_010, 6_860_025, 101)
    with CorpusWriter(tmp_path / "c", frame="sensor") as writer:
        writer.add(PointCloud(xyz, {"label": cloud["label"]}, TREE), "a", "a", "test")
    with CorpusWriter(tmp_path / "t", frame="sensor") as writer:
        writer.add(PointCloud(xyz, {"label": cloud["label"]}, TREE), "a", "a", "train")
    run = train(TrainRecipe(**SMALL | {"steps": 4}), tmp_path / "t", (), tmp_path / "run")
    scores = evaluate(run, Corpus.open(tmp_path / "c"))
    reach = np.hypot(xyz[:, 0], xyz[:, 1])
    for low, high in ((0, 10), (10, 20), (20, 30)):
        number = scores.groups["range"][f"{low} to {high} m"].sum()
        assert number == pytest.approx(((reach >= low) & (reach < high)).sum(), rel=0.03)
    assert scores.calibration[:, 2].sum() == np.trace(scores.confusion)


def test_the_ground_lies_where_it_is_uphill_and_downhill() -> None:
    plan_ = np.random.default_rng(0).uniform(0, 120, (80000, 2))
    height = height_above_ground(np.column_stack([plan_, np.sin(plan_[:, 0] / 10)]))
    slope = np.cos(plan_[:, 0] / 10)
    assert abs(height[slope > 0.7].mean() - height[slope < -0.7].mean()) < 0.02
