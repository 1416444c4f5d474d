"""The report of a generator: its scores beside two floors, whether it copies, and pictures of samples beside the nearest real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from pcaug.augment import pipeline
from pcaug.errors import counted, first_few
from pcaug.generate.bank import ObjectSample, frame_from_object
from pcaug.generate.score import Scores, score
from pcaug.view.picture import Image, render
from pcaug.view.report import Report

HEAD = ["", "1-NNA CD", "1-NNA EMD", "COV CD", "COV EMD", "MMD CD", "MMD EMD", "memorised", "copies"]
"""Columns of a table of scores."""
PAIRS = 8
"""Samples that are shown."""
NAIVE = (
    {"name": "rotate_z", "degrees": 5.0},
    {"name": "scale", "low": 0.9, "high": 1.1, "anisotropic": True},
    {"name": "jitter", "sigma": 0.03},
)
REFERENCE = [
    ["PointFlow (Yang et al. 2019), ShapeNet cars", "58.1", "56.3"],
    ["PVD (Zhou et al. 2021), ShapeNet cars", "54.6", "53.8"],
    ["LION (Zeng et al. 2022), ShapeNet cars", "53.4", "51.1"],
]
"""1-NNA in % by CD and EMD as table 1 of the LION paper gives them."""


def floors(training: Sequence[ObjectSample], n: int, rng: np.random.Generator) -> dict[str, list[ObjectSample]]:
    """What any generator has to beat: training objects with naive augmentation, and Gaussian noise of their size."""
    pipe = pipeline(NAIVE)
    rows = rng.integers(len(training), size=n)
    own, noise = [], []
    for row in rows:
        thing = training[row]
        upright = pipe(thing.upright, rng)
        own.append(_standing(thing, upright.xyz))
        size = np.array(thing.row.size)
        noise.append(_standing(thing, rng.standard_normal(upright.xyz.shape) * size / 4 + (0, 0, size[2] / 2)))
    return {"training objects, naively augmented": own, "Gaussian noise": noise}


def _standing(thing: ObjectSample, xyz: np.ndarray) -> ObjectSample:
    """Other points for a thing, given in its own frame."""
    cloud = replace(thing.upright, xyz=xyz).moved(frame_from_object(thing.row.pose))
    return ObjectSample(cloud, thing.row.model_copy(update={"points": len(xyz)}))


def scored(
    arms: dict[str, list[ObjectSample]],
    held_out: Sequence[ObjectSample],
    training: Sequence[ObjectSample],
    seed: int,
    points: int,
) -> dict[str, Scores]:
    """Scores of several sets of samples, each of as many as are held out."""
    return {name: score(own, held_out, training, np.random.default_rng((seed, 7)), points=points) for name, own in arms.items()}


def write_report(
    title: str,
    results: dict[str, Scores],
    arms: dict[str, list[ObjectSample]],
    training: Sequence[ObjectSample],
    held_out: Sequence[ObjectSample],
    path: Path,
) -> None:
    """Write one page; the first of ``results`` is the generator."""
    first = next(iter(results))
    units = (
        f"{counted(len(training), 'object')} of {_units(training)} to learn from, {len(held_out)} of {_units(held_out)} held out"
    )
    report = Report(title, units)
    report.verdict([f"{first}: {results[first].verdict}.", *flattered(training, held_out)])
    report.heading("Scores")
    report.text(
        "MMD: how far held-out objects are from the nearest sample. COV: share of held-out objects that are a sample's nearest. "
        "1-NNA: how well samples are told from held-out objects by their nearest neighbour, 50 % is best. Memorised: distance "
        "of samples to the training objects over that of held-out ones, far below 1 is copying."
    )
    report.table(HEAD, [[name, *row(result)] for name, result in results.items()])
    report.heading("Samples beside the nearest training object")
    own = arms[first]
    for index in np.linspace(0, len(own) - 1, min(PAIRS, len(own))).astype(int):
        nearest = training[results[first].nearest[index]]
        report.picture(_pair(own[index], nearest), f"{own[index].row.name}: a sample, and the training object nearest to it")
    report.heading("Published, for reference")
    report.text("On complete, clean CAD models: for orientation, no comparison.")
    report.table(["generator and data", "1-NNA CD, %", "1-NNA EMD, %"], REFERENCE)
    report.write(path)


def flattered(training: Sequence[ObjectSample], held_out: Sequence[ObjectSample]) -> list[str]:
    """A sentence on scores by held-out objects of drives or sites that were learned from; empty where there are none."""
    units = {thing.row.unit for thing in training} & {thing.row.unit for thing in held_out}
    text = f"The scores flatter: held-out objects are of {counted(len(units), 'unit')} that others were learned from."
    return [f"{text} Take objects of two or more drives or sites."] if units else []


def row(result: Scores) -> list[str]:
    """Cells of a table of scores, under all of ``HEAD`` but the first."""
    shares = [result.nna_cd, result.nna_emd, result.cov_cd, result.cov_emd]
    return [
        *(f"{100 * value:.0f} %" for value in shares),
        f"{result.mmd_cd:.3f} m²",
        f"{result.mmd_emd:.2f} m",
        f"{result.memorised:.2f}",
        f"{100 * result.copies:.0f} %",
    ]


def to_json(results: dict[str, Scores]) -> dict[str, dict[str, object]]:
    """The figures of every arm, with the verdict on copying."""
    return {
        name: {key: value for key, value in asdict(result).items() if key != "nearest"} | {"verdict": result.verdict}
        for name, result in results.items()
    }


def _units(things: Sequence[ObjectSample]) -> str:
    units = sorted({thing.row.unit for thing in things})
    return f"{counted(len(units), 'unit')} ({first_few(units, 12)})"


def _pair(sample: ObjectSample, real: ObjectSample) -> Image:
    span = 1.1 * max(float(np.ptp(thing.upright.bounds, axis=0).max()) for thing in (sample, real))
    one, two = (render(thing.upright, 460, 300, "height", elevation=22.0, span=span) for thing in (sample, real))
    return np.concatenate([one, np.full((300, 12, 3), 255, np.uint8), two], axis=1)
