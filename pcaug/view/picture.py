"""PNG pictures of clouds, drawn with numpy alone: points splatted by depth, edges darkened (eye-dome lighting)."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.view.colours import best_mode, colours

Image = NDArray[np.uint8]
PAPER = 250
"""Brightness of the background."""


def render(
    cloud: PointCloud,
    width: int = 900,
    height: int = 640,
    colour: str | None = None,
    azimuth: float = -60.0,
    elevation: float = 38.0,
) -> Image:
    """Draw a cloud from an angle, orthographic, filling the picture.

    Args:
        cloud: What to draw; its extent without the outermost 1 % of points sets the scale.
        width: Pixels.
        height: Pixels.
        colour: One of ``colours.MODES``; None chooses.
        azimuth: Where the viewer stands, degrees from +x counter-clockwise.
        elevation: Degrees above the horizon; 90 is a plan.

    Returns:
        (height, width, 3) uint8.
    """
    image = np.full((height, width, 3), PAPER, np.uint8)
    if not len(cloud):
        return image
    u, v, depth = _project(cloud.xyz, azimuth, elevation)
    low, high = np.percentile(u, [0.5, 99.5]), np.percentile(v, [0.5, 99.5])
    scale = 0.94 * min(width / max(np.ptp(low), 1e-6), height / max(np.ptp(high), 1e-6))
    column = ((u - low.mean()) * scale + width / 2).astype(np.int64)
    row = (height / 2 - (v - high.mean()) * scale).astype(np.int64)
    size = int(np.clip(np.sqrt(width * height / max(len(cloud), 1)) * 0.9, 1, 5))
    paint = colours(cloud, colour or best_mode(cloud))
    nearest = np.full(height * width, np.inf)
    flat = image.reshape(-1, 3)
    for dy in range(-(size // 2), size - size // 2):
        for dx in range(-(size // 2), size - size // 2):
            r, c = row + dy, column + dx
            ok = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            _splat(flat, nearest, (r * width + c)[ok], depth[ok], paint[ok])
    return _eye_dome(image, nearest.reshape(height, width), scale)


def _project(xyz: NDArray[np.float64], azimuth: float, elevation: float) -> tuple[NDArray[np.float64], ...]:
    """Right, up and depth (away from the viewer) of points."""
    a, e = np.radians(azimuth), np.radians(elevation)
    towards = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    up = np.cross(towards, right)
    local = xyz - xyz.mean(axis=0)
    return local @ right, local @ up, -(local @ towards)


def _splat(flat: Image, nearest: NDArray[np.float64], pixel: NDArray[np.int64], depth: NDArray[np.float64], paint: Image) -> None:
    """Paint each pixel with its nearest point: far to near, so that the last one written is in front."""
    order = np.argsort(-depth, kind="stable")
    pixel, depth, paint = pixel[order], depth[order], paint[order]
    front = depth < nearest[pixel]
    flat[pixel[front]] = paint[front]
    nearest[pixel[front]] = depth[front]


def _eye_dome(image: Image, depth: NDArray[np.float64], scale: float) -> Image:
    """Darken pixels that lie behind their neighbours (Boucheny 2009): depth steps become visible without light."""
    shade = np.zeros(depth.shape)
    covered = np.isfinite(depth)
    known = np.where(covered, depth, np.nanmax(np.where(covered, depth, np.nan)) if covered.any() else 0.0)
    for dy, dx in ((0, 2), (2, 0), (0, -2), (-2, 0)):
        step = (known - np.roll(known, (dy, dx), (0, 1))) * scale / 40
        shade += np.clip(step, 0, 1)
    factor = np.exp(-0.35 * shade)[..., None]
    return np.where(covered[..., None], image * factor, image).astype(np.uint8)


def save_png(
    clouds: Sequence[PointCloud],
    path: str | Path,
    titles: Sequence[str] = (),
    colour: str | None = None,
    width: int = 900,
    height: int = 640,
    elevation: float = 38.0,
) -> None:
    """Write clouds side by side, with titles and a legend of the classes that occur."""
    from matplotlib.figure import Figure

    path = Path(path)
    columns = min(len(clouds), 3)
    rows = -(-len(clouds) // columns)
    modes = [colour or best_mode(cloud) for cloud in clouds]
    legend = _legend(clouds, modes)
    figure = Figure(figsize=(width * columns / 150, (height * rows + 70 + 26 * (len(legend) // 6)) / 150), dpi=150)
    axes: Any = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for index, (cloud, mode) in enumerate(zip(clouds, modes, strict=True)):
        axes[index].imshow(render(cloud, width, height, mode, elevation=elevation))
        title = titles[index] if index < len(titles) else ""
        axes[index].set_title("\n".join(textwrap.wrap(title, 60)).replace("$", r"\$"), fontsize=8)
    if legend:
        marks = [figure.axes[0].plot([], [], "s", color=np.array(rgb) / 255, label=name)[0] for name, rgb in legend.items()]
        figure.legend(handles=marks, loc="lower center", ncol=min(6 * columns, len(marks)), fontsize=7, frameon=False)
    figure.tight_layout(rect=(0, 0.04 + 0.02 * (len(legend) // 6 / columns), 1, 1))
    partial = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(partial, format="png", facecolor="white")
    partial.replace(path)


def _legend(clouds: Sequence[PointCloud], modes: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    taxonomy = catalogue.taxonomy()
    found: set[int] = set()
    for cloud, mode in zip(clouds, modes, strict=True):
        if mode in ("class", "prediction"):
            found.update(np.unique(cloud["label" if mode == "class" else "prediction"]).tolist())
    return {taxonomy.label_name(node): taxonomy.colour(node) for node in sorted(found)}
