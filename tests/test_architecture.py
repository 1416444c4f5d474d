"""What the tree promises: content holds no code, importing pcaug stays light, modules stay small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_content_folders_hold_no_code() -> None:
    for folder in ("datasets", "models"):
        assert not [path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".pyc", ".sh"}]
    assert not (ROOT / "pcaug" / "_shipped").exists(), "a stray copy would win over the real cards"


@pytest.mark.parametrize("path", sorted((ROOT / "pcaug").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_longer_than_a_reader_bears(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 430


def test_importing_pcaug_needs_neither_torch_nor_open3d() -> None:
    code = "import pcaug, pcaug.corpus.read, pcaug.scene, sys; assert not {'torch', 'open3d', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom pcaug.cli.app import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'torch', 'open3d', 'pyarrow'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
