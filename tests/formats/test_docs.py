"""docs/formats.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from builders import make_cloud

from pcaug.cloud import FIELDS
from pcaug.formats import FORMATS, iter_chunks, lost, write

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
ROWS = {row.split("|")[1].strip(): [c.strip() for c in row.split("|")[2:-1]] for row in PAGE.read_text().splitlines()
        if re.match(r"\| \w+ \| `", row)}  # fmt: skip


def test_every_format_has_its_row() -> None:
    assert list(ROWS) == list(FORMATS)
    for name, (suffixes, *_) in ROWS.items():
        assert tuple(re.findall(r"`(\S+)`", suffixes)) == FORMATS[name].suffixes


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_format_cannot_hold(name: str) -> None:
    held = re.findall(r"`(\w+)`", ROWS[name][3])
    expected = [field for field in FIELDS if held and field not in held]
    assert lost(FIELDS, f"a{FORMATS[name].suffixes[0]}") == expected


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_read_in_chunks(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{FORMATS[name].suffixes[0]}"
    parts = [make_cloud(10, seed=i, labelled=False, native_label=np.arange(10, dtype=np.int32)) for i in range(3)]
    assert write(path, iter(parts)) == 30
    chunks = list(iter_chunks(path, 12))
    assert [len(chunk) for chunk in chunks] == [12, 12, 6]
    assert sorted(np.concatenate([c["native_label"] for c in chunks])) == sorted([*range(10)] * 3)
