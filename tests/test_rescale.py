"""Pace: conversations that begin faster and go on as they did, against clocks that go faster altogether."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from groundswell.errors import DataError, UsageError
from groundswell.rescale import METHODS, rescale
from groundswell.rescale._talks import IDLE_S
from groundswell.rescale._waiting import in_time
from groundswell.table import Workload
from rescaling import gaps_within, rare_talk, starts, talks, whole
from workloads import cut, random_workload

FACTORS = (0.2, 0.5, 1.0, 3.0, 20.0)


def cuts(rows: int = 500) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, rows), max_size=5)


@pytest.mark.parametrize("factor", FACTORS)
def test_itt_leaves_every_inter_turn_time_as_it_is(factor: float) -> None:
    before = talks()
    after = whole(rescale(cut(before, range(0, len(before), 300)), factor))
    were, are = gaps_within(before.frame), gaps_within(after)
    assert are.select("conversation", "turn", "think_s").equals(were.select("conversation", "turn", "think_s"))
    assert np.abs(are["gap_s"].to_numpy() - were["gap_s"].to_numpy()).max() < 1e-8
    assert stats.ks_2samp(are["gap_s"].to_numpy().round(6), were["gap_s"].to_numpy().round(6)).statistic < 1e-3


@pytest.mark.parametrize("factor", FACTORS)
def test_itt_divides_the_begins_of_conversations_by_the_factor(factor: float) -> None:
    before = talks()
    after = whole(rescale([before], factor, "itt"))
    assert len(after) == len(before)
    assert starts(after) == pytest.approx(starts(before.frame) / factor, abs=1e-9)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("method", ["naive", "time"])
def test_naive_and_time_divide_every_gap_those_within_conversations_too(method: str, factor: float) -> None:
    before = talks()
    after = whole(rescale(cut(before, [100, 2000]), factor, method))
    assert after["arrival_s"].to_numpy() == pytest.approx(before.arrival_s / factor)
    assert gaps_within(after)["gap_s"].to_numpy() == pytest.approx(gaps_within(before.frame)["gap_s"] / factor)


def test_pauses_follow_the_clock_in_time_and_what_replies_leave_in_naive() -> None:
    before = talks()
    think_s = gaps_within(before.frame)["think_s"].to_numpy()
    gap_s = gaps_within(before.frame)["gap_s"].to_numpy()
    faster = gaps_within(whole(rescale(cut(before, [50, 900]), 2.0, "time")))["think_s"].to_numpy()
    left = gaps_within(whole(rescale(cut(before, [50, 900]), 2.0, "naive")))["think_s"].to_numpy()
    assert faster == pytest.approx(think_s / 2)
    # A reply takes what a gap has beside the pause, as long as before: 40 % of the gap, so a tenth of it is left.
    assert left == pytest.approx(0.1 * gap_s, abs=1e-6)
    assert whole(rescale([before], 3.0, "naive"))["think_s"].drop_nulls().max() == 0.0
    assert whole(rescale([before], 3.0, "itt"))["think_s"].sort().equals(before.frame["think_s"].sort())


@pytest.mark.parametrize("factor", [0.3, 7.0])
def test_burstiness_of_begins_is_kept_by_itt_whatever_the_turns_do(factor: float) -> None:
    after = whole(rescale([talks(5000)], factor))
    was, now = (np.diff(starts(frame)) for frame in (talks(5000).frame, after))
    assert now.std() / now.mean() == pytest.approx(was.std() / was.mean())


@given(places=cuts(), factor=st.floats(0.05, 30.0), method=st.sampled_from(["itt", "naive", "time"]))
@example(places=[498, 499], factor=3.0, method="time")  # a block of one row
@settings(max_examples=40)
def test_where_blocks_are_cut_changes_nothing(places: list[int], factor: float, method: str) -> None:
    w = talks(200)
    once, pieces = (whole(rescale(blocks, factor, method)) for blocks in ([w], cut(w, places)))
    assert pieces.equals(once)


@given(places=cuts(), factor=st.floats(0.05, 30.0))
@settings(max_examples=40)
def test_requests_that_wait_in_files_come_out_the_same(places: list[int], factor: float) -> None:
    w = talks(200)

    def placed() -> Iterator[tuple[Workload, float]]:
        for block in cut(w, places):
            start_s = (block.arrival_s // 50 * 50) / factor
            yield Workload(block.frame.with_columns(pl.Series("arrival_s", start_s + block.arrival_s % 50))), 0.0

    assert whole(in_time(placed(), most_bytes=0)).equals(whole(in_time(placed())))


@pytest.mark.parametrize("method", METHODS.names())
def test_no_more_of_a_trace_is_read_than_is_needed_for_the_next_rows(method: str) -> None:
    blocks = cut(talks(20_000, span_s=36_000.0), range(0, 60_000, 1000))
    drawn = 0

    def reading() -> Iterator[Workload]:
        nonlocal drawn
        for block in blocks:
            drawn += 1
            yield block

    rows = rescale(reading(), 2.0, method)
    first = next(rows)
    while not len(first):
        first = next(rows)
    assert drawn < len(blocks) // 4
    assert all(len(block) < 12_000 for block in rows)


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_keeps_clients_that_become_known_later(method: str) -> None:
    early, late = (random_workload(300, seed) for seed in (1, 2))
    names = (*late.clients, "new")
    moved = late.frame.with_columns(
        pl.col("arrival_s") + 100.0,
        pl.Series("client", ["new"] * 300, dtype=pl.Enum(names)),
    )
    after = whole(rescale([early, Workload(moved)], 1.5, method))
    if method != "burstgpt":
        assert "new" in after["client"].unique()


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_single_request_can_be_rescaled(method: str, factor: float) -> None:
    w = Workload(random_workload(1).frame.with_columns(pl.lit(0.0).alias("arrival_s")))
    assert sum(len(block) for block in rescale([w], factor, method)) <= 2


def test_a_conversation_that_stops_for_more_than_a_week_begins_anew() -> None:
    short, long = (whole(rescale([rare_talk(gap_s)], 2.0)) for gap_s in (0.9 * IDLE_S, 1.1 * IDLE_S))
    assert short["arrival_s"].to_list() == pytest.approx([0.0, 0.9 * IDLE_S, 0.9 * IDLE_S])
    assert long["arrival_s"].to_list() == pytest.approx([0.0, 0.55 * IDLE_S, 1.1 * IDLE_S])


def test_many_conversations_are_forgotten_when_they_have_been_idle() -> None:
    from groundswell.rescale._talks import Talks

    known = Talks()
    for week in range(30):
        n = 2000
        frame = random_workload(n).frame.with_columns(
            pl.Series("arrival_s", week * IDLE_S + np.linspace(0, 0.5 * IDLE_S, n)),
            pl.Series("conversation", week * n + np.arange(n)),
        )
        known.follow(Workload(frame))
    assert known.table.size <= 2**15


def changed(column: str, values: list[int | None]) -> Workload:
    frame = rare_talk(10.0).frame
    return Workload(frame.with_columns(pl.Series(column, values, dtype=frame.schema[column])))


def test_a_turn_without_a_conversation_and_one_before_its_first_are_told() -> None:
    with pytest.raises(DataError, match=r"^workload: the request at 20 s is turn 2 of no conversation"):
        list(rescale([changed("turn", [1, 2, 2])], 2.0))
    with pytest.raises(
        DataError, match=r"^workload: the request at 10 s is turn 1 of conversation 7, which began with turn 2 at 0"
    ):
        list(rescale([changed("turn", [2, 1, None])], 2.0))
    assert len(whole(rescale([changed("turn", [2, 2, 1])], 2.0))) == 3  # a branch; a first turn that stands alone


@pytest.mark.parametrize("factor", [0.0, -1.0, np.nan, np.inf, 1e9])
def test_a_factor_that_cannot_be_meant_is_told(factor: float) -> None:
    with pytest.raises(UsageError, match=r"^a factor of "):
        rescale([random_workload(5)], factor)


def test_an_unknown_method_is_told() -> None:
    with pytest.raises(UsageError, match=r"^methods has no 'ittt'; it has burstgpt, itt, naive, thin, time$"):
        rescale([random_workload(5)], 2.0, "ittt")
