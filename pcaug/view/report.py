"""One look for all reports: a single HTML file with pictures inside, nothing fetched, light and dark."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from pcaug import __version__
from pcaug.view.picture import Image

PALETTE = ("#2f6fb0", "#d9822b", "#3a9a5b", "#9b59b6", "#c0392b", "#16a085", "#7f8c8d", "#b7950b")

STYLE = """
:root{--ink:#1d2530;--soft:#5b6675;--line:#dde3ea;--paper:#fff;--panel:#f6f8fa;--accent:#2f6fb0}
@media(prefers-color-scheme:dark){
:root{--ink:#e6ebf1;--soft:#9aa7b5;--line:#313a45;--paper:#14181d;--panel:#1b2027;--accent:#6fb1f0}}
*{box-sizing:border-box}body{margin:0}
body{background:var(--paper);color:var(--ink)}
body{font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1000px;margin:0 auto;padding:2.2rem 1.2rem 4rem}h1{font-size:1.75rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem;padding-top:1rem;border-top:1px solid var(--line)}p{margin:.5rem 0}
.lead{color:var(--soft);margin-bottom:1rem}
.verdict{background:var(--panel);border-left:4px solid var(--accent);padding:.7rem 1rem;border-radius:4px}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:.35rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;white-space:normal}th{color:var(--soft);font-weight:600}
figure{margin:1rem 0;background:#fff;border:1px solid var(--line);border-radius:6px;padding:.5rem}
figure img,figure svg{width:100%;height:auto;display:block}
figcaption{color:#5b6675;font-size:.86rem;padding:.3rem .2rem 0}footer{color:var(--soft);font-size:.82rem;margin-top:3rem}
"""


class Report:
    """Gathers the pieces of a page: ``Report(title).text(...).table(...).write(path)``. Every text is escaped."""

    def __init__(self, title: str, lead: str = "") -> None:
        self.title = title
        self.parts: list[Markup] = [Markup("<h1>{}</h1>").format(title)]
        if lead:
            self.parts.append(Markup('<p class="lead">{}</p>').format(lead))

    def heading(self, text: str) -> Report:
        """A section's heading."""
        self.parts.append(Markup("<h2>{}</h2>").format(text))
        return self

    def text(self, text: str) -> Report:
        """A paragraph."""
        self.parts.append(Markup("<p>{}</p>").format(text))
        return self

    def verdict(self, lines: Sequence[str]) -> Report:
        """What the reader should take home."""
        inner = Markup("").join(Markup("<p>{}</p>").format(line) for line in lines)
        self.parts.append(Markup('<div class="verdict">{}</div>').format(inner))
        return self

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> Report:
        """A table; the first column is left-aligned."""
        top = Markup("").join(Markup("<th>{}</th>").format(cell) for cell in head)
        body = Markup("").join(
            Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row)) for row in rows
        )
        self.parts.append(Markup('<div class="scroll"><table><tr>{}</tr>{}</table></div>').format(top, body))
        return self

    def picture(self, image: Image, caption: str = "") -> Report:
        """An (H, W, 3) uint8 picture."""
        from PIL import Image as Pillow

        buffer = io.BytesIO()
        Pillow.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", optimize=True)
        source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
        return self._figure(Markup('<img alt="{}" src="{}">').format(caption, source), caption)

    def bars(self, groups: Mapping[str, Mapping[str, float]], caption: str = "", unit: str = "") -> Report:
        """Grouped bars: series -> category -> value."""
        from matplotlib.figure import Figure

        names = list(dict.fromkeys(name for series in groups.values() for name in series))
        figure = Figure(figsize=(8, 3))
        axis = figure.subplots()
        width = 0.8 / max(len(groups), 1)
        for index, (series, values) in enumerate(groups.items()):
            at = np.arange(len(names)) + index * width
            axis.bar(
                at, [values.get(name, 0.0) for name in names], width, label=_plain(series), color=PALETTE[index % len(PALETTE)]
            )
        axis.set_xticks(
            np.arange(len(names)) + width * (len(groups) - 1) / 2, [_plain(n) for n in names], rotation=30, ha="right", fontsize=8
        )
        return self._chart(figure, axis, caption, unit)

    def lines(
        self, series: Mapping[str, tuple[Sequence[float], Sequence[float]]], caption: str = "", x: str = "", y: str = ""
    ) -> Report:
        """Curves: name -> (x values, y values)."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 3))
        axis = figure.subplots()
        for index, (name, (xs, ys)) in enumerate(series.items()):
            axis.plot(xs, ys, label=_plain(name), color=PALETTE[index % len(PALETTE)], marker="o" if len(xs) < 12 else None)
        axis.set_xlabel(x)
        return self._chart(figure, axis, caption, y)

    def intervals(self, rows: Sequence[tuple[str, float, float, float]], caption: str = "", x: str = "") -> Report:
        """Points with whiskers, one a row: (name, mean, low, high)."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 0.6 + 0.42 * len(rows)))
        axis = figure.subplots()
        for index, (_, mean, low, high) in enumerate(rows):
            axis.plot([low, high], [-index, -index], color=PALETTE[index % len(PALETTE)], lw=2)
            axis.plot([mean], [-index], "o", color=PALETTE[index % len(PALETTE)])
        axis.set_yticks(-np.arange(len(rows)), [_plain(name) for name, *_ in rows], fontsize=9)
        axis.set_xlabel(x)
        axis.grid(axis="x", alpha=0.3)
        return self._chart(figure, axis, caption, "", legend=False)

    def write(self, path: str | Path) -> Path:
        """Write the page beside and rename it."""
        path = Path(path)
        body = Markup("\n").join(self.parts)
        page = Markup(
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            "<title>{}</title><style>{}</style><main>{}<footer>made by pcaug {}</footer></main></html>"
        ).format(self.title, Markup(STYLE), body, __version__)
        partial = path.with_name(f".tmp-{os.getpid()}-{path.name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(str(page), encoding="utf-8")
        partial.replace(path)
        return path

    def _figure(self, inner: Markup, caption: str) -> Report:
        self.parts.append(Markup("<figure>{}<figcaption>{}</figcaption></figure>").format(inner, caption))
        return self

    def _chart(self, figure: object, axis: object, caption: str, y: str, *, legend: bool = True) -> Report:
        from matplotlib import rc_context

        axis.set_ylabel(y)  # type: ignore[attr-defined]
        axis.spines[["top", "right"]].set_visible(False)  # type: ignore[attr-defined]
        if legend:
            axis.legend(frameon=False, fontsize=8)  # type: ignore[attr-defined]
        figure.tight_layout()  # type: ignore[attr-defined]
        buffer = io.StringIO()
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "pcaug"}):
            figure.savefig(buffer, format="svg", metadata={"Date": None})  # type: ignore[attr-defined]
        text = buffer.getvalue()
        return self._figure(Markup(text[text.index("<svg") :]), caption)


def _plain(text: str) -> str:
    """Text that matplotlib writes as it is: no math mode."""
    return str(text).replace("$", r"\$")
