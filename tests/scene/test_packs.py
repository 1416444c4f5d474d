"""Packs of meshes: folders and their cards, Sweet Home 3D libraries, HELIOS++ scenes; and recipes that use them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import trimesh

from pcaug import catalogue
from pcaug.cli.app import main
from pcaug.corpus.read import Corpus
from pcaug.errors import FileError, NotFound, PcaugError, RecipeError
from pcaug.explore.pattern import pattern_of
from pcaug.scene.asset import Asset, Placement, Scene
from pcaug.scene.ground import ground_of, level_on, plan_distance
from pcaug.scene.library import stamped
from pcaug.scene.meshes import helios
from pcaug.scene.meshes.bundle import Bundle
from pcaug.scene.meshes.entry import card_of, entries
from pcaug.scene.recipe import AssetRow, Helios, SceneRecipe, compose, load_recipe
from pcaug.scene.scanner import SensorRow
from pcaug.sensor.compose import compose_corpus
from pcaug.sensor.engine import Caster
from pcaug.sensor.place import place_corpus

TREE = catalogue.taxonomy()
SPREAD = np.random.default_rng(0).dirichlet(np.ones(3), 60)
"""Barycentric places on a face, of which its points are."""


def box(path: Path, *extents: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    trimesh.creation.box(extents or (1, 1, 1)).export(path)
    return path


def label(asset: Asset) -> set[str]:
    return {TREE.label_name(int(v)) for v in np.unique(asset.face_label)}


def test_a_folder_is_named_after_its_class_and_cards_say_the_rest(tmp_path: Path) -> None:
    box(tmp_path / "car" / "a.ply", 4, 1.8, 1.5)
    box(tmp_path / "car" / "old" / "b.ply", 400, 180, 150)
    box(tmp_path / "chairs" / "c.ply", 0.5, 0.5, 1)
    box(tmp_path / "d.ply")
    (tmp_path / "assets.toml").write_text(
        'licence = "CC0-1.0"\n[files."car/old/*"]\nunit = 0.01\n[files."chairs/*"]\nlabel = "seating"\nmaterial = "wood"\n'
    )
    (tmp_path / "chairs" / "c.toml").write_text("size = 0.9\n[[parts]]\nmatch = '*'\nreflectance = 0.7\n")
    found = {entry.name: entry for entry in entries(tmp_path)}
    assert list(found) == ["a", "b", "c", "d"]
    assert label(found["a"].load().asset) == {"car"}
    np.testing.assert_allclose(np.ptp(found["b"].load().asset.bounds, axis=0), [4, 1.8, 1.5])
    chair = found["c"].load().asset
    assert label(chair) == {"seating"}
    assert np.ptp(chair.bounds, axis=0).max() == pytest.approx(0.9)
    assert chair.licence == "CC0-1.0"
    with pytest.raises(RecipeError, match="no class for"):
        found["d"].load()
    assert [e.name for e in entries(tmp_path, "old")] == ["b"]
    with pytest.raises(NotFound, match="no mesh matches 'bus'"):
        entries(tmp_path, "bus")
    with zipfile.ZipFile(tmp_path.parent / "pack.zip", "w") as archive:
        for path in tmp_path.rglob("*.*"):
            archive.write(path, path.relative_to(tmp_path))
    for a, b in zip(entries(tmp_path), entries(tmp_path.parent / "pack.zip"), strict=True):
        assert (a.file, a.card) == (b.file, b.card)


def test_a_printed_card_is_a_card(tmp_path: Path) -> None:
    box(tmp_path / "car" / 'odd "name".ply', 4, 2, 1)
    (tmp_path / "assets.toml").write_text(card_of(tmp_path))
    assert entries(tmp_path)[0].card.label == "car"


CATALOGUE = """license=CC0
name=Test
id#1=a\nname#1=Bike\ntags#1=\ncategory#1=Vehicles\nmodel#1=/m/m.obj\nwidth#1=50\ndepth#1=150.0\nheight#1=100\ncreator#1=Ann
id#2=b\nname#2=L\\u00e2mpe\ntags#2=\ncategory#2=Lights\nmodel#2=/m/m.obj\nwidth#2=20\ndepth#2=10\nheight#2=30\nelevation#2=190
id#3=c\nname#3=Seat Leon\ntags#3=Car\ncategory#3=Vehicles\nmodel#3=/m/m.obj\nwidth#3=190\ndepth#3=420\nheight#3=146
modelRotation#3=0 0 1 0 1 0 -1 0 0
id#4=d\nname#4=Toy\ntags#4=\ncategory#4=Vehicles\nmodel#4=/m/m.obj\nwidth#4=5\ndepth#4=12\nheight#4=4
"""
OBJ = "v 0 0 0\nv 3 0 0\nv 3 2 0\nv 0 2 0\nv 0 0 5\nv 3 0 5\nv 3 2 5\nv 0 2 5\n" + "".join(
    f"f {face}\n" for face in ("1 4 3 2", "5 6 7 8", "1 2 6 5", "2 3 7 6", "3 4 8 7", "4 1 5 8")
)


def sh3f(path: Path, text: str = CATALOGUE) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", text.encode("latin-1"))
        archive.writestr("m/m.obj", OBJ)
    return path


def test_a_sweet_home_3d_library_has_real_sizes_classes_and_licences(tmp_path: Path) -> None:
    bike, lamp, car, toy = entries(sh3f(tmp_path / "t.sh3f"))
    assert [e.name for e in (bike, lamp, car, toy)] == ["Bike", "Lâmpe", "Seat Leon", "Toy"]
    assert [label(e.load().asset) for e in (bike, lamp, car, toy)] == [{"two_wheeler"}, {"other_furniture"}, {"car"}, {"object"}]
    np.testing.assert_allclose(np.ptp(bike.load().asset.bounds, axis=0), [1.5, 0.5, 1.0])
    np.testing.assert_allclose(np.ptp(car.load().asset.bounds, axis=0), [4.2, 1.9, 1.46])
    np.testing.assert_allclose(lamp.load().asset.bounds[:, 2], [1.9, 2.2])
    assert bike.load().asset.licence == "CC0"
    assert bike.card.author == "Ann"
    assert [e.name for e in entries(tmp_path, "vehicles")] == ["Bike", "Seat Leon", "Toy"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width#1=50", "width#1=wide", "has a number that is none"),
        ("depth#1=150.0\n", "", "lacks 'depth'"),
        ("/m/m.obj", "/../../m.obj", "names a file outside its folder"),
        ("L\\u00e2", "L\\u00", "cannot be read as Java properties"),
        ("width#1=50", "width#1=-10", r"cannot be \(size: a size is a positive number"),
        ("width#1=50", "width#1=nan", r"cannot be \(size.* finite number"),
        ("0 0 1 0 1 0 -1 0 0", "0 0 1", r"cannot be \(rotation: must have at least 9 items"),
    ],
)
def test_a_damaged_catalogue_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(FileError, match=message):
        entries(sh3f(tmp_path / "t.sh3f", CATALOGUE.replace(old, new)))


def test_pieces_without_a_plain_number_are_no_pieces(tmp_path: Path) -> None:
    assert len(entries(sh3f(tmp_path / "t.sh3f", CATALOGUE + "name#\u00b2=x\nname#\u00b3=y\n"))) == 4


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_never_ends_in_a_foreign_error(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w", method) as archive:
        archive.writestr("\u00e9.obj", OBJ)
    whole = (tmp_path / "t.zip").read_bytes()
    for index in range(len(whole)):
        (tmp_path / "t.zip").write_bytes(whole[:index] + bytes([whole[index] ^ 0xFF]) + whole[index + 1 :])
        bundle = Bundle(tmp_path / "t.zip")
        with suppress(PcaugError):
            [bundle.read(name) for name in bundle.names()]


def test_cards_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    box(tmp_path / "pack" / "a.ply")
    (tmp_path / "pack" / "assets.toml").write_text('up = "z"\nparts = [{ match = "*", label = "car" }]\n')
    (tmp_path / "pack" / "a.toml").write_text('forward = "z"\n')
    with pytest.raises(RecipeError, match=r"^up 'z' and forward 'z' lie along one axis, .*a.ply"):
        entries(tmp_path / "pack")


@pytest.mark.parametrize(
    ("text", "message"), [("source = 2020-01-01", None), ('lable = "car"', r"^unknown key 'lable' .*a.toml")]
)
def test_a_card_in_an_archive_is_read_as_one_in_a_folder(tmp_path: Path, text: str, message: str | None) -> None:
    box(tmp_path / "pack" / "a.ply")
    (tmp_path / "pack" / "a.toml").write_text(text)
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        for path in (tmp_path / "pack").iterdir():
            archive.write(path, path.name)
    for path in (tmp_path / "pack.zip", tmp_path / "pack"):
        with pytest.raises(RecipeError, match=message) if message else nullcontext():
            assert entries(path)[0].card.source == "2020-01-01"


def test_odd_names_and_links_to_themselves_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "assets.toml").symlink_to(tmp_path / "assets.toml")
    bundle = Bundle(tmp_path)
    assert "assets.toml" not in bundle
    assert "a\0b" not in bundle


SCENE = """<?xml version="1.0"?>{doctype}<document><scene id="s" name="s">
<part><filter type="objloader"><param type="string" key="filepath" value="data/parts/ground.obj"/></filter></part>
<part id="7"><filter type="objloader"><param type="string" key="filepath" value="{path}"/>
<param type="string" key="up" value="y"/></filter>
<filter type="{kind}"><param type="vec3" key="offset" value="20.0;0;3"/></filter>
<filter type="scale"><param type="double" key="scale" value="2"/></filter>
<filter type="rotate"><param type="rotation" key="rotation"><rot axis="z" angle_deg="90"/></param></filter></part>
</scene></document>"""


def helios_scene(folder: Path, path: str = "data/parts/tree.obj", kind: str = "translate", doctype: str = "") -> Path:
    for name, text in {
        "data/parts/ground.obj": "mtllib g.mtl\nv -999 -999 0\nv 999 -999 0\nv 0 999 0\nusemtl g\nf 1 2 3\n",
        "data/parts/g.mtl": "newmtl g\nhelios_classification 2\nhelios_reflectance 0.5\nhelios_isGround true\n",
        "data/parts/tree.obj": "mtllib t.mtl\nv 0 0 0\nv 1 0 0\nv 0 4 0\nv 0 0 2\nusemtl l\nf 1 2 3\nusemtl x\nf 1 2 4\n",
        "data/parts/t.mtl": "newmtl l\nhelios_classification 5\nnewmtl x\nhelios_classification 77\n",
        "data/scenes/s.xml": SCENE.format(doctype=doctype, path=path, kind=kind),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "data/scenes/s.xml"


def test_a_helios_scene_is_rotated_then_scaled_then_moved_and_classed_by_its_mtl(tmp_path: Path) -> None:
    scene = helios.load_scene(helios_scene(tmp_path))
    ground, tree = scene.placements
    assert label(ground.asset) == {"ground"}
    assert label(tree.asset) == {"tree", "ignore"}
    assert tree.instance == 8
    corners = tree.asset.triangles.reshape(-1, 3) @ tree.world_from_asset[:3, :3].T + tree.world_from_asset[:3, 3]
    # y up: (1, 0, 0) stays, (0, 4, 0) becomes (0, 0, 4); turned by 90 degrees, doubled, moved by (20, 0, 3)
    for point in ((20, 0, 3), (20, 2, 3), (20, 0, 11), (24, 0, 3)):
        assert np.isclose(corners, point).all(axis=1).any(), point
    np.testing.assert_allclose(scene.extent, [[-999, -999], [999, 999]])


def test_a_helios_scene_is_a_world_of_a_recipe(tmp_path: Path) -> None:
    helios_scene(tmp_path)
    (tmp_path / "r.toml").write_text('name = "demo"\n[helios]\npath = "data/scenes/s.xml"\n[sensor]\nkind = "airborne"\n')
    scene = compose(load_recipe(tmp_path / "r.toml"), np.random.default_rng(0))
    assert (scene.name, len(scene.placements)) == ("demo", 2)
    assert [e.name for e in entries(tmp_path / "data/scenes/s.xml")] == ["ground", "tree"]


def test_a_scanner_in_a_helios_scene_stands_on_its_ground_which_is_no_object(tmp_path: Path) -> None:
    path = helios_scene(tmp_path)
    slope = "mtllib g.mtl\nv -60 -60 0\nv 60 -60 24\nv 60 60 24\nv -60 60 0\nusemtl g\nf 1 2 3\nf 1 3 4\n"
    (tmp_path / "data/parts/ground.obj").write_text(slope)
    (tmp_path / "r.toml").write_text('name = "demo"\n[helios]\npath = "data/scenes/s.xml"\n[sensor]\nmodel = "HDL-64E"\n')
    scene = compose(load_recipe(tmp_path / "r.toml"), np.random.default_rng(0))
    np.testing.assert_allclose(scene.viewpoint, [0, 0, 12], atol=1e-9)
    assert [p.instance for p in scene.placements] == [0, helios.load_scene(path).placements[1].instance]


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 200])
def test_the_extent_of_a_helios_scene_holds_its_turned_parts_and_no_more(tmp_path: Path, degrees: int) -> None:
    """A rectangle of 80 m by 20 m turned by a: as wide as 80 |cos a| + 20 |sin a|."""
    path = helios_scene(tmp_path)
    text = path.read_text()
    part = text[text.index("<part") : text.index("</part>") + len("</part>")]
    turn = f'<filter type="rotate"><param key="rotation"><rot axis="z" angle_deg="{degrees}"/></param></filter></part>'
    path.write_text(f"<document><scene>{part.replace('</part>', turn)}</scene></document>")
    corners = "v -40 -10 1\nv 40 -10 1\nv 40 10 1\nv -40 10 1\n"
    (tmp_path / "data/parts/ground.obj").write_text(f"mtllib g.mtl\n{corners}usemtl g\nf 1 2 3\nf 1 3 4\n")
    cos, sin = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    half = np.array([40 * cos + 10 * sin, 40 * sin + 10 * cos])
    scene = helios.load_scene(path)
    np.testing.assert_allclose(scene.extent, [-half, half], atol=1e-9)
    np.testing.assert_allclose(scene.viewpoint, [0, 0, 1], atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"doctype": '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'}, "cannot be read as a scene.*entities"),
        ({"path": "../../etc/passwd"}, "leads outside"),
        ({"path": "data/parts/none.obj"}, "no mesh 'data/parts/none.obj'"),
        ({"kind": "geotiffloader"}, "uses the filter 'geotiffloader'"),
    ],
)
def test_a_helios_scene_that_cannot_be_followed_is_refused(tmp_path: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises((FileError, NotFound), match=message):
        helios.load_scene(helios_scene(tmp_path, **change))


def test_axes_and_part_numbers_of_a_helios_scene_are_read_or_refused(tmp_path: Path) -> None:
    path = helios_scene(tmp_path)
    text = path.read_text()
    (_, tree) = helios.load_scene(path).placements
    path.write_text(text.replace('axis="z"', 'axis="Z"'))
    np.testing.assert_array_equal(helios.load_scene(path).placements[1].world_from_asset, tree.world_from_asset)
    for axis in ("w", "xy", ""):
        path.write_text(text.replace('axis="z"', f'axis="{axis}"'))
        with pytest.raises(FileError, match=f"turns about '{axis}', .*s.xml part 7"):
            helios.load_scene(path)
    for identity in ("\u00b2", "9" * 12):  # no number, and one that no instance may have
        path.write_text(text.replace('id="7"', f'id="{identity}"'), encoding="utf-8")
        assert helios.load_scene(path).placements[1].instance == 2
    path.write_text(text.replace("<part>", '<part id="1">').replace('id="7"', 'id="wall"'))
    assert len({p.instance for p in helios.load_scene(path).placements}) == 2
    path.write_text(text.replace('version="1.0"', 'version="1.0" encoding="no such"'))
    with pytest.raises(FileError, match="cannot be read as a scene"):
        helios.load_scene(path)


RECIPE = 'name = "x"\n[{world}]\n[[assets]]\npath = "pack"\n'


def composed(folder: Path, world: str, *lines: str, seed: int = 0) -> Scene:
    (folder / "r.toml").write_text(RECIPE.format(world=world) + "\n".join(lines) + "\n")
    return compose(load_recipe(folder / "r.toml"), np.random.default_rng(seed))


@pytest.mark.parametrize("world", ["street", "town"])
def test_a_recipe_replaces_or_joins_a_kind_of_object(tmp_path: Path, world: str) -> None:
    for index in range(3):
        box(tmp_path / "pack" / "car" / f"mine{index}.ply", 4 + index / 10, 2, 1.5)

    def cars(scene: Scene) -> list[str]:
        return [p.asset.name for p in scene.placements if label(p.asset) == {"car"}]

    mine = cars(composed(tmp_path, world, 'kind = "car"', seed=3))
    assert len(set(mine)) > 1
    assert all(name.startswith("mine") for name in mine)
    assert mine == cars(composed(tmp_path, world, 'kind = "car"', seed=3))
    half = 'kind = "car"', "share = 0.5"
    both = [name.startswith("mine") for seed in range(5) for name in cars(composed(tmp_path, world, *half, seed=seed))]
    assert 0.25 < np.mean(both) < 0.75
    for index in range(2):
        box(tmp_path / "other" / "car" / f"theirs{index}.ply", 4, 2, 1.5)
    every = 'kind = "car"', '[[assets]]\npath = "other"', 'kind = "car"'
    first = [name.startswith("mine") for seed in range(5) for name in cars(composed(tmp_path, world, *every, seed=seed))]
    assert 0.25 < np.mean(first) < 0.75  # two rows that would each be all
    with pytest.raises(RecipeError, match="no object kind 'cat', choose from tree"):
        composed(tmp_path, world, 'kind = "cat"')


def test_placements_of_a_mesh_share_one_asset(tmp_path: Path) -> None:
    trimesh.creation.icosphere(4, 2.0).export(box(tmp_path / "pack" / "tree" / "ball.stl"))
    scene = composed(tmp_path, "town", 'kind = "tree"')
    mine = [p.asset for p in scene.placements if p.asset.name == "ball"]
    assert len(mine) > 10
    assert len({id(asset) for asset in mine}) == 1


def test_meshes_without_a_kind_stand_around_the_viewpoint_and_paths_stay_inside(tmp_path: Path) -> None:
    box(tmp_path / "pack" / "m.ply")
    lines = ('label = "street_furniture"', "count = [4, 4]", "distance = [5.0, 9.0]")
    scene = composed(tmp_path, "street", *lines)
    mine = [p for p in scene.placements if p.asset.name == "m"]
    away = [float(np.hypot(*(p.world_from_asset[:2, 3] - scene.viewpoint[:2]))) for p in mine]
    assert len(mine) == 4
    assert min(away) >= 5
    assert max(away) <= 9
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "r.toml").write_text(RECIPE.format(world="street").replace('"pack"', '"../pack"'))
    with pytest.raises(RecipeError, match="lies outside the recipe's folder"):
        compose(load_recipe(inner / "r.toml"), np.random.default_rng(0))


def only(asset: Asset, nodes: list[int]) -> Asset:
    """Its faces of some classes."""
    rows = np.isin(asset.face_label, nodes)
    return Asset(asset.name, asset.triangles[rows], asset.face_label[rows], asset.face_material[rows])


@pytest.mark.parametrize("name", ["street", "town", "wood", "mountain", "room", "helios"])
def test_meshes_without_a_kind_stand_on_the_ground_below_them(tmp_path: Path, name: str) -> None:
    """Against a ray straight down on all faces of ground, stones among them."""
    mesh = box(tmp_path / "m.ply")
    row = AssetRow(path=str(mesh), label="object", count=(6, 6), distance=(0.2, 1.0) if name == "room" else (4.0, 30.0), unit=0.2)
    if name == "helios":
        scene_path = helios_scene(tmp_path)
        (tmp_path / "data/parts/ground.obj").write_text("mtllib g.mtl\nv -99 -99 -50\nv 99 -99 0\nv 0 99 80\nusemtl g\nf 1 2 3\n")
        recipe = SceneRecipe(name="x", helios=Helios(path=str(scene_path)), sensor=SensorRow(kind="airborne"))
    else:
        recipe = load_recipe(name)
    nodes = [node for node in TREE.nodes if TREE.covers(TREE.id("ground"), node)]
    for seed in range(3):
        scene = compose(recipe.model_copy(update={"assets": (row,)}), np.random.default_rng(seed))
        feet = np.array([p.world_from_asset[:3, 3] for p in scene.placements if p.asset.name == "m"])
        assert len(feet) > 1
        ground = [replace(p, asset=only(p.asset, nodes)) for p in scene.placements if np.isin(p.asset.face_label, nodes).any()]
        caster = Caster(replace(scene, placements=tuple(ground)))
        down = np.tile([0.0, 0, -1], (len(feet), 1))
        met = caster.surfaces(feet * (1, 1, 0) + (0, 0, 200), down, np.arange(len(feet)))
        assert len(met.ray) == len(feet)
        np.testing.assert_allclose(200 - met.distance, feet[:, 2], atol=2e-3)


def in_the_way(scene: Scene, placement: Placement, nodes: list[int]) -> bool:
    """Whether points of another thing than ground are over a mesh's foot: from a span above the ground to its top, or a roof."""
    foot, low, high = placement.world_from_asset[:3, 3], *placement.asset.bounds
    reach = (high - low)[:2].min() / 2
    for other in scene.placements:
        faces = ~np.isin(other.asset.face_label, nodes)
        if other is placement or not faces.any():
            continue
        triangles = other.standing(faces) - foot
        near = (triangles[..., :2].min(axis=1) < reach).all(axis=1) & (triangles[..., :2].max(axis=1) > -reach).all(axis=1)
        points = np.einsum("sk,mkc->msc", SPREAD, triangles[near])
        inside = (np.abs(points[..., :2]) < reach).all(axis=2) & (points[..., 2] > 0.3)
        roof = (other.asset.face_label[faces][near] == TREE.id("building"))[:, None]
        if (inside & ((points[..., 2] < high[2]) | roof)).any():
            return True
    return False


@pytest.mark.parametrize("name", ["street", "town", "wood", "room"])
def test_meshes_without_a_kind_stand_on_the_ground_and_in_nothing_else(tmp_path: Path, name: str) -> None:
    row = AssetRow(path=str(box(tmp_path / "m.ply")), label="object", count=(6, 6), distance=(0.0, 12.0), unit=0.6)
    nodes = TREE.subtree("ground")
    for seed in range(2):
        scene = compose(load_recipe(name).model_copy(update={"assets": (row,)}), np.random.default_rng(seed))
        mine = [p for p in scene.placements if p.asset.name == "m"]
        ground = ground_of(scene)
        assert mine
        assert ground is not None
        for each in mine:
            x, y, z = each.world_from_asset[:3, 3]
            assert level_on(ground, x, y) == z
            assert not in_the_way(scene, each, nodes)
            if name == "room":
                assert (np.abs([x, y] - scene.extent.mean(axis=0)) < np.ptp(scene.extent, axis=0) / 2).all()


def test_a_mesh_that_fits_nowhere_is_left_out_and_told(tmp_path: Path) -> None:
    row = AssetRow(path=str(box(tmp_path / "m.ply")), label="object", count=(2, 2), distance=(30.0, 40.0), unit=0.6)
    recipe = load_recipe("room").model_copy(update={"assets": (row,)})
    with pytest.warns(UserWarning, match=r"m\.ply: found no free ground 30 to 40 m from the viewpoint of room"):
        scene = compose(recipe, np.random.default_rng(0))
    assert "m" not in [p.asset.name for p in scene.placements]


def test_plan_distances_are_those_of_geometry() -> None:
    triangle = np.array([[[0.0, 0, 5], [4, 0, 1], [0, 3, -2]], [[0, 0, 0], [4, 0, 0], [4, 0, 9]]])
    for at, expected in (
        ((1.0, 1.0), (0.0, 1.0)),
        ((4.0, 3.0), (2.4, 3.0)),
        ((-3.0, -4.0), (5.0, 5.0)),
        ((2.0, 0.0), (0.0, 0.0)),
    ):
        np.testing.assert_allclose(plan_distance(triangle, *at), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("pack", "pack/old/b.ply"),
        ("pack", "pack/old/notes.txt"),
        ("pack/a.obj", "pack/a.obj"),
        ("pack/a.obj", "pack/a.mtl"),
        ("pack/a.obj", "pack/a.toml"),
        ("pack/a.obj", "pack/assets.toml"),
        ("t.sh3f", "t.sh3f"),
        ("data/scenes/s.xml", "data/scenes/s.xml"),
        ("data/scenes/s.xml", "data/parts/tree.obj"),
        ("data/scenes/s.xml", "data/parts/t.mtl"),
    ],
)
def test_files_that_a_recipe_names_are_known_to_have_changed(tmp_path: Path, path: str, changed: str) -> None:
    box(tmp_path / "pack" / "a.obj")
    box(tmp_path / "pack" / "old" / "b.ply")
    sh3f(tmp_path / "t.sh3f")
    helios_scene(tmp_path)
    recipe = SceneRecipe(name="x", assets=(AssetRow(path=path),), folder=str(tmp_path))
    before = stamped(recipe)
    (tmp_path / "pack-of-others.ply").write_text("x")
    assert stamped(recipe) == before
    with (tmp_path / changed).open("a") as file:
        file.write("\n")
    assert stamped(recipe) != before


def test_a_killed_composition_begins_anew_where_a_mesh_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe("street", ["sensor.azimuth_steps=100"])
    compose_corpus(recipe, 1, tmp_path / "real", seed=3)
    real = Corpus.open(tmp_path / "real")
    mesh = AssetRow(path=str(box(tmp_path / "car.ply", 4, 1.8, 1.5)), kind="car", label="car", unit=1.0)
    mine = recipe.model_copy(update={"assets": (mesh,)})
    done: list[int] = []

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def first_told(make: Callable[..., None], name: str) -> int:
        """How many scans are there when a run begins that is killed before its parts are joined."""
        done.clear()
        with pytest.raises(KeyboardInterrupt):
            make(folder=tmp_path / name, seed=1, progress=lambda _, count, __: done.append(count))
        return done[0]

    monkeypatch.setattr("pcaug.corpus.build._join", killed)
    ways = {"composed": partial(compose_corpus, mine, 1), "placed": partial(place_corpus, mine, real, pattern_of(real), 1)}
    assert [first_told(make, name) for name, make in ways.items()] == [0, 0]
    assert [first_told(make, name) for name, make in ways.items()] == [1, 1]
    box(tmp_path / "car.ply", 4.2, 1.8, 1.5)
    assert [first_told(make, name) for name, make in ways.items()] == [0, 0]


def test_the_recipe_in_a_corpus_makes_the_same_again_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box(tmp_path / "mine" / "meshes" / "block.ply", 3, 2, 1.5)
    card = 'licence = "CC0-1.0"\nground = -0.5\n[[parts]]\nmatch = "*"\nlabel = "pole"\n'
    (tmp_path / "mine" / "meshes" / "block.toml").write_text(card)
    row = '[[assets]]\npath = "meshes"\nunit = 1.0\ncount = [4, 4]\n'
    (tmp_path / "mine" / "own.toml").write_text('kind = "spinning"\nelevations = [-20, -10, -5, 0, 5]\nazimuth_steps = 200\n')
    (tmp_path / "mine" / "yard.toml").write_text(f'name = "yard"\n[street]\n[sensor]\nmodel = "own.toml"\n{row}')
    (tmp_path / "elsewhere").mkdir()
    made = []
    for place, recipe in (("mine", "yard.toml"), ("elsewhere", "../made/recipe.toml")):
        monkeypatch.chdir(tmp_path / place)
        with pytest.raises(SystemExit) as done:
            main(["compose", recipe, "-n", "1", "-o", "../made" if place == "mine" else "again", "--seed", "3"])
        assert done.value.code == 0
        made.append(Corpus.open(tmp_path / ("made" if place == "mine" else "elsewhere/again")))
    first, again = ((corpus.folder / corpus.tiles[0].path).read_bytes() for corpus in made)
    assert first == again
    assert made[0].counts() == made[1].counts()
    assert "CC0-1.0" in made[0].licences
    assert made[0].licences == made[1].licences


def test_no_file_outside_a_recipes_folder_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for path in ("..", "../other.ply"):
        with pytest.raises(RecipeError, match="lies outside the recipe's folder"):
            stamped(SceneRecipe(name="x", assets=(AssetRow(path=path),), folder=str(tmp_path / "in")))


def test_the_command_lists_shows_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    box(tmp_path / "car" / "good.ply", 4, 2, 1.5)
    (tmp_path / "car" / "bad[x].obj").write_text("v 0 0 0\n")
    with pytest.raises(SystemExit) as done:
        main(["assets", str(tmp_path), "--png", str(tmp_path / "sheet.png")])
    assert done.value.code == 0
    text = capsys.readouterr().out
    assert "4.00 x 2.00 x 1.50" in text
    assert "bad[x]" in text
    assert "mesh without faces" in text
    assert (tmp_path / "sheet.png").read_bytes()[:4] == b"\x89PNG"
    (tmp_path / "car" / "good.ply").unlink()
    with pytest.raises(SystemExit) as done:
        main(["assets", str(tmp_path), "--json"])
    assert done.value.code == 1
