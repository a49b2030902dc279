"""``groundswell plan`` as a user types it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from groundswell.cli import execute as run
from groundswell.cli._plan_figures import charts, grid_figures, sections
from groundswell.plan import Options, plan
from groundswell.plan.figures import Attained, Autoscaled, Cell, Grid
from groundswell.plan.grid import Bounds
from groundswell.plan.text import describe_grid
from groundswell.report.files import drawn
from planning import LARGE, bursty

ENGINE = ["--model", "qwen2.5-14b", "--gpu", "a100", "--tp", "2"]
SLO = ["--slo", "ttft:p99<2s,tbt:p99<0.2s"]


@pytest.fixture
def workload(tmp_path: Path) -> str:
    path = tmp_path / "workload.parquet"
    bursty(1).write(path)
    return str(path)


def strict(text: str) -> Any:
    """JSON as the standard has it, without infinities."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def test_the_answer_comes_first_and_four_methods_stand_side_by_side(
    workload: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", workload, *ENGINE, *SLO, "--price", "2.5/gpu"]) == 0
    said = capsys.readouterr().out
    first, second, *_ = said.splitlines()
    instances = int(first.split()[0])
    assert f" keep ttft:p99<2s,itl:p99<200ms: {2 * instances} GPUs, {48 * instances} GPU-hours a day" in first
    assert first.endswith(f"{5 * instances:.2f} an hour (at 2.5 a GPU).")
    assert second.startswith("As a sample of such traffic: ")
    for method in ("NAIVE", "scaled clients", "one of N", "direct"):
        assert f"\n{method} " in said
    assert "The traffic: 6,000 requests in 5m (20 req/s) of 4 clients" in said
    assert "\nWithout client " in said
    assert "How: turns closed, router jsq, seed 0; all of it is planned for" in said


def test_json_has_everything_and_is_what_the_library_says(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", workload, *ENGINE, *SLO, "--json", "--grid", "ttft=1s,2s;tbt=0.2s,0.4s"]) == 0
    found = strict(capsys.readouterr().out)
    assert [answer["method"] for answer in found["answers"]] == ["naive", "scaled", "one_of", "direct"]
    direct = found["answers"][3]
    assert (found["instances"], found["method"]) == (direct["instances"], "direct")
    assert found["hardware"]["gpus"] == 2 * direct["instances"]
    assert found["hardware"]["cost_per_hour"] is None
    cells = {(cell["x_s"], cell["y_s"]): cell["counts"] for cell in found["grid"]["cells"]}
    assert cells[2.0, 0.2]["direct"] == direct["instances"]
    assert cells[1.0, 0.2]["direct"] >= cells[2.0, 0.2]["direct"] >= cells[2.0, 0.4]["direct"]
    assert len(found["without"]) == 3
    assert found["engine"]["most_tokens"] == 2048


def test_clients_of_a_source_are_planned_for(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["chat-large", "--clients", "20", "--rate", "30", "--duration", "2m", "--seed", "3"]
    assert run(["plan", *given, *ENGINE, *SLO, "--methods", "scaled,direct", "--leave-out", "0"]) == 0
    said = capsys.readouterr().out
    assert "requests in 2m" in said
    assert "NAIVE" not in said
    assert "Without client" not in said
    assert "seed 3" in said


def test_a_page_and_figures_are_written(workload: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, folder = tmp_path / "plan.html", tmp_path / "figures"
    given = ["--grid", "ttft=1s,2s;tbt=0.2s,0.4s", "--methods", "one_of,direct", "--leave-out", "0"]
    assert run(["plan", workload, *ENGINE, *SLO, *given, "--html", str(page), "--figures", str(folder)]) == 0
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "keep ttft:p99&lt;2s" in text
    text = re.sub(r"(?s)<(script|style).*?</\1>", "", text)
    assert "<pre" not in text
    said, words = capsys.readouterr().out, " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())
    answer, sure, *_ = said.splitlines()
    assert answer in words
    assert sure in words
    (traffic,) = (line for line in said.splitlines() if line.startswith("The traffic: "))
    (how,) = (line for line in said.splitlines() if line.startswith("How: "))
    assert traffic.removeprefix("The traffic: ") in words
    assert how.removeprefix("How: turns") in words
    methods, around, *_ = said.split("\n\n")[1:]
    for cell in re.split(r"  +|\n", methods):
        assert cell in words
    for line in around.splitlines():
        assert re.split("  +", line.strip())[-1] in words
    assert re.search(r"\d instances? keeps [✓○] (meets|unclear) ttft p99", words)
    assert re.search(r"\d instances? does not keep [✗○] (fails|unclear)", words)
    there = sorted(path.name for path in folder.iterdir())
    assert there == sorted(f"{n}.{e}" for n in ("methods", "grid-one-of", "grid-direct") for e in ("svg", "png", "pdf"))


def test_the_charts_are_vega_lite_and_show_the_counts() -> None:
    altair = pytest.importorskip("altair")
    bounds = Bounds.parse("ttft=1s,2s;tbt=0.2s,0.4s")
    made = plan(bursty(1), LARGE, "ttft:p99<2s", options=Options(("naive", "direct"), grid=bounds, clients=0))
    assert made.grid is not None
    figures = charts(made)
    assert [figure.key for figure in figures] == ["methods", "grid-naive", "grid-direct"]
    for figure in figures:
        altair.LayerChart.from_dict(figure.spec, validate=True)
        assert "<svg" in drawn(figure)
    shown = [row["t"] for row in figures[2].spec["data"]["values"]]
    assert sorted(shown) == sorted(str(cell.counts["direct"]) for cell in made.grid.cells)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([*SLO], "say which engine: --model and --gpu (and --tp), or --profile FILE"),
        ([*SLO, "--model", "gpt-9", "--gpu", "a100"], "gpt-9"),
        ([*ENGINE, "--slo", "tpot:p50<1ms"], "tpot:p50<1ms: no number of instances keeps it: tpot p50 is "),
        ([*ENGINE, "--slo", "ttft:p99.99<2s"], "are judged, and ttft:p99.99 takes "),
        ([*ENGINE, "--slo", "lag:p99<2s"], "a simulated run has no lag"),
        ([*ENGINE, *SLO, "--router", "guess"], "routing has no 'guess'"),
        ([*ENGINE, *SLO, "--methods", "guess"], "methods has no 'guess'"),
        ([*ENGINE, *SLO, "--grid", "ttft=1s"], "has not two metrics"),
        ([*ENGINE, *SLO, "--price", "5"], "say what an hour costs"),
        ([*ENGINE, *SLO, "--rate", "5"], "is a workload: --rate, --duration, --start"),
        ([*ENGINE, *SLO, "--window", "9h"], "a window of 9h"),
        ([*ENGINE, *SLO, "--most-instances", "20000"], "must be from 1 to 10,000"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    workload: str, given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", workload, *given]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
    assert not told.out


def test_what_is_no_workload_and_no_source_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "nowhere.parquet", *ENGINE, *SLO]) == 2
    assert "there is no file or folder 'nowhere.parquet', nor a population of that name" in capsys.readouterr().err


def test_autoscalers_are_sized_beside_the_fixed_fleet(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["plan", workload, *ENGINE, *SLO, "--methods", "direct", "--leave-out", "0"]
    assert run([*asked, "--scaler", "reactive:target=16", "--startup", "10s", "--json"]) == 0
    found = strict(capsys.readouterr().out)
    fixed, reactive = found["autoscaled"]
    assert (fixed["scaler"], reactive["scaler"], reactive["unit"]) == ("fixed", "reactive", "in flight each")
    assert fixed["best"]["instance_hours"] == pytest.approx(
        found["instances"] * 5 / 60, rel=0.15
    )  # until all have ended
    assert any(one["load"] == 16.0 for one in reactive["tried"])
    assert run([*asked, "--scaler", "reactive:target=16", "--startup", "10s"]) == 0
    said = capsys.readouterr().out
    assert "\nautoscaled " in said
    assert "\nfixed " in said
    assert "\nreactive, " in said


def test_the_fixed_fleet_is_not_told_to_be_as_good_as_itself() -> None:
    fixed, best = (Attained(load, 2.0, 2.0, 2, 1.0, 1, 1, ()) for load in (math.nan, 12.0))
    made = plan(bursty(1), LARGE, "ttft:p99<2s", options=Options(("direct",), clients=0))
    sized = (Autoscaled("fixed", "", fixed, (fixed,)), Autoscaled("reactive", "in flight each", best, (best,)))
    (section,) = (each for each in sections(replace(made, autoscaled=sized)) if each.key == "autoscaled")
    assert [row[-1] for row in section.tables[0].rows] == ["", "the fewest that do as well as fixed"]


def test_rows_of_the_grid_are_in_the_order_of_the_text() -> None:
    cells = tuple(Cell(x, y, {"direct": 1}, {}) for y in (0.4, 0.2) for x in (2.0, 1.0))
    grid = Grid("ttft:p99", "itl:p99", cells)
    (figure,) = grid_figures(grid)
    shown = [(row["y"], row["x"]) for row in figure.spec["data"]["values"]]
    assert shown == [("200 ms", "1 s"), ("200 ms", "2 s"), ("400 ms", "1 s"), ("400 ms", "2 s")]
    assert [line.split("  ")[0] for line in describe_grid(grid).splitlines()[2:]] == ["200 ms", "400 ms"]


def test_what_cannot_be_sized_is_one_line(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["plan", workload, *ENGINE, *SLO]
    assert run([*asked, "--startup", "10s"]) == 2
    assert "--startup is for a --scaler or a --history" in capsys.readouterr().err
    assert run([*asked, "--scaler", "magic"]) == 2
    assert "scaling has no 'magic'; it has forecast, reactive" in capsys.readouterr().err
    assert run([*asked, "--history", workload]) == 1
    said = capsys.readouterr().err
    assert said == (
        f"groundswell: --history {workload}: the workload lasts 5m, so nothing can be expected of the time of day from "
        "0 h to 24 h: it takes a whole day\n"
    )


def test_no_time_is_no_time_to_plan_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "chat-small", *ENGINE, *SLO, "--rate", "5", "--duration", "0s"]) == 2
    assert "a number of seconds above 0, not 0" in capsys.readouterr().err


def test_where_no_number_is_found_a_script_can_tell(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["plan", workload, *ENGINE, *SLO, "--methods", "direct", "--leave-out", "0", "--most-instances", "1"]
    assert run(asked) == 1
    assert capsys.readouterr().out.startswith("No number of instances up to 1 keeps")
    assert run([*asked, "--json"]) == 1
    assert strict(capsys.readouterr().out)["instances"] is None


def test_a_bound_that_is_given_twice_is_tried_once() -> None:
    assert Bounds.parse("ttft=1s,1s;tbt=0.2s") == Bounds.parse("ttft=1s;tbt=0.2s")
