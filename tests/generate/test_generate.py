"""Both families learn sizes and shapes, are kept and sampled alike, and cannot be fooled into nonsense."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from builders import run
from generate.builders_generate import CAR, TAXONOMY, make_cars

from pcaug.augment import MIXERS, build
from pcaug.cli.app import main
from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import FileError, PcaugError
from pcaug.generate import fit, flow, model, shape
from pcaug.generate.bank import read_bank, write_bank
from pcaug.generate.model import Generator, ModelCard
from pcaug.generate.score import chamfer


@cache
def make_model(family: str, steps: int = 60, n: int = 20) -> Generator:
    card = ModelCard(family=family, classes=("car",), objects=(n,), points=48)  # type: ignore[arg-type]
    rng = np.random.default_rng(3)
    return (
        shape.fit(make_cars(n), card, rng)
        if family == "shape"
        else flow.fit(make_cars(n), card, rng, steps=steps, batch=8, learning_rate=5e-3)
    )


@pytest.mark.parametrize("family", ["shape", "flow"])
def test_samples_have_the_sizes_of_the_class_its_label_and_as_many_points_as_asked(family: str) -> None:
    samples = make_model(family).sample(12, np.random.default_rng(0), 160)
    lengths = [np.ptp(thing.upright.xyz[:, 0]) for thing in samples]
    assert 3.5 < np.mean(lengths) < 7.0
    for thing in samples:
        assert len(thing.cloud) == thing.row.points == 160
        assert (thing.cloud["label"] == CAR).all()
        assert np.isfinite(thing.cloud.xyz).all()
        assert thing.row.distance is not None


@pytest.mark.parametrize("family", ["shape", "flow"])
def test_saved_model_samples_the_same_and_says_where_it_comes_from(family: str, tmp_path: Path) -> None:
    fitted = make_model(family)
    model.save(fitted, tmp_path / "m")
    back = model.load(tmp_path / "m")
    assert back.card == fitted.card
    a, b = (m.sample(2, np.random.default_rng(9)) for m in (fitted, back))
    np.testing.assert_array_equal(a[1].cloud.xyz, b[1].cloud.xyz)


@pytest.mark.parametrize("seed", range(8))
def test_a_unit_with_most_objects_is_learned_from(seed: int) -> None:
    units = ["07"] * 26 + ["09"] * 2 + ["10"] * 2 + ["02"]
    things = [replace(t, row=t.row.model_copy(update={"unit": u})) for t, u in zip(make_cars(31), units, strict=True)]
    training, held = fit.parted(things, np.random.default_rng(seed))
    assert {thing.row.unit for thing in held} == {"02", "09", "10"}  # the others together are fewer than asked for
    assert len(training) == 26


@pytest.mark.parametrize("seed", range(4))
def test_three_objects_in_ten_or_more_are_held_out_in_whole_units_where_units_allow(seed: int) -> None:
    things = [replace(t, row=t.row.model_copy(update={"unit": f"{i % 10}"})) for i, t in enumerate(make_cars(20))]
    training, held = fit.parted(things, np.random.default_rng(seed))
    assert (len(training), len(held)) == (14, 6)
    assert not {thing.row.unit for thing in held} & {thing.row.unit for thing in training}


def test_a_flow_learns() -> None:
    cars = [thing.upright.xyz for thing in make_cars(10, seed=8)]

    def off(fitted: Generator) -> float:
        samples = [thing.upright.xyz for thing in fitted.sample(6, np.random.default_rng(1), 128)]
        return float(np.mean([min(chamfer(xyz, car) for car in cars) for xyz in samples]))

    assert off(make_model("flow")) < 0.5 * off(make_model("flow", steps=1))


def test_a_flow_is_told_its_class_and_its_size() -> None:
    small = [thing for thing in make_cars(20, seed=5)]
    poles = []
    for thing in small:
        xyz = thing.upright.xyz * (0.05, 0.1, 3)
        poles.append(model.sampled(xyz, "pole", model.View(0.0, 8.0), "test"))
    card = ModelCard(family="flow", classes=("car", "pole"), objects=(20, 20), points=32)
    fitted = flow.fit(small + poles, card, np.random.default_rng(0), steps=20, batch=4)
    for thing in fitted.sample(12, np.random.default_rng(0), 64):
        tall = np.ptp(thing.upright.xyz[:, 2]) > np.ptp(thing.upright.xyz[:, 0])
        assert tall == (thing.row.name == "pole")


def test_what_cannot_be_learned_or_read_says_so(tmp_path: Path) -> None:
    for family in ("shape", "flow"):
        with pytest.raises(PcaugError, match="too few"):
            make_model(family, n=2)
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(FileError, match="is not a generator"):
        model.load(tmp_path)
    fitted = make_model("flow", steps=1, n=4)
    model.save(fitted, tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps(card | {"settings": {"width": 32.0, "blocks": 4.0}}))
    with pytest.raises(FileError, match="is not a generator"):
        model.load(tmp_path)


def test_the_commands_go_from_a_bank_to_samples_that_paste_uses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> dict[str, object]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--json"])
        told = capsys.readouterr()
        assert ended.value.code == 0, told.err
        return json.loads(told.out)

    write_bank(make_cars(16), tmp_path / "bank", licence="CC BY-NC-SA 4.0")
    fit = run("generate", "fit", str(tmp_path / "bank"), "--class", "car", "-o", str(tmp_path / "m"))
    assert (fit["objects"], fit["held_out"]) == (12, 4)
    assert {"shape samples", "Gaussian noise"} <= set(fit["scores"])  # type: ignore[call-overload]
    page = (tmp_path / "m" / "report.html").read_text()
    assert "memorised" in page
    assert page.count("data:image/png") >= 4
    card = json.loads((tmp_path / "m" / "card.json").read_text())
    assert (card["licence"], card["seed"], card["objects"]) == ("CC BY-NC-SA 4.0", 0, [12])
    run("generate", "sample", str(tmp_path / "m"), "-n", "5", "--points", "200", "-o", str(tmp_path / "s"))
    run("generate", "sample", str(tmp_path / "m"), "-n", "3", "--rescan", "-o", str(tmp_path / "r"))
    run("generate", "sample", str(tmp_path / "m"), "-n", "3", "--rescan", "--sensor", "VLP-16", "-o", str(tmp_path / "v"))
    rings = [max(int(thing.cloud["ring"].max()) for thing in read_bank(tmp_path / name)) for name in "rv"]
    assert rings[0] > 15 >= rings[1]
    samples = Corpus.open(tmp_path / "s")
    assert {tile.kind for tile in samples.tiles} == {"synthetic"}
    assert all(thing.cloud["label"][0] == CAR for thing in read_bank(tmp_path / "r"))
    plan = np.stack(np.meshgrid(np.arange(-30, 30, 0.5), np.arange(-30, 30, 0.5)), axis=-1).reshape(-1, 2)
    things = read_bank(tmp_path / "s")
    road = things[0].cloud.taxonomy
    assert road is not None
    ground = model.PointCloud(np.column_stack([plan, np.full(len(plan), -1.7)]), {"label": np.zeros(len(plan), np.uint16)}, road)
    mixed = build(MIXERS, {"name": "paste", "classes": ["car"], "number": 2})(ground, things[0].cloud, np.random.default_rng(0))
    assert (mixed["label"] == CAR).sum() > 100
    scored = run(
        "generate",
        "score",
        str(tmp_path / "s"),
        "--training",
        str(tmp_path / "bank"),
        "--real",
        str(tmp_path / "bank"),
        "-o",
        str(tmp_path / "x.html"),
    )
    assert "samples" in scored["scores"]  # type: ignore[operator]


@pytest.mark.parametrize("units", [1, 2])
def test_held_out_objects_of_the_unit_that_was_learned_from_are_warned_of(
    units: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cars = [replace(car, row=car.row.model_copy(update={"unit": f"drive{i % units}"})) for i, car in enumerate(make_cars(16))]
    write_bank(cars, tmp_path / "bank")
    _, err = run(capsys, "generate", "fit", tmp_path / "bank", "-o", tmp_path / "m")
    page = (tmp_path / "m" / "report.html").read_text(encoding="utf-8")
    for text in (err, page):
        assert ("The scores flatter" in text) == (units == 1)


def test_fields_that_pasting_loses_are_kept_by_rescanned_objects_as_far_as_a_scanner_has_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bank(make_cars(16), tmp_path / "bank")
    run(capsys, "generate", "fit", tmp_path / "bank", "-o", tmp_path / "m")
    plan = np.stack(np.meshgrid(np.arange(-30, 30, 0.5), np.arange(-30, 30, 0.5)), axis=-1).reshape(-1, 2)
    ground = PointCloud(np.column_stack([plan, np.full(len(plan), -1.7)]), {"label": np.full(len(plan), 2, np.uint16)}, TAXONOMY)
    for name, fields in (("bright", ["intensity", "native_label"]), ("plain", ["native_label"])):
        with CorpusWriter(tmp_path / name, frame="sensor") as writer:
            writer.add(ground.with_fields(**{field: np.ones(len(plan), np.int32) for field in fields}), "a", "a")
    paste = ("--set", 'mix=[{name="paste", classes=["car"], number=2}]')
    said = {}
    for kind, words in (("bare", ()), ("seen", ("--rescan",))):
        run(capsys, "generate", "sample", tmp_path / "m", "-n", 5, "-o", tmp_path / kind, *words)
        for name in ("bright", "plain"):
            made = ("augment", "spinning", tmp_path / name, "--with", tmp_path / kind, "-o", tmp_path / f"{kind}-{name}", *paste)
            said[kind, name] = run(capsys, *made)[1]
    assert "intensity, native_label left out" in said["bare", "bright"]
    assert "; objects have intensity with pcaug generate sample --rescan" in said["bare", "bright"]
    for other in (("bare", "plain"), ("seen", "bright")):
        assert "note: native_label left out" in said[other]
        assert "--rescan" not in said[other]


@pytest.mark.parametrize(
    ("words", "message"), [(("--rescan", "--sensor", "Mid-40"), "Mid-40 is rosette"), (("--sensor", "VLP-16"), "--rescan")]
)
def test_a_scanner_that_cannot_see_objects_anew_is_refused(
    words: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model.save(make_model("shape", n=8), tmp_path / "m")
    with pytest.raises(SystemExit) as ended:
        main(["generate", "sample", str(tmp_path / "m"), "-n", "2", "-o", str(tmp_path / "out"), *words])
    assert ended.value.code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
