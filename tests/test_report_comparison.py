"""The page and the figures of a comparison."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from comparing import NASTY, comparison, few
from groundswell.errors import UsageError
from groundswell.fidelity import Comparison, compare
from groundswell.report import Figure
from groundswell.report.comparison import charts, names, write_figures, write_html
from groundswell.report.files import drawn
from test_report import Parts
from test_report_browser import CHROMIUM, NARROW, OUTSIDE, OVERLAPPING, WIDE, Opened, browser

__all__ = ["browser"]


@pytest.fixture(scope="module")
def plain() -> Comparison:
    return comparison()


@pytest.fixture(scope="module")
def nasty() -> Comparison:
    return comparison(NASTY, "<b>" + "r" * 5_000)


@pytest.fixture(scope="module")
def figures(plain: Comparison) -> list[Figure]:
    return charts(plain)


def written(given: Comparison, folder: Path) -> str:
    write_html(given, folder / "c.html")
    return (folder / "c.html").read_text(encoding="utf-8")


def test_every_chart_is_valid_and_draws_marks(figures: list[Figure]) -> None:
    altair = pytest.importorskip("altair")
    assert len({figure.key for figure in figures}) == len(figures)
    for figure in figures:
        layers = [layer | {"data": {"values": []}} for layer in figure.spec["layer"]]
        altair.LayerChart.from_dict(figure.spec | {"layer": layers}, validate=True)
        drawing = drawn(figure)
        assert re.search(r'class="mark-(line|rect|symbol)', drawing), figure.key
        assert "NaN" not in drawing, figure.key
        assert figure.caption.endswith(".")
        assert re.search(r"\d", figure.n)


def test_what_is_behind_the_aspects_is_drawn_for_reference_and_candidates(figures: list[Figure]) -> None:
    assert [figure.key for figure in figures] == [
        "aspects-all", "curve-gaps", "curve-dispersion", "curve-input", "curve-output",
        "together-1-input", "together-1-output", "together-2-input", "together-2-output",
    ]  # fmt: skip
    for figure in figures[1:]:
        assert '"reference"' in json.dumps(figure.spec)


def test_every_judged_aspect_has_a_dot_at_its_distance_over_noise(plain: Comparison, figures: list[Figure]) -> None:
    rows = next(layer["data"]["values"] for layer in figures[0].spec["layer"] if layer["mark"]["type"] == "point")
    judged = [(a.distance, a.noise) for c in plain.candidates for a in c.aspects if a.verdict != "cannot be said"]
    assert sorted(row["r1"] for row in rows) == sorted(f"{distance / noise:.2g}" for distance, noise in judged)


def test_the_page_says_a_line_on_each_candidate_and_each_verdict_in_words(plain: Comparison, tmp_path: Path) -> None:
    parts = Parts(written(plain, tmp_path))
    assert "a.csv and 2 candidates" in parts.shown
    assert parts.shown.count("indistinguishable at this sample size in") == 2
    assert "mean rate (" in parts.shown
    assert re.search(r"✗off, \S+× the noise", parts.shown)
    assert "/data" not in parts.shown
    assert "nan" not in parts.shown


def test_names_are_as_long_as_it_takes_to_tell_them_apart() -> None:
    def told(*paths: str) -> list[str]:
        return names(compare([few()], {path: [few()] for path in paths}, "/x/ref.csv"))

    assert told("/a/one.csv", "/b/two.csv") == ["ref.csv", "one.csv", "two.csv"]
    assert told("/a/b/t.csv", "/a/c/t.csv") == ["ref.csv", "b/t.csv", "c/t.csv"]
    assert len(told("/a/" + "x" * 300, "/a/" + "x" * 301)[1]) <= 40


def test_no_name_gets_out_of_its_place(plain: Comparison, nasty: Comparison, tmp_path: Path) -> None:
    expected, found = Parts(written(plain, tmp_path)), Parts(written(nasty, tmp_path))
    assert {tag for tag, _ in found.elements} == {tag for tag, _ in expected.elements}
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    for attributes, text in found.scripts:
        if attributes.get("type") == "application/json":
            json.loads(text)
            assert "<" not in text
    assert "very-long-name" * 10 not in found.shown


def test_the_page_of_many_candidates_stays_small(tmp_path: Path) -> None:
    assert len(written(comparison([f"{i}.csv" for i in range(12)]), tmp_path)) < 3_000_000


def test_too_little_to_say_anything_is_a_page_too(tmp_path: Path) -> None:
    parts = Parts(written(compare([few()], {"b": [few()]}), tmp_path))
    assert "there is too little to say anything" in parts.shown
    assert "nan" not in parts.shown


def test_each_figure_is_a_file(plain: Comparison, tmp_path: Path) -> None:
    files = write_figures(plain, tmp_path / "figures", ("svg",))
    assert sorted(path.name for path in files) == sorted(f"{figure.key}.svg" for figure in charts(plain))
    assert all(path.read_bytes().startswith(b"<svg") for path in files)
    with pytest.raises(UsageError, match="figures have no format 'gif'"):
        write_figures(plain, tmp_path, ("gif",))


@pytest.fixture(scope="module")
def pages(plain: Comparison, nasty: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    write_html(plain, folder / "plain.html")
    write_html(nasty, folder / "nasty.html")
    write_html(compare([few()], {"b": [few()]}), folder / "few.html")
    return folder


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium, chromium-browser or google-chrome")
@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [("plain", WIDE, "light"), ("plain", NARROW, "dark"), ("nasty", WIDE, "dark"), ("nasty", NARROW, "light"),
     ("few", NARROW, "light")],
)  # fmt: skip
def test_a_page_is_drawn_without_complaint_and_nothing_overflows(
    browser: Browser,
    pages: Path,
    name: str,
    size: tuple[int, int],
    scheme: str,
) -> None:
    with Opened(browser, pages / f"{name}.html", size, color_scheme=scheme) as opened:
        assert opened.complaints == []
        empty = """() => [...document.querySelectorAll("figure")].filter((figure) =>
            !figure.querySelector(".mark-line path, .mark-rect path, .mark-symbol path")).map((figure) => figure.id)"""
        assert opened.page.evaluate(empty) == []
        assert opened.page.evaluate("document.scrollingElement.scrollWidth") <= size[0]
        assert opened.page.evaluate(OUTSIDE) == []
        assert opened.page.evaluate(OVERLAPPING) == []
