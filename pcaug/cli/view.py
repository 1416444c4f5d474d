"""``pcaug view``: look at clouds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def view(
    sources: Annotated[list[Path], typer.Argument(help="Files, dataset folders or corpora; several are shown side by side.")],
    png: Annotated[Path | None, typer.Option(help="Write a picture instead of opening a window.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write one page that opens in any browser.")] = None,
    card: Annotated[str | None, typer.Option(help="How to read the sources.")] = None,
    colour: Annotated[
        str | None, typer.Option(help="class, prediction, error, native, intensity, height, return, instance, rgb.")
    ] = None,
    number: Annotated[int, typer.Option("-n", min=1, help="Of a folder or corpus, show so many scans.")] = 1,
    plan: Annotated[bool, typer.Option("--plan", help="Picture: from straight above.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what exists.")] = False,
) -> None:
    """Show clouds coloured by class, with a legend: in a window, as a PNG, or as an HTML page."""
    from pcaug.cli.console import fresh, out

    for path in (png, html):
        if path is not None:
            fresh(path, force=force)
    named = [pair for source in sources for pair in _clouds(source, card, number)]
    clouds, titles = [cloud for cloud, _ in named], [title for _, title in named]
    if png is not None:
        from pcaug.view.picture import save_png

        save_png(clouds, png, titles, colour, elevation=90.0 if plan else 38.0)
        out().print(str(png), soft_wrap=True, markup=False)
    if html is not None:
        from pcaug.view.page import save_html

        points = save_html(clouds, html, titles, title=", ".join(source.name for source in sources), colour=colour)
        out().print(f"{html}: {points:,} points, {html.stat().st_size / 1e6:.1f} MB", soft_wrap=True, markup=False)
    if png is None and html is None:
        from pcaug.view.window import show

        show(clouds, titles, colour)


def _clouds(source: Path, card: str | None, number: int) -> list[tuple[Any, str]]:
    """The first scans (of a map: the largest sites) of a source, with their names."""
    from pcaug.cloud import common_fields, concatenate
    from pcaug.corpus.read import Corpus
    from pcaug.corpus.sources import is_corpus, scans

    if is_corpus(source):
        corpus = Corpus.open(source)
        if corpus.manifest.frame == "map":
            sites = corpus.sites()[:number]
            return [(concatenate(common_fields([corpus.read(t) for t in site])), _site(source, site)) for site in sites]
        return [(corpus.read(tile), tile.name) for tile in corpus.tiles[:number]]
    found = []
    for scan in scans(source, card)[:number]:
        chunks = list(scan.chunks())
        found.append((concatenate([c for c in chunks if len(c)] or chunks), scan.path.name))
    return found


def _site(source: Path, site: list[Any]) -> str:
    return site[0].name if len(site) == 1 else f"{source.name}: {len(site)} tiles"
