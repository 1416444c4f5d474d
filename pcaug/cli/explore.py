"""``pcaug explore``: how well a synthetic set fits the real one, where not, and what to change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pcaug.cli import options as o

if TYPE_CHECKING:
    from pcaug.corpus.read import Corpus


def explore(
    real: Annotated[Path, typer.Argument(help="The real set: a corpus, or files or a dataset's folder to read with --card.")],
    synthetic: Annotated[list[Path], typer.Argument(help="Synthetic sets; several are ranked.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The report (HTML); its figures are written beside it as JSON.")],
    card: o.Card = None,
    run: Annotated[Path | None, typer.Option(help="A trained run: compare the features of its network too.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sampling.")] = 0,
    workers: o.Workers = 1,
    scheduler: o.Scheduler = None,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Compare class shares, heights, ranges, density and local shape, class by class, and say what to change.

    Large sets are sampled tile by tile: cost and memory do not grow with them.
    """
    from functools import partial
    from tempfile import TemporaryDirectory

    from pcaug.cli.console import emit_json, fresh, out, page, reporter
    from pcaug.explore.gap import explore as compare
    from pcaug.explore.network import features_of
    from pcaug.explore.report import best, ranked, write_report

    output = fresh(page(output), force=force)
    fresh(output.with_suffix(".json"), force=force)
    network = features_of(run) if run else None
    with TemporaryDirectory(prefix="pcaug-explore-") as folder, reporter() as progress:
        a, *others = (_opened(path, card, Path(folder) / str(n), workers) for n, path in enumerate([real, *synthetic]))
        a = a.only(split="train") if "train" in a.splits else a  # what is tested on shall not be fitted
        shared = partial(compare, a, seed=seed, workers=workers, scheduler=scheduler, network=network, progress=progress)
        found = [shared(b, names=(str(real), str(path))) for path, b in zip(synthetic, others, strict=True)]
        write_report(found, a, others, output)
    if json:
        emit_json(found[0].to_json() if len(found) == 1 else [gap.to_json() for gap in found])
        return
    if len(found) > 1:
        out().print(best(found, [str(path) for path in synthetic]), soft_wrap=True, markup=False)
    for path, gap in ((synthetic[i], found[i]) for i in ranked(found)):
        if len(found) > 1:
            out().print(f"{path}:", soft_wrap=True, markup=False)
        out().print(gap.verdict, soft_wrap=True, markup=False)
        for line in (*gap.scanner, *(f"{row.name}: {row.verdict}" for row in gap.classes)):
            out().print(f"  {line}", soft_wrap=True, markup=False)
    out().print(str(output), soft_wrap=True, markup=False)


def _opened(path: Path, card: str | None, folder: Path, workers: int) -> Corpus:
    """A corpus as it is; anything else as a corpus in a temporary folder."""
    from pcaug.corpus.merge import merge
    from pcaug.corpus.read import Corpus
    from pcaug.corpus.sources import is_corpus

    if is_corpus(path):
        return Corpus.open(path)
    target = folder / (path.resolve().stem if path.is_file() else path.resolve().name)
    merge([path], target, [card] if card else (), workers=workers)
    return Corpus.open(target)
