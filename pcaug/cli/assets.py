"""``pcaug assets``: what meshes hold before a recipe uses them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pcaug.cli import options as o

if TYPE_CHECKING:
    from pcaug.cloud import PointCloud
    from pcaug.scene.asset import Asset

PER_ROW, TILE = 6, (250, 210)
"""Pictures beside each other on a contact sheet, and the pixels of one."""


def assets(
    path: Annotated[Path, typer.Argument(help="A mesh, a folder of them, a .zip, a .sh3f library or a HELIOS++ scene .xml.")],
    only: Annotated[str, typer.Option(help="Pattern on names, files and tags: which of them.")] = "*",
    png: Annotated[Path | None, typer.Option(help="Write a contact sheet here.")] = None,
    card: Annotated[bool, typer.Option("--card", help="Print a card (assets.toml) to start from, and no table.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of objects.")] = False,
    force: o.Force = False,
) -> int:
    """List class, size, triangles and problems of meshes; those that are refused say why."""
    from pcaug.cli.console import emit_json, err, fresh, out, picture, reporter
    from pcaug.errors import PcaugError
    from pcaug.scene.meshes.entry import card_of, entries

    png = png and fresh(picture(png), force=force)
    if card:
        typer.echo(card_of(path), nl=False)
        return 0
    rows: list[dict[str, Any]] = []
    shown: list[tuple[str, Asset]] = []
    found = entries(path, only)
    with reporter() as progress:
        for done, entry in enumerate(found):
            try:
                asset, problems = entry.load()
            except PcaugError as error:
                rows.append(
                    {"name": entry.name, "file": entry.file, "refused": error.what + (f", {error.do}" if error.do else "")}
                )
            else:
                rows.append({"name": entry.name, "file": entry.file} | _described(asset) | {"problems": list(problems)})
                if png and len(shown) < 120:
                    shown.append((entry.name, asset))
            progress("meshes", done + 1, len(found))
    if json:
        emit_json(rows)
    else:
        console = out()
        if not console.is_terminal:
            console.width = 200  # a pipe has no edge to wrap at
        console.print(_table(rows))
    if png and shown:
        _sheet(shown, png)
        err().print(f"{png}: {len(shown)} of {len(found)} meshes", markup=False)
    return 0 if any("refused" not in row for row in rows) else 1


def _described(asset: Asset) -> dict[str, Any]:
    """Classes with their faces, size ahead x left x up in metres, triangles, surfaces, licence."""
    import numpy as np

    from pcaug import catalogue
    from pcaug.scene.asset import MATERIAL_NAMES

    nodes, counts = np.unique(asset.face_label, return_counts=True)
    tree = catalogue.taxonomy()
    return {
        "classes": {tree.label_name(int(n)): int(c) for n, c in zip(nodes, counts, strict=True)},
        "size": [round(float(v), 3) for v in np.ptp(asset.bounds, axis=0)],
        "triangles": len(asset.triangles),
        "materials": [MATERIAL_NAMES[i] for i in np.unique(asset.face_material)],
        "licence": asset.licence,
    }


def _table(rows: list[dict[str, Any]]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table("name", "class", "size (m)", "triangles", "problems", box=None)
    for row in rows:
        if "refused" in row:
            table.add_row(escape(row["name"]), "[red]refused[/]", "", "", escape(row["refused"]))
            continue
        size = " x ".join(f"{v:.2f}" for v in row["size"])
        problems = "; ".join(row["problems"]) or "none"
        table.add_row(escape(row["name"]), ", ".join(row["classes"]), size, f"{row['triangles']:,}", escape(problems))
    return table


def _sheet(shown: list[tuple[str, Asset]], path: Path) -> None:
    """Shaded pictures in rows, the name and size of each above it."""
    import numpy as np

    from pcaug.view.picture import SheetStyle, render, save_sheet

    titles = []
    for name, asset in shown:
        size = " x ".join(f"{v:.2f}" for v in np.ptp(asset.bounds, axis=0))
        titles.append(f"{name[:30]}\n{size} m, {len(asset.triangles):,}")
    images = [render(_shaded(asset), *TILE, "rgb", azimuth=-40, elevation=22) for _, asset in shown]
    save_sheet(images, titles, path, PER_ROW, SheetStyle(above=40))


def _shaded(asset: Asset, count: int = 60_000) -> PointCloud:
    """Points on an asset's surface in its classes' colours, darker where it turns from the light; porous ones thinned."""
    import numpy as np

    from pcaug.cloud import PointCloud
    from pcaug.scene.asset import MATERIAL_NAMES, MATERIALS
    from pcaug.view.colours import class_table
    from pcaug.view.stage import on_surface

    solid = 1 - 0.6 * np.array([MATERIALS[name].transmission for name in MATERIAL_NAMES])[asset.face_material]
    xyz, face = on_surface(asset, count, solid)
    a, b, c = np.moveaxis(asset.triangles[face], 1, 0)
    normal = np.cross(b - a, c - a)
    light = np.array([0.5, -0.6, 0.62])
    shade = 0.4 + 0.6 * np.abs(normal @ light) / np.linalg.norm(normal, axis=1)
    base = 60 + 0.75 * class_table()[np.minimum(asset.face_label[face], 255)].astype(np.float64)
    return PointCloud(xyz, {"rgb": np.clip(base * shade[:, None], 0, 255).astype(np.uint8)})
