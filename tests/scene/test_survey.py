"""A survey of HELIOS++, flown: the documented ``als_toyblocks`` demo in small, against geometry."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pcaug import catalogue
from pcaug.errors import FileError, NotFound, RecipeError
from pcaug.scene.recipe import compose, load_recipe, save_recipe
from pcaug.scene.survey import recipe_of_survey
from pcaug.sensor import SENSORS
from pcaug.sensor.scan import scan

pytest.importorskip("defusedxml")

SCENE = """<document><scene id="s" name="s">
<part><filter type="objloader"><param type="string" key="filepath" value="data/parts/ground.obj"/></filter>
<filter type="scale"><param type="double" key="scale" value="70"/></filter>
<filter type="translate"><param type="vec3" key="offset" value="20.0;0;0"/></filter></part>
<part><filter type="objloader"><param type="string" key="filepath" value="data/parts/cube.obj"/></filter></part>
</scene></document>"""
SCANNERS = """<document><scanner id="other" optics="line"/><scanner id="vq" optics="{optics}" accuracy_m="0.02"
beamDivergence_rad="0.0003" rangeMin_m="10" pulseLength_ns="2"/></document>"""
SURVEY = """<document><platformSettings id="p" movePerSec_m="30" z="100.0"/>
<scannerSettings active="true" id="c" pulseFreq_hz="{pulses}" scanAngle_deg="20.0" scanFreq_hz="200"/>
<survey name="t" platform="data/platforms.xml#sr22" scanner="data/scanners.xml#{scanner}" scene="data/scenes/s.xml#s">
{legs}</survey></document>"""
LEG = '<leg><platformSettings x="{}" y="{}" template="p"/><scannerSettings template="c"{}/></leg>'
OFF = ' active="false"'
LEGS = [(-30, -50, ""), (70, -50, OFF), (70, 0, ""), (-30, 0, OFF), (-30, 50, ""), (70, 50, OFF)]
CUBE = [(29, -49, 0), (49, -49, 0), (49, -29, 0), (29, -29, 0), (29, -49, 20), (49, -49, 20), (49, -29, 20), (29, -29, 20)]
FACES = "f 4 3 2 1\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8\n"


def survey(folder: Path, *, optics: str = "conic", scanner: str = "vq", pulses: int = 30_000) -> Path:
    cube = "".join("v {} {} {}\n".format(*v) for v in CUBE)
    for name, text in {
        "data/parts/ground.obj": "mtllib g.mtl\nv -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\nusemtl g\nf 1 2 3 4\n",
        "data/parts/g.mtl": "newmtl g\nhelios_classification 2\nhelios_reflectance 0.5\n",
        "data/parts/cube.obj": "mtllib c.mtl\n" + cube + "usemtl c\n" + FACES,
        "data/parts/c.mtl": "newmtl c\nhelios_classification 6\nhelios_reflectance 0.5\n",
        "data/scenes/s.xml": SCENE,
        "data/scanners.xml": SCANNERS.format(optics=optics),
        "data/surveys/t.xml": SURVEY.format(pulses=pulses, scanner=scanner, legs="".join(LEG.format(*leg) for leg in LEGS)),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "data/surveys/t.xml"


def expected(optics: str, pulses: int) -> tuple[float, float]:
    """Points and the share of them on the cube, pulse by pulse: who meets the box first (slabs), else the ground's square."""
    hits, cube = 0, 0
    for (x0, y0, active), (x1, _, _) in pairwise(LEGS):
        if active:
            continue
        time = np.arange(int(abs(x1 - x0) / 30 * pulses)) / pulses
        sign = np.sign(x1 - x0)
        x, turn, half = x0 + sign * 30 * time, time * 200, np.radians(20)
        if optics == "conic":
            direction = np.stack([np.sin(half) * np.cos(2 * np.pi * turn), np.sin(half) * np.sin(2 * np.pi * turn)], axis=1)
            down = np.full(len(time), -np.cos(half))
        else:
            angle = half * (2 * (turn % 1) - 1)  # where a line begins and which way it goes leaves sums as they are
            direction, down = np.stack([0 * angle + 1e-12, np.sin(angle) + 1e-12], axis=1), -np.cos(angle)
        ray = np.column_stack([direction, down])
        origin = np.column_stack([x, np.full(len(x), float(y0)), np.full(len(x), 100.0)])
        ray[np.abs(ray) < 1e-12] = 1e-12
        slabs = (np.array([CUBE[0], CUBE[6]], float)[:, None] - origin) / ray
        near, far = slabs.min(axis=0).max(axis=1), slabs.max(axis=0).min(axis=1)
        box = near < far
        ground = origin[:, :2] + direction * (-100 / down)[:, None]
        square = (np.abs(ground - (20, 0)) <= 70).all(axis=1)
        hits += int((box | square).sum())
        cube += int(box.sum())
    return hits, cube / hits


@pytest.mark.parametrize("optics", ["conic", "oscillating", "rotating"])
def test_a_survey_is_flown_as_geometry_says(tmp_path: Path, optics: str) -> None:
    recipe = recipe_of_survey(survey(tmp_path, optics=optics))
    assert (recipe.sensor.noise, recipe.sensor.pulses, recipe.sensor.rate, len(recipe.sensor.legs)) == (0.02, 30_000, 200, 3)
    rng = np.random.default_rng(0)
    scene = compose(recipe, rng)
    rays = SENSORS["airborne"](scene, recipe.sensor, np.random.default_rng(0))
    assert len(rays.time) == pytest.approx(3 * 100 / 30 * 30_000, abs=3)
    np.testing.assert_allclose(np.linalg.norm(rays.direction, axis=1), 1)
    cloud = scan(scene, recipe.sensor, rng)
    first = cloud.take(cloud["return_number"] == 1)
    count, share = expected(optics, 30_000)
    assert len(first) == pytest.approx(count, rel=0.005)
    assert len(cloud) == pytest.approx(count, rel=0.05)  # a beam on the cube's edge gives two
    building = catalogue.taxonomy().id("building")
    assert (cloud["label"] == building).mean() == pytest.approx(share, abs=0.005)


def test_what_a_survey_says_can_be_changed(tmp_path: Path) -> None:
    path = survey(tmp_path)
    assert recipe_of_survey(path, ["sensor.noise=0.0", "sensor.sub_rays=1"]).sensor.sub_rays == 1
    assert recipe_of_survey(path, ["sensor.noise=0.0"]).model_copy(update={"sensor": None}) == recipe_of_survey(path).model_copy(
        update={"sensor": None}
    )
    save_recipe(recipe_of_survey(path), tmp_path / "again.toml")
    assert load_recipe(tmp_path / "again.toml").sensor == recipe_of_survey(path).sensor
    with pytest.raises(RecipeError, match="did you mean"):
        recipe_of_survey(path, ["sensor.nois=0.0"])


def test_a_survey_that_cannot_be_followed_is_refused(tmp_path: Path) -> None:
    path = survey(tmp_path)
    with pytest.raises(FileError, match="'line' optics"):
        recipe_of_survey(survey(tmp_path, scanner="other"))
    with pytest.raises(NotFound, match="no scanner 'none'"):
        recipe_of_survey(survey(tmp_path, scanner="none"))
    text = survey(tmp_path).read_text()
    path.write_text(text.replace("data/scenes/s.xml", "../../s.xml"))
    with pytest.raises(FileError, match="leads outside"):
        recipe_of_survey(path)
    path.write_text(text.replace('movePerSec_m="30"', ""))
    with pytest.raises(FileError, match="without movePerSec_m"):
        recipe_of_survey(path)
    for old, new, message in (
        ('scanAngle_deg="20.0"', 'scanAngle_deg="90"', "scan_angle: must be less than 90.*t.xml"),
        ('movePerSec_m="30"', 'movePerSec_m="nan"', "speed.*t.xml"),
        ('x="70" y="-50"', 'x="-30" y="-50"', "a leg begins where it ends.*t.xml"),
    ):
        path.write_text(text.replace(old, new))
        with pytest.raises(RecipeError, match=message):
            recipe_of_survey(path)
    path.write_text(text)
    scanners = tmp_path / "data/scanners.xml"
    for key in ("accuracy_m", "beamDivergence_rad", "rangeMin_m", "pulseLength_ns"):
        scanners.write_text(SCANNERS.format(optics="conic").replace(f'{key}="', f'{key}="some '))
        with pytest.raises(FileError, match=f"without {key}, or one that is not a number.*scanners.xml"):
            recipe_of_survey(path)
    path.write_text("<document/>")
    with pytest.raises(FileError, match="no <survey>"):
        recipe_of_survey(path)
