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
    clouds = [cloud for source in sources for cloud in _clouds(source, card, number)]
    titles = [cloud.source.file or cloud.source.dataset or str(sources[0]) for cloud in clouds]
    titles = [Path(title).name for title in titles]
    if png is not None:
        from pcaug.view.picture import save_png

        save_png(clouds, png, titles, colour, elevation=90.0 if plan else 38.0)
        out().print(str(png), soft_wrap=True)
    if html is not None:
        from pcaug.view.page import save_html

        points = save_html(clouds, html, titles, title=", ".join(source.name for source in sources))
        out().print(f"{html}: {points:,} points, {html.stat().st_size / 1e6:.1f} MB", soft_wrap=True)
    if png is None and html is None:
        from pcaug.view.window import show

        show(clouds, titles, colour)


def _clouds(source: Path, card: str | None, number: int) -> list[Any]:
    from pcaug.cloud import common_fields, concatenate
    from pcaug.corpus.read import Corpus
    from pcaug.corpus.sources import is_corpus, scans

    if is_corpus(source):
        corpus = Corpus.open(source)
        if corpus.manifest.frame == "map":
            return [concatenate(common_fields([corpus.read(tile) for tile in site])) for site in corpus.sites()[:number]]
        return [corpus.read(tile) for tile in corpus.tiles[:number]]
    return [concatenate([c for c in scan.chunks() if len(c)] or list(scan.chunks())) for scan in scans(source, card)[:number]]
