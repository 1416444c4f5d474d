"""Wavefront OBJ with its MTL: object and material names are kept even where the MTL is missing or misnamed."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pcaug.errors import PcaugError
from pcaug.scene.meshes.bundle import Bundle
from pcaug.scene.meshes.part import MeshFile, Part, cut_out, gather, image_alpha, resolver

Mtl = dict[str, dict[str, str]]
"""Material -> key -> the rest of its line."""


def read_obj(bundle: Bundle, name: str) -> MeshFile:
    """Parts by object and material; transparency (``d``, ``Tr``, ``map_d``) and the ``helios_*`` keys come from the MTL."""
    import trimesh

    text = trimesh.util.decode_text(bundle.read(name)).replace("\r\n", "\n").replace("\\\n", " ")
    lines = list(_plain(line.strip() for line in text.split("\n")))
    problems: list[str] = []
    mtl = _materials(bundle, name, [line[6:].strip() for line in lines if line.startswith("mtllib")], problems)
    used = list(dict.fromkeys(line[6:].strip() for line in lines if line.startswith("usemtl")))
    if lost := [m for m in used if m and m not in mtl]:
        problems.append(f"materials without an entry in the MTL: {', '.join(lost[:5])} (their names are kept)")
    # trimesh loses the names of materials that it cannot find, so it is given an MTL that has them all and no textures
    generated = {"generated": "".join(f"newmtl {m}\nKd 1 1 1\n" for m in used if m).encode()}
    body = "mtllib generated\n" + "\n".join(line for line in lines if not line.startswith("mtllib"))
    objects = any(line.startswith("o ") for line in lines)
    scene: Any = trimesh.load_scene(
        io.BytesIO(body.encode()), file_type="obj", resolver=resolver(bundle, name, generated), process=False,
        split_objects=objects, split_groups=not objects and any(line.startswith("g ") for line in lines),
    )  # fmt: skip
    parts: list[Part] = []
    for key, mesh in reversed(scene.geometry.items()):  # trimesh has the file's last material first
        if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces):
            material = getattr(getattr(mesh.visual, "material", None), "name", None) or ""
            owner = key.removesuffix(material).removesuffix("_") if objects else key
            part = Part(np.asarray(mesh.triangles, np.float64), mesh=owner, material=material)
            gather(parts, _dressed(part, mtl.get(material, {}), bundle, name, mesh, problems))
    promised = sum(max(len(line.split("#")[0].split()) - 3, 0) for line in lines if line.startswith("f "))
    if (found := sum(len(p.triangles) for p in parts)) < promised:
        problems.append(f"{promised - found} of {promised} triangles have too few or impossible corners and are left out")
    return MeshFile(parts, problems=problems)


def _plain(lines: Iterable[str]) -> Iterator[str]:
    """Vertices and faces as trimesh reads them: parted by spaces, without comments, and corners that are counted back from the
    line they stand in (-1 is the last vertex so far) by their numbers."""
    seen = {"v": 0, "vt": 0, "vn": 0}
    for line in lines:
        key = line.split(None, 1)[0] if line else ""
        if key in seen:
            seen[key] += 1
            yield line.replace("\t", " ")
        elif key == "f" and not {"-", "#", "\t"}.isdisjoint(line):
            yield " ".join(["f", *(_corner(word, tuple(seen.values())) for word in line.split("#")[0].split()[1:])])
        else:
            yield line


def _corner(word: str, seen: tuple[int, ...]) -> str:
    """A corner (vertex, texture, normal) whose negative numbers count back from what was seen of each so far."""
    parts = zip(word.split("/"), seen, strict=False)
    return "/".join(str(int(part) + count + 1) if part[:1] == "-" and part[1:].isdigit() else part for part, count in parts)


def _materials(bundle: Bundle, name: str, libraries: list[str], problems: list[str]) -> Mtl:
    found: Mtl = {}
    for library in libraries:
        try:
            text = bundle.read(library, name).decode("utf-8", "replace")
        except PcaugError as error:
            problems.append(f"MTL not read: {error.what}")
            continue
        entry: dict[str, str] = {}
        for line in text.splitlines():
            key, _, rest = line.strip().partition(" ")
            if key == "newmtl":
                entry = found.setdefault(rest.strip(), {})
            elif key and not key.startswith("#"):
                entry[key] = rest.strip()
    return found


def _dressed(part: Part, entry: dict[str, str], bundle: Bundle, name: str, mesh: Any, problems: list[str]) -> Part:
    """A part with what its material's entry says of light."""
    opacity = _number(entry.get("d", "").removeprefix("-halo ")), _number(entry.get("Tr"))
    if opacity[0] is not None and opacity[0] < 1:
        part.transmission = 1 - max(opacity[0], 0.0)
    elif opacity[0] is None and opacity[1] is not None and 0 < opacity[1] < 1:
        part.transmission = opacity[1]
    if "map_d" in entry:
        part.transmission = _holes(part, entry["map_d"].split()[-1], bundle, name, mesh, problems)
    part.reflectance = _number(entry.get("helios_reflectance"))
    native = _number(entry.get("helios_classification"))
    part.native_class = int(native) if native is not None else None
    return part


def _holes(part: Part, image: str, bundle: Bundle, name: str, mesh: Any, problems: list[str]) -> float:
    from PIL import Image

    try:
        alpha = image_alpha(Image.open(io.BytesIO(bundle.read(image, name))))
        uv = getattr(mesh.visual, "uv", None)
        if alpha is not None and uv is not None:
            share = cut_out(part.triangles, np.asarray(uv)[mesh.faces], alpha)
            problems.append(f"{part.name} is cut out by a texture: a beam passes with probability {share:.2f}")
            return share
        why = "has no alpha" if alpha is None else "has no texture coordinates"
    except (PcaugError, OSError, Image.DecompressionBombError) as error:
        why = error.what if isinstance(error, PcaugError) else f"is not an image ({error})"
    problems.append(f"{part.name} is cut out by the texture {image!r}, which {why}: a beam passes with probability 0.50")
    return 0.5


def _number(text: str | None) -> float | None:
    try:
        value = float(text.split()[0]) if text and text.split() else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
