"""``pcaug info``: what is in files, folders and corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pcaug.cli import options as o
from pcaug.errors import PcaugError, counted

LABELS = (".label", ".labels")
"""Ends of files that hold the labels of a scan, as SemanticKITTI and Semantic3D call them."""


def info(
    paths: Annotated[list[Path], typer.Argument(help="Files, dataset folders or corpora.")],
    card: o.Card = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: one object, or a list of them for several paths.")] = False,
) -> None:
    """Show points, bounds, fields, CRS, and classes with names and counts."""
    from pcaug.cli.console import emit_json, err, out, shares
    from pcaug.corpus.summary import summary

    found = [summary(path, card) | {"path": str(path)} for path in paths]
    if json:
        emit_json(found[0] if len(found) == 1 else found)
    for item in found if not json else ():
        out().print(_table(item))
        shares(item["classes"])
        if item.get("hint"):
            err().print(f"note: {item['path']}: {item['hint']}", soft_wrap=True, markup=False)
        if beside := _labels_beside(item):
            text = f"{counted(beside, 'label file')} beside the scans: draft a card with pcaug datasets new {item['path']}"
            err().print(f"note: {item['path']}: {text}", soft_wrap=True, markup=False)
    unread = [why for item in found for why in item.get("unread", {}).values()]
    for why in unread[1:]:
        err().print(f"note: {why}", soft_wrap=True, markup=False)
    if unread:  # what can be told is told, but not all is well
        raise PcaugError(unread[0])


def _labels_beside(item: dict[str, Any]) -> int:
    """Label files in a folder of scans that are read without any."""
    from pcaug.formats import below

    folder = Path(item["path"])
    if not folder.is_dir() or item["card"] or item["classes"]:
        return 0
    return sum(path.suffix in LABELS for path in below(folder))


def _table(item: dict[str, Any]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from pcaug.corpus.metres import crs_name, unit

    table = Table(title=escape(item["path"]), show_header=False, title_justify="left", box=None)
    table.add_row("points", f"{item['points']:,} in {counted(item['scans'], 'scan')}")
    if item["bounds"]:
        low, high = item["bounds"]
        digits = (7, 7, 2) if unit(item["crs"]) is None else (2, 2, 2)  # of degrees, a centimetre
        sides = zip("xyz", low, high, digits, strict=True)
        table.add_row("bounds", "  ".join(f"{axis}: {lo:.{n}f} to {hi:.{n}f}" for axis, lo, hi, n in sides))
    table.add_row("fields", escape(", ".join(f"{name} ({kind})" for name, kind in item["fields"].items())))
    table.add_row("CRS", escape(crs_name(item["crs"]) or "none"))
    if item.get("other_crs"):
        table.add_row(
            "[red]other CRSs[/]",
            escape(", ".join(crs_name(crs) or "none" for crs in item["other_crs"])) + "; the bounds mix them",
        )
    if item.get("card"):
        table.add_row("card", item["card"])
    for key in ("splits", "units", "licences"):
        if item.get(key):
            value = item[key]
            text = (
                ", ".join(f"{k} {v:,}" for k, v in value.items()) if isinstance(value, dict) else ", ".join(map(str, value[:12]))
            )
            table.add_row(key, escape(text) + (" ..." if len(value) > 12 else ""))
    if item.get("unknown"):
        table.add_row("[red]unknown ids[/]", ", ".join(f"{k} ({counted(v, 'point')})" for k, v in item["unknown"].items()))
    return table
