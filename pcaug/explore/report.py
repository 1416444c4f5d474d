"""The fit report: one page of verdict, pictures, inventory, gaps, and what to change."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pcaug.cloud import PointCloud, together
from pcaug.corpus.read import Corpus
from pcaug.errors import counted
from pcaug.explore.distances import Measured
from pcaug.explore.gap import ClassGap, Gap, Side
from pcaug.explore.pattern import RANGES
from pcaug.explore.statistics import QUANTITIES
from pcaug.files import write_text
from pcaug.view.picture import legend, render
from pcaug.view.report import Report

REACH = 30.0
"""Half the edge of the square that is shown of a scan, metres: beyond it there is little to see."""


def write_report(gaps: Sequence[Gap], real: Corpus, synthetic: Sequence[Corpus], path: Path) -> Path:
    """Write the page, and the same as JSON beside it: an object for one synthetic set, a list for several."""
    names = ", ".join(gap.synthetic.inventory["folder"] for gap in gaps)
    report = Report("Does the synthetic set fit?", f"{gaps[0].real.inventory['folder']} (real) against {names} (synthetic)")
    if len(gaps) > 1:
        _ranking(report, gaps, synthetic)
    for gap, corpus in zip(gaps, synthetic, strict=True):
        if len(gaps) > 1:
            report.heading(f"Does {corpus.folder.name} fit?")
        add_fit(report, gap, real, corpus)
    report.write(path)
    found = gaps[0].to_json() if len(gaps) == 1 else [gap.to_json() for gap in gaps]
    write_text(path.with_suffix(".json"), json.dumps(found, indent=1, allow_nan=False) + "\n")
    return path


def ranked(gaps: Sequence[Gap]) -> list[int]:
    """Numbers of the sets, the best fit first: without faults, then by the Fréchet distance, which does not saturate."""
    return sorted(range(len(gaps)), key=lambda i: (len(gaps[i].faults), gaps[i].frechet.value))


def best(gaps: Sequence[Gap], names: Sequence[str]) -> str:
    """Which set fits best, or that nothing tells the first ones apart, and by what they are ranked."""
    first, *others = ranked(gaps)
    least = gaps[first]
    close = [i for i in others if len(gaps[i].faults) == len(least.faults) and not gaps[i].frechet.low > least.frechet.high]
    if close:
        same = " and ".join(names[i] for i in (first, *close))
        text = f"No measurable difference between {same}: the intervals of their Fréchet distances overlap"
    else:
        text = f"{names[first]} fits best"
    return f"{text}. Ranked by faults, then by the Fréchet distance of local geometry."


def _ranking(report: Report, gaps: Sequence[Gap], synthetic: Sequence[Corpus]) -> None:
    order = ranked(gaps)
    report.verdict([best(gaps, [corpus.folder.name for corpus in synthetic])])
    rows = [
        [synthetic[i].folder.name, _words(gaps[i].frechet), f"{gaps[i].test.auc:.3f}", _words(gaps[i].shares, 3),
         f"{100 * gaps[i].probe.synthetic:.1f} %", len(gaps[i].faults) or "none"] for i in order
    ]  # fmt: skip
    report.table(["set", "local geometry (Fréchet)", "AUC", "class shares, bits", "mIoU of the probe", "faults"], rows)


def add_fit(report: Report, gap: Gap, real: Corpus, synthetic: Corpus) -> None:
    """Add the fit of a synthetic set to a report."""
    report.verdict([gap.verdict, *_probe(gap)])
    _pictures(report, real, synthetic)
    report.heading("Class by class: what to change")
    report.table(
        ["class", "real", "synthetic", "verdict"],
        [[r.name, _percent(r.real_share), _percent(r.synthetic_share), r.verdict] for r in gap.classes],
    )
    _scanner(report, gap)
    _inventory(report, gap)
    _shares(report, gap)
    _distances(report, gap)
    _objects(report, gap)
    _giveaways(report, gap)
    _method(report, gap)


def _probe(gap: Gap) -> list[str]:
    found = gap.probe
    if math.isnan(found.synthetic):
        return []
    made, real, both = (f"{100 * value:.1f} %" for value in (found.synthetic, found.real, found.both))
    return [
        f"A cheap model (extra trees on heights and local shape) fitted to the synthetic set alone "
        f"reaches mIoU {made} on real points; fitted to other real points it reaches {real}, to both together {both}."
    ]


def _pictures(report: Report, real: Corpus, synthetic: Corpus) -> None:
    """Both sets side by side, to turn and as a picture: the same extent, the same scale, the same colours."""
    *shown, span = _same_extent(largest(real), largest(synthetic))
    names = f"left the real set ({real.folder.name}), right the synthetic one ({synthetic.folder.name})"
    report.viewer(list(shown), [real.folder.name, synthetic.folder.name], f"To turn: {names}.", colour="class")
    gap = np.full((480, 12, 3), 255, np.uint8)
    one, two = (render(cloud, 640, 480, "class", elevation=90.0, span=span) for cloud in shown)
    report.picture(np.concatenate([one, gap, two], axis=1), f"Seen from above: {names}, at the same scale, {span:.0f} m high.")
    report.marks(legend(list(shown), ["class", "class"]))


def _same_extent(one: PointCloud, two: PointCloud) -> tuple[PointCloud, PointCloud, float]:
    """The middle of both clouds, as far as both reach, and metres from edge to edge."""
    middles = [np.median(c.xyz[:, :2], axis=0) for c in (one, two)]
    reach = min(
        REACH, *(float(np.percentile(np.abs(c.xyz[:, :2] - m).max(axis=1), 98)) for c, m in zip((one, two), middles, strict=True))
    )
    cut = [c.take(np.abs(c.xyz[:, :2] - m).max(axis=1) <= reach) for c, m in zip((one, two), middles, strict=True)]
    return cut[0], cut[1], 2 * max(reach, 0.1)


def _scanner(report: Report, gap: Gap) -> None:
    a, b = gap.real.profile, gap.synthetic.profile
    if not gap.scanner and not (a.ranges and b.ranges):
        return
    report.heading("The scanner")
    for text in gap.scanner or ["No difference worth a word."]:
        report.text(f"{text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}")
    if a.ranges and b.ranges:
        middle = [(low + high) / 2 for low, high in pairwise(RANGES)]
        width = np.diff(RANGES)
        curves = {name: (middle, (100 * np.array(p.ranges) / width).tolist()) for name, p in (("real", a), ("synthetic", b))}
        report.lines(
            curves,
            "Share of points by range: a set whose points lie near teaches little about what is far.",
            "range, m",
            "% a metre",
        )
        ratio = [100 * y / x if x and y else None for x, y in zip(a.density, b.density, strict=True)]
        dense = {"real": (middle, [100.0] * len(middle)), "synthetic": _known(middle, ratio)}
        report.lines(
            dense, "Points on a plan square metre that holds any (median), against the real set.", "range, m", "% of the real"
        )
    if a.spinning and b.spinning:
        lost = {name: _known(middle, p.spinning.dropout, 100) for name, p in (("real", a), ("synthetic", b)) if p.spinning}
        report.lines(lost, "Beams between two points of one surface that found nothing.", "range, m", "%")


def _known(x: Sequence[float], y: Sequence[float | None], factor: float = 1.0) -> tuple[list[float], list[float]]:
    pairs = [(a, factor * b) for a, b in zip(x, y, strict=True) if b is not None]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _inventory(report: Report, gap: Gap) -> None:
    report.heading("What is in them")
    sides = (gap.real, gap.synthetic)
    rows = [[name, *(value(side) for side in sides)] for name, value in _FACTS.items()]
    names = list(dict.fromkeys(name for side in sides for name in side.inventory["attributes"]))
    rows += [[name, *(_attribute(side.inventory["attributes"].get(name)) for side in sides)] for name in names]
    report.table(["", "real", "synthetic"], rows)
    for name, side in (("real", gap.real), ("synthetic", gap.synthetic)):
        for text in side.oddities:
            report.text(f"The {name} set: {text}.")
    native = [(name, side.inventory["native"]) for name, side in (("real", gap.real), ("synthetic", gap.synthetic))]
    for name, found in native:
        if found:
            listed = ", ".join(f"{key} {count:,}" for key, count in list(found.items())[:30])
            report.text(
                f"Native classes of the {name} set, points in the tiles read: {listed}{' ...' if len(found) > 30 else ''}"
            )


def _pattern(side: Side) -> str:
    a, b = side.profile.spinning, side.profile.airborne
    if a:
        return f"{len(a.elevations)} beams, {a.elevations[0]:.1f} to {a.elevations[-1]:.1f} degrees, {a.azimuth_steps} columns"
    if b and b.line_spacing:
        return f"scan lines {b.line_spacing:.2f} m apart" + (f", up to {b.scan_angle:.0f} degrees" if b.scan_angle else "")
    return "none recovered"


_FACTS: dict[str, Callable[[Side], str]] = {
    "points": lambda s: f"{s.inventory['points']:,}",
    "tiles": lambda s: f"{s.inventory['tiles']:,}, of {counted(s.inventory['units'], 'unit')}",
    "size of a tile": lambda s: " x ".join(f"{v:.1f}" for v in s.inventory["extent"]) + " m",
    "frame": lambda s: str(s.inventory["frame"]),
    "coordinate system": lambda s: str(s.inventory["crs"] or "none"),
    "cards": lambda s: ", ".join(s.inventory["cards"]) or "none",
    "pattern": _pattern,
    "scanner above ground": lambda s: f"{s.profile.height_of_scanner[2]:.2f} m" if s.profile.height_of_scanner else "",
    "points on a square metre": lambda s: ", ".join(f"{v:.0f}" for v in s.profile.density if v is not None)
    + (" (by range)" if len(s.profile.density) > 1 else ""),
    "classes with points": lambda s: str(len(s.inventory["classes"])),
    "numbered instances (tiles read)": lambda s: f"{s.inventory['instances']:,}",
    "sampled": lambda s: s.sampled,
}  # fmt: skip
"""Row of the inventory -> what stands in it."""


def _attribute(row: dict[str, Any] | None) -> str:
    return f"{row['dtype']}, {row['low']:.4g} to {row['high']:.4g}, median {row['middle']:.4g}" if row else "none"


def _shares(report: Report, gap: Gap) -> None:
    report.heading("Class shares")
    shares = {
        "real": {row.name: 100 * row.real_share for row in gap.classes},
        "synthetic": {row.name: 100 * row.synthetic_share for row in gap.classes},
    }
    report.bars(shares, f"Share of the points of each class. Jensen-Shannon divergence {_words(gap.shares, 3)} bits.", "%")


def _words(found: Measured, digits: int = 2) -> str:
    """0.41 (0.38 to 0.45; floor 0.05)."""
    inner = [f"{found.low:.{digits}f} to {found.high:.{digits}f}"] if not math.isnan(found.low) else []
    inner += [f"floor {found.floor:.{digits}f}"] if not math.isnan(found.floor) else []
    return f"{found.value:.{digits}f}" + (f" ({'; '.join(inner)})" if inner else "")


def _distances(report: Report, gap: Gap) -> None:
    report.heading("Distances")
    report.text(
        "Each distance stands with its 95 % bootstrap interval and its floor: the same distance between two halves of the real "
        "set. A distance at its floor cannot be told from chance."
    )
    rows = [["Fréchet distance, local geometry", _words(gap.frechet)]]
    if gap.network:
        rows.append(["Fréchet distance, features of the network", _words(gap.network)])
    names = {"JSD": "Occupancy seen from above, Jensen-Shannon, bits", "MMD": "Occupancy seen from above, squared MMD"}
    rows += [[names[key], _words(found, 3)] for key, found in gap.above.items()]
    report.table(["whole set", "distance"], rows)
    known = [q for q in QUANTITIES if any(q in row.distance for row in [gap.overall, *gap.classes])]
    report.text(
        "Class by class: Wasserstein distance of each quantity over the real interquartile range, in brackets the floor; * marks "
        "what lies beyond the largest distance that two halves of the real set have, with its whole interval."
    )
    cells = [[row.name, *(_cell(row, q) for q in known)] for row in [gap.overall, *gap.classes] if row.distance]
    report.table(["class", *known], cells)


def _cell(row: ClassGap, quantity: str) -> str:
    found = row.distance.get(quantity)
    if not found:
        return ""
    return f"{found.value:.2f}{'*' if found.beyond else ''} ({found.floor:.2f})".replace("nan", "none")


def _objects(report: Report, gap: Gap) -> None:
    rows = [(row.name, row.objects) for row in gap.classes if row.objects]
    if not rows:
        return
    report.heading("Single objects")
    report.text(
        "Chamfer distances between objects as far as they were seen. Coverage: share of real objects that are some synthetic "
        "one's nearest. 1-NNA: 50 % cannot tell the two sets apart, 100 % always can."
    )
    cells = [
        [n, o.real, f"{o.mmd:.2f} m", f"{100 * o.coverage:.0f} %", f"{100 * o.one_nna:.0f} %",
         f"{100 * o.floor:.0f} %" if not math.isnan(o.floor) else ""] for n, o in rows
    ]  # fmt: skip
    report.table(["class", "objects of each", "nearest", "coverage", "1-NNA", "1-NNA of two real halves"], cells)


def _giveaways(report: Report, gap: Gap) -> None:
    test = gap.test
    report.heading("What gives it away")
    within = f" ({test.low:.3f} to {test.high:.3f})" if not math.isnan(test.low) else ""
    halves = (
        "; the real set has too few units for halves"
        if math.isnan(gap.test_floor)
        else f"; two halves of the real set with {gap.test_floor:.3f}"
    )
    report.text(
        f"A boosted tree on these quantities tells the sets apart with AUC {test.auc:.3f}{within} (0.5: not at all){halves}."
    )
    report.table(["quantity", "AUC lost without it"], [[name, f"{gain:.3f}"] for name, gain in test.giveaways])


def _method(report: Report, gap: Gap) -> None:
    report.heading("How this was measured")
    report.text(f"Real: {gap.real.sampled}. Synthetic: {gap.synthetic.sampled}.")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 or not share else f"{100 * share:.2g} %"


def largest(corpus: Corpus) -> PointCloud:
    """What a corpus is shown by: REACH around the middle of the fullest tile of its largest site, or its largest scan."""
    if corpus.manifest.frame == "sensor":
        return corpus.read(max(corpus.tiles, key=lambda tile: tile.points))
    site = corpus.sites()[0]
    tile = max(site, key=lambda tile: tile.points)
    middle = np.mean(np.asarray(tile.bounds)[:, :2], axis=0)
    near = list(replace(corpus, tiles=tuple(site)).query([(middle - REACH).tolist(), (middle + REACH).tolist()]))
    return together(near) if near else corpus.read(tile)  # a tile may be empty in its middle
