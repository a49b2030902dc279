"""The page in a browser: drawn, whole, readable wide and narrow, light and dark, with no network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import report_example as example
from groundswell.report import charts, write_html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, chromium-browser or google-chrome")

DRAWN = "document.querySelectorAll('.chart:not([data-drawn])').length == 0"
WIDE, NARROW = (1440, 900), (390, 800)
PAGES = {
    "rich": example.rich(points=150),
    "nasty": example.rich(
        points=150, names=example.NASTY, dated=False, source="<script>alert(1)</script>" + "z" * 10_000
    ),
    "short": example.rich(points=12, span_s=900.0),
    "bare": example.bare(),
}

OUTSIDE = """() => {
  // Text of a chart that is not all within its drawing, and elements that reach beyond the window.
  const found = [];
  for (const svg of document.querySelectorAll(".plot svg")) {
    const place = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (!text.textContent || !box.width || text.getAttribute("opacity") === "0") continue;
      const beside = box.left < place.left - 1 || box.right > place.right + 1;
      if (beside || box.top < place.top - 1 || box.bottom > place.bottom + 1)
        found.push(svg.closest("figure").id + ": " + text.textContent);
    }
    const plot = svg.closest(".plot").getBoundingClientRect();
    if (place.right > plot.right + 1) found.push(svg.closest("figure").id + " is wider than its place");
  }
  for (const element of document.querySelectorAll("main *:not(svg *)")) {
    const box = element.getBoundingClientRect();
    if (box.width && box.left >= 0 && box.right > innerWidth + 1)
      found.push(element.tagName + ": " + element.textContent.slice(0, 60));
  }
  return found;
}"""
OVERLAPPING = """() => {
  // Labels of one axis or legend that lie on one another.
  const found = [];
  for (const group of document.querySelectorAll(".role-axis-label, .role-legend")) {
    const seen = (text) => text.textContent && text.getAttribute("opacity") !== "0";
    const texts = [...group.querySelectorAll("text")].filter(seen);
    const boxes = texts.map((text) => text.getBoundingClientRect());
    boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, j) => {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      const names = `${texts[i].textContent} | ${texts[i + j + 1].textContent}`;
      if (across > 1 && down > 3) found.push(`${group.closest("figure").id}: ${names}`);
    }));
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        root = os.geteuid() == 0
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if root else [])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, whole in PAGES.items():
        write_html(whole, folder / f"{name}.html")
    return folder


class Opened:
    """A page that is drawn, without a network, and what it complained of or asked for meanwhile."""

    def __init__(self, browser: Browser, path: Path, size: tuple[int, int], **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]}, offline=True, **options)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto(path.as_uri())
        self.page.wait_for_function(DRAWN, timeout=120_000)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [
        ("rich", WIDE, "light"), ("rich", NARROW, "light"), ("rich", WIDE, "dark"), ("rich", NARROW, "dark"),
        ("nasty", NARROW, "light"), ("nasty", WIDE, "dark"), ("short", NARROW, "dark"), ("short", WIDE, "light"),
        ("bare", NARROW, "light"), ("bare", WIDE, "dark"),
    ],
)  # fmt: skip
def test_a_page_is_drawn_without_complaint_and_nothing_overflows(
    browser: Browser, folder: Path, name: str, size: tuple[int, int], scheme: str
) -> None:
    path = folder / f"{name}.html"
    with Opened(browser, path, size, color_scheme=scheme) as opened:
        page = opened.page
        assert opened.complaints == []
        assert [url for url in opened.asked if not url.startswith("data:")] == [path.as_uri()]
        marks = page.evaluate("""() => [...document.querySelectorAll("figure")].map((figure) =>
            [figure.id, figure.querySelectorAll(".mark-line path, .mark-rect path, .mark-symbol path").length])""")
        assert [key for key, _ in marks] == [figure.key for figure in charts(PAGES[name])]
        assert [key for key, count in marks if not count] == []
        assert page.evaluate("document.scrollingElement.scrollWidth") <= size[0]
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate(OVERLAPPING) == []
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 23)"
        assert dark == (scheme == "dark")


def test_a_person_can_read_zoom_and_switch_the_theme(browser: Browser, folder: Path) -> None:
    with Opened(browser, folder / "rich.html", WIDE, color_scheme="dark") as opened:
        page = opened.page
        labels = "[...document.querySelectorAll('#arrivals-rate .role-axis-label text')].map(t => t.textContent).join()"
        plot = page.locator("#arrivals-rate .plot")
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        assert box is not None
        before = page.evaluate(labels)
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert "requests per second" in page.locator("#vg-tooltip-element").inner_text()
        top = page.evaluate("scrollY")
        page.keyboard.down("Control")
        page.mouse.wheel(0, -1500)
        page.keyboard.up("Control")
        page.wait_for_function(f"{labels} != {before!r}")
        assert page.evaluate("scrollY") == top
        page.mouse.wheel(0, 200)
        page.wait_for_function(f"scrollY > {top} + 100")
        ink = "getComputedStyle(document.querySelector('.role-axis-label text')).fill"
        dark = page.evaluate(ink)
        page.locator("#theme").click()
        assert page.evaluate(ink) != dark
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(246, 247, 249)"
        page.locator("#theme").click()
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert opened.complaints == []


def test_a_finger_on_a_chart_scrolls_the_page(browser: Browser, folder: Path) -> None:
    with Opened(browser, folder / "rich.html", NARROW, has_touch=True, is_mobile=True) as opened:
        page = opened.page
        page.evaluate(
            "document.querySelector('#arrivals-rate .plot').scrollIntoView({block: 'center', behavior: 'instant'})"
        )
        page.wait_for_timeout(200)
        before = page.evaluate("scrollY")
        touch = opened.context.new_cdp_session(page)
        for i in range(21):
            kind = "touchMove" if i else "touchStart"
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": 200, "y": 420 - 10 * i}]})
            page.wait_for_timeout(16)
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_function(f"scrollY > {before} + 100")


def test_a_chart_can_be_saved_as_it_is_seen(browser: Browser, folder: Path, tmp_path: Path) -> None:
    with Opened(browser, folder / "nasty.html", WIDE, accept_downloads=True) as opened:
        starts = {"svg": b"<svg", "png": b"\x89PNG"}
        for kind, start in starts.items():
            with opened.page.expect_download() as download:
                opened.page.locator(f"#clients-top-rate [data-save={kind}]").click()
            saved = tmp_path / download.value.suggested_filename
            download.value.save_as(saved)
            assert saved.name == f"clients-top-rate.{kind}"
            assert saved.read_bytes().startswith(start)
        assert "var(--" not in (tmp_path / "clients-top-rate.svg").read_text()
        assert opened.complaints == []


def test_a_page_that_is_made_narrower_is_drawn_anew(browser: Browser, folder: Path) -> None:
    with Opened(browser, folder / "short.html", WIDE) as opened:
        opened.page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        opened.page.wait_for_function("document.querySelectorAll('.chart:not([data-drawn])').length > 0")
        opened.page.wait_for_function(DRAWN, timeout=120_000)
        assert opened.page.evaluate("document.scrollingElement.scrollWidth") <= NARROW[0]
        assert opened.page.evaluate(OUTSIDE) == []
        assert opened.complaints == []
