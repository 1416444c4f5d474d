from __future__ import annotations

import math
import warnings
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from builders import make_cloud
from view.chromium import needs_chromium, run

from pcaug.view.report import PALETTE, Report

HOSTILE = "<script>alert(\"1\")</script> $x$ & 'quotes'"
VOID = {"meta", "img", "br", "input", "hr", "link"}


class Tags(HTMLParser):
    """Counts tags, and checks that they close."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def full(text: str) -> Report:
    report = Report(text, text).heading(text).text(text).verdict([text, text])
    report.table([text, "b"], [[text, 1], ["a sentence that is long enough to count as words", 2.5]])
    report.marks({text: (1, 2, 3)}).picture(np.zeros((4, 5, 3), np.uint8), text)
    report.bars({text: {text: 1.0, "b": 2.0}, "other": {"b": 3.0}}, text, "%")
    report.lines({text: ([1, 2], [3, 4])}, text, "x", "y")
    return report.intervals([(text, 1.0, 0.5, 1.5)], text, "mIoU, %")


def test_hostile_text_stays_text_everywhere(tmp_path: Path) -> None:
    page = full(HOSTILE).write(tmp_path / "deep" / "report.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.seen
    assert tags.open == []
    assert page.count("alert") >= 10
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["report.html"]


def test_the_page_asks_nothing_of_the_network(tmp_path: Path) -> None:
    page = full("plain").write(tmp_path / "r.html").read_text(encoding="utf-8")
    rest = page.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xlink", "")
    assert "http:" not in rest
    assert "https:" not in rest
    assert "url(" not in rest.replace("url(#", "")


def test_charts_wear_the_ink_of_the_page() -> None:
    page = "".join(full("plain").parts)
    assert "currentColor" in page
    assert "font-family" not in page
    assert "#000000" not in page


def test_text_of_any_script_draws_without_warnings() -> None:
    Report("t").bars({"日本": {"Москва": 1.0, "العربية": 2.0}})


def test_charts_name_every_series_and_show_single_trainings() -> None:
    names = [f"real + composed like it + mixed + learned, number {i}" for i in range(5)]
    curves = {name: ([1, 2, 6], [0.1 * i, 0.2, 0.3]) for i, name in enumerate(names)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = str(Report("r").lines(curves, "", "real units", "mIoU").intervals([("one", 1.0, math.nan, math.nan)]).parts)
    assert all(name in text for name in names)
    assert all(f">{n}<" in text for n in (1, 2, 6))
    assert ">1.5<" not in text
    assert ">one<" in text


def test_empty_charts_and_tables_do_not_fail() -> None:
    Report("t").bars({}).lines({}).intervals([]).table(["a"], []).marks({})


def test_the_same_report_is_the_same_bytes(tmp_path: Path) -> None:
    one, two = (full("x").write(tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert one == two


def test_a_viewer_inside_a_report_is_shut_off_from_it(tmp_path: Path) -> None:
    page = (
        Report("t").viewer([make_cloud(300)], [HOSTILE], HOSTILE, most=100).write(tmp_path / "r.html").read_text(encoding="utf-8")
    )
    tags = Tags()
    tags.feed(page)
    assert tags.seen.count("iframe") == 1
    assert "script" not in tags.seen
    assert tags.open == []
    assert 'sandbox="allow-scripts allow-downloads"' in page


@needs_chromium
def test_a_viewer_inside_a_report_draws(tmp_path: Path) -> None:
    Report("t").viewer([make_cloud(3000)], ["one"], "a cloud").write(tmp_path / "r.html")
    found = run(
        tmp_path / "r.html",
        """
        const text = document.querySelector("iframe").srcdoc;
        await new Promise(done => setTimeout(done, 1500));
        return { inside: text.includes("<canvas"), height: document.querySelector("iframe").clientHeight };
        """,
        tools=False,
    )
    assert found["inside"]
    assert found["height"] > 300


def test_rows_of_one_group_have_one_colour() -> None:
    rows = [(name, 1.0, 0.5, 1.5) for name in ("a, 1", "b, 1", "a, 2", "b, 2")]
    grouped = str(Report("r").intervals(rows, groups=["a", "b", "a", "b"]).parts).lower()
    alone = str(Report("r").intervals(rows).parts).lower()
    assert [PALETTE[index].lower() in grouped for index in range(4)] == [True, True, False, False]
    assert all(PALETTE[index].lower() in alone for index in range(4))
