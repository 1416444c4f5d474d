"""``pcaug datasets classes``: the class tree and its presets."""

from __future__ import annotations

import json

import pytest
from builders import run

from pcaug import catalogue


def test_the_class_tree_is_printed_with_ids_and_presets(capsys: pytest.CaptureFixture[str]) -> None:
    tree = catalogue.taxonomy()
    out, _ = run(capsys, "datasets", "classes")
    lines = out.splitlines()
    for node in tree.nodes.values():
        depth = len(tree.ancestors(node.id)) - 1
        assert lines.count(f"{node.id:4}  {'  ' * depth}{node.name}") == 1
    assert all(f"  {name}: {', '.join(classes)}" in lines for name, classes in tree.presets.items())
    found = json.loads(run(capsys, "datasets", "classes", "--json")[0])
    assert {row["name"]: row["id"] for row in found["classes"]} | {"ignore": 255} == tree.by_name
    assert next(row["parent"] for row in found["classes"] if row["name"] == "car") == tree.label_name(
        tree.ancestors(tree.id("car"))[1]
    )
    assert found["presets"]["drive7"]["road"] == ["road"]
