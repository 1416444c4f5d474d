"""The example of docs/generating.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from generate.builders_generate import make_cars

from pcaug.generate.bank import write_bank

DOC = Path(__file__).parents[2] / "docs" / "generating.md"


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_bank(make_cars(24), Path("bank"))
    found = re.search(r"```python\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    exec(compile(found[1], str(DOC), "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == ["shape", "flow"]
    assert all("held-out" in line for line in said)
