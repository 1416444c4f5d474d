"""What the pages show is run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from builders import make_cloud

from pcaug import formats
from pcaug.cloud import PointCloud
from pcaug.corpus.write import CorpusWriter
from pcaug.scene.recipe import load_recipe
from pcaug.sensor.compose import compose_one

ROOT = Path(__file__).parent.parent


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.S)


def test_corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("duckdb")
    pytest.importorskip("polars")
    monkeypatch.chdir(tmp_path)
    town = compose_one(load_recipe("town", ["town.size=50.0"]), 0, 0)
    formats.write("tile.laz", town.with_fields(native_label=None))
    home: dict[str, object] = {}
    said = []
    for block in blocks("docs/corpora.md"):
        exec(block, home)
        said.append(capsys.readouterr().out)
    points = int(said[0].split()[0])
    assert points == len(town)
    assert sum(row[1] for row in home["rows"]) == points  # type: ignore[attr-defined]


def test_queries_stand_tiles_that_differ_in_their_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb")
    pytest.importorskip("polars")
    monkeypatch.chdir(tmp_path)
    rich = make_cloud(50)
    assert "intensity" in rich
    with CorpusWriter(Path("halves"), frame="map") as writer:
        writer.add(PointCloud(rich.xyz, {"label": rich["label"]}, rich.taxonomy), "a", "a")
        writer.add(rich, "b", "b")
    home: dict[str, object] = {}
    for block in blocks("docs/corpora.md")[-2:]:
        exec(block, home)
    assert sum(row[1] for row in home["rows"]) == 100  # type: ignore[attr-defined]
    assert home["high"].height == 2 * (rich.xyz[:, 2] > 5).sum()  # type: ignore[attr-defined]
