"""The models that come with the software: each opens, labels, and is what its page says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcaug import catalogue
from pcaug.scene.recipe import load_recipe
from pcaug.segment.evaluate import confusion, miou
from pcaug.segment.predict import Segmenter
from pcaug.segment.publish import OPEN
from pcaug.segment.run import CARD, Run
from pcaug.sensor.compose import compose_one

PUBLISHED = sorted(path.parent for path in catalogue.shipped("models").glob(f"*/{CARD}"))


def test_there_are_some() -> None:
    assert PUBLISHED


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_a_published_model_is_small_open_and_fits_its_card(folder: Path) -> None:
    Segmenter.load(Run.open(Path(folder.name)))  # raises where the weights are others
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8e6
    page = (folder / "README.md").read_text()
    assert any(licence in page for licence in OPEN)
    assert "/" not in "".join(str(row["corpus"]) for row in Run.open(folder).data)


SCENES = [
    ("street", "street", ["sensor.model=HDL-64E"], 0.5),
    ("street", "street", ["sensor.model=VLP-32C"], 0.4),
    ("airborne", "town", ["sensor.density=[20.0, 20.0]", "town.size=60.0"], 0.8),
    ("airborne", "town", ["sensor.density=[1.0, 1.0]", "town.size=120.0"], 0.8),
]


@pytest.mark.parametrize(("model", "scene", "changes", "least"), SCENES)
def test_a_published_model_labels_scenes_that_it_has_not_seen(model: str, scene: str, changes: list[str], least: float) -> None:
    segmenter = Segmenter.load(Run.open(Path(model)))
    recipe, tables = load_recipe(scene, changes), []
    for index in range(3):
        cloud = compose_one(recipe, 4711, index)
        guess, _ = segmenter.label(cloud, *segmenter.run.frames)
        classes = segmenter.run.classes
        tables.append(confusion(classes.index(cloud["label"]), guess, len(classes.groups)))
    assert miou(np.sum(tables, axis=0)) > least
