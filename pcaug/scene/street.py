"""A procedural street: ground with kerbs, crossfall and verges first, then what stands on it."""

from __future__ import annotations

import numpy as np

from pcaug.scene import roadside
from pcaug.scene.asset import Placement, Scene
from pcaug.scene.library import Library
from pcaug.scene.ranges import draw
from pcaug.scene.recipe import Street
from pcaug.scene.road import OUTER, World, ground, on_lane, side_of

Rng = np.random.Generator


def build_street(recipe: Street, name: str, rng: Rng, library: Library) -> Scene:
    """A street along x, bent a little, the scanner's place on its right lane at x = 0."""
    world = World(recipe, rng, library)
    lane = draw(recipe.lane, rng) * {"country": 1.25, "narrow": 0.7}.get(world.kind, 1.0)
    if world.kind == "motorway" or (world.kind == "urban" and rng.random() < recipe.wide):
        lane *= float(rng.integers(2, 4))  # several lanes each way
    sides = [side_of(world, lane, sign) for sign in (1, -1)]
    for side in sides:
        ground(world, side)
    for side in sides:
        roadside.houses(world, side)
        roadside.greenery(world, side)
        roadside.furniture(world, side)
        roadside.vehicles(world, side, lane)
    at = np.array([0.0, -on_lane(lane, rng)])
    z = float(world.base(np.array(0.0), np.array(at[1]), np.array(sides[1].road_edge)))
    placements = (Placement(world.static.asset("ground and houses"), np.eye(4), 0), *world.placements)
    extent = np.array([[-world.half, -OUTER], [world.half, OUTER]])
    return Scene(placements, name, np.array([at[0], at[1], z]), 0.0, extent)
