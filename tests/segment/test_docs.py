"""The example of docs/training.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from segment.builders_segment import gardens

DOC = Path(__file__).parents[2] / "docs" / "training.md"


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    gardens(tmp_path / "real")
    gardens(tmp_path / "streets", ("train",))
    found = re.search(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    assert found is not None
    names: dict[str, object] = {}
    exec(compile(found[1], str(DOC), "exec"), names)
    assert "ground" in capsys.readouterr().out
    assert (tmp_path / "run" / "weights.safetensors").is_file()
    assert float(names["loss"].detach()) < 1.2  # type: ignore[attr-defined]
