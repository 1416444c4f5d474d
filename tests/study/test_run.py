"""A whole study on small corpora: resumable, repeatable, and honest about a null effect."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from builders import make_cloud, run
from pydantic import ValidationError
from trimesh.creation import box

from pcaug import catalogue
from pcaug.augment.recipe import AugmentRecipe, augment_corpus
from pcaug.cloud import PointCloud
from pcaug.corpus.merge import merge
from pcaug.corpus.read import Corpus
from pcaug.corpus.split import Split
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import NotFound, PcaugError, RecipeError
from pcaug.files import alone
from pcaug.formats import write
from pcaug.segment.evaluate import evaluate
from pcaug.segment.run import Run
from pcaug.study.plan import Job, plan, train_recipe, trainable_units
from pcaug.study.recipe import Arm, StudyRecipe, Synthetic, narrowed
from pcaug.study.report import write_report
from pcaug.study.run import run_study
from pcaug.study.sources import made_by, make, real_corpus, state_of
from pcaug.study.training import without_real

TREE = catalogue.taxonomy()


def make_corpus(folder: Path, units: int, kind: str, seed: int) -> Path:
    with CorpusWriter(folder, kind="synthetic" if kind == "synthetic" else "real") as writer:
        for unit in range(units):
            rng = np.random.default_rng((seed, unit))
            flat = np.column_stack([rng.uniform(0, 15, (1500, 2)), rng.normal(0, 0.02, 1500)])
            ball = rng.normal((7, 7, 3), 0.8, (500, 3))
            label = np.repeat([TREE.id("ground"), TREE.id("tree")], [1500, 500]).astype(np.uint16)
            writer.add(PointCloud(np.concatenate([flat, ball]), {"label": label}, TREE), f"u{unit}", f"u{unit}")
    return folder


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyRecipe:
    monkeypatch.setenv("PCAUG_CACHE", str(tmp_path / "cache"))
    return StudyRecipe(
        title="a study with <script>alert(1)</script> in its title",
        real={"source": str(make_corpus(tmp_path / "real", 3, "real", 0)), "test_units": ("u2",)},
        synthetic=({"name": "more", "corpus": str(make_corpus(tmp_path / "made", 2, "synthetic", 1))},),
        arms=(
            {"name": "real"},
            {"name": "real + more", "synthetic": ("more",)},
            {"name": "more only", "real": False, "synthetic": ("more",)},
        ),
        baseline="real",
        set=("steps=12", "points=64", "batch=4", "block=6.0", "voxel=0.3", "precision=float32"),
        budgets=(1, 2),
        draws=2,
        seeds=2,
    )  # fmt: skip


def test_a_study_runs_resumes_and_repeats(tmp_path: Path, recipe: StudyRecipe) -> None:
    jobs = plan(recipe, ["u0", "u1"])
    assert len(jobs) == 2 * 2 * 2 + 2 * 2 + 2  # two arms: budget 1 with two draws, budget 2 with one; one arm without budget
    with pytest.raises(KeyboardInterrupt):
        run_study(recipe, tmp_path / "a", progress=_interrupt_at(3))
    assert len(list((tmp_path / "a" / "results").iterdir())) == 3
    part = run_study(recipe, tmp_path / "a", so_far=True)
    assert (len(part.results), part.planned) == (3, len(jobs))
    assert f"3 of {len(jobs)} trainings" in write_report(part, tmp_path / "a" / "report.html").read_text()
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a" / "results").iterdir()}
    study = run_study(recipe, tmp_path / "a")
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a" / "results").iterdir() if p.name in before} == before
    again = run_study(recipe, tmp_path / "b")
    assert [r.miou for r in study.results] == [r.miou for r in again.results]
    assert all("u2" not in r.units for r in study.results)
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert summary["trainings"] == len(jobs)
    page = write_report(study, tmp_path / "a" / "report.html").read_text()
    assert "<script>alert" not in page
    assert "real + more" in page
    assert "up to 2 real training units each; tested on units u2 (" in page
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert "Truth and prediction" in page
    shutil.rmtree(tmp_path / "a" / "runs")  # they take room, and all figures are in results
    assert (
        "Truth and prediction" not in write_report(run_study(recipe, tmp_path / "a"), tmp_path / "a" / "report.html").read_text()
    )


def test_each_test_unit_is_told_by_itself(tmp_path: Path, recipe: StudyRecipe) -> None:
    real = recipe.real.model_copy(update={"test_units": ("u1", "u2")})
    small = recipe.model_copy(update={"real": real, "budgets": (1,), "draws": 1, "seeds": 1})
    study = run_study(small, tmp_path / "d")
    for result in study.results:
        run = Run.open(tmp_path / "d" / "runs" / plan(small, ["u0"])[study.results.index(result)].name)
        alone = {unit: evaluate(run, study.real.only(units=[unit])).miou for unit in ("u1", "u2")}
        assert result.places == alone
    assert "Places" in write_report(study, tmp_path / "d" / "report.html").read_text()


def test_draws_are_nested_and_test_units_are_never_drawn(recipe: StudyRecipe) -> None:
    jobs = plan(recipe.model_copy(update={"budgets": (1, 2), "draws": 3}), ["u0", "u1", "u3"])
    for draw in range(3):
        small, large = ({j.units for j in jobs if j.draw == draw and j.budget == b}.pop() for b in (1, 2))
        assert set(small) < set(large)
    assert len({j.units for j in jobs if j.budget == 1}) == 3


def test_budgets_and_units_that_do_not_exist_are_refused(tmp_path: Path, recipe: StudyRecipe) -> None:
    with pytest.raises(RecipeError, match=r"budget 5 exceeds the 2 training units.*choose smaller ones"):
        plan(recipe.model_copy(update={"budgets": (5,)}), ["u0", "u1"])
    wrong = recipe.model_copy(update={"real": recipe.real.model_copy(update={"test_units": ("u9",)})})
    (tmp_path / "c").mkdir()
    with pytest.raises(RecipeError, match=r"has no test, .*name units with --test"):
        run_study(recipe.model_copy(update={"real": recipe.real.model_copy(update={"test_units": ()})}), tmp_path / "c")
    with pytest.raises(RecipeError, match=r"test units u9 are not in the data, .*real, it has u0, u1, u2: choose .* with --test"):
        run_study(wrong, tmp_path / "c")
    assert run_study(narrowed(recipe, ["real"]), tmp_path / "c").results  # the corrected command finds no other study there


def test_a_study_is_narrowed_to_some_arms_and_its_trainings_changed(recipe: StudyRecipe) -> None:
    few = narrowed(recipe, ["more only"], ["steps=7"])
    assert [arm.name for arm in few.arms] == ["real", "more only"]
    assert {train_recipe(job, few).steps for job in plan(few, ["u0", "u1"])} == {7}
    alone = narrowed(recipe, ["real"])
    assert ([arm.name for arm in alone.arms], alone.synthetic) == (["real"], ())
    assert narrowed(recipe) == recipe
    arms = tuple(arm.model_copy(update={"full": arm.name == "more only"}) for arm in recipe.arms)
    flagged = recipe.model_copy(update={"arms": arms})
    assert [arm.name for arm in narrowed(flagged).arms] == ["real", "real + more"]
    assert narrowed(flagged, full=True) == flagged
    assert [arm.name for arm in narrowed(flagged, ["more only"]).arms] == ["real", "more only"]
    with pytest.raises(RecipeError, match=r"no arm is called mixed, r\.toml, choose from: real; real \+ more; more only"):
        narrowed(recipe, ["mixed"], where=Path("r.toml"))


def test_arms_compare_with_equal_steps_and_known_classes_alone(tmp_path: Path, recipe: StudyRecipe) -> None:
    longer = tuple(arm.model_copy(update={"set": ("steps=13",) if arm.name == "more only" else ()}) for arm in recipe.arms)
    with pytest.raises(RecipeError, match=r"arm 'more only' sees 52 blocks \(steps x batch x accumulate\), and 'real' 48"):
        run_study(recipe.model_copy(update={"arms": longer}), tmp_path / "a")
    with pytest.raises(PcaugError, match="preset 'foo'"):
        run_study(narrowed(recipe, (), ["classes=foo"]), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    for key in ("models", "budgets"):
        with pytest.raises(RecipeError, match=key):
            StudyRecipe(**recipe.model_dump() | {key: ()})


def test_what_has_no_class_of_all_sources_is_told_as_not_scored(tmp_path: Path, recipe: StudyRecipe) -> None:
    with CorpusWriter(tmp_path / "ground", kind="synthetic") as writer:
        cloud = next(Corpus.open(tmp_path / "made").clouds())
        label = np.where(cloud["label"] == TREE.id("tree"), TREE.id("car"), cloud["label"]).astype(np.uint16)
        label[:100] = TREE.id("low_vegetation")
        writer.add(cloud.with_fields(label=label), "a", "a")
    with CorpusWriter(tmp_path / "three", kind="real") as writer:
        for tile, cloud in ((t, Corpus.open(tmp_path / "real").read(t)) for t in Corpus.open(tmp_path / "real").tiles):
            label = cloud["label"].copy()
            label[:100] = TREE.id("low_vegetation")
            writer.add(cloud.with_fields(label=label), tile.name, tile.unit)
    small = recipe.model_copy(update={
        "real": recipe.real.model_copy(update={"source": str(tmp_path / "three")}),
        "synthetic": (recipe.synthetic[0].model_copy(update={"corpus": str(tmp_path / "ground")}),),
        "budgets": (1,), "draws": 1, "seeds": 1,
    })  # fmt: skip
    for so_far in (False, True):
        study = run_study(small, str(tmp_path / "a"), so_far=so_far)
        page = write_report(study, tmp_path / "a" / "report.html").read_text()
        assert "tested on units u2 (1,500 points; 25.0 % of the labelled points are not scored" in page
        assert "of other or coarser classes: tree)" in page


def test_a_look_at_what_is_done_makes_no_source(tmp_path: Path, recipe: StudyRecipe) -> None:
    copies = recipe.synthetic[0].model_copy(update={"corpus": None, "copies": True, "number": 1})
    arms = tuple(arm for arm in recipe.arms if arm.real)
    small = recipe.model_copy(update={"synthetic": (copies,), "arms": arms, "budgets": (1,), "draws": 1, "seeds": 1})
    run_study(small, tmp_path / "a")
    shutil.rmtree(tmp_path / "a" / "synthetic")
    study = run_study(small, tmp_path / "a", so_far=True)
    assert len(study.results) == 2
    write_report(study, tmp_path / "a" / "report.html")
    assert not (tmp_path / "a" / "synthetic").exists()


def test_noise_leaves_the_tiles_of_a_corpus_as_they_are(tmp_path: Path) -> None:
    source = make_corpus(tmp_path / "clean", 2, "synthetic", 1)
    before = sorted(path.name for path in source.rglob("*"))
    noisy = make(Synthetic(name="wrong", corpus=str(source), noise=0.5), Corpus.open(source), tmp_path / "s" / "wrong", 0)
    clean = Corpus.open(source)
    assert [(t.name, t.points) for t in noisy.tiles] == [(t.name, t.points) for t in clean.tiles]
    for one, other in zip(noisy.clouds(), clean.clouds(), strict=True):
        np.testing.assert_array_equal(one.xyz, other.xyz)
        assert 0.05 < (one["label"] != other["label"]).mean() < 0.5
    assert sorted(path.name for path in source.rglob("*")) == before


def test_another_test_and_fewer_arms_are_asked_for_by_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PCAUG_CACHE", str(tmp_path / "cache"))
    make_corpus(tmp_path / "real", 3, "real", 0)
    file = tmp_path / "s.toml"
    file.write_text(
        'title = "t"\nbaseline = "real"\nset = ["points=64", "block=6.0", "batch=2"]\nseeds = 1\n[real]\ntest_units = ["u9"]\n'
        '[[arms]]\nname = "real"\n[[arms]]\nname = "naive"\naugment = false\n[[arms]]\nname = "third"\n'
        '[[arms]]\nname = "fourth"\nfull = true\n'
    )
    words = ("--real", tmp_path / "real", "--test", "u1, u2", "--arm", "naive", "--train-set", "steps=2", "--json")
    made = json.loads(run(capsys, "study", file, "-o", tmp_path / "s", *words)[0])
    assert {arm["arm"] for arm in made["arms"]} == {"real", "naive"}
    assert set(made["arms"][0]["places"]) == {"u1", "u2"}
    assert Run.open(next((tmp_path / "s" / "runs").iterdir())).recipe.steps == 2
    words = (*words[:4], *words[6:])
    reduced = json.loads(run(capsys, "study", file, "-o", tmp_path / "r", *words)[0])
    assert {arm["arm"] for arm in reduced["arms"]} == {"real", "naive", "third"}
    full = json.loads(run(capsys, "study", file, "-o", tmp_path / "r", *words, "--full")[0])
    assert {arm["arm"] for arm in full["arms"]} == {"real", "naive", "third", "fourth"}


def test_tiles_of_one_unit_can_be_counted_by_tile(tmp_path: Path, recipe: StudyRecipe) -> None:
    corpus = Corpus.open(tmp_path / "real")
    one = replace(corpus, tiles=tuple(tile.model_copy(update={"unit": "scene"}) for tile in corpus.tiles))
    assert one.units == ["scene"]
    assert one.by_tile().units == ["u0", "u1", "u2"]
    assert one.by_tile().only(units=["u1"]).points == 2000


def test_nothing_done_so_far_is_told(tmp_path: Path, recipe: StudyRecipe) -> None:
    with pytest.raises(PcaugError, match="no finished training"):
        run_study(recipe, tmp_path / "a", so_far=True)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("path", list(catalogue.names("models/studies").values()), ids=lambda path: path.stem)
def test_every_shipped_study_can_be_read_reduced_and_full(path: Path) -> None:
    said = catalogue.load(path, StudyRecipe)
    reduced = narrowed(said)
    full = narrowed(catalogue.load(path, StudyRecipe, list(said.full)), full=True)
    units = [f"u{number}" for number in range(12)]
    assert 1 < len(plan(reduced, units)) <= len(plan(full, units))


def test_another_study_is_not_overwritten(tmp_path: Path, recipe: StudyRecipe) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "recipe.json").write_text("{}")
    with pytest.raises(PcaugError, match="holds a study of another recipe"):
        run_study(recipe, tmp_path / "a")
    assert Corpus.open(tmp_path / "real").points == 6000


def test_a_study_grows_by_draws_seeds_budgets_and_arms_and_trains_nothing_twice(tmp_path: Path, recipe: StudyRecipe) -> None:
    small = narrowed(recipe, ["real + more"]).model_copy(update={"budgets": (1,), "draws": 1, "seeds": 1})
    assert len(run_study(small, tmp_path / "a").results) == 2
    results = tmp_path / "a" / "results"
    before = {path.name: path.stat().st_mtime_ns for path in results.iterdir()}
    grown = run_study(recipe, tmp_path / "a")
    assert len(grown.results) == len(plan(recipe, ["u0", "u1"])) == 14
    assert {path.name: path.stat().st_mtime_ns for path in results.iterdir() if path.name in before} == before
    at_once = run_study(recipe, tmp_path / "b")
    assert [r.miou for r in grown.results] == [r.miou for r in at_once.results]
    shrunk = run_study(small, tmp_path / "a")
    assert (len(shrunk.results), len(shrunk.earlier), shrunk.planned) == (2, 12, 2)
    told = {(s.arm, s.budget): (s.miou, s.gain) for s in grown.summaries}
    assert {(s.arm, s.budget): (s.miou, s.gain) for s in shrunk.summaries} == told  # what is there stays in the report
    assert json.loads((tmp_path / "a" / "summary.json").read_text())["earlier"] == 12
    assert len(pq.read_table(tmp_path / "a" / "results.parquet")) == 14
    page = write_report(shrunk, tmp_path / "a" / "report.html").read_text()
    said = "2 trainings of this recipe, and 12 that earlier commands asked for in this folder: more only, with equal"
    assert said in page
    assert "Label factor" in page  # of both budgets
    other = recipe.model_copy(update={"arms": (*recipe.arms[:2], recipe.arms[2].model_copy(update={"augment": False}))})
    with pytest.raises(PcaugError, match="holds a study of another recipe"):  # of an arm that the small study did not have
        run_study(other, tmp_path / "a")


def test_a_draw_without_a_class_takes_it_from_no_arm_but_a_source_without_it_does(tmp_path: Path, recipe: StudyRecipe) -> None:
    cloud = next(Corpus.open(tmp_path / "real").clouds())
    for folder, units in (("uneven", 4), ("poor", 1)):
        with CorpusWriter(tmp_path / folder, kind="synthetic" if folder == "poor" else "real") as writer:
            for unit in range(units):
                built = (np.arange(len(cloud)) < 200) & (unit != 0)  # one unit lacks buildings
                label = np.where(built, TREE.id("building"), cloud["label"])
                writer.add(cloud.with_fields(TREE, label=label.astype(np.uint16)), f"u{unit}", f"u{unit}")
    values = recipe.model_dump()
    changes = {
        "real": {"source": str(tmp_path / "uneven"), "test_units": ("u3",)},
        "synthetic": ({"name": "own", "copies": True},),
        "arms": ({"name": "real"}, {"name": "real + own", "synthetic": ("own",)}),
        "budgets": (1,), "draws": 3, "seeds": 1, "set": (*values["set"], "classes=cut"),
    }  # fmt: skip
    whole = StudyRecipe(**(values | changes))
    assert ("u0",) in {job.units for job in plan(whole, ["u0", "u1", "u2"])}
    for draws in (1, 3):  # it grows, whichever draw has none
        study = run_study(whole.model_copy(update={"draws": draws}), tmp_path / "a")
        assert {"building" in result.iou for result in study.results} == {True}
    poor = {"synthetic": (*changes["synthetic"], {"name": "poor", "corpus": str(tmp_path / "poor")})}
    poor["arms"] = (*changes["arms"], {"name": "real + poor", "synthetic": ("poor",)})
    with pytest.raises(PcaugError, match=r"classes that all sources can label are now .*, and were .*building"):
        run_study(StudyRecipe(**(values | changes | poor)), tmp_path / "a")
    assert len(run_study(whole, tmp_path / "a").results) == 6


def test_a_mistake_that_was_corrected_leaves_nothing_in_the_way(tmp_path: Path, recipe: StudyRecipe) -> None:
    run_study(narrowed(recipe, ["real + more"]).model_copy(update={"budgets": (1,), "draws": 1, "seeds": 1}), tmp_path / "a")
    values = recipe.model_dump()
    grown = [values | {"budgets": (1,), "draws": 1, "seeds": 1, "arms": (*values["arms"], {"name": "b", "synthetic": ("b",)})}]
    wrong, right = ({"name": "b", "corpus": str(tmp_path / name)} for name in ("misspelt", "made"))
    with pytest.raises(PcaugError, match="misspelt"):
        run_study(StudyRecipe(**grown[0] | {"synthetic": (*values["synthetic"], wrong)}), tmp_path / "a")
    study = run_study(StudyRecipe(**grown[0] | {"synthetic": (*values["synthetic"], right)}), tmp_path / "a")
    assert len(study.results) == 4
    other = StudyRecipe(**values | {"arms": ({"name": "real"}, {"name": "real - more", "synthetic": ("more",)})})
    with pytest.raises(PcaugError, match=r"another recipe.*real---more"):  # whose files would be those of "real + more"
        run_study(other, tmp_path / "a")


def test_a_wrong_split_or_test_keeps_the_real_data_only_where_it_is_the_same(tmp_path: Path, recipe: StudyRecipe) -> None:
    for number, unit in enumerate(["u0", "u1", "u2"]):
        write(tmp_path / "files" / f"{number}.las", next(Corpus.open(tmp_path / "real").only(units=[unit]).clouds()))
    real = {"source": str(tmp_path / "files"), "card": "las"}
    values = recipe.model_dump() | {"budgets": (0,), "seeds": 1, "arms": ({"name": "real"},), "synthetic": ()}
    with pytest.raises(RecipeError, match="test units 9 are not in the data"):
        run_study(StudyRecipe(**values | {"real": real | {"test_units": ("9",)}}), tmp_path / "a")
    made = tmp_path / "a" / "real" / "manifest.json"
    before = made.stat().st_mtime_ns
    run_study(StudyRecipe(**values | {"real": real | {"test_units": ("2",)}}), tmp_path / "a")
    assert made.stat().st_mtime_ns == before
    with pytest.raises(RecipeError, match="test units 9 are not in the data"):
        run_study(StudyRecipe(**values | {"real": real | {"test_units": ("9",)}}), tmp_path / "b")
    split = real | {"split": "0.5/0.5", "block": 5.0, "buffer": 0.0}
    assert run_study(StudyRecipe(**values | {"real": split}), tmp_path / "b").real.splits == ["test", "train"]


def test_a_study_does_not_go_on_with_another_training(tmp_path: Path, recipe: StudyRecipe) -> None:
    train = tmp_path / "mine.toml"
    train.write_text("learning_rate = 0.002")
    recipe = recipe.model_copy(update={"train": str(train)})
    with pytest.raises(KeyboardInterrupt):
        run_study(recipe, tmp_path / "a", progress=_interrupt_at(1))
    train.write_text("learning_rate = 0.004")
    with pytest.raises(PcaugError, match=r"another recipe.*differs: training\.learning_rate\)"):
        run_study(recipe, tmp_path / "a")
    train.write_text("learning_rate = 0.002")
    kept = tmp_path / "a" / "recipe.json"
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"features": 0}))
    with pytest.raises(PcaugError, match="features that are computed otherwise now"):
        run_study(recipe, tmp_path / "a")


def test_a_study_does_not_go_on_with_a_source_that_is_made_otherwise_now(tmp_path: Path, recipe: StudyRecipe) -> None:
    scenes = tmp_path / "mine.toml"
    scenes.write_text('name = "mine"\n[town]\nsize = 40.0\n')
    source = Synthetic(name="mine", recipe=str(scenes), number=1)
    arm = Arm(name="mine", synthetic=("mine",))
    recipe = recipe.model_copy(update={"synthetic": (*recipe.synthetic, source), "arms": (*recipe.arms, arm)})
    with pytest.raises(KeyboardInterrupt):
        run_study(recipe, tmp_path / "a", progress=_interrupt_at(1))
    scenes.write_text('name = "mine"\n[town]\nsize = 50.0\n')
    with pytest.raises(PcaugError, match=r"another recipe.*differs: source mine\.town\.size\)"):
        run_study(recipe, tmp_path / "a")


def test_names_that_would_meet_in_a_folder_are_refused(recipe: StudyRecipe) -> None:
    values = recipe.model_dump()
    for changed in (
        {"arms": (*values["arms"], {"name": "real / more", "synthetic": ("more",)})},
        {"synthetic": values["synthetic"] * 2},
        {"synthetic": ({"name": "../../victim", "corpus": "x"},)},
    ):
        with pytest.raises(ValidationError, match=r"share a name|match pattern"):
            StudyRecipe.model_validate(values | changed)


def test_only_the_named_files_of_a_folder_are_real_data(tmp_path: Path, recipe: StudyRecipe) -> None:
    folder = tmp_path / "scans"
    for name, unit in (("a.ply", "u0"), ("b.ply", "u1"), ("c.ply", "u2")):
        corpus = Corpus.open(recipe.real.source)
        write(folder / name, corpus.only(units=[unit]).read(corpus.only(units=[unit]).tiles[0]))
    real = recipe.real.model_copy(update={"source": str(folder), "files": ("a.ply", "c.ply"), "test_units": ()})
    found, _ = real_corpus(recipe.model_copy(update={"real": real}), tmp_path / "study", None)
    assert sorted(Path(source.path).stem for source in found.manifest.sources) == ["a", "c"]


def _interrupt_at(number: int):  # type: ignore[no-untyped-def]
    def progress(text: str, done: int, total: int) -> None:
        if text == "trainings" and done == number:
            raise KeyboardInterrupt

    return progress


def test_shares_of_sources_hold_without_real_clouds_too(recipe: StudyRecipe) -> None:
    arm = recipe.arms[0].model_copy(update={"set": ("synthetic_shares=[3, 1]",)})
    how = train_recipe(Job("pointnet", arm, 0, (), 0, 0), recipe)
    alone = without_real(how, 2)
    assert (alone.real_share, alone.synthetic_shares) == (0.75, (1.0,))
    assert without_real(how.model_copy(update={"synthetic_shares": ()}), 4).real_share == 0.25


def test_one_model_may_have_changes_of_its_own(recipe: StudyRecipe) -> None:
    both = recipe.model_copy(update={"models": ("pointnet", "trees"), "model_set": {"trees": ("features=['cells']",)}})
    features = {model: train_recipe(Job(model, recipe.arms[0], 0, (), 0, 0), both).features for model in both.models}
    assert features["trees"] == ("cells",)
    assert features["pointnet"] == train_recipe(Job("pointnet", recipe.arms[0], 0, (), 0, 0), recipe).features
    with pytest.raises(ValueError, match="names no model"):
        StudyRecipe.model_validate(both.model_dump() | {"model_set": {"tree": ("features=['cells']",)}})


@pytest.mark.parametrize("model", ["pillars", "pointnet", "randla", "trees"])
def test_any_model_follows_the_recipe_of_another(tmp_path: Path, recipe: StudyRecipe, model: str) -> None:
    arm = {"name": "real", "set": ("arguments.depth=1",)}  # of pillars alone, as the grid is
    words = {"train": "pillars", "models": (model,), "arms": (arm,), "synthetic": (), "budgets": (1,), "draws": 1, "seeds": 1}
    told = recipe.model_dump() | words | {"set": (*recipe.set, "steps=1", "points=64", "arguments.grid=16", "trees=3")}
    study = run_study(StudyRecipe.model_validate(told), tmp_path / "s")
    assert [result.model for result in study.results] == [model]
    own = {"pillars": {"grid": 16, "width": 32, "depth": 1}, "pointnet": {"width": 0.5, "tnets": False}, "trees": {}}
    how = Run.open(tmp_path / "s" / "runs" / study.jobs[0].name).recipe
    assert how.arguments == own.get(model, {"width": 16, "levels": 3, "neighbours": 12})
    assert how.features == ("position", "intensity", "plan", "geometry")


def test_arguments_that_no_model_of_the_study_follows_must_be_right(tmp_path: Path, recipe: StudyRecipe) -> None:
    words = {"train": "pillars", "models": ("trees",), "set": ("arguments.gird=16",)}
    with pytest.raises(RecipeError, match="has no argument 'gird'"):
        run_study(StudyRecipe.model_validate(recipe.model_dump() | words), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_arguments_of_one_model_are_changed_in_its_own_set(tmp_path: Path, recipe: StudyRecipe) -> None:
    words = {"train": "pillars", "models": ("randla",), "model_set": {"randla": ("arguments.levels=2",)}}
    wanted = StudyRecipe.model_validate(recipe.model_dump() | words)
    assert train_recipe(Job("randla", wanted.arms[0], 0, (), 0, 0), wanted).arguments["levels"] == 2
    wrong = wanted.model_copy(update={"model_set": {"randla": ("arguments.grid=2",)}})
    with pytest.raises(
        RecipeError, match=r"^network 'randla' has no argument 'grid', it has width, levels, neighbours, dropout, "
    ):
        run_study(wrong, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_mistake_in_an_arm_is_told_before_anything_is_made(tmp_path: Path, recipe: StudyRecipe) -> None:
    arm = recipe.arms[-1].model_copy(update={"set": ("synthetic_shares=[3, 1, 1, 1]",)})
    with pytest.raises(RecipeError, match="has 4 values for"):
        run_study(recipe.model_copy(update={"arms": (arm,), "baseline": arm.name}), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_arms_are_scored_on_the_same_classes_whatever_they_can_label(tmp_path: Path, recipe: StudyRecipe) -> None:
    def cars(folder: Path, kind: str, names: tuple[str, ...]) -> Path:
        with CorpusWriter(folder, kind="synthetic" if kind == "synthetic" else "real") as writer:
            for unit in range(3):
                rng = np.random.default_rng(unit)
                label = np.repeat([TREE.id(name) for name in names], 900).astype(np.uint16)
                xyz = rng.uniform(0, 15, (len(label), 3)) * (1, 1, 0.2)
                writer.add(PointCloud(xyz, {"label": label}, TREE), f"u{unit}", f"u{unit}")
        return folder

    real = cars(tmp_path / "fine", "real", ("road", "car", "heavy_vehicle"))
    made = cars(tmp_path / "coarse", "synthetic", ("road", "vehicle"))
    changed = recipe.model_copy(
        update={
            "real": recipe.real.model_copy(update={"source": str(real)}),
            "synthetic": (recipe.synthetic[0].model_copy(update={"corpus": str(made)}),),
            "arms": recipe.arms[:2],
            "budgets": (1,),
            "draws": 1,
            "seeds": 1,
        }
    )
    study = run_study(changed, tmp_path / "study")
    assert [sorted(result.iou) for result in study.results] == [["road", "vehicle"]] * 2
    assert json.loads((tmp_path / "study" / "summary.json").read_text(), parse_constant=pytest.fail)


def test_force_checks_a_study_before_the_old_one_goes(tmp_path: Path, recipe: StudyRecipe) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "recipe.json").write_text("{}")
    typo = recipe.model_copy(update={"real": recipe.real.model_copy(update={"source": str(tmp_path / "typo")})})
    with pytest.raises(NotFound, match="no such file"):
        run_study(typo, tmp_path / "a", force=True)
    assert (tmp_path / "a" / "recipe.json").is_file()


def test_force_starts_over_where_there_is_nothing_of_the_users(tmp_path: Path, recipe: StudyRecipe) -> None:
    made = Synthetic(name="copy", copies=True, number=1)
    arms = (recipe.arms[0], Arm(name="both", synthetic=("copy",), pretrain=True))
    changes = {"budgets": (1,), "draws": 1, "seeds": 1, "arms": arms, "synthetic": (made,)}
    few = recipe.model_copy(update=changes)
    with pytest.raises(KeyboardInterrupt):
        run_study(few, tmp_path / "a", progress=_interrupt_at(1))
    write_report(run_study(few, tmp_path / "a"), tmp_path / "a" / "report.html")
    other = few.model_copy(update={"seed": 1})
    for name in ("results/notes.txt", "notes.txt", "runs/mine/notes.txt"):
        (tmp_path / "a" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "a" / name).write_text("mine")
        with pytest.raises(PcaugError, match=f"holds {name}, which is no part of a study"):
            run_study(other, tmp_path / "a", force=True)
        assert len(run_study(few, tmp_path / "a").results) == 2  # going on is no matter
        (tmp_path / "a" / name).unlink()
    assert len(run_study(other, tmp_path / "a", force=True).results) == 2
    assert len(list((tmp_path / "a" / "results").iterdir())) == 2


@pytest.mark.parametrize("which", ["real", "made"])
def test_a_corpus_that_was_made_anew_is_another_study(tmp_path: Path, recipe: StudyRecipe, which: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_study(recipe, tmp_path / "a", progress=_interrupt_at(3))
    shutil.rmtree(tmp_path / which)
    make_corpus(tmp_path / which, 4, "real", 0)
    with pytest.raises(PcaugError, match="or of other data"):
        run_study(recipe, tmp_path / "a")


def test_names_of_networks_and_budgets_are_checked(recipe: StudyRecipe) -> None:
    for change, what in (({"models": ("pointnett",)}, "names no network"), ({"budgets": (-1,)}, "budgets.0: must be at least 0")):
        with pytest.raises(RecipeError, match=what):
            StudyRecipe(**recipe.model_dump() | change)


def test_a_wrong_folder_of_real_data_leaves_no_study(tmp_path: Path, recipe: StudyRecipe) -> None:
    (tmp_path / "empty").mkdir()
    wrong = recipe.model_copy(update={"real": recipe.real.model_copy(update={"source": str(tmp_path / "empty")})})
    with pytest.raises(PcaugError):
        run_study(wrong, tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        run_study(recipe, tmp_path / "a", progress=_interrupt_at(1))  # the corrected command runs


def test_a_folder_that_holds_other_things_is_no_place_for_a_study(tmp_path: Path, recipe: StudyRecipe) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "report.html").write_text("my own")
    with pytest.raises(PcaugError, match=r"holds report.html, which is no part of a study, .*mine, choose another folder"):
        run_study(recipe, tmp_path / "mine")
    assert [path.read_text() for path in (tmp_path / "mine").iterdir()] == ["my own"]
    (tmp_path / "killed" / ".tmp-1").mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        run_study(recipe, tmp_path / "killed", progress=_interrupt_at(1))  # what a killed process left is not in the way


def test_what_a_study_reads_is_not_removed_by_force(tmp_path: Path, recipe: StudyRecipe) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    shutil.move(tmp_path / "real", folder / "real")
    moved = recipe.model_copy(update={"real": recipe.real.model_copy(update={"source": str(folder / "real")})})
    with pytest.raises(PcaugError, match="which this study reads"):
        run_study(moved, folder, force=True)
    assert (folder / "real" / "manifest.json").is_file()


def test_copies_of_the_test_are_no_source(tmp_path: Path, recipe: StudyRecipe) -> None:
    files = [tmp_path / f"u{unit}.ply" for unit in range(3)]
    for path, cloud in zip(files, Corpus.open(tmp_path / "real").clouds(), strict=True):
        write(path, cloud)
    merge(files, tmp_path / "files")
    augment_corpus(
        AugmentRecipe(name="noisy", step=({"name": "jitter"},)), Corpus.open(tmp_path / "files"), tmp_path / "noisy", 0
    )
    real = recipe.real.model_copy(update={"source": str(tmp_path / "files")})
    copies = recipe.synthetic[0].model_copy(update={"corpus": str(tmp_path / "noisy")})
    with pytest.raises(PcaugError, match="more holds clouds that were made of the test's unit u2"):
        run_study(recipe.model_copy(update={"real": real, "synthetic": (copies,)}), tmp_path / "study")
    assert not list((tmp_path / "study").glob("results/*"))


def test_copies_of_the_test_are_no_source_where_tiles_are_units_or_the_source_has_a_split(
    tmp_path: Path, recipe: StudyRecipe
) -> None:
    files = [tmp_path / f"u{unit}.ply" for unit in range(3)]
    for path, cloud in zip(files, Corpus.open(tmp_path / "real").clouds(), strict=True):
        write(path, cloud)
    merge(files, tmp_path / "files", tile=10.0)
    jitter = AugmentRecipe(name="noisy", step=({"name": "jitter"},))
    corpus = Corpus.open(tmp_path / "files")
    test = next(tile for tile in corpus.tiles if tile.unit == "u2")
    others = replace(corpus, tiles=tuple(tile for tile in corpus.tiles if tile.name != test.name))
    augment_corpus(jitter, corpus, tmp_path / "all", 0)
    augment_corpus(jitter, others, tmp_path / "others", 0)
    by_tile = recipe.real.model_copy(update={"source": str(corpus.folder), "unit": "tile", "test_units": (test.name,)})

    def study(real: object, source: str, folder: str) -> None:
        copies = recipe.synthetic[0].model_copy(update={"corpus": str(tmp_path / source)})
        small = {"real": real, "synthetic": (copies,), "budgets": (1,), "draws": 1, "seeds": 1}
        run_study(recipe.model_copy(update=small), tmp_path / folder)

    with pytest.raises(PcaugError, match="more holds clouds that were made of the test's unit u2"):
        study(by_tile, "all", "one")
    study(by_tile, "others", "two")  # of other tiles of the same file
    merge(files, tmp_path / "split", split=Split("0.4/0.3/0.3", block=5.0, buffer=0.0), tile=5.0)
    learned = next(tile.unit for tile in Corpus.open(tmp_path / "split").tiles if tile.split == "train")
    augment_corpus(jitter, Corpus.open(tmp_path / "split"), tmp_path / "of-split", 0)
    whole = recipe.real.model_copy(update={"source": str(tmp_path / "split"), "test_units": (learned,)})
    with pytest.raises(PcaugError, match=f"more holds clouds that were made of the test's unit {learned}"):
        study(whole, "of-split", "three")


def test_one_training_that_fails_keeps_none_of_the_others_from_being_done(tmp_path: Path, recipe: StudyRecipe) -> None:
    bad = recipe.arms[1].model_copy(update={"set": ("learning_rate=1e30",)})
    small = recipe.model_copy(update={"arms": (recipe.arms[0], bad, recipe.arms[2]), "budgets": (1,), "draws": 1, "seeds": 1})
    with pytest.raises(PcaugError, match=r"arm 'real \+ more': the loss of step \d+ is (nan|inf).*--so-far reports on them"):
        run_study(small, tmp_path / "study")
    assert len(list((tmp_path / "study" / "results").iterdir())) == 2
    assert len(run_study(small, tmp_path / "study", so_far=True).results) == 2


def test_one_scoring_that_fails_keeps_none_of_the_others_from_being_done(tmp_path: Path, recipe: StudyRecipe) -> None:
    small = recipe.model_copy(update={"budgets": (1,), "draws": 1, "seeds": 1})
    tile = next(tile for tile in Corpus.open(str(recipe.real.source)).tiles if tile.unit == "u2")
    (Path(str(recipe.real.source)) / tile.path).write_bytes(b"PAR1")
    with pytest.raises(PcaugError, match=r"arm 'real': is not a Parquet file.*the first of 3 that failed"):
        run_study(small, tmp_path / "study")
    assert len(list((tmp_path / "study" / "runs").iterdir())) == 3


def test_a_study_that_somebody_runs_is_not_touched(tmp_path: Path, recipe: StudyRecipe) -> None:
    run_study(recipe.model_copy(update={"budgets": (1,), "draws": 1, "seeds": 1}), tmp_path / "a")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*")}
    with alone(tmp_path / "a", tmp_path / "a"), pytest.raises(PcaugError, match="is being made by another process"):
        run_study(recipe, tmp_path / "a", force=True)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*")} == before


def test_what_no_study_can_compare_is_refused(tmp_path: Path, recipe: StudyRecipe) -> None:
    with pytest.raises(RecipeError, match="has validate_every=3, a study has no validation"):
        run_study(recipe.model_copy(update={"set": (*recipe.set, "validate_every=3")}), tmp_path / "study")
    with pytest.raises(ValidationError, match="baseline 'more only' has no real data"):
        StudyRecipe.model_validate(recipe.model_dump() | {"baseline": "more only"})
    assert not (tmp_path / "study").exists()


def test_a_corrected_card_or_other_meshes_make_another_study(tmp_path: Path) -> None:
    card = Path(catalogue.shipped("datasets") / "las.toml").read_text()
    (tmp_path / "mine.toml").write_text(card)
    (tmp_path / "scan.laz").write_bytes(b"points")
    scan = str(tmp_path / "scan.laz")
    before = state_of(scan, card=str(tmp_path / "mine.toml"))
    assert state_of(scan) == state_of(scan, card="las") != before
    (tmp_path / "mine.toml").write_text(card.replace("ground", "road"))
    assert state_of(scan, card=str(tmp_path / "mine.toml")) != before
    box(extents=(4, 2, 1.5)).export(tmp_path / "car.obj")
    (tmp_path / "own.toml").write_text('name = "own"\n[street]\n[[assets]]\npath = "car.obj"\nlabel = "car"\nkind = "car"\n')
    source = Synthetic(name="own", recipe=str(tmp_path / "own.toml"), number=1)
    told = made_by(source)
    assert told == made_by(source)
    box(extents=(4.2, 2, 1.5)).export(tmp_path / "car.obj")
    assert made_by(source) != told


def test_sources_alone_are_weighed_alike(recipe: StudyRecipe) -> None:
    how = train_recipe(plan(recipe, ["u0", "u1"])[0], recipe)
    told = {"real_start": 1.0, "synthetic_weight": 0.5, "synthetic_smoothing": 0.2}
    alone = without_real(how.model_copy(update=told), 2)
    assert (alone.real_share, alone.real_start, alone.synthetic_weight, alone.synthetic_smoothing) == (0.5, None, 1.0, 0.0)
    assert alone.cutmix == 0


def test_force_keeps_a_study_where_the_next_cannot_begin(tmp_path: Path, recipe: StudyRecipe) -> None:
    (tmp_path / "study" / "results").mkdir(parents=True)
    for name in ("recipe.json", "results/a.json"):
        (tmp_path / "study" / name).write_text("{}")
    nowhere = recipe.model_copy(update={"real": recipe.real.model_copy(update={"test_units": ("u9",)})})
    with pytest.raises(PcaugError, match="u9"):
        run_study(nowhere, tmp_path / "study", force=True)
    assert (tmp_path / "study" / "results" / "a.json").is_file()


@pytest.mark.parametrize("change", ["seed=5", "network=trees"])
def test_what_a_study_sets_itself_is_no_change_of_its_trainings(tmp_path: Path, recipe: StudyRecipe, change: str) -> None:
    every = {"set": (*recipe.set, change)}
    for wrong in (recipe.model_copy(update=every), narrowed(recipe, (), [change])):
        with pytest.raises(RecipeError, match=f"{change}.* among the changes of trainings"):
            run_study(wrong, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_study_knows_its_scans_whatever_lies_beside_them(tmp_path: Path, recipe: StudyRecipe) -> None:
    for number, unit in enumerate(["u0", "u1", "u2"]):
        write(tmp_path / "files" / f"{number}.las", next(Corpus.open(tmp_path / "real").only(units=[unit]).clouds()))
    for only in ((), ("0.las", "1.las", "2.las")):
        real = {"source": str(tmp_path / "files"), "card": "las", "test_units": ("2",), "files": only}
        arms = {"arms": ({"name": "real"},), "synthetic": ()}
        mine = StudyRecipe(**recipe.model_dump() | arms | {"budgets": (0,), "seeds": 1, "real": real})
        with pytest.raises(PcaugError, match="lies in the source"):
            run_study(mine, tmp_path / "files" / "study")
        folder = tmp_path / f"study{len(only)}"
        run_study(mine, folder)
        (tmp_path / "files" / ".DS_Store").touch()
        if only:
            (tmp_path / "files" / "notes.txt").write_text("seen on Monday")
        assert len(run_study(mine.model_copy(update={"seeds": 2}), folder).results) == 2


@pytest.mark.parametrize("name", ["recipe.json", "results/*.json"])
def test_a_damaged_file_of_a_study_is_one_line(tmp_path: Path, recipe: StudyRecipe, name: str) -> None:
    small = narrowed(recipe, ["real + more"]).model_copy(update={"budgets": (1,), "draws": 1, "seeds": 1})
    run_study(small, tmp_path / "a")
    for text in ("{", "[]"):
        next((tmp_path / "a").glob(name)).write_text(text)
        with pytest.raises(PcaugError, match=r"is damaged|is no result|holds a study of another recipe"):
            run_study(small, tmp_path / "a", so_far=True)


@pytest.mark.parametrize("seed", range(4))
def test_the_smallest_draws_begin_each_with_another_unit(recipe: StudyRecipe, seed: int) -> None:
    jobs = plan(recipe.model_copy(update={"budgets": (1, 2), "draws": 4, "seeds": 1, "seed": seed}), ["a", "b", "c", "d"])
    ones = {job.draw: job.units for job in jobs if job.budget == 1}
    assert sorted(ones.values()) == [("a",), ("b",), ("c",), ("d",)]
    assert all(set(ones[job.draw]) < set(job.units) for job in jobs if job.budget == 2)


def test_nothing_is_trained_on_that_is_tested_on(recipe: StudyRecipe, tmp_path: Path) -> None:
    assert trainable_units(recipe, Corpus.open(recipe.real.source)) == ["u0", "u1"]
    with CorpusWriter(tmp_path / "c") as writer:
        for split in ("train", "val", "test", None):
            writer.add(make_cloud(5), str(split), str(split), split)
    whole = recipe.model_copy(update={"real": recipe.real.model_copy(update={"test_units": ()})})
    assert trainable_units(whole, Corpus.open(tmp_path / "c")) == ["None", "train"]


def test_arms_share_seeds_which_differ_between_trainings(recipe: StudyRecipe) -> None:
    plain = StudyRecipe(
        **recipe.model_dump()
        | {"arms": ({"name": "real"}, {"name": "bare", "augment": False}), "baseline": "real", "budgets": (1,)}
    )
    seeds = {}
    for job in plan(plain, ["a", "b", "c"]):
        how = train_recipe(job, plain)
        seeds.setdefault(job.arm.name, []).append(how.seed)
        assert bool(how.augment) == (job.arm.name == "real")
    assert seeds["real"] == seeds["bare"]
    assert len(set(seeds["real"])) == 2 * 2  # draws times seeds
