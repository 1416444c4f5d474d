"""The wheel is complete: built, installed into an environment of its own, and used from elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_cards_recipes_and_types_travel_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for content in ("datasets", "models"):
        here = {str(path.relative_to(ROOT)) for path in (ROOT / content).rglob("*") if path.is_file()}
        assert here == {name.removeprefix("pcaug/_shipped/") for name in names if name.startswith(f"pcaug/_shipped/{content}/")}
    assert "pcaug/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"pcaug"}


@pytest.mark.slow
def test_installed_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Dependencies come from the present environment; pcaug itself comes from the wheel."""
    env = tmp_path / "env"
    venv.create(env, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(env), "platbase": str(env)}))
    zipfile.ZipFile(wheel).extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = env / "bin" / "python"

    def pcaug(*arguments: str) -> str:
        done = subprocess.run([python, "-m", "pcaug", *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    where = subprocess.run([python, "-c", "import pcaug; print(pcaug.__file__)"], cwd=tmp_path, capture_output=True, text=True)
    assert str(env) in where.stdout
    assert any("semantickitti" in str(card) for card in json.loads(pcaug("datasets", "--json")))
    pcaug("compose", "street", "-n", "1", "-o", "streets", "--seed", "1", "--set", "sensor.azimuth_steps=120")
    assert json.loads(pcaug("info", "streets", "--json"))["points"] > 1000
