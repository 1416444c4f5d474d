"""Surfaces as they stand outdoors: brighter or darker than their material says (new asphalt and old), and rough (grass)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pcaug.catalogue import Strict
from pcaug.scene.asset import MATERIAL_NAMES, MATERIALS, Scene
from pcaug.scene.shapes import noise


class Surfaces(Strict):
    """How much reflectances vary, as standard deviations of their logarithm, and how rough ground is.

    Attributes:
        materials: Of each material, from scene to scene: asphalt is new or old, grass is dry or wet.
        objects: Of each object: cars and coats have colours.
        patches: Of patches within a surface.
        grain: Size of the patches, metres.
        relief: Of the heights of ground about its mesh, times what its material has: 0 for ground as smooth as its mesh.
    """

    materials: float = Field(default=0.2, ge=0, le=10)
    objects: float = Field(default=0.3, ge=0, le=10)
    patches: float = Field(default=0.15, ge=0, le=10)
    grain: float = Field(default=2.5, ge=0.1, le=1000)
    relief: float = Field(default=1.0, ge=0, le=100)


@dataclass(frozen=True, eq=False)
class Weathering:
    """How much brighter or darker than their material the surfaces of one scene are, and how rough.

    Attributes:
        materials: (number of MATERIALS,) factor of each material.
        placements: (P,) factor of each placement.
        patches: Standard deviation of the logarithm of patches within a surface.
        grain: Their size, metres.
        seed: Of the patches.
        relief: (number of MATERIALS,) standard deviation of heights about the mesh, metres.
    """

    materials: NDArray[np.float64]
    placements: NDArray[np.float64]
    patches: float
    grain: float
    seed: int
    relief: NDArray[np.float64]

    def factor(self, material: NDArray[np.integer], owner: NDArray[np.integer], xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Factor (M,) of the reflectance of points (M, 3) on these materials of these placements."""
        slant = 0.7 * xyz[:, 2]  # so that walls vary with height too
        mottled = noise(xyz[:, 0] + slant, xyz[:, 1] + slant, self.grain, np.random.default_rng(self.seed)) if len(xyz) else 0.0
        factor: NDArray[np.float64] = self.materials[material] * self.placements[owner] * np.exp(2.5 * self.patches * mottled)
        return factor


def weathered(scene: Scene, surfaces: Surfaces, rng: np.random.Generator) -> Scene:
    """The scene with materials, objects and patches brighter or darker, by log-normal factors of median 1."""
    materials = np.exp(rng.normal(0, surfaces.materials, len(MATERIAL_NAMES)))
    placements = np.exp(rng.normal(0, surfaces.objects, len(scene.placements)))
    seed = int(rng.integers(1 << 62))
    relief = surfaces.relief * np.array([material.relief for material in MATERIALS.values()])
    return replace(scene, weathering=Weathering(materials, placements, surfaces.patches, surfaces.grain, seed, relief))
