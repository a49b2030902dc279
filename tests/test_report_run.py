"""The page and the figures of a run, and of two runs over one another."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import run_example as example
from groundswell.cli import execute as command
from groundswell.errors import UsageError
from groundswell.judge import describe, judge
from groundswell.judge.figures import Reason
from groundswell.judge.slo import SLO
from groundswell.report import Figure
from groundswell.report.figure import Verdict
from groundswell.report.files import drawn
from groundswell.report.run import Shown, charts, differences, sections, write_figures, write_html
from groundswell.report.run.head import summary
from groundswell.report.run.settings import plain_url
from groundswell.report.run.summaries import counter, gauge, rate
from groundswell.results import Results
from groundswell.stats.estimate import Estimate
from test_report import Parts

BOUNDS = SLO.parse("ttft:p99<4s,tpot:p99<100ms,e2e:p90<20s,itl:mean<50ms")
SECRETS = ("sk-very-secret", "hunter2", "Bearer", "Authorization", "token=abc")


def shown(results: Results, name: str = "a.parquet", slo: SLO | None = BOUNDS, **window: Any) -> Shown:
    return Shown(name, results, judge(results, slo, **window))


@pytest.fixture(scope="module")
def one() -> list[Shown]:
    return [shown(example.run())]


@pytest.fixture(scope="module")
def two(one: list[Shown]) -> list[Shown]:
    return [*one, shown(example.run(seed=2, slower=1.15), "b.parquet")]


@pytest.fixture(scope="module")
def nasty() -> list[Shown]:
    clients = (example.NASTY[:300], *example.CLIENTS)
    secret: dict[str, Any] = {
        "url": "https://me:hunter2@example.com:8000/v1?token=abc", "api_key": "sk-very-secret", "model": example.NASTY,
        "headers": {"Authorization": "Bearer sk-very-secret"}, "command": "replay --api-key sk-very-secret",
    }  # fmt: skip
    results = example.run(words=example.NASTY, unsent=5, lag_s=0.05, clients=clients, **secret)
    return [shown(results, "<script>alert(2)</script>")]


@pytest.fixture(scope="module")
def bare() -> list[Shown]:
    return [shown(example.run(requests=300, span_s=60, bare=True, failing=0), "bare.parquet", None)]


@pytest.fixture(params=["one", "two", "nasty", "bare"])
def page_of(request: pytest.FixtureRequest) -> list[Shown]:
    given: list[Shown] = request.getfixturevalue(request.param)
    return given


def written(given: list[Shown], folder: Path) -> str:
    write_html(given, folder / "run.html")
    return (folder / "run.html").read_text(encoding="utf-8")


def figure(given: list[Shown], key: str) -> Figure:
    return next(each for each in charts(given) if each.key == key)


def rows(given: Figure, mark: str) -> list[dict[str, Any]]:
    """The data of the figure's layers of a kind of mark."""
    found: list[dict[str, Any]] = []
    for layer in given.spec["layer"]:
        kind = layer["mark"] if isinstance(layer["mark"], str) else layer["mark"]["type"]
        found += layer["data"]["values"] if kind == mark else []
    return found


# --- charts -----------------------------------------------------------------------------------------------------------


def test_every_chart_is_valid_draws_marks_and_has_its_words(page_of: list[Shown]) -> None:
    altair = pytest.importorskip("altair")
    figures = charts(page_of)
    assert len({each.key for each in figures}) == len(figures)
    for each in figures:
        assert "data" in each.spec or all("data" in layer for layer in each.spec["layer"])
        layers = [layer | {"data": {"values": []}} for layer in each.spec["layer"]]
        altair.LayerChart.from_dict(each.spec | {"layer": layers}, validate=True)
        drawing = drawn(each)
        assert re.search(r'class="mark-(line|rect|rule|symbol)', drawing), each.key
        assert "NaN" not in drawing, each.key
        assert each.caption.endswith("."), each.key
        assert re.search(r"\d", each.n), each.key


def test_a_run_has_its_charts_in_order(one: list[Shown]) -> None:
    assert [each.key for each in charts(one)] == [
        "time-rate", "time-open", "time-failed", "time-output", "time-ttft", "time-tpot", "time-e2e",
        "time-queue", "time-kv", "time-server-preemptions", "time-server-prompt-tokens", "time-server-output-tokens",
        "time-server-hits", "ttft-upto", "ttft-tail", "tpot-upto", "tpot-tail", "itl-upto", "itl-tail", "e2e-upto",
        "e2e-tail", "lag-tail", "lag-time", "lengths-ttft", "lengths-tpot", "clients-ttft", "errors-time",
    ]  # fmt: skip


def test_a_simulated_run_has_no_server_and_sends_nothing(one: list[Shown]) -> None:
    own: dict[str, Any] = {"target": "simulation", "url": None, "simulated": True, "fleet": "2 instances"}
    results = example.run(**own)
    results = Results(results.frame.drop("sent_s"), results.metadata)
    given = [shown(results)]
    told = [text for each in sections(given) for text in (each.lead, each.missing)]
    told += [text for each in charts(given) for text in (each.title, each.caption)]
    told += [str(row[0]) for each in sections(given) for table in each.tables for row in table.rows]
    text = " ".join(told)
    assert "the fleet's own metrics" in text
    assert "Fleet: running and waiting requests" in text
    assert "Requests that came and had not ended" in text
    assert "nothing is sent in a simulation" in text
    assert "Output tokens that the fleet counted" in text
    assert "were sent" not in text
    assert "server's own" not in text
    assert "Server: " not in text
    assert "counted by the fleet" in describe(given[0].judgement)
    mixed = figure([one[0], replace(given[0], name="b")], "time-open").caption
    assert "Requests that were sent or came" in mixed


def test_the_rate_of_replies_is_no_share_of_what_was_due(one: list[Shown]) -> None:
    """Those that end within a window may have been due before it, so that they can be more than were due in it."""
    tiles = summary(one)
    assert "ended well; " in tiles
    assert "ended well of" not in tiles


def test_two_runs_are_over_one_another_in_two_colours(two: list[Shown]) -> None:
    for each in charts(two):
        names = json.dumps(each.spec["layer"], ensure_ascii=False) + each.caption
        assert "a.parquet" in names, each.key
        assert "b.parquet" in names, each.key
    ttft = figure(two, "ttft-upto")
    strokes = [layer["mark"]["stroke"] for layer in ttft.spec["layer"] if isinstance(layer["mark"], dict)
               and layer["mark"]["type"] == "line"]  # fmt: skip
    assert len(set(strokes)) == 2


def test_charts_over_time_lie_below_one_another_on_one_axis(two: list[Shown]) -> None:
    section = next(each for each in sections(two) if each.key == "timeline")
    assert section.stacked
    domains, rooms = set(), set()
    for each in section.figures:
        for layer in each.spec["layer"]:
            across, up = (layer.get("encoding", {}).get(name, {}) for name in ("x", "y"))
            if "scale" in across:
                domains.add(tuple(across["scale"]["domain"]))
            if "axis" in up:
                rooms.add(up["axis"]["minExtent"])
    span_s = max(run.span_s for run in two)
    assert len(domains) == 1
    assert domains.pop() == pytest.approx((0.0, span_s / 60), rel=1e-5)
    assert len(rooms) == 1


def test_what_no_figure_counts_is_grey(one: list[Shown]) -> None:
    given = [shown(one[0].results, warm_up_s=30.0, cool_down_s=60.0)]
    end = given[0].judgement.window.span_s / 60
    greys = [
        layer["data"]["values"] for layer in figure(given, "time-ttft").spec["layer"]
        if isinstance(layer["mark"], dict) and layer["mark"]["type"] == "rect" and layer.get("name") != "reader"
    ]  # fmt: skip
    assert greys == [[{"a": 0.0, "b": 0.5}, {"a": pytest.approx(end - 1), "b": pytest.approx(end)}]]
    assert "grey warm-up and cool-down" in sections(given)[0].lead
    without = [shown(one[0].results, warm_up_s=0.0, cool_down_s=0.0)]
    assert "grey" not in sections(without)[0].lead


def test_a_bound_is_drawn_where_the_slo_has_it(one: list[Shown]) -> None:
    for key, share in (("ttft-upto", 0.99), ("ttft-tail", 0.01)):
        (mark,) = rows(figure(one, key), "point")
        assert mark["b"] == 4.0
        assert mark["p"] == pytest.approx(share)
        assert mark["t"] == "p99 < 4 s"
    itl = figure(one, "itl-upto")
    assert not rows(itl, "point"), "a mean has a line, and no share that could be marked"
    assert [row["t"] for row in rows(itl, "rule")] == ["mean < 50 ms"]


def test_distributions_are_those_of_the_requests(one: list[Shown]) -> None:
    (run,) = one
    window = run.judgement.window
    due = run.results.floats("due_s")
    counted = (due >= window.begin_s) & (due <= window.end_s)
    ttft = np.where(run.results.failed, np.inf, run.results.floats("first_token_s") - due)[counted]
    line = rows(figure(one, "ttft-upto"), "line")
    for point in [point for point in line if "y" in point][::20]:
        assert point["y"] == pytest.approx(np.mean(ttft <= point["x"] * (1 + 1e-5)), abs=2e-3)
    tail = [point for point in rows(figure(one, "ttft-tail"), "line") if "y" in point]
    assert tail[-1]["y"] == pytest.approx(np.isinf(ttft).mean(), rel=0.2), "failures never end"


def test_rates_over_time_are_what_happened_in_each_stretch(one: list[Shown]) -> None:
    (run,) = one
    edges = np.append(np.arange(0.0, run.span_s, 10.0), run.span_s)
    drawn = [layer["data"]["values"] for layer in figure(one, "time-rate").spec["layer"]
             if isinstance(layer["mark"], dict) and layer["mark"]["type"] == "line"]  # fmt: skip
    columns = (run.results.floats(name) for name in ("due_s", "sent_s", "done_s"))
    for line, at, keep in zip(drawn, columns, (True, True, ~run.results.failed), strict=True):
        count, _ = np.histogram(at[keep & np.isfinite(at)], edges)
        np.testing.assert_allclose([point["y"] for point in line], count / np.diff(edges), rtol=1e-3)


def test_each_kind_of_error_is_drawn_as_often_as_it_came(one: list[Shown]) -> None:
    (run,) = one
    drawn = [layer["data"]["values"] for layer in figure(one, "errors-time").spec["layer"]
             if isinstance(layer["mark"], dict) and layer["mark"]["type"] == "line"]  # fmt: skip
    counts = [sum(point["y"] for point in line) * run.rate_width_s for line in drawn]
    assert counts == pytest.approx([error.count for error in run.judgement.errors], rel=1e-3)


def test_a_cross_is_where_the_99th_percentile_is_never(one: list[Shown]) -> None:
    crosses = [layer for layer in figure(one, "time-ttft").spec["layer"] if layer["mark"] != "line"
               and layer["mark"]["type"] == "text"]  # fmt: skip
    over_time = one[0].judgement.over_time
    at = [row["x"] for layer in crosses for row in layer["data"]["values"]]
    middles = (over_time.at_s + over_time.width_s / 2)[np.isposinf(over_time.ttft_p99)] / 60
    assert at == pytest.approx(middles.tolist(), rel=1e-4)
    assert at


def test_no_99th_percentile_is_promised_where_no_stretch_has_one(one: list[Shown], bare: list[Shown]) -> None:
    assert "The median and the 99th percentile" in figure(one, "time-ttft").caption
    assert "none has enough for a 99th percentile" in figure(bare, "time-ttft").caption


def test_charts_hold_summaries_however_many_requests_there_are() -> None:
    few, many = ([shown(example.run(requests=n, failing=0.01))] for n in (5_000, 100_000))
    few_bytes, many_bytes = (sum(len(json.dumps(each.spec)) for each in charts(given)) for given in (few, many))
    assert many_bytes < 1.15 * few_bytes
    assert max(len(layer["data"]["values"]) for each in charts(many) for layer in each.spec["layer"]
               if "data" in layer) <= 400  # fmt: skip


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_says_the_verdict_each_clause_and_the_figures(one: list[Shown], tmp_path: Path) -> None:
    page = Parts(written(one, tmp_path)).shown
    judgement = one[0].judgement
    assert {"meets": "meets its SLO", "fails": "fails its SLO", "unclear": "unclear"}[judgement.verdict] in page
    for held in judgement.clauses:
        assert held.text in page
        assert held.why in page
    for head in ("Goodput", "Median TTFT", "Our own lag", "small-14", "429 (", "Qwen/Qwen2.5-7B-Instruct"):
        assert head in page
    assert "nan" not in page
    assert "inf" not in page.replace("infinitely", "")


def test_an_invalid_run_says_why_and_what_to_do(nasty: list[Shown], tmp_path: Path) -> None:
    page = Parts(written(nasty, tmp_path)).shown
    assert "✗invalid" in page
    assert nasty[0].judgement.invalid
    for reason in nasty[0].judgement.invalid:
        assert reason.text in page
        assert reason.advice in page


def test_nothing_gets_out_of_its_place_and_no_key_is_shown(
    one: list[Shown], nasty: list[Shown], tmp_path: Path
) -> None:
    expected, text = Parts(written(one, tmp_path)), written(nasty, tmp_path)
    found = Parts(text)
    assert {tag for tag, _ in found.elements} <= {tag for tag, _ in expected.elements} | {"li", "ul"}
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    for attributes, script in found.scripts:
        if attributes.get("type") == "application/json":
            json.loads(script)
            assert "<" not in script
    assert running(found) == running(expected), "no script but the page's own"
    assert "w" * 400 not in found.shown
    assert "https://example.com:8000/v1" in found.shown
    for secret in SECRETS:
        assert secret not in text, secret


def running(page: Parts) -> list[str]:
    """The scripts that a browser runs."""
    return [script for attributes, script in page.scripts if attributes.get("type") != "application/json"]


def test_what_a_judgement_says_is_escaped(one: list[Shown], tmp_path: Path) -> None:
    said = "<i>x</i>"
    judgement = replace(
        one[0].judgement,
        invalid=(Reason(said + "1", said + "2"),),
        notes=(said + "3",),
        clauses=tuple(replace(held, text=said + "4", why=said + "5") for held in one[0].judgement.clauses),
    )
    page = Parts(written([replace(one[0], name=said, judgement=judgement)] * 2, tmp_path))
    assert "i" not in {tag for tag, _ in page.elements}
    assert [i for i in "12345" if said + i not in page.shown] == []


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert plain_url("http://127.0.0.1:8000/v1") == "http://127.0.0.1:8000/v1"
    assert plain_url("https://me:hunter2@example.com/v1?token=abc#d") == "https://example.com/v1"
    assert plain_url("http://[::1]:80/v1") == "http://[::1]:80/v1"
    for wrong in ("sk-very-secret", "http://a:b:c/", "", "http://me:hunter2@:9/", None):
        assert plain_url(wrong) == ""


def test_a_simulated_run_with_little_metadata_is_a_page_too(bare: list[Shown], tmp_path: Path) -> None:
    page = Parts(written(bare, tmp_path)).shown
    assert "Not in this run" in page
    assert "the results do not say when requests were sent" in page
    assert "no request failed" in page
    assert "Server:" not in page
    assert "nan" not in page


@pytest.mark.parametrize("metadata", [
    {"series": {"at_s": [], "running": []}}, {"series": {"at_s": [1.0], "running": [None], "kv_used": [0.5, 0.5]}},
    {"series": {"at_s": "x", "running": {"a": 1}}},
    {"series": {"running": [1.0]}, "run": {"url": 3, "started_unix_s": "x"}},
    {"series": {"at_s": [0.0, 1.0], "running": [True, "x"], "preemptions": [None, None]}},
])  # fmt: skip
def test_metrics_that_cannot_be_meant_are_left_out(bare: list[Shown], metadata: dict[str, Any], tmp_path: Path) -> None:
    results = Results(bare[0].results.frame, metadata)
    assert "nan" not in Parts(written([shown(results)], tmp_path)).shown


@pytest.mark.parametrize("requests", [1, 2, 30])
@pytest.mark.parametrize("failing", [0.0, 1.0])
def test_few_requests_and_none_that_ended_well_are_pages_too(requests: int, failing: float, tmp_path: Path) -> None:
    given = example.run(requests=requests, span_s=10.0, failing=failing)
    page = Parts(written([shown(given)], tmp_path)).shown
    both = Parts(written([shown(given), shown(example.run(requests=100), "b")], tmp_path)).shown
    for text in (page, both):
        assert "nan" not in text
        assert "inf" not in text.replace("infinitely", "")


def test_each_figure_is_a_file(one: list[Shown], tmp_path: Path) -> None:
    files = write_figures(one, tmp_path / "figures", ("svg",))
    assert sorted(path.name for path in files) == sorted(f"{each.key}.svg" for each in charts(one))
    with pytest.raises(UsageError, match="figures have no format 'gif'"):
        write_figures(one, tmp_path, ("gif",))


# --- two runs ---------------------------------------------------------------------------------------------------------


def test_a_slower_run_is_told_and_in_which_sense(two: list[Shown]) -> None:
    found = {row.name: row for row in differences.of(*two)}
    tpot = found["TPOT median"]
    assert tpot.sign == 1
    assert tpot.change.low < 0.15 < tpot.change.high
    assert found["Attainment"].in_points
    assert found["Requests due"].sign is None, "a count without an interval is not judged"
    assert verdict(two, "TPOT median") == ("no", "higher")
    assert verdict(two[::-1], "TPOT median") == ("yes", "lower")


def verdict(given: list[Shown], name: str) -> tuple[str, str]:
    """What the table of differences says of a figure."""
    cell = next(row[-1] for row in differences.section(given).tables[0].rows if row[0] == name)
    assert isinstance(cell, Verdict)
    return cell.kind, cell.text


def test_runs_of_the_same_law_are_seldom_told_apart() -> None:
    """Of 40 pairs each figure is called different in about 5 %: five standard errors allow 9 of 40 for any of them."""
    given = [shown(example.run(requests=1_500, span_s=300.0, seed=seed), str(seed)) for seed in range(80)]
    told: dict[str, int] = {}
    for first, second in zip(given[::2], given[1::2], strict=True):
        for row in differences.of(first, second):
            if row.sign is not None:
                told[row.name] = told.get(row.name, 0) + abs(row.sign)
    assert {"TPOT median", "TTFT median", "e2e p90", "Attainment"} <= set(told)
    most = 40 * 0.05 + 5 * math.sqrt(40 * 0.05 * 0.95)
    assert {name: count for name, count in told.items() if count > most} == {}


def test_a_percentile_that_is_never_is_above_one_that_is_sure() -> None:
    sure, never = Estimate(1.0, 0.9, 1.1, 100), Estimate(math.inf, math.inf, math.inf, 100)
    row = differences.Row("x", str, -1, sure, never)
    assert math.isnan(row.change.value)
    assert row.sign == 1
    assert replace(row, second=replace(never, low=1.05)).sign == 0
    assert replace(row, first=Estimate(1.0)).sign is None


# --- summaries --------------------------------------------------------------------------------------------------------


def test_a_rate_is_a_histogram_over_the_length_of_its_stretches() -> None:
    at = np.random.default_rng(1).uniform(0, 25.0, 1_000)
    found = rate(at, 25.0, 10.0)
    count, _ = np.histogram(at, [0, 10, 20, 25])
    np.testing.assert_allclose(found.value, count / [10, 10, 5])


def test_a_gauge_is_its_readings_mean_and_ends() -> None:
    mean, low, high = gauge(np.array([0.0, 1.0, 25.0]), np.array([1.0, 3.0, 7.0]), 30.0, 10.0)
    np.testing.assert_array_equal(mean.value, [2, np.nan, 7])
    np.testing.assert_array_equal(low, [1, np.nan, 7])
    np.testing.assert_array_equal(high, [3, np.nan, 7])


def test_a_counter_grows_also_where_its_server_began_anew_and_is_not_known_outside_its_readings() -> None:
    at, total = np.arange(10.0, 31.0), np.concatenate([100 + 5 * np.arange(11.0), 3 * np.arange(1.0, 11.0)])
    found = counter(at, total, 40.0, 10.0)
    np.testing.assert_allclose(found.value, [np.nan, 5, 3, np.nan])


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_writes_a_page_of_one_run_and_of_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b").mkdir()
    first, second, page = tmp_path / "run.parquet", tmp_path / "b" / "run.parquet", tmp_path / "page.html"
    example.run(requests=500).write(first)
    example.run(requests=500, seed=3).write(second)
    both = ["-o", str(page), "--figures", str(tmp_path / "f")]
    assert command(["report", str(first), "--slo", "ttft:p99<2s", *both]) == 0
    assert f"wrote {page}" in capsys.readouterr().err
    assert "ttft:p99<2s" in Parts(page.read_text(encoding="utf-8")).shown
    assert (tmp_path / "f" / "ttft-tail.png").is_file()
    assert command(["report", str(first), str(second), "--warm-up", "10s", "--cool-down", "0", "-o", str(page)]) == 0
    shown_text = Parts(page.read_text(encoding="utf-8")).shown
    assert "b/run.parquet" in shown_text
    assert "Differences" in shown_text


def test_what_the_command_cannot_do_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.parquet"
    example.run(requests=100).write(path)
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "x.parquet")
    page = ["-o", str(tmp_path / "page.html")]
    for arguments, code, said in (
        ([str(path)], 2, "there is nothing to write: name a page with -o page.html"),
        ([str(path), str(path), *page], 2, "is given twice"),
        ([str(tmp_path / "y.parquet"), *page], 2, "no such file"),
        ([str(tmp_path / "x.parquet"), *page], 1, "column 'row' is missing"),
        ([str(path), "--slo", "ttft<2", *page], 2, "has not the form"),
        ([str(path), "--warm-up", "soon", *page], 2, "no duration"),
        ([str(path), "-o", str(tmp_path / "no" / "page.html")], 2, "there is no folder"),
    ):
        assert command(["report", *arguments]) == code
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not (tmp_path / "page.html").exists()
