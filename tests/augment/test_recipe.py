"""Recipes: every shipped one draws, mistakes are named, and the command writes what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from builders import make_cloud, run

from pcaug import catalogue
from pcaug.augment.instances import instances
from pcaug.augment.recipe import AugmentRecipe, Donors, augment_corpus, draws, load_recipe, mixers
from pcaug.cloud import PointCloud
from pcaug.corpus.manifest import SourceRow
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import NotFound, PcaugError, RecipeError

SOURCES = (("own", "yours", ()), ("closed", "CC BY-NC-ND 4.0", ("nc", "nd")), ("mesh", "CC BY-SA 4.0", ("sa",)))


def make_corpus(folder: Path, *, spinning: bool, units: int = 3) -> Corpus:
    with CorpusWriter(folder, frame="sensor" if spinning else "map") as writer:
        for index in range(units):
            cloud = make_cloud(600, seed=index, size=40.0, time=np.arange(600.0))
            xyz = cloud.xyz * (1, 1, 0.05) - (20, 20, 2.2) if spinning else cloud.xyz * (1, 1, 0.2) + (1000, 1000, 0)
            writer.add(
                PointCloud(xyz, cloud.fields, cloud.taxonomy), f"scan{index}", f"unit{index}", split="train" if index else "test"
            )
    return Corpus.open(folder)


@pytest.mark.parametrize("name", sorted(catalogue.names("datasets/augmentations")))
def test_every_shipped_recipe_draws_and_keeps_units_and_splits(name: str, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "c", spinning=name in ("spinning", "weather"))
    for out in ("a", "b"):
        augment_corpus(load_recipe(name), corpus, tmp_path / out, 5, copies=2)
    made, again = Corpus.open(tmp_path / "a"), Corpus.open(tmp_path / "b")
    assert [(t.unit, t.split) for t in made.tiles] == [(t.unit, t.split) for t in corpus.tiles for _ in range(2)]
    assert {t.kind for t in made.tiles} == {"synthetic"}
    for one, other in zip(made.tiles, again.tiles, strict=True):
        assert (made.folder / one.path).read_bytes() == (again.folder / other.path).read_bytes()


def test_test_data_never_reaches_training_through_a_mixer(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "c", spinning=False)
    recipe = load_recipe("mobile", ['mix=[{name="mix3d"}]', "step=[]"])
    augment_corpus(recipe, corpus, tmp_path / "a", 0, copies=3)
    test = {row.tobytes() for row in next(corpus.clouds("test"))["intensity"]}
    for cloud in Corpus.open(tmp_path / "a").clouds("train"):
        assert not test & {row.tobytes() for row in cloud["intensity"]}


def test_test_data_of_donors_never_reaches_training(tmp_path: Path) -> None:
    corpus, donors = (make_corpus(tmp_path / name, spinning=False) for name in "cd")
    recipe = load_recipe("mobile", ['mix=[{name="mix3d"}]', "step=[]"])
    of = {tile.split: {row.tobytes() for row in donors.read(tile)["intensity"]} for tile in donors.tiles}
    for tile, _, cloud in draws(recipe, corpus, 0, copies=4, donors=donors):
        mixed = {row.tobytes() for row in cloud["intensity"]} - {row.tobytes() for row in corpus.read(tile)["intensity"]}
        assert tile.split == "test" or not mixed & of["test"]
    untested = donors.only(split="train")
    assert len(list(draws(recipe, corpus, 0, donors=untested))) == 3
    with pytest.raises(NotFound, match=r"no tiles of split 'train'.*it has the splits test"):
        list(draws(recipe, corpus, 0, donors=donors.only(split="test")))


def test_licences_of_donors_and_of_meshes_hold_for_what_is_made_of_them(tmp_path: Path) -> None:
    rows = {name: SourceRow(path=name, licence=licence, flags=flags) for name, licence, flags in SOURCES}
    for name in ("own", "closed"):
        with CorpusWriter(tmp_path / name) as writer:
            writer.source(rows[name])
            writer.add(make_cloud(100, seed=len(name)), name, name)
            if name == "own":
                writer.source(rows["mesh"])  # holds for the corpus; no tile is its own
    own, closed = (Corpus.open(tmp_path / name) for name in ("own", "closed"))
    mixes, copies = AugmentRecipe(name="laid", mix=({"name": "mix3d"},)), AugmentRecipe(name="copies")
    for recipe, donors, names in (
        (mixes, closed, ["own", "mesh", "closed"]),
        (mixes, None, ["own", "mesh"]),
        (copies, closed, ["own", "mesh"]),
    ):
        augment_corpus(recipe, own, tmp_path / "out", 0, copies=2, donors=donors, force=True)
        made = Corpus.open(tmp_path / "out").manifest
        assert [row.model_copy(update={"points": 0}) for row in made.sources] == [rows[name] for name in names]
        assert made.made_by.get("donors") == (str(closed.folder) if "closed" in names else None)
        assert [tile.source for tile in made.tiles] == [0, 0]


def test_single_objects_are_pasted_and_never_mixed_with_half_a_scan(tmp_path: Path) -> None:
    scans = make_corpus(tmp_path / "c", spinning=True)
    with CorpusWriter(tmp_path / "bank", frame="sensor", made_by={"objects": []}) as writer:
        writer.add(make_cloud(20), "a", "a")
    bank = Corpus.open(tmp_path / "bank")
    recipe = load_recipe("spinning", ['mix=[{name="paste"}, {name="lasermix"}]'])
    with pytest.raises(PcaugError, match="holds single objects, which lasermix cannot mix with scans"):
        augment_corpus(recipe, scans, tmp_path / "out", 0, donors=bank)
    with pytest.raises(PcaugError, match="0 copies cannot be made"):
        augment_corpus(recipe, scans, tmp_path / "out", 0, copies=0)
    assert not (tmp_path / "out").exists()


def test_objects_of_a_bank_stay_whole_and_apart_though_they_stand_in_one_place(tmp_path: Path) -> None:
    """Generated ones all stand before the sensor; clustered, they would be one."""
    rng, taxonomy = np.random.default_rng(0), catalogue.taxonomy()
    tree, vegetation = taxonomy.id("tree"), taxonomy.id("vegetation")
    with CorpusWriter(tmp_path / "bank", frame="sensor", made_by={"objects": []}) as writer:
        for index in range(5):
            trunk = rng.normal(0, 0.1, (80, 3)) + (10, 0, 0)
            crown = rng.normal(0, 0.5, (40, 3)) + (10, 0, 3)
            label = np.repeat([tree, vegetation], [80, 40]).astype(np.uint16)
            writer.add(PointCloud(np.concatenate([trunk, crown]), {"label": label}, taxonomy), f"tree{index}", "wood")
    bank = Corpus.open(tmp_path / "bank")
    donor = Donors(bank, bank=True).draw(make_corpus(tmp_path / "c", spinning=True).tiles[0], rng)
    assert [len(rows) for _, rows in instances(donor, "tree")] == [120] * 5


def test_a_scan_is_not_mixed_with_itself_where_there_is_another(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "c", frame="sensor") as writer:
        for index in range(2):  # two scans of one drive
            writer.add(make_cloud(100, seed=index), f"scan{index}", "drive")
    corpus = Corpus.open(tmp_path / "c")
    other = corpus.read(corpus.tiles[1])
    for seed in range(6):
        drawn = Donors(corpus).draw(corpus.tiles[0], np.random.default_rng(seed))
        np.testing.assert_array_equal(drawn.xyz, other.xyz)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('step = [{name = "spin"}]', "no augmentation named 'spin'"),
        ('mix = [{name = "polarmx"}]', "did you mean polarmix"),
        ('mix = [{name = "lasermix", bands = [1]}]', "bands.0"),
        ('mix = [{name = "lasermix", bands = []}]', "bands"),
        ('mix = [{name = "polarmix", most = 10.0}]', "least is above most"),
        ("steps = []", "did you mean 'step'"),
    ],
)
def test_mistakes_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(f'name = "r"\n{text}\n')
    with pytest.raises(RecipeError, match=message):
        load_recipe(path)


def test_the_command_writes_corpus_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_corpus(tmp_path / "c", spinning=True)
    out, _ = run(capsys, "augment", "weather", tmp_path / "c", "-o", tmp_path / "o", "--png", tmp_path / "p.png", "--json")
    told = json.loads(out)
    assert told["points"] == Corpus.open(tmp_path / "o").points
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    run(capsys, "augment", "weather", tmp_path / "c", code=2)
    town = make_corpus(tmp_path / "m", spinning=False).folder
    assert "spinning sensor" in run(capsys, "augment", "spinning", town, "-o", tmp_path / "x", code=1)[1]
    assert not (tmp_path / "x").exists()


def test_bands_have_a_width() -> None:
    with pytest.raises(RecipeError, match="bands have no width"):
        mixers([{"name": "lasermix", "low": 3.0, "high": 3.0}])


def test_names_and_folders_do_for_recipes_and_corpora(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "a") as writer:
        writer.add(make_cloud(50), "s", "u")
    (tmp_path / "r.toml").write_text('name = "r"\nstep = [{ name = "jitter" }]\n')
    augment_corpus(tmp_path / "r.toml", str(tmp_path / "a"), tmp_path / "named", 3)
    augment_corpus(load_recipe(tmp_path / "r.toml"), Corpus.open(tmp_path / "a"), tmp_path / "opened", 3)
    one, other = (next(Corpus.open(tmp_path / name).clouds()) for name in ("named", "opened"))
    np.testing.assert_array_equal(one.xyz, other.xyz)


def test_buffers_between_splits_are_neither_copied_nor_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with CorpusWriter(tmp_path / "c", frame="map") as writer:
        for name, split, size in (
            ("strip", "buffer", 900),
            ("large", "train", 600),
            ("sliver", "train", 9),
            ("kept", "test", 800),
        ):
            writer.add(make_cloud(size), name, name, split=split)
    augment_corpus("airborne", tmp_path / "c", tmp_path / "more", 0)
    assert [(tile.unit, tile.split) for tile in Corpus.open(tmp_path / "more").tiles] == [
        ("large", "train"),
        ("sliver", "train"),
        ("kept", "test"),
    ]
    shown: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcaug.view.picture.save_png", lambda clouds, png, titles, colour: shown.extend(titles))
        run(capsys, "augment", "airborne", tmp_path / "c", "--png", tmp_path / "a.png")
    assert shown[0] == "large"
    assert len(shown) == 3
