"""Meshes come in upright, in metres, classed and whole, or are refused by name: how real files break, made small."""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pcaug import catalogue
from pcaug.errors import FileError, MissingExtra, NotFound, PcaugError, RecipeError
from pcaug.scene.asset import GREYS, MATERIAL_NAMES, MATERIALS, Asset, grey
from pcaug.scene.meshes.bundle import Bundle
from pcaug.scene.meshes.card import AssetCard, PartRule
from pcaug.scene.meshes.entry import entries
from pcaug.scene.meshes.load import Loaded
from pcaug.scene.meshes.part import image_alpha
from pcaug.scene.meshes.read import read_mesh

CUBE = ["v 0 0 0", "v 1 0 0", "v 1 1 0", "v 0 1 0", "v 0 0 1", "v 1 0 1", "v 1 1 1", "v 0 1 1"]
FACES = ["f 1 4 3 2", "f 5 6 7 8", "f 1 2 6 5", "f 2 3 7 6", "f 3 4 8 7", "f 4 1 5 8"]


def load(path: Path, **card: Any) -> Loaded:
    return entries(path)[0].load(**({"label": "street_furniture"} | card))


def written(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def labels(asset: Asset) -> dict[str, int]:
    tree = catalogue.taxonomy()
    values, counts = np.unique(asset.face_label, return_counts=True)
    return {tree.label_name(int(v)): int(c) for v, c in zip(values, counts, strict=True)}


def surfaces(asset: Asset) -> set[str]:
    return {MATERIAL_NAMES[i] for i in np.unique(asset.face_material)}


@pytest.mark.parametrize("suffix", ["glb", "gltf", "obj", "ply", "stl", "off", "dae", "3mf"])
def test_a_mesh_of_any_format_stands_on_the_ground_in_metres(tmp_path: Path, suffix: str) -> None:
    trimesh.creation.box((100, 300, 200)).apply_translation((7, 8, 900)).export(tmp_path / f"m.{suffix}")
    asset, _ = load(tmp_path / f"m.{suffix}", size=1.5, up="z", forward="x")
    np.testing.assert_allclose(asset.bounds, [[-0.25, -0.75, 0], [0.25, 0.75, 1.0]], atol=1e-6)
    assert labels(asset) == {"street_furniture": 12}


@pytest.mark.parametrize(
    ("card", "extents"),
    [
        ({"up": "y"}, (3, 1, 2)),
        ({"up": "y", "forward": "x"}, (1, 3, 2)),
        ({"up": "z", "forward": "-y"}, (2, 1, 3)),
        ({"up": "-x"}, (3, 2, 1)),
        ({"size": (6.0, 0.0, 0.0)}, (6, 12, 18)),
        ({"size": (1.0, 1.0, 3.0)}, (1, 1, 3)),
        ({"unit": 2.0}, (2, 4, 6)),
        ({"unit": 0.01, "size": 3.0}, (1, 2, 3)),
        ({"rotation": (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)}, (2, 1, 3)),
    ],
)
def test_the_card_says_size_and_axes(tmp_path: Path, card: dict[str, Any], extents: tuple[float, ...]) -> None:
    trimesh.creation.box((1, 2, 3)).export(tmp_path / "m.ply")
    np.testing.assert_allclose(np.ptp(load(tmp_path / "m.ply", **card).asset.bounds, axis=0), extents)


@given(up=st.sampled_from(["x", "y", "z", "-x", "-y", "-z"]), forward=st.sampled_from(["x", "y", "z", "-x", "-y", "-z"]))
def test_turning_keeps_shapes_right_handed(tmp_path_factory: pytest.TempPathFactory, up: str, forward: str) -> None:
    folder = tmp_path_factory.mktemp("turn")
    written(folder / "t.obj", "v 0 0 0", "v 1 0 0", "v 0 2 0", "v 0 0 3", "f 1 3 2", "f 1 2 4", "f 2 3 4", "f 3 1 4")
    if up[-1] == forward[-1]:
        with pytest.raises(RecipeError, match="lie along one axis"):
            load(folder / "t.obj", up=up, forward=forward)
        return
    a, b, c = np.moveaxis(load(folder / "t.obj", up=up, forward=forward).asset.triangles, 1, 0)
    assert np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6 == pytest.approx(1.0)


def test_the_ground_is_the_bottom_the_origin_or_a_height(tmp_path: Path) -> None:
    trimesh.creation.box((2, 2, 2)).apply_translation((5, 0, 7)).export(tmp_path / "m.ply")
    for ground, low in (("bottom", (-1, -1, 0)), ("origin", (4, -1, 6)), (1.6, (-1, -1, 1.6)), (-0.5, (-1, -1, -0.5))):
        np.testing.assert_allclose(load(tmp_path / "m.ply", ground=ground).asset.bounds[0], low)


def test_names_decide_classes_and_surfaces_even_without_the_mtl(tmp_path: Path) -> None:
    tree = ["mtllib gone.mtl", *CUBE, "o body", "usemtl bark old", *FACES[:2], "o crown", "usemtl Leaf.001", *FACES[2:4]]
    path = written(tmp_path / "m.obj", *tree, "usemtl lawn", *FACES[4:])
    rules = (PartRule(match="leaf*", transmission=0.62), PartRule(match="BODY", label="pole"), PartRule(match="lawn", drop=True))
    asset, problems = load(path, label="tree", parts=rules)
    assert labels(asset) == {"tree": 4, "pole": 4}
    assert surfaces(asset) == {"bark", "grey 0.45 0.6"}
    assert any("MTL not read: names a file that is absent" in p for p in problems)
    assert any("materials without an entry" in p and "Leaf.001" in p for p in problems)
    with pytest.raises(RecipeError, match="drops every part"):
        load(path, parts=(PartRule(match="*", drop=True),))
    with pytest.raises(RecipeError, match=r"no class for .*give label"):
        load(path, label=None)


def test_numbers_become_the_nearest_grey() -> None:
    assert MATERIALS[grey(0.31, 0.44)][:3] == (0.30, 0.4, False)
    assert len(MATERIALS) <= 256
    assert max(m.reflectance for m in MATERIALS.values()) == max(GREYS[0])


def test_doubled_and_flat_faces_are_left_out_and_reported(tmp_path: Path) -> None:
    twins = ["v 0 0 0", "v 1 0 0", "v 0 1 0", "v 0 0 1", "v 1 0 0", "usemtl a", "f 1 2 3", "f 1 2 3", "f 1 1 2", "f 1 2 4"]
    asset, problems = load(written(tmp_path / "m.obj", *twins, "usemtl b", "f 3 5 1"))
    assert len(asset.triangles) == 2
    assert "1 flat triangles left out" in problems
    assert "2 repeated triangles left out, 1 of them of another part than their twin (the first counts)" in problems


def test_what_is_inside_out_is_turned(tmp_path: Path) -> None:
    box = trimesh.creation.box((2, 2, 2))
    box.invert()
    box.export(tmp_path / "m.stl")
    asset, problems = load(tmp_path / "m.stl")
    assert "inside out, turned" in problems
    a, b, c = np.moveaxis(asset.triangles, 1, 0)
    assert np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6 == pytest.approx(8)


def test_mirrored_and_repeated_nodes_are_applied(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    wheel = trimesh.creation.box((1, 1, 1))
    for x, flip in ((5.0, 1.0), (-5.0, -1.0)):
        matrix = np.diag([flip, 1.0, 1.0, 1.0])
        matrix[0, 3] = x
        scene.add_geometry(wheel, transform=matrix, geom_name="wheel")
    scene.export(tmp_path / "m.glb")
    asset, problems = load(tmp_path / "m.glb")
    assert len(asset.triangles) == 24
    assert not [p for p in problems if "inside out" in p]
    for triangles in (asset.triangles[:12], asset.triangles[12:]):
        centred = triangles - triangles.mean(axis=(0, 1))
        assert np.einsum("ij,ij->i", centred[:, 0], np.cross(centred[:, 1], centred[:, 2])).sum() / 6 == pytest.approx(1)


def test_a_part_that_dwarfs_the_rest_is_reported(tmp_path: Path) -> None:
    sheet = ["v -99 -99 0", "v 99 -99 0", "v 0 99 0", "usemtl lawn", "f 9 10 11", "usemtl body"]
    _, problems = load(written(tmp_path / "m.obj", *CUBE, *sheet, *FACES), label="terrain")
    assert any("lawn is 198 times as large as all the rest" in p for p in problems)


@pytest.mark.parametrize(("label", "size"), [("car", 83.0), ("person", 0.02), ("car", 0.94)])
def test_toy_and_giant_sizes_are_refused_until_the_card_gives_one(tmp_path: Path, label: str, size: float) -> None:
    trimesh.creation.box((size, size / 2, size / 2)).export(tmp_path / "m.ply")
    with pytest.raises(FileError, match=f"a {label} of {size:.3g} m is not believed: its unit is not the metre.*give size"):
        load(tmp_path / "m.ply", label=label)
    assert np.ptp(load(tmp_path / "m.ply", label=label, size=1.7).asset.bounds, axis=0).max() == pytest.approx(1.7)


def leafy(folder: Path, alpha: np.ndarray) -> Path:
    """A textured quad of 2 m whose texture has an alpha."""
    image = np.concatenate([np.full((*alpha.shape, 3), 90, np.uint8), (alpha[..., None] * 255).astype(np.uint8)], axis=2)
    quad = trimesh.Trimesh([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]], [[0, 1, 2], [0, 2, 3]], process=False)
    material = trimesh.visual.material.PBRMaterial(name="twigs", baseColorTexture=Image.fromarray(image), alphaMode="MASK")
    quad.visual = trimesh.visual.TextureVisuals(uv=[[0, 0], [1, 0], [1, 1], [0, 1]], material=material)
    quad.export(folder / "leaf.glb")
    return folder / "leaf.glb"


def test_the_holes_of_an_alpha_cut_texture_become_transmission(tmp_path: Path) -> None:
    alpha = np.zeros((64, 64))
    alpha[:, :24] = 1.0  # 3/8 leaf, 5/8 air
    asset, problems = load(leafy(tmp_path, alpha), label="tree")
    (name,) = surfaces(asset)
    assert MATERIALS[name].transmission == pytest.approx(5 / 8, abs=0.06)
    assert any("cut out by a texture" in p for p in problems)


def test_the_alpha_of_a_texture_takes_a_byte_a_texel() -> None:
    shade, alpha = np.meshgrid(np.arange(0, 256, 5, dtype=np.uint8), np.arange(0, 256, 17, dtype=np.uint8))
    mask = Image.fromarray(shade)
    both = Image.merge("LA", (mask, Image.fromarray(alpha)))
    palette = mask.convert("PA")
    palette.putalpha(both.getchannel("A"))
    through = mask.convert("P")
    through.info["transparency"] = 0
    for image, wanted in (
        (mask, shade),
        (mask.point(lambda v: 255 * (v > 99), "1"), 255 * (shade > 99)),
        (both, alpha),
        (both.convert("RGBA"), alpha),
        (palette, alpha),
        (through, np.asarray(through.convert("RGBA"))[..., 3]),
    ):
        found = image_alpha(image)
        assert found is not None
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, wanted)
    assert image_alpha(Image.new("RGB", (4, 4))) is None


def test_the_mtl_says_what_is_glass_and_what_is_cut_out(tmp_path: Path) -> None:
    Image.fromarray(np.repeat([[0, 255, 255, 255, 255]], 4, axis=0).astype(np.uint8)).save(tmp_path / "mask.png")
    written(tmp_path / "m.mtl", "newmtl pane", "d 0.3", "newmtl spokes", "map_d mask.png", "newmtl net", "map_d ../away.png")
    uv = ["vt 0 0", "vt 1 0", "vt 1 1", "vt 0 1"]
    faces = ["usemtl pane", "f 1/1 2/2 6/3 5/4", "usemtl spokes", "f 2/1 3/2 7/3 6/4", "usemtl net", "f 3/1 4/2 8/3 7/4"]
    asset, problems = load(written(tmp_path / "m.obj", "mtllib m.mtl", *CUBE, *uv, *faces))
    assert surfaces(asset) == {"grey 0.3 0.7", "grey 0.3 0.2", "grey 0.3 0.5"}
    assert any("'../away.png', which names a file outside its folder" in p for p in problems)


@pytest.mark.parametrize(
    "name",
    ["../secret.mtl", "/etc/passwd", "a/../../secret.mtl", "..\\secret.mtl", "http://x/y.mtl", "C:\\secret.mtl", "link.mtl"],
)
def test_nothing_outside_the_folder_is_read(tmp_path: Path, name: str) -> None:
    secret = written(tmp_path / "secret.mtl", "newmtl a", "d 0.1")
    inner = written(tmp_path / "in" / "m.obj", f"mtllib {name}", *CUBE, "usemtl a", *FACES)
    (tmp_path / "in" / "link.mtl").symlink_to(secret)
    asset, problems = load(inner)
    assert surfaces(asset) == {"plastic"}
    assert any(p.startswith("MTL not read: names a file outside its folder") for p in problems)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("in/m.obj", inner.read_text())
    _, problems = load(tmp_path / "z.zip")
    assert any(p.startswith("MTL not read") for p in problems)


def test_a_gltf_buffer_outside_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    trimesh.creation.box().export(tmp_path / "in" / "m.gltf")
    text = (tmp_path / "in" / "m.gltf").read_text()
    tree = json.loads(text)
    tree["buffers"][0]["uri"] = "../" + tree["buffers"][0]["uri"]
    (tmp_path / "in" / "m.gltf").write_text(json.dumps(tree))
    with pytest.raises(FileError, match="names a file outside its folder"):
        load(tmp_path / "in" / "m.gltf")
    (tmp_path / "in" / "m.gltf").write_text(text)
    next((tmp_path / "in").glob("*.bin")).unlink()
    with pytest.raises(NotFound, match=r"names a file that is absent: '.*bin'"):
        load(tmp_path / "in" / "m.gltf")


def test_draco_is_decoded_or_refused_never_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = trimesh.Scene(trimesh.creation.icosphere(2))
    (tmp_path / "m.glb").write_bytes(trimesh.exchange.gltf.export_glb(scene, extension_draco=True))
    asset, _ = load(tmp_path / "m.glb", size=2.0)
    assert len(asset.triangles) == 320
    monkeypatch.setitem(sys.modules, "DracoPy", None)
    with pytest.raises(MissingExtra, match=r"compressed with Draco, pip install 'pcaug\[assets\]'"):
        read_mesh(Bundle(tmp_path), "m.glb")


@pytest.mark.parametrize(("suffix", "missing"), [("3mf", "lxml"), ("dae", "collada")])
def test_a_format_whose_library_is_missing_names_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, missing: str
) -> None:
    trimesh.creation.box().export(tmp_path / f"m.{suffix}")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtra, match=rf"needs .*{missing}.*pip install 'pcaug\[assets\]'"):
        read_mesh(Bundle(tmp_path), f"m.{suffix}")


def test_entities_of_a_3mf_are_not_expanded(tmp_path: Path) -> None:
    trimesh.creation.box().export(tmp_path / "m.3mf")
    bomb = '<!DOCTYPE m [<!ENTITY a "9"><!ENTITY b "&a;&a;&a;&a;">]>'
    with zipfile.ZipFile(tmp_path / "m.3mf") as good, zipfile.ZipFile(tmp_path / "bad.3mf", "w") as bad:
        for name in good.namelist():
            text = good.read(name)
            if name.lower().endswith("3dmodel.model"):
                head, _, body = text.decode().partition("?>")
                text = (head + "?>" + bomb + body.replace('x="', 'x="&b;', 1)).encode()
            bad.writestr(name, text)
    with pytest.raises(FileError):
        read_mesh(Bundle(tmp_path), "bad.3mf")


def changed_gltf(path: Path, change: Any) -> Path:
    trimesh.creation.box().export(path)
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["meshes"][0]["primitives"][0].update(mode=6), "triangle fans, which would be lost"),
        (lambda t: t["meshes"][0]["primitives"][0].update(mode=1), "mesh without faces"),
        (lambda t: t.update(extensionsRequired=["EXT_meshopt_compression"]), "compressed with EXT_meshopt_compression"),
        (lambda t: t["asset"].update(version="1.0"), "is not glTF 2.0"),
        (lambda t: t["accessors"].__setitem__(0, t["accessors"][0] | {"bufferView": 99}), "cannot be read as a mesh"),
        (lambda t: t["accessors"][0].update(count=10**9), "announces 1,000,000,000 numbers"),
        (lambda t: t.update(nodes=[]), "mesh without faces|cannot be read"),
        (lambda t: t.update(meshes="many"), "cannot be read as a mesh"),
        (lambda t: t["accessors"][1].update(sparse={"count": 1}), "holds sparse vertices, whose changes would be lost"),
        (lambda t: t["accessors"][1].update(componentType=5123, normalized=True), "normalised whole numbers as vertices"),
        (
            lambda t: t["nodes"][-1].update(extensions={"EXT_mesh_gpu_instancing": {}}),
            "EXT_mesh_gpu_instancing, which would be lost",
        ),
    ],
)
def test_a_gltf_that_would_lose_surfaces_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(FileError, match=message):
        load(changed_gltf(tmp_path / "m.gltf", change))


def test_a_skin_is_told(tmp_path: Path) -> None:
    _, problems = load(changed_gltf(tmp_path / "m.gltf", lambda t: t["nodes"][-1].update(skin=0)))
    assert "skinned meshes stand as their nodes do: joints and poses are not applied" in problems


@pytest.mark.parametrize("ending", ["glb", "gltf"])
def test_materials_without_names_and_of_one_name_keep_what_they_let_through(tmp_path: Path, ending: str) -> None:
    scene = trimesh.Scene()
    for x, alpha in ((0.0, 0.2), (3.0, 1.0)):
        mesh = trimesh.creation.box()
        paint = trimesh.visual.material.PBRMaterial(
            baseColorFactor=(1, 1, 1, alpha), alphaMode="BLEND" if alpha < 1 else "OPAQUE"
        )
        mesh.visual = trimesh.visual.TextureVisuals(material=paint)
        scene.add_geometry(mesh.apply_translation((x, 0, 0)), geom_name=f"m{x:.0f}")
    for name in ("m", None):
        path = tmp_path / f"{name}.{ending}"
        scene.export(path)
        data = path.read_bytes()
        start, length = (20, struct.unpack_from("<I", data, 12)[0]) if ending == "glb" else (0, len(data))
        tree = json.loads(data[start : start + length])
        assert len(tree["materials"]) == 2
        for entry in tree["materials"]:
            entry.pop("name", None)
            entry |= {} if name is None else {"name": name}
        text = json.dumps(tree).encode()
        text += b" " * (-len(text) % 4)
        rest = data[start + length :]
        size = 20 + len(text) + len(rest)
        head = struct.pack("<4sIIII", b"glTF", 2, size, len(text), 0x4E4F534A) if ending == "glb" else b""
        path.write_bytes(head + text + rest)
        parts = read_mesh(Bundle(tmp_path), path.name).parts
        assert sorted(part.transmission or 0.0 for part in parts) == pytest.approx([0.0, 0.8], abs=0.01)
        assert {part.material for part in parts} == {name or ""}


DAE = """<?xml version="1.0"?>{doctype}
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<asset><unit meter="0.0254" name="centimeter"/><up_axis>Z_UP</up_axis></asset>
<library_materials><material id="m1" name="Glass pane"><instance_effect url="#e1"/></material></library_materials>
<library_effects><effect id="e1"><profile_COMMON><technique sid="c"><lambert><diffuse><color>1 1 1 1</color></diffuse></lambert>
</technique></profile_COMMON></effect></library_effects>
<library_geometries><geometry id="g" name="wall"><mesh>
<source id="p"><float_array id="pa" count="24">{points}</float_array>
<technique_common><accessor source="#pa" count="8" stride="3"><param name="X" type="float"/><param name="Y" type="float"/>
<param name="Z" type="float"/></accessor></technique_common></source>
<vertices id="v"><input semantic="POSITION" source="#p"/></vertices>
<polygons material="s" count="2"><input semantic="VERTEX" source="#v" offset="0"/><p>0 1 2 3</p><p>4 5 6 7</p></polygons>
</mesh></geometry></library_geometries>
<library_visual_scenes><visual_scene id="s"><node id="n"><instance_geometry url="#g"><bind_material><technique_common>
<instance_material symbol="s" target="#m1"/></technique_common></bind_material></instance_geometry></node></visual_scene>
</library_visual_scenes><scene><instance_visual_scene url="#s"/></scene></COLLADA>"""
POINTS = "0 0 0 100 0 0 100 100 0 0 100 0 0 0 50 100 0 50 100 100 50 0 100 50"


def test_dae_keeps_polygons_materials_unit_and_axis(tmp_path: Path) -> None:
    asset, _ = load(written(tmp_path / "m.dae", DAE.format(doctype="", points=POINTS)), forward="x")
    np.testing.assert_allclose(np.ptp(asset.bounds, axis=0), [2.54, 2.54, 1.27])
    assert len(asset.triangles) == 4
    assert surfaces(asset) == {"glass"}


def test_a_dae_with_lost_geometry_or_entities_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="1 of 1 geometries that cannot be read"):
        load(written(tmp_path / "a.dae", DAE.format(doctype="", points=POINTS.replace("50", "1.#QNAN"))))
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    with pytest.raises(FileError, match=r"cannot be read as a mesh \(EntitiesForbidden"):
        load(written(tmp_path / "b.dae", DAE.format(doctype=bomb, points=POINTS)))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("points.obj", "v 0 0 0\nv 1 0 0\n", "without faces"),
        ("line.obj", "v 0 0 0\nv 1 0 0\nl 1 2\n", "without faces"),
        ("empty.obj", "", "without faces"),
        ("dot.obj", "v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "has no extent"),
        ("flat.obj", "v 1 1 1\nv 2 1 1\nv 3 1 1\nf 1 2 3\n", "all its triangles are flat"),
        ("nan.obj", "v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not finite|cannot be read|without faces"),
        ("far.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "cannot be read as a mesh"),
        ("broken.glb", "glTF", "no glTF JSON"),
        ("zeros.glb", "\0" * 40, "no glTF JSON"),
        ("huge.off", "OFF\n353535235358 1 0\n0 0 0\n", "cannot be read as a mesh"),
        ("none.off", "OFF\n0 0 0\n", "without faces|cannot be read"),
        ("cut.ply", "ply\nformat ascii 1.0\nelement vertex 3\n", "cannot be read as a mesh"),
        ("no.stl", "solid x\nendsolid x\n", "without faces|cannot be read"),
        ("m.dae", "<COLLADA", "cannot be read as a mesh"),
        ("m.3mf", "PK nothing", "cannot be read as a mesh"),
        ("m.fbx", "Kaydara", "no meshes"),
    ],
)
def test_a_broken_mesh_is_refused_by_name(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PcaugError, match=message) as caught:
        load(tmp_path / name if not name.endswith("fbx") else tmp_path)
    assert name in str(caught.value) or "known formats" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=300), st.sampled_from(["obj", "glb", "gltf", "ply", "stl", "off", "dae", "3mf"]))
def test_rubbish_never_ends_in_a_foreign_error(tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
    folder = tmp_path_factory.mktemp("rubbish")
    (folder / f"m.{suffix}").write_bytes(data)
    with pytest.raises(PcaugError):
        read_mesh(Bundle(folder), f"m.{suffix}")


def test_lost_faces_of_an_obj_are_counted(tmp_path: Path) -> None:
    _, problems = load(written(tmp_path / "m.obj", *CUBE, *FACES, "f 1 2"))
    assert not [p for p in problems if "corners" in p]  # a line of two corners promises no triangle
    asset, _ = load(written(tmp_path / "n.obj", *CUBE, *FACES[:-1], "f -8 -5 -1 -4"))
    assert len(asset.triangles) == 12


def test_corners_that_count_back_count_from_their_own_line(tmp_path: Path) -> None:
    sheet = ["v 0 0 0", "v 4 0 0", "v 4 3 0", "v 0 3 0", "f -4 -3 -2 # a comment", "f\t-4\t-2\t-1"]
    asset, problems = load(written(tmp_path / "m.obj", *sheet, "v 0 0 9", "v 2 0 9", "v 0 2 9", "f -3// -2// -1//"))
    edges = asset.triangles[:, 1:] - asset.triangles[:, :1]
    assert np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1).sum() / 2 == pytest.approx(4 * 3 + 2)
    assert not [p for p in problems if "left out" in p]


def test_many_instances_of_one_mesh_do_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcaug.scene.meshes.part.MAX_TRIANGLES", 1000)
    scene = trimesh.Scene()
    for x in range(200):
        scene.add_geometry(trimesh.creation.box(), transform=trimesh.transformations.translation_matrix((x, 0, 0)), geom_name="b")
    scene.export(tmp_path / "m.glb")
    with pytest.raises(FileError, match=r"has more than 1,008 triangles, .*m.glb"):
        load(tmp_path / "m.glb")


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcaug.scene.meshes.bundle.MAX_BYTES", 2 << 20)
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m.obj", b"#" * (3 << 20))
    with pytest.raises(FileError, match="has 3 MiB"):
        load(tmp_path / "z.zip")


def test_an_unknown_key_material_or_class_is_named(tmp_path: Path) -> None:
    written(tmp_path / "m.obj", *CUBE, *FACES)
    for text, message in (
        ('lable = "car"', r"unknown key 'lable' \(did you mean 'label'\?\)"),
        ('material = "gold"', "no material 'gold': choose from asphalt"),
        ('up = "y"\nforward = "-y"', "lie along one axis"),
        ("size = -1.0", "a size is a positive number"),
        ("rotation = [1.0, 0.0]", "rotation"),
    ):
        written(tmp_path / "m.toml", text)
        with pytest.raises(RecipeError, match=message):
            entries(tmp_path / "m.obj")
    (tmp_path / "m.toml").unlink()
    with pytest.raises(NotFound, match="no class 'cat'"):
        load(tmp_path / "m.obj", label="cat")
    assert AssetCard(size=2.0) == AssetCard(size=2.0)
