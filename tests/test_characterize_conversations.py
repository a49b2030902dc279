"""Conversations that a trace names: counted by hand, known truths, the parts of a stream, and a share of them."""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from groundswell.characterize import _burstiness, _followed
from groundswell.characterize.conversations import Fold
from groundswell.characterize.figures import ConversationFigures
from groundswell.characterize.setting import Setting
from groundswell.table import Workload
from workloads import cut

SETTING = Setting(window_s=100.0)
Floats = NDArray[np.float64]


def workload(
    arrival_s: Sequence[float] | Floats,
    conversation: Sequence[int | None] | NDArray[np.int64],
    input_tokens: Sequence[int] | NDArray[np.int64] | None = None,
    **more: pl.Series,
) -> Workload:
    """Requests of one client at these times, in these conversations."""
    n = len(arrival_s)
    frame = pl.DataFrame(
        {
            "arrival_s": pl.Series(arrival_s, dtype=pl.Float64),
            "client": pl.Series(["c"] * n, dtype=pl.Enum(["c"])),
            "input_tokens": pl.Series([7] * n if input_tokens is None else input_tokens, dtype=pl.Int32),
            "output_tokens": pl.Series([1] * n, dtype=pl.Int32),
            "conversation": pl.Series(conversation, dtype=pl.Int64),
        }
    )
    return Workload(frame.with_columns(series.alias(name) for name, series in more.items()))


def figures(*blocks: Workload, setting: Setting = SETTING) -> ConversationFigures:
    """The figures of blocks that follow one another."""
    whole = functools.reduce(operator.add, (Fold.of(block, setting) for block in blocks), Fold())
    found = whole.finish(setting, pl.DataFrame())
    assert found is not None
    return found


def same(a: ConversationFigures, b: ConversationFigures) -> None:
    """Both say the same."""
    assert (a.source, a.conversations, a.sampled) == (b.source, b.conversations, b.sampled)
    for name in (
        "multi_turn_share", "mean_turns", "gap_p50", "gap_p90", "growth_per_turn",
        "single_cv", "multi_cv", "whole_cv", "starts_cv",
    ):  # fmt: skip
        x, y = getattr(a, name), getattr(b, name)
        np.testing.assert_allclose([x.value, x.low, x.high, x.n], [y.value, y.low, y.high, y.n], atol=1e-9)
    for name in ("turns", "gap", "think"):
        np.testing.assert_allclose(getattr(a, name).x, getattr(b, name).x)
        np.testing.assert_allclose(getattr(a, name).y, getattr(b, name).y)
    for name in ("gap_by_turn", "growth"):
        np.testing.assert_allclose(getattr(a, name).x, getattr(b, name).x)
        np.testing.assert_allclose(getattr(a, name).middle, getattr(b, name).middle)


def chats(n: int, seed: int, turns_mean: float = 1.0) -> Workload:
    """``n`` conversations that begin as a Poisson process of 1/s, of 1 + Poisson turns, exponential gaps of mean 50 s,
    and 100 tokens more each turn."""
    random = np.random.default_rng(seed)
    turns = 1 + random.poisson(turns_mean, n)
    start = np.sort(random.uniform(0, n, n))
    talk = np.repeat(np.arange(n), turns)
    rank = np.arange(talk.size) - np.repeat(np.cumsum(turns) - turns, turns)
    gap = np.where(rank > 0, random.exponential(50.0, talk.size), 0.0)
    since = np.cumsum(gap)
    at = start[talk] + since - since[np.cumsum(turns) - turns][talk]
    order = np.argsort(at, kind="stable")
    return workload(at[order], talk[order], (random.integers(100, 200, n)[talk] + 100 * rank)[order])


@st.composite
def traces(draw: st.DrawFn) -> Workload:
    """Up to 60 requests in up to 8 conversations or none, some at the same time."""
    rows = draw(
        st.lists(
            st.tuples(st.sampled_from([0.0, 1.0, 2.5, 40.0]), st.none() | st.integers(-4, 4), st.integers(0, 999)),
            min_size=1, max_size=60,
        ).filter(lambda rows: any(row[1] is not None for row in rows))
    )  # fmt: skip
    gaps, talks, tokens = zip(*rows, strict=True)
    return workload(np.cumsum(gaps), talks, tokens)


def cv_within_windows(arrivals: Sequence[float], width_s: float) -> float:
    """The CV of gaps in each window, weighted by their number."""
    windows = defaultdict(list)
    for at in arrivals:
        windows[at // width_s].append(at)
    gaps = [np.diff(window) for window in windows.values() if len(window) > 1 and window[-1] > window[0]]
    zero = sum(len(window) - 1 for window in windows.values() if window[-1] == window[0])
    n = sum(map(len, gaps)) + zero
    return float(sum(np.std(gap) / np.mean(gap) * gap.size for gap in gaps) / n) if n else np.nan


@given(traces())
def test_figures_are_those_that_are_counted_by_hand(whole: Workload) -> None:
    talks: dict[object, list[tuple[float, int]]] = defaultdict(list)
    for row, (at, talk, tokens) in enumerate(whole.frame.select("arrival_s", "conversation", "input_tokens").rows()):
        talks[(row, None) if talk is None else talk].append((at, tokens))
    turns = [len(rows) for rows in talks.values()]
    gaps = [b[0] - a[0] for rows in talks.values() for a, b in pairwise(rows)]
    growth = [b[1] - a[1] for rows in talks.values() for a, b in pairwise(rows)]
    found = figures(whole)
    assert found.source == "ids"
    assert found.sampled == 1.0
    assert found.conversations == len(talks)
    assert found.multi_turn_share.value == pytest.approx(sum(t for t in turns if t > 1) / len(whole))
    np.testing.assert_allclose(found.turns.y, [turns.count(int(x)) / len(turns) for x in found.turns.x])
    assert found.turns.y.sum() == pytest.approx(1.0)
    if gaps:
        assert found.mean_turns.value == pytest.approx(np.mean([t for t in turns if t > 1]))
        assert found.gap_p50.value == pytest.approx(np.median(gaps))
        assert found.gap_p90.value == pytest.approx(np.quantile(gaps, 0.9))
        assert found.growth_per_turn.value == pytest.approx(np.mean(growth))
        np.testing.assert_allclose(found.gap.y, [np.mean(np.array(gaps) <= x) for x in found.gap.x])
    else:
        assert not found.gap.x.size


@given(traces())
def test_burstiness_is_that_of_each_kind_alone(whole: Workload) -> None:
    rows = whole.frame.select("arrival_s", "conversation").rows()
    size: dict[int | None, int] = defaultdict(int)
    kinds: dict[str, list[float]] = defaultdict(list)
    for _, talk in rows:
        size[talk] += 1
    seen = set()
    for at, talk in rows:
        kinds["whole_cv"].append(at)
        kinds["single_cv" if talk is None or size[talk] == 1 else "multi_cv"].append(at)
        if talk is None or talk not in seen:
            kinds["starts_cv"].append(at)
        seen.add(talk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_burstiness, "FEWEST_GAPS", 1)
        found = figures(whole)
    for kind in ("whole_cv", "single_cv", "multi_cv", "starts_cv"):
        assert getattr(found, kind).value == pytest.approx(cv_within_windows(kinds[kind], 100.0), nan_ok=True)


@given(traces(), st.lists(st.integers(0, 60), max_size=8))
def test_parts_of_a_trace_add_up_to_the_whole(whole: Workload, cuts: list[int]) -> None:
    same(figures(*cut(whole, cuts)), figures(whole))
    same(figures(*cut(whole, range(1, len(whole)))), figures(whole))


def test_it_does_not_matter_which_parts_are_added_first() -> None:
    a, b, c = (Fold.of(part, SETTING) for part in cut(chats(500, 1), (300, 700)))
    left, right = ((a + b) + c).finish(SETTING, pl.DataFrame()), (a + (b + c)).finish(SETTING, pl.DataFrame())
    assert left is not None
    assert right is not None
    same(left, right)


def test_a_turn_of_the_trace_counts_where_it_has_one() -> None:
    n = 40
    talk = np.repeat(np.arange(n), 2)
    third, fourth = 3, 4  # the trace begins in the middle of all conversations but one
    turn = pl.Series(np.tile([third, fourth], n), dtype=pl.Int16)
    turn[0], turn[1] = 0, 1
    found = figures(workload(np.arange(2.0 * n), talk, np.tile([10, 30], n), turn=turn))
    assert found.gap_by_turn.x.tolist() == [4.0]  # turn 3 of those that count from 0
    assert found.growth.x.tolist() == [4.0, 5.0]
    assert found.growth.middle.tolist() == [10.0, 30.0]
    assert found.growth.n.tolist() == [39.0, 39.0]


def test_think_times_are_those_of_turns_that_follow_one() -> None:
    think = pl.Series([0.0, 5.0, None, 9.0])
    found = figures(workload([0.0, 1.0, 2.0, 3.0], [1, 1, 1, 1], think_s=think))
    assert found.think.x.tolist() == [5.0, 9.0]


def test_times_between_turns_are_fitted() -> None:
    random = np.random.default_rng(3)
    n = 4000
    start = np.arange(n) * 1.0
    at = np.concatenate([start, start + random.lognormal(4.0, 1.5, n)])
    order = np.argsort(at)
    found = figures(workload(at[order], np.tile(np.arange(n), 2)[order]))
    assert found.gap_lognormal is not None
    assert found.gap_lognormal.n == n
    sigma = np.sqrt(np.log1p(found.gap_lognormal.parameters["cv"] ** 2))
    mu = np.log(found.gap_lognormal.parameters["mean"]) - sigma**2 / 2
    assert abs(mu - 4.0) < 5 * 1.5 / np.sqrt(n)
    assert abs(sigma - 1.5) < 5 * 1.5 / np.sqrt(2 * n)
    assert found.gap_lognormal.curve.x.size == found.gap_lognormal.curve.y.size > 100


def test_intervals_cover_what_is_true() -> None:
    # Of 1 + Poisson(1) turns: 2 on average, exp(-1) of them alone, and as many of the conversations have only one.
    truth = {
        "multi_turn_share": (2 - np.exp(-1)) / 2,
        "mean_turns": (2 - np.exp(-1)) / (1 - np.exp(-1)),
        "gap_p50": 50.0 * np.log(2),
        "gap_p90": 50.0 * np.log(10),
        "growth_per_turn": 100.0,
    }
    covered = dict.fromkeys(truth, 0)
    for seed in range(200):
        found = figures(chats(2000, seed))
        for name, value in truth.items():
            estimate = getattr(found, name)
            covered[name] += estimate.low - 1e-9 <= value <= estimate.high + 1e-9
    assert min(covered.values()) >= 180, covered


def test_a_share_of_the_conversations_says_what_all_of_them_do(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = chats(20_000, 4)
    exact = figures(whole)
    monkeypatch.setattr(_followed, "MOST", 2**13)
    sampled = figures(*cut(whole, range(0, 40_000, 3_000)))
    assert sampled.sampled == figures(whole).sampled == 1 / 8
    n = exact.conversations / 8
    assert sampled.conversations == pytest.approx(exact.conversations, rel=5 / np.sqrt(n))
    assert abs(sampled.multi_turn_share.value - exact.multi_turn_share.value) < 5 * 0.5 / np.sqrt(n)
    assert abs(sampled.mean_turns.value - exact.mean_turns.value) < 5 / np.sqrt(n)
    assert sampled.gap_p50.value == pytest.approx(exact.gap_p50.value, rel=0.1)
    assert sampled.whole_cv.value == pytest.approx(exact.whole_cv.value, abs=0.08)
    # Turns are 50 s apart, and stretches of a window hardly longer: many turns seem to be alone.
    assert np.isnan(sampled.single_cv.value)
    assert np.isnan(sampled.multi_cv.value)


def test_kinds_are_told_apart_where_stretches_are_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 20_000
    start = np.arange(n) + np.random.default_rng(6).uniform(0.0, 0.9, n)
    talk = np.concatenate([np.arange(n), np.arange(0, n, 2)])  # every second one has another turn, .05 s later
    at = np.concatenate([start, start[::2] + 0.05])
    order = np.argsort(at)
    whole = workload(at[order], talk[order])
    setting = Setting(window_s=1000.0)
    exact = figures(whole, setting=setting)
    monkeypatch.setattr(_followed, "MOST", 2**13)
    sampled = figures(whole, setting=setting)
    assert sampled.sampled < 1.0
    for kind in ("single_cv", "multi_cv", "starts_cv"):
        truth, estimate = getattr(exact, kind), getattr(sampled, kind)
        assert estimate.n < truth.n / 2
        assert estimate.low <= truth.value <= estimate.high


def test_a_conversation_without_end_is_counted_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_followed, "MOST", 2**12)
    n = 20_000
    talk = np.zeros(n, np.int64)
    talk[::10] = np.arange(n // 10) // 2 + 1
    whole = workload(np.arange(float(n)), talk)
    one, many = figures(whole), figures(*cut(whole, range(500, n, 500)))
    same(one, many)
    assert one.sampled == 1.0
    assert one.conversations == n // 20 + 1
    assert one.multi_turn_share.value == pytest.approx(1.0)
    assert one.mean_turns.value == pytest.approx(n / (n // 20 + 1))


def test_a_trace_without_conversations_has_no_figures() -> None:
    assert Fold().finish(SETTING, pl.DataFrame()) is None
    whole = chats(10, 0)
    assert Fold.of(Workload(whole.frame.drop("conversation")), SETTING).finish(SETTING, pl.DataFrame()) is None
    assert Fold.of(Workload(whole.frame.clear()), SETTING).finish(SETTING, pl.DataFrame()) is None
    assert Fold.of(workload([0.0, 1.0], [None, None]), SETTING).finish(SETTING, pl.DataFrame()) is None
