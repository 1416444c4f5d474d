"""The fit report: one page of pictures, shares, gaps and verdicts."""

from __future__ import annotations

import json
from pathlib import Path

from pcaug.cloud import PointCloud, common_fields, concatenate
from pcaug.corpus.read import Corpus
from pcaug.explore.gap import Gap
from pcaug.explore.statistics import QUANTITIES
from pcaug.view.picture import render
from pcaug.view.report import Report


def write_report(gap: Gap, real: Corpus, synthetic: Corpus, path: Path) -> Path:
    """Write the page, and the same as JSON beside it."""
    report = Report("Does the synthetic set fit?", f"{real.folder} (real) against {synthetic.folder} (synthetic)")
    add_fit(report, gap, real, synthetic)
    path.with_suffix(".json").write_text(json.dumps(gap.to_json(), indent=1) + "\n")
    return report.write(path)


def add_fit(report: Report, gap: Gap, real: Corpus, synthetic: Corpus) -> None:
    """Add the fit of a synthetic set to a report."""
    report.verdict([gap.verdict])
    for corpus, name in ((real, "Real"), (synthetic, "Synthetic")):
        report.picture(
            render(largest(corpus), 960, 420),
            f"{name}: {corpus.folder.name}, {corpus.points:,} points in {len(corpus.tiles)} tiles",
        )
    names = [row.name for row in gap.classes]
    shares = {
        "real": {row.name: 100 * row.real_share for row in gap.classes},
        "synthetic": {row.name: 100 * row.synthetic_share for row in gap.classes},
    }
    report.heading("Class shares").bars(shares, "Share of the points of each class.", "%")
    report.heading("Class by class")
    report.table(
        ["class", "real", "synthetic", "verdict"],
        [[r.name, f"{100 * r.real_share:.1f} %", f"{100 * r.synthetic_share:.1f} %", r.verdict] for r in gap.classes],
    )
    report.heading("Distances")
    report.text(
        "Wasserstein distance of each quantity over the real interquartile range; in brackets the floor: the same between two "
        "halves of the real set. A distance at its floor cannot be told from chance."
    )
    rows = []
    for name in names:
        row = next(r for r in gap.classes if r.name == name)
        cells = [
            f"{row.distance[q]:.2f} ({row.floor[q]:.2f})" if q in row.distance and q in row.floor else "" for q in QUANTITIES
        ]
        rows.append([name, *cells])
    report.table(["class", *QUANTITIES], rows)
    report.heading("What gives it away")
    found = f"with AUC {gap.auc:.3f}; two halves of the real set with {gap.auc_floor:.3f}."
    report.text(f"A boosted tree on these quantities tells the sets apart {found}")
    report.table(["quantity", "AUC lost without it"], [[name, f"{gain:.3f}"] for name, gain in gap.giveaways])


def largest(corpus: Corpus) -> PointCloud:
    """What a corpus is shown by: its largest site, or its largest scan."""
    if corpus.manifest.frame == "map":
        return concatenate(common_fields([corpus.read(tile) for tile in corpus.sites()[0]]))
    return corpus.read(max(corpus.tiles, key=lambda tile: tile.points))
