"""One look for all reports: a single HTML file with pictures inside, nothing fetched, light and dark."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from pcaug import __version__
from pcaug.cloud import PointCloud
from pcaug.files import write_text
from pcaug.view.picture import Image, plain_text

LINE, SWATCH = 105, 8
"""Letters of a legend that are as wide as a chart, and as its coloured mark."""
PALETTE = ("#2f6fb0", "#d9822b", "#3a9a5b", "#9b59b6", "#c0392b", "#16a085", "#7f8c8d", "#b7950b")
WORDY = 34
"""Characters from which a cell of a table is a sentence."""

STYLE = """
:root { --ink:#1d2530; --soft:#5b6675; --line:#dde3ea; --paper:#fff; --panel:#f6f8fa; --accent:#2f6fb0; color-scheme:light dark }
@media (prefers-color-scheme:dark) {
  :root { --ink:#e6ebf1; --soft:#9aa7b5; --line:#313a45; --paper:#14181d; --panel:#1b2027; --accent:#6fb1f0 } }
* { box-sizing:border-box }
body { margin:0; background:var(--paper); color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif }
main { max-width:1040px; margin:0 auto; padding:2.4rem 1.2rem 4rem }
h1 { font-size:1.8rem; line-height:1.2; letter-spacing:-.01em; margin:0 0 .3rem }
h2 { font-size:1.2rem; margin:2.4rem 0 .6rem; padding-top:1.1rem; border-top:1px solid var(--line) }
p { margin:.5rem 0; max-width:48rem; overflow-wrap:anywhere }
.lead { color:var(--soft); margin-bottom:1.1rem }
.verdict { background:var(--panel); border-left:4px solid var(--accent); padding:.7rem 1.1rem; border-radius:6px; margin:1rem 0 }
.scroll { overflow-x:auto }
table { border-collapse:collapse; font-size:.9rem; font-variant-numeric:tabular-nums; width:100%; margin:.6rem 0 }
th, td { padding:.4rem .6rem; text-align:right; border-bottom:1px solid var(--line); white-space:nowrap; vertical-align:top }
th { color:var(--soft); font-weight:600; border-bottom-width:2px; vertical-align:bottom }
th:first-child, td:first-child { text-align:left; white-space:normal; min-width:10rem; overflow-wrap:anywhere }
th { white-space:normal } .words { text-align:left; white-space:normal; min-width:18rem }
tbody tr:hover { background:var(--panel) }
figure { margin:1rem 0; border:1px solid var(--line); border-radius:8px; padding:.6rem; overflow:hidden }
figure img, figure svg { width:100%; height:auto; display:block } figure img { border-radius:4px }
figure iframe { width:100%; height:34rem; max-height:85vh; border:0; border-radius:4px; display:block }
figcaption { color:var(--soft); font-size:.86rem; padding:.5rem .2rem 0 }
.marks { display:flex; flex-wrap:wrap; gap:.2rem 1.1rem; font-size:.86rem; padding:0; margin:.6rem 0; list-style:none }
.marks i { display:inline-block; width:.75em; height:.75em; border-radius:3px; border:1px solid #8886; margin-right:.45em }
footer { color:var(--soft); font-size:.82rem; margin-top:3rem }
@media print { main { max-width:none; padding:0 } figure, tr { break-inside:avoid } figure iframe { display:none } }
"""
INK, GRID = "#1d2530", "#dde3e9"
"""What a chart is drawn in; on the page they become the page's ink and lines, light or dark."""


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
        """A table; numbers stand on the right, the first column and columns of sentences on the left."""
        words = [any(len(str(row[i])) > WORDY for row in rows if i < len(row)) for i in range(len(head))]
        mark = [Markup(' class="words"') if wordy and i else Markup("") for i, wordy in enumerate(words)]
        top = Markup("").join(Markup("<th{}>{}</th>").format(m, cell) for m, cell in zip(mark, head, strict=True))
        body = Markup("").join(
            Markup("<tr>{}</tr>").format(
                Markup("").join(Markup("<td{}>{}</td>").format(m, cell) for m, cell in zip(mark, row, strict=False))
            )
            for row in rows
        )
        inner = Markup("<thead><tr>{}</tr></thead><tbody>{}</tbody>").format(top, body)
        self.parts.append(Markup('<div class="scroll"><table>{}</table></div>').format(inner))
        return self

    def marks(self, colours: Mapping[str, tuple[int, int, int]]) -> Report:
        """What the colours of pictures mean: name -> (R, G, B), 0..255."""
        items = Markup("").join(
            Markup('<li><i style="background:rgb({},{},{})"></i>{}</li>').format(*rgb, name) for name, rgb in colours.items()
        )
        self.parts.append(Markup('<ul class="marks">{}</ul>').format(items))
        return self

    def picture(self, image: Image, caption: str = "") -> Report:
        """An (H, W, 3) uint8 picture."""
        from PIL import Image as Pillow

        buffer = io.BytesIO()
        Pillow.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", optimize=True)
        source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
        return self._figure(Markup('<img alt="{}" src="{}">').format(caption, source), caption)

    def viewer(
        self,
        clouds: Sequence[PointCloud],
        titles: Sequence[str] = (),
        caption: str = "",
        most: int = 200_000,
        colour: str | None = None,
    ) -> Report:
        """Clouds to turn, compare and read, the page of ``page.save_html`` inside this one; about 5 bytes a point.

        Args:
            clouds: What to show; of more than ``most`` points in all, an even sample.
            titles: One a cloud.
            caption: Below; also the viewer's title.
            most: Points in all.
            colour: What to colour by at first; None chooses.

        Raises:
            PcaugError: If there are no points.
            NotFound: For a colour mode that no cloud has the field of.
        """
        from pcaug.view.page import framed

        return self._figure(Markup(framed(clouds, titles, caption or "clouds", most, colour)), caption)

    def bars(self, groups: Mapping[str, Mapping[str, float]], caption: str = "", unit: str = "") -> Report:
        """Grouped bars: series -> category -> value."""
        names = list(dict.fromkeys(name for series in groups.values() for name in series))
        figure, axis = _axis(8, 3.2)
        width = 0.8 / max(len(groups), 1)
        for index, (series, values) in enumerate(groups.items()):
            heights = [values.get(name, 0.0) for name in names]
            axis.bar(
                np.arange(len(names)) + index * width,
                heights,
                0.92 * width,
                label=plain_text(series),
                color=PALETTE[index % len(PALETTE)],
            )
        middle = np.arange(len(names)) + width * (len(groups) - 1) / 2
        axis.set_xticks(middle, [plain_text(n) for n in names], rotation=30, ha="right", rotation_mode="anchor")
        axis.tick_params(axis="x", length=0)
        axis.grid(axis="y", color=GRID)
        return self._chart(figure, axis, caption, unit)

    def lines(
        self,
        series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
        caption: str = "",
        x: str = "",
        y: str = "",
        *,
        bands: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    ) -> Report:
        """Curves: name -> (x values, y values); bands: name -> (lower values, upper values)."""
        figure, axis = _axis(8, 3.2)
        for index, (name, (xs, ys)) in enumerate(series.items()):
            marker = "o" if len(xs) < 12 else None
            colour = PALETTE[index % len(PALETTE)]
            axis.plot(xs, ys, label=plain_text(name), color=colour, marker=marker, ms=4.5, lw=1.8)
            if bands and name in bands:
                axis.fill_between(xs, *bands[name], color=colour, alpha=0.15, lw=0)
        axis.set_xlabel(x)
        places = sorted({value for xs, _ in series.values() for value in xs})
        if all(isinstance(value, int) for value in places):  # counts: there is nothing between them
            axis.set_xticks(places)
        axis.grid(axis="y", color=GRID)
        return self._chart(figure, axis, caption, y)

    def intervals(
        self, rows: Sequence[tuple[str, float, float, float]], caption: str = "", x: str = "", groups: Sequence[str] = ()
    ) -> Report:
        """Points with whiskers, one a row: (name, mean, low, high); without those where the bounds are NaN. Rows of one group
        have one colour; each is its own group where none are given."""
        figure, axis = _axis(8, 0.7 + 0.42 * len(rows))
        kinds = list(groups or range(len(rows)))
        number = {kind: index for index, kind in enumerate(dict.fromkeys(kinds))}
        for index, ((_, mean, low, high), kind) in enumerate(zip(rows, kinds, strict=True)):
            colour = PALETTE[number[kind] % len(PALETTE)]
            axis.plot([low, high], [-index, -index], color=colour, lw=2.4, solid_capstyle="round")
            axis.plot([mean], [-index], "o", color=colour, ms=7)
        axis.set_yticks(-np.arange(len(rows)), [plain_text(name) for name, *_ in rows])
        axis.set_ylim(0.4 - max(len(rows), 1), 0.6)
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel(x)
        axis.grid(axis="x", color=GRID)
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
        write_text(path, str(page))
        return path

    def _figure(self, inner: Markup, caption: str) -> Report:
        self.parts.append(Markup("<figure>{}<figcaption>{}</figcaption></figure>").format(inner, caption))
        return self

    def _chart(self, figure: Any, axis: Any, caption: str, y: str, *, legend: bool = True) -> Report:
        from matplotlib import rc_context

        axis.set_ylabel(y)
        if legend and axis.get_legend_handles_labels()[0]:
            labels = axis.get_legend_handles_labels()[1]
            columns = max(1, min(4, len(labels), LINE // (max(map(len, labels)) + SWATCH)))
            figure.set_figheight(figure.get_figheight() + 0.2 * (-(-len(labels) // columns) - 1))
            axis.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower right", bbox_to_anchor=(1, 1), ncol=columns)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser draws the text, with its own fonts
            figure.tight_layout()
            buffer = io.StringIO()
            with rc_context({"svg.fonttype": "none", "svg.hashsalt": "pcaug"}):
                figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
        text = buffer.getvalue()
        text = text[text.index("<svg") :].replace(INK, "currentColor").replace(GRID, "var(--line)")
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r"font-family: [^;\"]*;?|(?<=font: )([\d.]+px)[^;\"]*", r"\1", text)  # the page's own font
        return self._figure(Markup(text), caption)


def _axis(width: float, height: float) -> tuple[Any, Any]:
    """An empty chart, inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(INK)
    axis.set_axisbelow(True)
    axis.tick_params(colors=INK, labelsize=9)
    axis.xaxis.label.set_color(INK)
    axis.yaxis.label.set_color(INK)
    return figure, axis
