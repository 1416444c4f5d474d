"""The example of docs/augmenting.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOC = Path(__file__).parents[2] / "docs" / "augmenting.md"


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"```python\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    names: dict[str, object] = {}
    exec(compile(found[1], str(DOC), "exec"), names)
    assert "points more" in capsys.readouterr().out
    assert names["pasted"].objects > 0  # type: ignore[attr-defined]
    assert len(names["changed"]) <= len(names["scan"])  # type: ignore[arg-type]
