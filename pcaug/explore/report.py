"""The fit report: one page of pictures, shares, gaps and verdicts."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pcaug.cloud import PointCloud, common_fields, concatenate
from pcaug.corpus.read import Corpus
from pcaug.explore.gap import ClassGap, Gap
from pcaug.explore.statistics import QUANTITIES
from pcaug.view.picture import legend, render
from pcaug.view.report import Report


def write_report(gap: Gap, real: Corpus, synthetic: Corpus, path: Path) -> Path:
    """Write the page, and the same as JSON beside it."""
    report = Report("Does the synthetic set fit?", f"{real.folder} (real) against {synthetic.folder} (synthetic)")
    add_fit(report, gap, real, synthetic)
    report.write(path)
    beside = path.with_suffix(".json")
    partial = beside.with_name(f".tmp-{os.getpid()}-{beside.name}")
    partial.write_text(json.dumps(gap.to_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(beside)
    return path


def add_fit(report: Report, gap: Gap, real: Corpus, synthetic: Corpus) -> None:
    """Add the fit of a synthetic set to a report."""
    report.verdict([gap.verdict, *_probe(gap)])
    shown = {name: largest(corpus) for name, corpus in (("Real", real), ("Synthetic", synthetic))}
    for (name, cloud), corpus in zip(shown.items(), (real, synthetic), strict=True):
        caption = f"{name}: {corpus.folder.name}, {corpus.points:,} points in {len(corpus.tiles)} tiles"
        report.picture(render(cloud, 960, 420, "class"), caption)
    report.marks(legend(list(shown.values()), ["class", "class"]))
    report.heading("Class by class")
    report.table(
        ["class", "real", "synthetic", "verdict"],
        [[r.name, f"{100 * r.real_share:.1f} %", f"{100 * r.synthetic_share:.1f} %", r.verdict] for r in gap.classes],
    )
    report.heading("Class shares")
    shares = {
        "real": {row.name: 100 * row.real_share for row in gap.classes},
        "synthetic": {row.name: 100 * row.synthetic_share for row in gap.classes},
    }
    found = f"Jensen-Shannon divergence {gap.share_divergence:.3f} bits; two halves of the real set: {gap.share_floor:.3f}."
    report.bars(shares, f"Share of the points of each class. {found}", "%")
    _distances(report, gap)
    report.heading("What gives it away")
    found = f"with AUC {gap.auc:.3f} (0.5: not at all); two halves of the real set with {gap.auc_floor:.3f}."
    report.text(f"A boosted tree on these quantities tells the sets apart {found}")
    report.table(["quantity", "AUC lost without it"], [[name, f"{gain:.3f}"] for name, gain in gap.giveaways])


def _probe(gap: Gap) -> list[str]:
    if gap.probe_synthetic != gap.probe_synthetic:
        return []
    made, real = (f"{100 * value:.1f} %" for value in (gap.probe_synthetic, gap.probe_real))
    return [
        f"A cheap model (extra trees on heights and local shape) fitted to the synthetic set alone reaches mIoU {made} on real "
        f"points; fitted to other real points it reaches {real}."
    ]


def _distances(report: Report, gap: Gap) -> None:
    known = [q for q in QUANTITIES if any(q in row.distance for row in gap.classes)]
    if not known:
        return
    report.heading("Distances")
    report.text(
        "Wasserstein distance of each quantity over the real interquartile range; in brackets the floor: the same between two "
        "halves of the real set. A distance at its floor cannot be told from chance."
    )
    rows = []
    for row in gap.classes:
        cells = [f"{row.distance[q]:.2f}{_floor(row, q)}" if q in row.distance else "" for q in known]
        if any(cells):
            rows.append([row.name, *cells])
    report.table(["class", *known], rows)


def _floor(row: ClassGap, quantity: str) -> str:
    return f" ({row.floor[quantity]:.2f})" if quantity in row.floor else ""


def largest(corpus: Corpus) -> PointCloud:
    """What a corpus is shown by: its largest site, or its largest scan."""
    if corpus.manifest.frame == "map":
        return concatenate(common_fields([corpus.read(tile) for tile in corpus.sites()[0]]))
    return corpus.read(max(corpus.tiles, key=lambda tile: tile.points))
