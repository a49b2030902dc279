"""The report: its charts are valid, its page stands alone, and nothing of a trace gets out of its place."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vl_convert

import report_example as example
from groundswell.characterize.engine import Characterization
from groundswell.characterize.figures import Series
from groundswell.errors import OutputError, UsageError
from groundswell.report import Figure, Section, charts, page, palette, write_figures, write_html
from groundswell.report.axes import Clock, count, seconds, tokens
from groundswell.report.files import alone, drawn
from groundswell.report.palette import on_screen
from groundswell.report.plot import Line, edges, lines, most_of, series
from groundswell.stats.fits import Curve

MOST_BYTES = 3_000_000


class Parts(HTMLParser):
    """The elements of a page with their attributes, the text of its scripts, and the text that a person reads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.shown = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.lasttag != "style":
            self.shown += data

    def handle_endtag(self, tag: str) -> None:
        self.lasttag = ""


def written(whole: Characterization, folder: Path) -> str:
    write_html(whole, folder / "report.html")
    assert [path.name for path in folder.iterdir()] == ["report.html"]
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    return charts(example.rich(points=60))


# --- charts -----------------------------------------------------------------------------------------------------------


def test_every_chart_is_valid_vega_lite(figures: list[Figure]) -> None:
    altair = pytest.importorskip("altair")
    for figure in figures:
        layers = [layer | {"data": {"values": []}} for layer in figure.spec["layer"]]  # rows are no part of the schema
        altair.LayerChart.from_dict(figure.spec | {"layer": layers}, validate=True)


def test_every_chart_compiles_and_draws_marks(figures: list[Figure]) -> None:
    for figure in figures:
        drawing = drawn(figure)
        assert re.search(r'class="mark-(line|rect|rule|symbol)', drawing), figure.key
        assert "NaN" not in drawing, figure.key


def test_every_topic_has_charts_and_every_chart_its_words(figures: list[Figure]) -> None:
    keys = [figure.key for figure in figures]
    assert len(set(keys)) == len(keys)
    assert {key.split("-")[0] for key in keys} == {
        "arrivals", "lengths", "clients", "modalities", "reasoning", "conversations", "prefixes", "failures",
    }  # fmt: skip
    for figure in figures:
        assert re.fullmatch(r"[a-z0-9-]+", figure.key)
        assert figure.title
        assert figure.caption.endswith(".")
        assert re.search(r"\d", figure.n), figure.key
        for text in (figure.title, figure.caption, figure.n):
            assert "nan" not in text
            assert "not known" not in text


def test_every_axis_says_what_it_shows(figures: list[Figure]) -> None:
    for figure in figures:
        across = [layer["encoding"].get("x", {}) for layer in figure.spec["layer"]]
        titles = [x.get("axis", {}).get("title") for x in across]
        assert any(titles), figure.key
        names_down = any(layer["encoding"].get("y", {}).get("type") == "nominal" for layer in figure.spec["layer"])
        assert figure.spec.get("title", {}).get("text") or names_down, figure.key


def test_a_family_and_a_client_have_one_colour_throughout(figures: list[Figure]) -> None:
    colours: dict[str, set[str]] = {}
    for figure in figures:
        for layer in figure.spec["layer"]:
            colour = layer["encoding"].get("color", {})
            if colour.get("field") == "s":
                for name, own in zip(colour["scale"]["domain"], colour["scale"]["range"], strict=True):
                    colours.setdefault(name, set()).add(own)
    for name in (*palette.FAMILIES, *example.NAMES):
        assert len(colours[name]) == 1, name


def test_a_line_breaks_where_nothing_was_seen() -> None:
    seen = Series(10.0, np.array([0.0, 10.0, 50.0]), np.array([1.0, 2.0, 3.0]), np.ones(3))
    line = series("rate", seen)
    np.testing.assert_array_equal(np.isnan(line.y), [False, False, True, False])


def test_a_long_line_keeps_its_ends_and_few_points() -> None:
    x = np.arange(1.0, 100_001.0)
    spec = lines([Line("long", x, x)], tokens("x"), count("y"))
    rows = spec["layer"][0]["data"]["values"]
    assert len(rows) <= 400
    assert (rows[0]["x"], rows[-1]["x"]) == (1, 100_000)


def test_a_logarithmic_axis_leaves_out_what_it_cannot_show() -> None:
    spec = lines([Line("gaps", np.array([0.0, 0.1, 1.0]), np.array([0.2, 0.5, 1.0]))], seconds("gap"), count("share"))
    assert [row["x"] for row in spec["layer"][0]["data"]["values"]] == [0.1, 1]


@pytest.mark.parametrize("log", [True, False])
def test_bars_meet_and_a_lone_one_has_a_width(log: bool) -> None:
    low, high = edges(np.array([1.0, 2.0, 4.0]) if log else np.array([1.0, 2.0, 3.0]), log)
    np.testing.assert_allclose(low[1:], high[:-1])
    low, high = edges(np.array([7.0]), log)
    assert low[0] < 7.0 < high[0]


def test_a_long_tail_of_counts_is_cut_and_told() -> None:
    shares = 0.5 ** np.arange(1.0, 41.0)
    most, rest = most_of(Curve(np.arange(1.0, 41.0), shares))
    assert most.x[-1] == 8
    assert rest == "; 0.391 % have more than 8"
    assert most_of(Curve(np.array([1.0, 2.0]), np.array([0.5, 0.5])))[1] == ""


def test_a_dated_trace_has_the_dates_of_its_own_time_zone() -> None:
    clock = Clock.of(3600.0, 1_763_337_600.0, 28_800.0)  # midnight in UTC, eight in the morning where the trace is
    assert (clock.zone, clock.say(0.0)) == ("UTC+8", "Mon 17 Nov 2025, 08:00")
    assert Clock.of(3600.0, 1_763_337_600.0, None).zone == "UTC"
    assert Clock.of(3600.0, 1e300, None).say(7200.0) == "2h"
    assert Clock.of(3600.0, "yesterday", None).say(7200.0) == "2h"


def test_a_week_stands_as_in_a_calendar_where_the_trace_is_dated() -> None:
    def week(whole: Characterization) -> dict[str, set[float]]:
        assert whole.arrivals is not None
        hours = Series(3600.0, np.arange(0.0, 168 * 3600.0, 3600.0), np.repeat(np.arange(1.0, 8.0), 24), np.ones(168))
        known = replace(whole, arrivals=replace(whole.arrivals, week=hours))
        spec = next(figure.spec for figure in charts(known) if figure.key == "arrivals-week")
        days: dict[str, set[float]] = {}
        for row in spec["layer"][0]["data"]["values"]:
            days.setdefault(row["d"], set()).add(row["v"])
        return days

    whole = example.rich(points=20)
    wednesday = replace(whole, source=whole.source | {"start_unix_s": 1_763_337_600.0 + 2 * 86_400})
    assert list(week(wednesday).items())[:3] == [("Monday", {6.0}), ("Tuesday", {7.0}), ("Wednesday", {1.0})]
    assert week(example.rich(points=20, dated=False))["day 1"] == {1.0}


def test_a_client_that_is_called_like_a_colour_keeps_its_name() -> None:
    name = palette.LIGHT["blue"]
    whole = example.rich(points=20, names=(name, "var(--ink)", "b", "c"))
    spec = next(figure.spec for figure in charts(whole) if figure.key == "clients-top-rate")
    colour = next(part["encoding"]["color"] for part in on_screen(spec)["layer"] if "color" in part["encoding"])
    assert colour["scale"]["domain"][:2] == [name, "var(--ink)"]
    assert colour["scale"]["range"][0] == "var(--blue)"


def luminance(colour: str) -> float:
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_lines_stand_out_from_the_paper(theme: int) -> None:
    """The contrast that WCAG 2 asks for: 4.5 for text, 3 for lines."""
    paper = luminance(palette.COLOURS["paper"][theme])
    for name in ("ink", "muted", "green", "red", "blue", "orange", "pink", "sky", "brown", "grey"):
        least = 4.5 if name in {"ink", "muted", "green", "red"} else 3.0
        own = luminance(palette.COLOURS[name][theme])
        assert (max(own, paper) + 0.05) / (min(own, paper) + 0.05) >= least, name


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_stands_alone(tmp_path: Path) -> None:
    parts = Parts(written(example.rich(points=60), tmp_path))
    for tag, attributes in parts.elements:
        assert tag not in {"link", "iframe", "object", "embed", "img"}
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith("#")
    policy = next(a["content"] for tag, a in parts.elements if tag == "meta" and "http-equiv" in a) or ""
    assert policy.startswith("default-src 'none'")
    running = [text for attributes, text in parts.scripts if attributes.get("type") != "application/json"]
    assert len(running) == 2
    for script in running:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy


def test_nothing_of_a_trace_gets_out_of_its_place(tmp_path: Path) -> None:
    plain = Parts(written(example.rich(points=60), tmp_path))
    nasty = example.rich(points=60, names=example.NASTY, source="<img src=x onerror=alert(1)>" + "y" * 9000)
    source = nasty.source | {"notes": ["<b>note</b>"] + ["n" * 10_000] * 50, "<i>": "</style><script>"}
    found = Parts(written(replace(nasty, source=source), tmp_path))
    assert len(found.scripts) == len(plain.scripts)
    assert {tag for tag, _ in found.elements} == {tag for tag, _ in plain.elements}
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    assert "<img src=x onerror=alert(1)>" in found.shown
    assert "<b>note</b>" in found.shown
    for attributes, text in found.scripts:
        if attributes.get("type") == "application/json":
            json.loads(text)
            assert "<" not in text
    assert len(found.shown) < len(plain.shown) + 20_000


def test_the_page_has_at_most_3_mb_however_much_there_is_to_show(tmp_path: Path) -> None:
    whole = example.rich(points=5000, names=example.NASTY)
    many = {f"model {i} " + "m" * 10_000: example.around(0.01) for i in range(500)}
    assert whole.failures is not None
    text = written(replace(whole, failures=replace(whole.failures, by_model=many)), tmp_path)
    assert len(text.encode()) <= MOST_BYTES


def test_the_summary_says_what_was_skipped_and_the_findings_say_why(tmp_path: Path) -> None:
    shown = Parts(written(example.rich(points=20), tmp_path)).shown
    assert "12 of 8.12 M rows could not be read and were skipped." in shown
    assert "timestamps come in steps of 1 ms" in shown
    for finding in example.findings():
        for text in (finding.statement, finding.verdict, finding.figure, finding.paper, finding.why):
            assert text in shown


def test_what_is_not_in_the_trace_is_listed_with_the_reason(tmp_path: Path) -> None:
    parts = Parts(written(example.bare(), tmp_path))
    for text in ("Not in this trace", "Clients: it names no clients", "Reasoning: it has no reasoning tokens"):
        assert text in parts.shown
    assert "nan" not in parts.shown
    assert "clients" not in {attributes.get("id") for tag, attributes in parts.elements if tag == "section"}


def test_any_page_can_be_made_of_sections(figures: list[Figure]) -> None:
    text = page(
        "A & B", "<h1>two</h1>", [Section("both", "Both <", figures=figures[:1]), Section("x", "X", missing="why")]
    )
    parts = Parts(text)
    assert "A & B" in parts.shown
    assert "Both <" in parts.shown
    assert "X: why." in parts.shown


def test_a_page_without_charts_carries_no_library() -> None:
    assert len(page("nothing", "", [])) < 50_000


def test_the_page_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        write_html(example.bare(), tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        write_html(example.bare(), tmp_path / "none" / "report.html")


# --- files of figures -------------------------------------------------------------------------------------------------


def test_each_figure_is_a_file_of_each_format(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "figures"
    files = write_figures(example.bare(), folder)
    keys = [figure.key for figure in charts(example.bare())]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{key}.{f}" for key in keys for f in ("svg", "png", "pdf")
    )
    starts = {".svg": b"<svg", ".png": b"\x89PNG", ".pdf": b"%PDF"}
    for path in files:
        assert path.read_bytes().startswith(starts[path.suffix])
    png = next(path for path in files if path.suffix == ".png").read_bytes()
    assert int.from_bytes(png[16:20]) == 2 * 640


def test_a_figure_in_a_file_has_its_title_and_nothing_to_point_at(figures: list[Figure]) -> None:
    for figure in figures[:5]:
        spec: dict[str, Any] = alone(figure)
        assert spec["title"]["text"] == figure.title
        assert "r0" not in json.dumps(spec["layer"])
        assert vl_convert.vegalite_to_vega(spec)
        assert figure.spec["width"] == "container"


def test_names_of_a_trace_are_text_in_a_drawing() -> None:
    figure = next(f for f in charts(example.rich(points=20, names=example.NASTY)) if f.key == "clients-top-rate")
    drawing = drawn(figure)
    assert "<script>" not in drawing
    assert "&lt;/script&gt;" in drawing


def test_formats_and_folders_that_cannot_be_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="figures have no format 'gif'; they have svg, png, pdf"):
        write_figures(example.bare(), tmp_path, ("gif",))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file: is no folder"):
        write_figures(example.bare(), tmp_path / "file")
    with pytest.raises(OutputError, match="cannot be written"):
        write_figures(example.bare(), tmp_path / "file" / "below")
