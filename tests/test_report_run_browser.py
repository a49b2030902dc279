"""Pages of runs in a browser: drawn, whole, readable wide and narrow, light and dark, with no network."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

import run_example as example
from groundswell.report.run import Shown, charts, write_html
from test_report_browser import CHROMIUM, NARROW, OUTSIDE, OVERLAPPING, WIDE, Opened, browser
from test_report_run import bare, nasty, one, shown, two

__all__ = ["bare", "browser", "nasty", "one", "two"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, chromium-browser or google-chrome")

LEFT_EDGES = """() => [...document.querySelectorAll("#timeline figure")].map((figure) => {
  // Where the plot itself begins and ends: the domain of its axis of time.
  const axis = figure.querySelector(".role-axis-domain line").getBoundingClientRect();
  return [Math.round(axis.left), Math.round(axis.right)];
})"""


@pytest.fixture(scope="module")
def pages(one: list[Shown], two: list[Shown], nasty: list[Shown], bare: list[Shown]) -> dict[str, list[Shown]]:
    failed = [shown(example.run(requests=40, span_s=20.0, failing=1.0), "failed.parquet")]
    return {"one": one, "two": two, "nasty": nasty, "bare": bare, "failed": failed}


@pytest.fixture(scope="module")
def folder(pages: dict[str, list[Shown]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, given in pages.items():
        write_html(given, folder / f"{name}.html")
    return folder


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [
        ("one", WIDE, "light"), ("one", NARROW, "dark"), ("two", WIDE, "dark"), ("two", NARROW, "light"),
        ("nasty", WIDE, "light"), ("nasty", NARROW, "light"), ("bare", NARROW, "dark"), ("failed", WIDE, "light"),
    ],
)  # fmt: skip
def test_a_page_of_runs_is_drawn_without_complaint_and_nothing_overflows(
    browser: Browser, folder: Path, pages: dict[str, list[Shown]], name: str, size: tuple[int, int], scheme: str
) -> None:
    path = folder / f"{name}.html"
    with Opened(browser, path, size, color_scheme=scheme) as opened:
        page = opened.page
        assert opened.complaints == []
        assert [url for url in opened.asked if not url.startswith("data:")] == [path.as_uri()]
        marks = page.evaluate("""() => [...document.querySelectorAll("figure")].map((figure) =>
            [figure.id, figure.querySelectorAll(".mark-line path, .mark-rect path, .mark-symbol path").length])""")
        assert [key for key, _ in marks] == [figure.key for figure in charts(pages[name])]
        assert [key for key, count in marks if not count] == []
        assert page.evaluate("document.scrollingElement.scrollWidth") <= size[0]
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate(OVERLAPPING) == []
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 23)"
        assert dark == (scheme == "dark")


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_times_lie_below_one_another_in_all_panels(browser: Browser, folder: Path, size: tuple[int, int]) -> None:
    with Opened(browser, folder / "one.html", size) as opened:
        edges = opened.page.evaluate(LEFT_EDGES)
        assert len(edges) > 10
        assert {tuple(edge) for edge in edges} == {tuple(edges[0])}


def test_a_person_reads_the_values_of_a_panel_where_they_point(browser: Browser, folder: Path) -> None:
    with Opened(browser, folder / "two.html", WIDE) as opened:
        plot = opened.page.locator("#time-ttft .plot")
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        assert box is not None
        opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        told = opened.page.locator("#vg-tooltip-element").inner_text()
        assert "median, a.parquet" in told
        assert "p99, b.parquet" in told
        assert opened.complaints == []
