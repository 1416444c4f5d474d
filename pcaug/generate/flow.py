"""A generator in the line of PVD and PSF: flow matching over the points of an object, told class, size and viewpoint.

Conditional flow matching (Lipman et al., ICLR 2023): x_t = (1 - t) noise + t object, and a network learns the velocity
object - noise; sampling integrates it from noise at t = 0 to an object at t = 1. As a set has no order, each object is first
matched to its noise by optimal assignment (Klein et al., NeurIPS 2023), which makes the paths straight and the steps few. The
network is a set transformer whose points meet through a few learned tokens (Lee et al., ICML 2019, induced attention; Point-E and
DiT condition in the same way, by adaptive layer norms), so it takes any number of points.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor, nn
from torch.nn import functional

from pcaug.generate.bank import ObjectSample
from pcaug.generate.model import ModelCard, View, check_enough, resampled, sampled
from pcaug.parallel import Progress, silent

WIDTH, BLOCKS, TOKENS, HEADS = 64, 4, 16, 4
SMOOTH = 0.995
"""Of the exponential moving average of the weights, which is what samples."""
STEPS = 20
"""Euler steps of a sample."""
CONDITIONS = 6
"""log length, width, height; cosine and sine of the viewpoint's azimuth; log distance."""


class Block(nn.Module):
    """Points tell the tokens, tokens tell the points; both scaled and shifted by the condition."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.gather_norm, self.mlp_norm = (nn.LayerNorm(width, elementwise_affine=False) for _ in range(3))
        self.ask, self.tell = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.back_ask, self.back_tell, self.back = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.token_mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.adapt = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.adapt.weight)
        nn.init.zeros_(self.adapt.bias)

    def forward(self, points: Tensor, tokens: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, C) points, (B, T, C) tokens, (B, C) condition -> new points and tokens."""
        scale1, shift1, gate1, scale2, shift2, gate2 = self.adapt(functional.silu(condition))[:, None].chunk(6, dim=2)
        seen = self.norm(points) * (1 + scale1) + shift1
        tokens = tokens + _attend(self.ask(self.gather_norm(tokens)), self.tell(seen))
        tokens = tokens + self.token_mlp(tokens)
        points = points + gate1 * self.back(_attend(self.back_ask(seen), self.back_tell(tokens)))
        return points + gate2 * self.mlp(self.mlp_norm(points) * (1 + scale2) + shift2), tokens


def _attend(query: Tensor, told: Tensor) -> Tensor:
    key, value = told.chunk(2, dim=2)
    q, k, v = (x.reshape(*x.shape[:2], HEADS, -1).transpose(1, 2) for x in (query, key, value))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Velocity(nn.Module):
    """The velocity of each point at a time, under a condition."""

    def __init__(self, classes: int, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.width = width
        self.enter = nn.Linear(3 + 3 * 8, width)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.told = nn.Sequential(nn.Linear(CONDITIONS, width), nn.SiLU(), nn.Linear(width, width))
        self.kind = nn.Embedding(classes, width)
        self.tokens = nn.Parameter(torch.randn(1, TOKENS, width) * 0.5)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.leave = nn.Linear(width, 3)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, xyz: Tensor, time: Tensor, kind: Tensor, told: Tensor) -> Tensor:
        """(B, N, 3) points at (B,) times of classes (B,) under conditions (B, CONDITIONS) -> (B, N, 3)."""
        waves = torch.exp(-math.log(1000) * torch.arange(self.width // 2) / (self.width // 2)) * 100
        phase = time[:, None] * waves[None]
        condition = self.time(torch.cat([phase.sin(), phase.cos()], dim=1)) + self.told(told) + self.kind(kind)
        turned = (xyz[..., None] * (2.0 ** torch.arange(4)) * math.pi / 4).flatten(2)
        points = self.enter(torch.cat([xyz, turned.sin(), turned.cos()], dim=2))
        tokens = self.tokens.expand(len(xyz), -1, -1)
        for block in self.blocks:
            points, tokens = block(points, tokens, condition)
        velocity: Tensor = self.leave(points)
        return velocity


@dataclass(frozen=True)
class FlowModel:
    """A fitted flow.

    Attributes:
        card: What it was fitted to.
        network: The velocity.
        told: (N, CONDITIONS) float32 conditions of the training objects, standardised by ``scale``.
        kind: (N,) int64 their classes.
        scale: (2, CONDITIONS) float32 mean and deviation of the conditions.
        spread: (3,) float32 deviation of the points in units of half their object's size.
    """

    card: ModelCard
    network: Velocity
    told: NDArray[np.float32]
    kind: NDArray[np.int64]
    scale: NDArray[np.float32]
    spread: NDArray[np.float32]

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Everything to be kept, by name."""
        weights = {f"network.{name}": value.numpy() for name, value in self.network.state_dict().items()}
        return weights | {name: getattr(self, name) for name in ("told", "kind", "scale", "spread")}

    @classmethod
    def of(cls, card: ModelCard, arrays: Mapping[str, NDArray[Any]]) -> FlowModel:
        """From its card and arrays; raises KeyError, RuntimeError where they do not fit."""
        network = Velocity(len(card.classes), int(card.settings["width"]), int(card.settings["blocks"]))
        network.load_state_dict(
            {k.removeprefix("network."): torch.from_numpy(v) for k, v in arrays.items() if k.startswith("network.")}
        )
        return cls(card, network.eval(), *(arrays[name] for name in ("told", "kind", "scale", "spread")))

    def sample(self, n: int, rng: np.random.Generator, points: int | None = None, batch: int = 32) -> list[ObjectSample]:
        """Draw new objects: the conditions of random training objects, changed a little (size 5 %, 10 degrees, 10 % of range)."""
        if not n:
            return []
        points = points or self.card.points
        rows = rng.integers(len(self.told), size=n)
        raw = self._changed(self.told[rows] * self.scale[1] + self.scale[0], rng)
        told = ((raw - self.scale[0]) / self.scale[1]).astype(np.float32)
        noise = rng.standard_normal((n, points, 3), dtype=np.float32)
        parts = []
        for start in range(0, n, batch):
            own = slice(start, start + batch)
            parts.append(
                self._flow(torch.from_numpy(noise[own]), torch.from_numpy(self.kind[rows[own]]), torch.from_numpy(told[own]))
            )
        half = np.exp(raw[:, None, :3]) / 2
        shapes = np.concatenate(parts) * self.spread * half
        shapes[..., 2] += half[..., 2]
        views = [View(float(np.arctan2(row[4], row[3])), float(np.exp(row[5]))) for row in raw]
        names = [self.card.classes[k] for k in self.kind[rows]]
        return [sampled(shape, name, view, "flow") for shape, name, view in zip(shapes, names, views, strict=True)]

    def _changed(self, raw: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        size = raw[:, :3] + 0.05 * rng.standard_normal((len(raw), 3))
        azimuth = np.arctan2(raw[:, 4], raw[:, 3]) + np.radians(10) * rng.standard_normal(len(raw))
        distance = raw[:, 5] + 0.1 * rng.standard_normal(len(raw))
        return np.column_stack([size, np.cos(azimuth), np.sin(azimuth), distance]).astype(np.float32)

    def _flow(self, xyz: Tensor, kind: Tensor, told: Tensor) -> NDArray[np.float32]:
        with torch.inference_mode():
            for step in range(STEPS):
                time = torch.full((len(xyz),), step / STEPS)
                xyz = xyz + self.network(xyz, time, kind, told) / STEPS
        flown: NDArray[np.float32] = xyz.numpy()
        return flown


def fit(
    things: Sequence[ObjectSample],
    card: ModelCard,
    rng: np.random.Generator,
    *,
    steps: int = 2000,
    batch: int = 32,
    learning_rate: float = 2e-3,
    progress: Progress = silent,
) -> FlowModel:
    """Train a flow on objects of one or several classes.

    Args:
        things: The objects.
        card: Says classes and points.
        rng: Of every random choice.
        steps: Optimiser steps.
        batch: Objects a step; classes are drawn equally often.
        learning_rate: Highest, of a cosine schedule.
        progress: Called as ``progress("steps", done, steps)``.

    Raises:
        PcaugError: With fewer than three objects of a class.
    """
    for name in card.classes:
        check_enough([thing for thing in things if thing.row.name == name], name)
    data = _Data(things, card)
    torch.manual_seed(int(rng.integers(2**62)))
    network = Velocity(len(card.classes))
    smooth = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.01)
    warm = min(50, 1 + steps // 10)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * min(1, (step + 1) / warm) * (1.01 + 0.99 * math.cos(math.pi * step / steps)) / 2
        noise, target, kind, told = data.batch(batch, rng)
        time = torch.from_numpy(rng.random(batch, dtype=np.float32))
        between = noise + time[:, None, None] * (target - noise)
        loss = functional.mse_loss(network(between, time, kind, told), target - noise)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            for slow, fast in zip(smooth.parameters(), network.parameters(), strict=True):
                slow.lerp_(fast, 1 - min(SMOOTH, (step + 1) / (step + 10)))  # forgets the random start
        progress("steps", step + 1, steps)
    settings = {"width": float(WIDTH), "blocks": float(BLOCKS), "steps": float(steps)}
    card = card.model_copy(update={"settings": settings})
    return FlowModel(card, smooth.eval(), data.told, data.kind, data.scale, data.spread)


class _Data:
    """Training objects in units of half their size, with their conditions."""

    def __init__(self, things: Sequence[ObjectSample], card: ModelCard) -> None:
        self.points = card.points
        uprights = [thing.upright.xyz for thing in things]
        size = np.array([np.maximum(np.ptp(xyz, axis=0), 0.05) for xyz in uprights])
        middle = [xyz.min(axis=0) + np.ptp(xyz, axis=0) / 2 for xyz in uprights]
        self.shapes = [(xyz - m) / (s / 2) for xyz, m, s in zip(uprights, middle, size, strict=True)]
        views = np.array([[np.cos(t.viewpoint), np.sin(t.viewpoint), np.log(t.row.distance or 15.0)] for t in things])
        raw = np.column_stack([np.log(size), views])
        self.scale = np.stack([raw.mean(axis=0), np.maximum(raw.std(axis=0), 0.1)]).astype(np.float32)
        self.told = ((raw - self.scale[0]) / self.scale[1]).astype(np.float32)
        self.kind = np.array([card.classes.index(thing.row.name) for thing in things], np.int64)
        self.spread = np.sqrt(np.mean([(shape**2).mean(axis=0) for shape in self.shapes], axis=0)).astype(np.float32)
        self.members = [np.flatnonzero(self.kind == k) for k in range(len(card.classes))]

    def batch(self, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Noise (B, N, 3), the objects that it becomes, point by point, their classes and conditions."""
        rows = np.array([rng.choice(self.members[rng.integers(len(self.members))]) for _ in range(size)])
        target = np.stack([resampled(self.shapes[row], self.points, rng) for row in rows]).astype(np.float32) / self.spread
        told = self.told[rows]
        mirrored = rng.random(size) < 0.5  # every other object as its mirror image sees the sensor: left as often as right
        target[mirrored, :, 1] *= -1
        told[mirrored, 4] = (-(told[mirrored, 4] * self.scale[1, 4] + self.scale[0, 4]) - self.scale[0, 4]) / self.scale[1, 4]
        noise = rng.standard_normal(target.shape, dtype=np.float32)
        for one, other in zip(noise, target, strict=True):
            other[:] = other[linear_sum_assignment(cdist(one, other, "sqeuclidean"))[1]]
        a, b = torch.from_numpy(noise), torch.from_numpy(target)
        return a, b, torch.from_numpy(self.kind[rows]), torch.from_numpy(told)
