"""What a mesh reader hands on: triangles part by part, with the names that say what they are, and what was wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.errors import FileError
from pcaug.scene.asset import Triangles
from pcaug.scene.meshes.bundle import Bundle

MAX_TRIANGLES = 5_000_000
"""More than that in one mesh, instances counted, is refused before it fills the memory."""
OPAQUE = 0.5
"""Alpha above which a texel of a cut-out texture counts as there (the default of glTF 2.0, section 3.9.4)."""


@dataclass
class Part:
    """Triangles of one node and material.

    Attributes:
        triangles: (M, 3, 3) float64, the file's unit and axes, node transforms applied.
        node, mesh, material: Names in the file; "" where it has none.
        transmission: Share of a beam that passes, where the file says so (alpha).
        reflectance: Where the file says so (HELIOS).
        native_class: Class id of the file's own (HELIOS).
    """

    triangles: Triangles
    node: str = ""
    mesh: str = ""
    material: str = ""
    transmission: float | None = None
    reflectance: float | None = None
    native_class: int | None = None

    @property
    def name(self) -> str:
        """The names that it has, joined, for messages."""
        return "/".join(dict.fromkeys(n for n in (self.node, self.mesh, self.material) if n)) or "unnamed"


def gather(parts: list[Part], part: Part) -> None:
    """Append a part; raises FileError once all together have more triangles than one mesh may have."""
    parts.append(part)
    if (count := sum(len(p.triangles) for p in parts)) > MAX_TRIANGLES:
        raise FileError(f"has more than {count:,} triangles", do=f"simplify it below {MAX_TRIANGLES:,}")


@dataclass
class MeshFile:
    """A mesh file as it was read.

    Attributes:
        parts: Its parts, at least one.
        unit: Metres per unit as the file says, or None.
        up: Axis that points up as the file says, or None.
        forward: Axis that points ahead as the format says, or None.
        licence: As the file says.
        problems: What is wrong with it, a line each, all of it dealt with as the line says.
    """

    parts: list[Part]
    unit: float | None = None
    up: str | None = None
    forward: str | None = None
    licence: str = ""
    problems: list[str] = field(default_factory=list)


def resolver(bundle: Bundle, beside: str, generated: dict[str, bytes] | None = None) -> Any:
    """What trimesh asks for the files that a mesh names: only those inside the bundle, or generated ones."""
    from trimesh.resolvers import Resolver

    class Inside(Resolver):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

        def get(self, key: str) -> bytes:
            return generated[key] if generated and key in generated else bundle.read(key, beside)

        def keys(self) -> list[str]:
            return []

        def namespaced(self, namespace: str) -> Any:
            return self

        def write(self, name: str, data: Any) -> None:
            raise OSError("not here")

    return Inside()


def placed_in(matrix: NDArray[np.float64], triangles: NDArray[Any]) -> Triangles:
    """Triangles (M, 3, 3) of a node in its scene, wound the other way round where the node mirrors them."""
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused later, by name
        found: Triangles = np.einsum("mck,ik->mci", np.asarray(triangles, np.float64), matrix[:3, :3]) + matrix[:3, 3]
    return found[:, ::-1] if np.linalg.det(matrix[:3, :3]) < 0 else found


def cut_out(triangles: Triangles, uv: NDArray[np.float64], alpha: NDArray[np.uint8], cutoff: float = OPAQUE) -> float:
    """Share of a textured surface that its alpha cuts away, weighted by area: its transmission.

    Args:
        triangles: (M, 3, 3).
        uv: (M, 3, 2) texture coordinates, the origin at the image's lower left.
        alpha: (height, width), 255 is opaque.
        cutoff: Alpha below which nothing is there, 0..1.
    """
    steps = np.array([(a, b) for a in range(7) for b in range(7 - a)]) / 7 + 1 / 21
    weights = np.column_stack([steps, 1 - steps.sum(axis=1)])
    at = np.einsum("kc,mcd->mkd", weights, uv) % 1.0
    height, width = alpha.shape
    rows = np.minimum(((1 - at[..., 1]) * height).astype(int), height - 1)
    gone = (alpha[rows, np.minimum((at[..., 0] * width).astype(int), width - 1)] < 255 * cutoff).mean(axis=1)
    area = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
    return float(np.average(gone, weights=area)) if area.sum() > 0 else 0.0


def image_alpha(image: Any) -> NDArray[np.uint8] | None:
    """Alpha of an image (height, width), or its brightness where it is a mask without colour; None for plain colours.

    A byte a texel: images have up to 180 million.
    """
    if image.mode in ("L", "1"):
        return np.asarray(image.convert("L"))
    if image.mode in ("RGBA", "LA", "PA"):
        return np.asarray(image.getchannel("A"))
    return np.asarray(image.convert("RGBA").getchannel("A")) if "transparency" in image.info else None
