"""What a person sees of a run that goes on: figures of the last seconds, a picture, or lines."""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from groundswell.replay.journal import ERROR, RECORD, Records
from groundswell.replay.picture import Scene, lag_spoils, line_of, picture_of, plain, sparkline, time_line
from groundswell.replay.recent import MOST_ROWS, Course, Recent, spread
from groundswell.replay.view import View

NO_STATE = (0, 0, 0, 0, 0, 0)


def records(count: int, **columns: Any) -> Records:
    """Requests that were due at 0 s, sent and answered well, unless ``columns`` say otherwise."""
    made = np.zeros(count, RECORD)
    for name, value in {"first_token_s": 0.2, "done_s": 1.0, "output_tokens": 5, "status": 200, **columns}.items():
        made[name] = value
    return made


def test_percentiles_are_those_of_the_requests_that_ended_in_the_last_ten_seconds() -> None:
    rng = np.random.default_rng(1)
    recent, ttft_s, done_s = Recent(), rng.exponential(0.3, 5000), np.sort(rng.uniform(0, 50, 5000))
    made = records(5000, due_s=done_s - 2, sent_s=done_s - 1.99, first_token_s=done_s - 2 + ttft_s, done_s=done_s)
    for part in np.array_split(made, 200):
        recent.add(float(part["done_s"][-1]), [part], [NO_STATE])
    last = done_s > done_s[-1] - 10
    figures = recent.figures()
    expected = np.quantile(ttft_s[last], [0.5, 0.99, 1.0], method="inverted_cdf")
    np.testing.assert_allclose(figures.ttft, expected, rtol=1e-9)
    tpot_s = (2 - ttft_s[last]) / 4
    np.testing.assert_allclose(figures.tpot, np.quantile(tpot_s, [0.5, 0.99, 1.0], method="inverted_cdf"), rtol=1e-9)
    np.testing.assert_allclose(figures.lag, [0.01, 0.01, 0.01], atol=1e-9)


def test_a_failed_request_never_had_its_first_token() -> None:
    recent = Recent()
    late = records(2, error=ERROR["timeout"], first_token_s=math.nan, output_tokens=-1)
    recent.add(1.0, [records(98), late], [NO_STATE])
    assert recent.figures().ttft == (0.2, math.inf, math.inf)
    assert recent.figures().tpot == (0.2, math.inf, math.inf)
    assert recent.figures().errors == {"timeout": 2}


def test_rates_are_counted_over_the_window_and_over_less_at_the_begin() -> None:
    recent = Recent()
    for quarter in range(13):  # 100 a second
        recent.add(
            quarter / 4, [], [(15 * quarter, 10 * quarter, 5 * quarter, 0, 0, 9), (10 * quarter,) * 2 + (0,) * 4]
        )
    assert recent.figures().sent_per_s == pytest.approx(100)
    assert recent.figures().all.sent == 25 * 12
    for quarter in range(13, 81):  # and then 200, a tenth of it held back
        held = 5 * (quarter - 12)
        recent.add(quarter / 4, [], [(300 + 45 * (quarter - 12), 20 * quarter, 0, held, 0, 0)])
    figures = recent.figures()
    assert figures.due_per_s == pytest.approx(200)
    assert figures.sent_per_s == pytest.approx(180)
    assert figures.ended_per_s == pytest.approx(80)
    assert figures.all.held == 5 * 68


def test_a_resumed_run_has_rates_of_its_own_seconds() -> None:
    recent = Recent()
    recent.add(5000.0, [], [NO_STATE])
    assert math.isnan(recent.figures().sent_per_s)
    recent.add(5001.0, [records(10, done_s=5000.9)], [(50, 10, 40, 0, 0, 0)])
    assert recent.figures().sent_per_s == pytest.approx(50)
    assert recent.figures().tokens_per_s == pytest.approx(50)


def test_errors_are_counted_by_kind_and_by_status_the_most_frequent_first() -> None:
    recent = Recent()
    refused = records(3, error=ERROR["status"], status=429)
    recent.add(1.0, [refused, records(1, error=ERROR["reset"]), records(5)], [NO_STATE])
    recent.add(30.0, [records(2, error=ERROR["status"], status=500)], [NO_STATE])
    errors = recent.figures().errors
    assert errors == {"status 429": 3, "status 500": 2, "reset": 1}
    assert list(errors) == ["status 429", "status 500", "reset"]


def test_what_says_nothing_of_a_time_is_left_out_of_its_percentiles() -> None:
    recent = Recent()
    silent = records(50, first_token_s=math.nan, output_tokens=0)
    unsent = records(50, sent_s=math.nan, error=ERROR["unsent"])
    recent.add(1.0, [records(1), silent, records(1, output_tokens=1), records(1, output_tokens=-1)], [NO_STATE])
    assert recent.figures().ttft == pytest.approx((0.2, 0.2, 0.2))
    assert recent.figures().tpot == pytest.approx((0.2, 0.2, 0.2))
    recent.add(1.1, [unsent], [NO_STATE])
    assert recent.figures().lag == (0, 0, 0)


def test_memory_is_bounded_however_many_requests_end() -> None:
    recent = Recent()
    for second in range(20):
        recent.add(second, [records(20_000, done_s=second)], [NO_STATE])
    assert recent._rows.shape[1] == MOST_ROWS
    for step in range(10_000):
        recent.add(20 + step / 100, [], [NO_STATE])
    assert len(recent._totals) <= 1002


def test_nothing_yet_is_nothing_and_no_fault() -> None:
    figures = Recent().figures()
    assert math.isnan(figures.ttft.p50_s)
    assert math.isnan(figures.sent_per_s)
    recent = Recent()
    recent.add(-0.5, [np.empty(0, RECORD)], [])
    assert recent.figures().all.sent == 0
    assert spread(np.array([math.inf, 1.0])) == (1.0, math.inf, math.inf)


def test_the_course_of_a_run_is_bounded_and_keeps_its_peaks() -> None:
    course = Course(step_s=1.0, most=64)
    for quarter in range(4 * 3600):
        course.add(quarter / 4, 9.0 if quarter == 4 * 1024 else math.nan if quarter < 8 else 1.0)
    assert 16 < len(course.points) <= 64
    assert course.points.count(9.0) == 1


@dataclass
class Ahead:
    requests: int = 60_000
    span_s: float = 600.0


@dataclass
class Metrics:
    server: str | None = "vLLM"
    figures: dict[str, float] = field(default_factory=lambda: {"running": 30.0, "waiting": 4.0, "kv_used": 0.631})

    def latest(self) -> dict[str, float]:
        return self.figures


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def scene(now_s: float = 246.0, **changes: Any) -> Scene:
    recent = Recent()
    failed = records(1, error=ERROR["status"], status=429, done_s=now_s, first_token_s=math.nan)
    recent.add(now_s - 10, [], [NO_STATE])
    well = records(500, due_s=now_s - 2, sent_s=now_s - 1.9999, first_token_s=now_s - 1.8, done_s=now_s)
    recent.add(now_s, [well, failed], [(1000, 900, 100, 3, 1, 50)])
    given = {"title": "a → b", "requests": 60_000, "span_s": 600.0, "server": Metrics().figures, "server_name": "vLLM"}
    return Scene(figures=recent.figures(), **{**given, **changes})


def drawn(what: Scene, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    console.print(picture_of(what, [0.1, 0.2, 0.4], width))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 140])
def test_the_picture_says_what_matters_and_fits(width: int) -> None:
    text = drawn(scene(), width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    for said in (
        "4:06 of 10:00, 5:54 left",
        "per second 100.3 100.0 90.0",
        "in all 1,003 1,000 900 100 open 3 held back 1 failed",
        "TTFT 200 ms 200 ms failed",
        "TPOT 450 ms 450 ms failed",
        "lag 0.10 ms 0.10 ms",
        "vLLM running 30 · waiting 4 · KV 63 %",
        "errors status 429 × 1",
    ):
        assert said in words
    assert ("▂▄█" in text) == (width == 140)


def test_a_narrow_terminal_breaks_nothing() -> None:
    assert max(map(len, drawn(scene(), 40).splitlines())) <= 40


def test_the_line_says_the_same_without_a_terminal() -> None:
    assert line_of(scene()) == (
        "4:06 of 10:00, 5:54 left: asked 100.3/s, sent 100.0/s, ended 90.0/s, 100 open, 3 held back; "
        "TTFT p50 200 ms, p99 200 ms; TPOT p50 450 ms, p99 450 ms; lag p50 0.10 ms, p99 0.10 ms; "
        "1 failed (status 429 × 1); vLLM running 30 · waiting 4 · KV 63 %"
    )


def test_time_is_said_before_during_and_after_the_span() -> None:
    assert time_line(scene(now_s=-2.5)) == "begins in 0:03"
    assert time_line(scene(now_s=4000.0, span_s=7200.0)) == "1:06:40 of 2:00:00, 53:20 left"
    assert time_line(scene(now_s=601.0)) == "10:01, 59,000 still to send"
    assert time_line(scene(now_s=601.0, requests=1000)) == "10:01, 100 still open"


def test_lag_that_spoils_the_measurement_is_marked() -> None:
    assert not lag_spoils(scene().figures)
    recent = Recent()
    recent.add(1.0, [records(100, sent_s=0.011)], [NO_STATE])
    assert lag_spoils(recent.figures())
    assert "over 5 % of TTFT" in drawn(Scene("", 1, 1.0, recent.figures(), {}), 80)


def test_what_a_server_calls_itself_cannot_move_the_cursor() -> None:
    assert plain("tiny\x1b[2J\r\n") == "tiny�[2J��"
    assert "\x1b" not in drawn(scene(title="\x1b]0;x\x07"), 80)


def test_bars_rise_to_the_largest_and_groups_keep_theirs() -> None:
    assert sparkline([], 10) == ""
    assert sparkline([0.0, 0.0], 10) == "▁▁"
    assert sparkline([1, 1, 8, 1, 1, 1], 3) == "▁█▁"


def test_without_a_terminal_a_line_comes_every_ten_seconds_at_most() -> None:
    file = io.StringIO()
    with View(Ahead(), Metrics(), file=file) as view:
        for quarter in range(4 * 35):
            view.update(quarter / 4, [records(3, done_s=quarter / 4)], [NO_STATE])
    lines = file.getvalue().splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["0:10", "0:20", "0:30"]
    assert all("vLLM running 30" in line for line in lines)


def test_a_run_that_begins_late_on_its_clock_is_not_late_with_its_lines() -> None:
    file = io.StringIO()
    with View(Ahead(), file=file) as view:
        for quarter in range(4 * 11):
            view.update(5000 + quarter / 4, [], [NO_STATE])
    assert len(file.getvalue().splitlines()) == 1


def test_a_terminal_is_given_back_as_it_was() -> None:
    file = Terminal()
    with View(Ahead(), title="chat.parquet", file=file) as view:
        view.update(1.0, [records(3)], [NO_STATE])
    shown = file.getvalue()
    assert "chat.parquet" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is shown again
    assert re.search(r"\x1b\[2K", shown)  # and the picture taken away


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    file = Terminal()
    with View(Ahead(), file=file) as view:
        for second in range(12):
            view.update(second, [], [NO_STATE])
    assert len(file.getvalue().splitlines()) == 1


def test_a_run_goes_on_when_nobody_can_be_told() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    with View(Ahead(), file=Gone()) as view:
        for second in range(25):
            view.update(second, [records(1, done_s=second)], [(second, 0, 0, 0, 0, 0)])
        assert view.recent.figures().all.sent == 24
