"""What recorded conversations say of laws: as often as it was seen, and right where the record ends too soon to tell.

Statistics have fixed seeds and a margin of five standard errors, taken over seeds where no closed form has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.clients.session_values import KEPT_STEPS, MOST_LIKE_IT, Values, _followed, values_of
from groundswell.clients.sessions import Sessions
from groundswell.service import TPOT_S, TTFT_S

REPLY = 25  # tokens: a nominal second
SERVICE_S = TTFT_S + TPOT_S * REPLY


Talk = tuple[float, list[dict[str, Any]]]


def sessions_of(talks: list[Talk]) -> Sessions:
    """One client's conversations: when each begins, and its requests' columns."""
    talks = sorted(talks, key=lambda talk: talk[0])
    rows = [row for _, requests in talks for row in requests]

    def column(name: str, otherwise: float, kind: Any) -> Any:
        return np.array([row.get(name, otherwise) for row in rows], kind)

    return Sessions(
        first=np.array([0, len(talks)]),
        start_s=np.array([at_s for at_s, _ in talks]),
        edge=np.cumsum([0, *(len(requests) for _, requests in talks)]),
        shared=column("shared", -1, np.int32),
        think_s=column("think_s", 0, np.float32),
        back=column("back", 0, np.int32),
        kept_tokens=column("kept", 0, np.int32),
        input_tokens=column("input", 100, np.int32),
        output_tokens=column("output", REPLY, np.int32),
        reason_tokens=column("reason", 0, np.int32),
        shared_tokens=np.empty(0, np.int32),
        shared_within=np.empty(0, np.int32),
        shared_key=np.empty(0, np.uint64),
    )


def known(sessions: Sessions, begin_s: float = -np.inf, end_s: float = np.inf) -> dict[str, Values]:
    return values_of(sessions, np.array([begin_s]), np.array([end_s]))


def share(values: Values, upto: int) -> Any:
    """The probabilities of values 0 … ``upto``."""
    return np.bincount(values.value, values.weight, upto + 1)[: upto + 1] / values.weight.sum()


def test_of_whole_conversations_everything_counts_as_often_as_it_occurs() -> None:
    follow: dict[str, Any] = {"think_s": 3.0, "back": 1, "kept": 125, "input": 140}
    talks: list[Talk] = [(float(i), [{"input": 100 + i}, *([follow] * (i % 4))]) for i in range(40)]
    values = known(sessions_of(talks))
    assert np.bincount(values["turns"].value).tolist() == [0, 10, 10, 10, 10]
    for name in ("turns", "think_ms", "new_tokens", "kept_ratio", "regenerate", "input_tokens"):
        np.testing.assert_allclose(values[name].weight, 1.0)
    assert values["input_tokens"].value.tolist() == list(range(100, 140))
    assert set(values["think_ms"].value.tolist()) == {3000}


def test_what_a_turn_adds_keeps_and_asks_again() -> None:
    talk: list[dict[str, Any]] = [
        {"input": 100},
        {"input": 160, "back": 1, "kept": 125, "think_s": 1.0},  # all of the context, and 35
        {"input": 160, "back": 1, "kept": 160, "think_s": -0.5},  # again, without waiting
        {"input": 90, "back": 1, "kept": 74, "think_s": 2.0},  # 74 of 185
        {"input": 200, "back": 0, "kept": 0, "think_s": 2.0},  # anew
        {"input": 200, "back": 3, "kept": 160, "think_s": 2.0},  # as an earlier one: 160 of 225
    ]
    values = known(sessions_of([(0.0, talk)]))
    assert values["regenerate"].value.tolist() == [0, 1, 0, 0, 0]
    assert values["think_ms"].value.tolist() == [1000, 0, 2000, 2000, 2000]
    steps = [KEPT_STEPS, int(KEPT_STEPS * 74 / 185), 0, int(KEPT_STEPS * 160 / 225)]
    assert values["kept_ratio"].value.tolist() == steps
    context = np.array([125, 185, 115, 225])
    lengths = np.array(steps) * context // KEPT_STEPS + values["new_tokens"].value
    assert lengths.tolist() == [160, 90, 200, 200]  # the parts make the whole


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60))
def test_the_share_that_is_followed_is_kaplan_and_meiers(watched: list[tuple[int, bool]]) -> None:
    watched = sorted(watched, key=lambda one: (one[0], not one[1]))
    event = np.array([seen for _, seen in watched])
    jump = np.empty(event.size)
    _followed(np.array([0, event.size]), event, np.inf, jump)
    survives = 1.0
    for at in sorted({wait for wait, _ in watched}):
        risk = sum(wait >= at for wait, _ in watched)
        events = sum(seen for wait, seen in watched if wait == at)
        before, survives = survives, survives * (1 - events / risk)
        here = [i for i, (wait, _) in enumerate(watched) if wait == at]
        assert jump[here].sum() == pytest.approx(before - survives, abs=1e-12)
    _followed(np.array([0, event.size]), event, MOST_LIKE_IT, jump)
    assert jump.max() <= MOST_LIKE_IT / event.size + 1e-12
    assert jump.sum() <= 1 + 1e-12


def record(seed: int, span_s: float, goes_on: float, median_s: float, spread: float) -> Sessions:
    """A record of ``span_s`` from the midst of conversations that begin once in five seconds and go on with probability
    ``goes_on`` after log-normal pauses: those of which it saw the beginning, and the rests of others.
    """
    rng = np.random.default_rng(seed)
    before_s = 40 * median_s * np.exp(spread)
    talks = []
    for start_s in np.sort(rng.uniform(-before_s, span_s, rng.poisson((span_s + before_s) / 5))):
        turns = rng.geometric(1 - goes_on)
        think = np.append(0.0, rng.lognormal(np.log(median_s), spread, turns - 1))
        at_s = start_s + np.cumsum(think) + SERVICE_S * np.arange(turns)
        seen = (at_s >= 0) & (at_s < span_s)
        if seen.any():
            pauses = think[seen]
            pauses[0] = 0.0
            talks.append((float(at_s[seen][0]), [{"think_s": pause} for pause in pauses]))
    return sessions_of(talks)


def test_turns_and_pauses_that_the_end_of_a_record_cuts_off_are_made_up_for() -> None:
    """A record of a hundred pauses, 24 times over: the truth to five standard errors."""
    goes_on, median_s, spread, span_s = 0.7, 60.0, 0.8, 8000.0
    found, pauses = [], []
    for seed in range(24):
        sessions = record(seed, span_s, goes_on, median_s, spread)
        values = known(sessions, 0.0, span_s)
        found.append(share(values["turns"], 5)[1:])
        think = values["think_ms"]
        pauses.append(np.average(np.log(think.value / 1000), weights=think.weight))
    truth = (1 - goes_on) * goes_on ** np.arange(5)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(24)
    assert (np.abs(np.mean(found, axis=0) - truth) < 5 * error).all()
    error = np.std(pauses, ddof=1) / np.sqrt(24)
    assert np.mean(pauses) == pytest.approx(np.log(median_s), abs=5 * error)


def test_a_short_record_says_more_than_its_plain_counts() -> None:
    """Where the record is of ten pauses, at least half of what it cut off is made up for."""
    goes_on, span_s = 0.7, 600.0
    found, plain, pauses, plain_pauses = [], [], [], []
    for seed in range(24):
        sessions = record(seed, span_s, goes_on, 60.0, 0.8)
        values = known(sessions, 0.0, span_s)
        found.append(np.average(values["turns"].value, weights=values["turns"].weight))
        plain.append(np.diff(sessions.edge).mean())
        think = values["think_ms"]
        pauses.append(np.average(np.log(think.value / 1000), weights=think.weight))
        plain_pauses.append(np.log(think.value / 1000).mean())
    for truth, made_up, as_seen in (
        (1 / (1 - goes_on), found, plain),
        (np.log(60.0), pauses, plain_pauses),
    ):
        error = np.std(made_up, ddof=1) / np.sqrt(24)
        assert truth - np.mean(as_seen) > 5 * error
        assert abs(np.mean(made_up) - truth) < 0.5 * (truth - np.mean(as_seen)) + 5 * error


def test_prompts_of_conversations_that_may_have_begun_before_the_record_are_no_first_prompts() -> None:
    later: list[Talk] = [(50.0 * i, [{"input": 10}, {"think_s": 20.0}]) for i in range(10, 100)]
    early: list[Talk] = [(float(i), [{"input": 99}]) for i in range(3)]
    values = known(sessions_of([*early, *later]), 0.0, 5050.0)
    assert set(values["input_tokens"].value.tolist()) == {10}
    assert values["turns"].value.size == 90


def test_clients_say_nothing_of_each_other() -> None:
    one, two = (record(seed, 4000.0, 0.6, 40.0, 0.5) for seed in (1, 2))
    both = values_of(Sessions.concat([one, two]), np.zeros(2), np.full(2, 4000.0))
    for name, values in known(two, 0.0, 4000.0).items():
        mine = both[name].client == 1
        np.testing.assert_array_equal(both[name].value[mine], values.value)
        np.testing.assert_allclose(both[name].weight[mine], values.weight, rtol=1e-12)


def test_a_record_is_no_shorter_than_what_was_recorded() -> None:
    sessions = record(3, 2000.0, 0.6, 40.0, 0.5)
    last_s = known(sessions)["turns"].at_s.max()
    short, long = known(sessions, 900.0, 1000.0), known(sessions, 0.0, 1000.0)
    assert last_s > 1000
    for name in short:
        np.testing.assert_allclose(short[name].weight, long[name].weight, rtol=0.02)
        np.testing.assert_array_equal(short[name].value, long[name].value)
