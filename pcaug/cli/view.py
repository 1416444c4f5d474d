"""``pcaug view``: look at clouds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pcaug.cli import options as o
from pcaug.errors import PcaugError, counted

if TYPE_CHECKING:
    from pcaug.cloud import PointCloud
    from pcaug.corpus.manifest import Tile
    from pcaug.corpus.read import Corpus
    from pcaug.corpus.sources import Scan
    from pcaug.view.census import Census
    from pcaug.view.stage import Exhibit

MESHES = (".obj", ".glb", ".gltf", ".stl", ".off", ".3mf")
SHEET = {"width": 420, "height": 300, "per_row": 4}
"""Pixels of a scan on a contact sheet, and scans in a row."""
ON_A_SHEET = 12
SMALL = 0.25
"""Share of the points of a picture that one on a sheet needs: of its pixels it has 0.22."""


def view(
    sources: Annotated[
        list[Path], typer.Argument(help="Files, folders, corpora, scene recipes or meshes; several are shown beside each other.")
    ],
    png: Annotated[Path | None, typer.Option(help="Write a picture instead of opening a window.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write one page that opens in any browser.")] = None,
    card: o.Card = None,
    colour: Annotated[
        str | None, typer.Option(help="class, prediction, error, native, intensity, height, return, instance, rgb.")
    ] = None,
    number: Annotated[
        int | None, typer.Option("-n", min=1, help="How many scans of a folder or corpus to show (1; 12 with --sheet).")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Picture: from straight above.")] = False,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Many scans, spread over the whole corpus; in a picture, small ones.")
    ] = False,
    gl: Annotated[
        bool, typer.Option("--gl", help="Picture: drawn by Open3D off screen, in perspective, instead of numpy.")
    ] = False,
    most: Annotated[
        int, typer.Option(min=1000, help="How many points to draw at most: of the page, or of each cloud.")
    ] = 5_000_000,
    force: o.Force = False,
) -> None:
    """Show clouds coloured by class, with a legend: in a window, as a PNG, or as an HTML page."""
    from pcaug.cli.console import fresh, out, page, picture

    if png is None and (plan or gl):
        raise typer.BadParameter("--plan and --gl draw a picture: give --png FILE too")
    html, png = html and page(html), png and picture(png)
    for path in (png, html):
        if path is not None:
            fresh(path, force=force)
    many = number or (ON_A_SHEET if sheet else 1)
    needed = most if html is not None or png is None or not sheet else round(most * SMALL)
    exhibits = [exhibit for source in sources for exhibit in _exhibits(source, card, many, needed, spread=sheet)]
    if png is not None and not any(exhibit.whole.points for exhibit in exhibits):
        raise PcaugError("no points to show", sources[0])
    if colour == "rgb":
        _tell_uncoloured(exhibits)
    if png is not None:
        _picture(exhibits, png, colour, plan=plan, sheet=sheet, gl=gl)
        out().print(str(png), soft_wrap=True, markup=False)
    if html is not None:
        text = _page(exhibits, html, ", ".join(source.name for source in sources), most, colour)
        out().print(f"{html}: {text}, {html.stat().st_size / 1e6:.1f} MB", soft_wrap=True, markup=False)
    if png is None and html is None:
        from pcaug.view.window import show

        show(exhibits, colour)


def _tell_uncoloured(exhibits: list[Exhibit]) -> None:
    """Say of which clouds the colours are all black, because none were written."""
    from pcaug.cli.console import err
    from pcaug.view.colours import uncoloured

    for exhibit in exhibits:
        if uncoloured(exhibit.cloud):
            text = f"note: {exhibit.title}: all colours are 0, so that it shows black: --colour height shows it"
            err().print(text, soft_wrap=True, markup=False)


def _page(exhibits: list[Exhibit], html: Path, title: str, most: int, colour: str | None) -> str:
    """Write a page; returns how many points it shows of how many."""
    from pcaug.view.census import told
    from pcaug.view.page import save_html

    wholes = [exhibit.whole for exhibit in exhibits]
    shown = save_html([e.cloud for e in exhibits], html, [e.title for e in exhibits], title, most, colour, wholes)
    return told(shown, sum(whole.points for whole in wholes))


def _picture(exhibits: list[Exhibit], png: Path, colour: str | None, *, plan: bool, sheet: bool, gl: bool) -> None:
    from pcaug.view.picture import Image, render, save_png

    draw: Callable[..., Image] = render
    if gl:
        from pcaug.view.legacy import render_open3d

        draw = render_open3d
    clouds, titles, points = zip(*((e.cloud, e.title, e.whole.points) for e in exhibits), strict=True)
    elevation = 90.0 if plan else 38.0
    save_png(clouds, png, titles, colour, elevation=elevation, draw=draw, points=points, **(SHEET if sheet else {}))


def _exhibits(source: Path, card: str | None, number: int, most: int, *, spread: bool) -> list[Exhibit]:
    """A scene with its scan, a mesh with points on it, or the scans of a file, a folder or a corpus."""
    from pcaug.view.stage import mesh_exhibit, scene_exhibit

    if _is_recipe(source):
        from pcaug.scene.recipe import load_recipe

        return [scene_exhibit(load_recipe(str(source)), index=index) for index in range(number)]
    if source.suffix.lower() in MESHES:
        from pcaug.scene.meshes.entry import entries

        found = [entry.load(label=entry.card.label or "object") for entry in entries(source)]
        return [mesh_exhibit(loaded.asset) for loaded in found]
    return _read(source, card, number, most, spread=spread)


def _is_recipe(source: Path) -> bool:
    from pcaug import catalogue

    return source.suffix == ".toml" or (not source.exists() and str(source) in catalogue.names("datasets/recipes"))


def _read(source: Path, card: str | None, number: int, most: int, *, spread: bool) -> list[Exhibit]:
    """The first scans (of a map: the largest sites; on a sheet: evenly spread ones) of a source, of each ``most`` points."""
    from pcaug.corpus.read import Corpus
    from pcaug.corpus.sources import is_corpus, scans

    if is_corpus(source):
        corpus = Corpus.open(source)
        if corpus.manifest.frame == "map" and not spread:
            _tell_some(source, number, len(corpus.sites()), "site", spread=spread)
            return [_exhibit(_site(source, site), _tiles(corpus, site), most) for site in corpus.sites()[:number]]
        _tell_some(source, number, len(corpus.tiles), "tile", spread=spread)
        return [_exhibit(tile.name, corpus.chunks(tile), most) for tile in _some(corpus.tiles, number, spread=spread)]
    found, there = [], scans(source, card)
    _tell_some(source, number, len(there), "scan", spread=spread)
    for scan in _some(there, number, spread=spread):
        name = scan.path.relative_to(source) if source.is_dir() else scan.path.name
        found.append(_exhibit(str(name), scan.chunks(strict=False), most))
        _tell_unknown(scan, found[-1].whole, guessed=card is None)
    return found


def _tell_some(source: Path, number: int, there: int, what: str, *, spread: bool) -> None:
    """Say that not all of a source is shown."""
    from pcaug.cli.console import err

    if number < there:
        text = f"note: {number} of {counted(there, what)} of {source}: -n shows more" + ", --sheet some of all" * (not spread)
        err().print(text, soft_wrap=True, markup=False)


def _exhibit(title: str, chunks: Iterable[PointCloud], most: int) -> Exhibit:
    from pcaug.view.census import thinned
    from pcaug.view.stage import Exhibit

    cloud, whole = thinned(chunks, most)
    return Exhibit(title, cloud, sampled=whole)


def _tiles(corpus: Corpus, site: list[Tile]) -> Iterator[PointCloud]:
    """The tiles of a site, with the fields that all of them have."""
    shared = list(set.intersection(*(set(corpus.fields(tile)) for tile in site)))
    for tile in site:
        yield from corpus.chunks(tile, shared)


def _tell_unknown(scan: Scan, whole: Census, *, guessed: bool) -> None:
    """Warn of points whose class ids the card does not know, which can be looked at all the same, and say which card does."""
    from pcaug.cli.console import err
    from pcaug.corpus.sources import hint

    if scan.card is None or "label" in (fields := next(scan.raw(1)).fields):  # a file with labels of its own shows those
        return
    ids: Mapping[int, int] = whole.ids.get("native_label", {})
    known = scan.card.label_map().nodes
    count = sum(points for native, points in ids.items() if native not in known)
    if count:
        text = f"of class ids that the card {scan.card.name} does not know, shown as unlabelled"
        text += "; --colour prediction shows what was predicted" if "prediction" in fields else ""
        err().print(f"warning: {scan.path}: {counted(count, 'point')} {text}", soft_wrap=True, markup=False)
    if guessed and (better := hint(scan.card, fields, set(ids))):
        err().print(f"note: {scan.path}: {better}", soft_wrap=True, markup=False)


def _some(things: Any, number: int, *, spread: bool) -> list[Any]:
    """The first, or as many from beginning to end."""
    from pcaug.corpus.parts import spread as spread_out

    return spread_out(things, number) if spread else list(things[:number])


def _site(source: Path, site: list[Any]) -> str:
    return site[0].name if len(site) == 1 else f"{source.name}: {len(site)} tiles"
