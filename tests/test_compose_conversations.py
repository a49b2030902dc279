"""Conversations that are composed: what was asked of turns, pauses and contexts comes out, and the rate stays.

Tests of what is random look for five standard errors: with fixed seeds they fail by chance in 6e-7 of the cases.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.clients import ClientPool
from groundswell.clients.client import Client, pool_of
from groundswell.clients.join import concat
from groundswell.clients.sessions import Sessions
from groundswell.compose import Talking, compose
from groundswell.errors import UsageError
from groundswell.prefix import with_blocks
from groundswell.table import Workload

FIVE = 5.0
KOLMOGOROV = 2.75  # sqrt(n) · KS is above this with odds of 2·exp(-2·2.75²) = 5.4e-7
LENGTHS = {"input_tokens": "lognormal:mean=800,cv=1.5", "output_tokens": "exponential:mean=200"}
CHAT = {
    **LENGTHS,
    "turns": "empirical:values=(1,2,3,8),weights=(5,2,2,1)",
    "think_ms": "lognormal:mean=60000,cv=1.5",
    "new_tokens": "lognormal:mean=60,cv=1",
}
MEAN_TURNS = (5 * 1 + 2 * 2 + 2 * 3 + 8) / 10


def chat(rate: float = 20.0, arrivals: str = "poisson", **more: object) -> Client:
    return Client("chat", rate, arrivals, {**CHAT, **more})  # type: ignore[dict-item]


def single(rate: float = 10.0) -> Client:
    return Client("single", rate, "gamma:cv=2", LENGTHS)


def composed(pool: ClientPool, duration_s: float = 7200.0, seed: int = 1, **more: object) -> Workload:
    return compose(pool, duration_s=duration_s, seed=seed, **more).collect()  # type: ignore[arg-type]


def talks(workload: Workload) -> pl.DataFrame:
    """The requests of conversations, by conversation, then turn; with what the one before it was."""
    frame = workload.frame.filter(pl.col("conversation").is_not_null()).sort("conversation", "turn")
    before = [
        pl.col(name).shift(1).over("conversation").alias(f"{name}_before")
        for name in ("arrival_s", "input_tokens", "output_tokens", "turn")
    ]
    return frame.with_columns(before)


@pytest.fixture(scope="module")
def long_run() -> Workload:
    """Six hours of chat."""
    return composed(pool_of([chat()], 21_600), 21_600)


def test_the_rate_of_requests_is_the_one_that_was_asked_from_the_first_minute_on(long_run: Workload) -> None:
    # A conversation's requests are a cluster: the variance of a count is at most the mean times E[turns²] / E[turns].
    most = (5 * 1 + 2 * 4 + 2 * 9 + 64) / 10 / MEAN_TURNS
    for low, high in ((0, 60), (0, 600), (3000, 3600), (0, 21_600)):
        asked = 20.0 * (high - low)
        count = int(((long_run.arrival_s >= low) & (long_run.arrival_s < high)).sum())
        assert abs(count - asked) < FIVE * np.sqrt(asked * most) + 0.002 * asked  # 1 in 500 later turns is too late


def test_turns_are_those_that_were_asked(long_run: Workload) -> None:
    frame = talks(long_run)
    turns = frame.filter((pl.col("turn") == 1) & (pl.col("arrival_s") < 7200)).select("conversation")
    counts = frame.join(turns, "conversation").group_by("conversation").len()["len"].to_numpy()
    # a conversation of eight turns lasts longer than the four hours that are left with odds below 1e-6
    for value, share in ((1, 0.5), (2, 0.2), (3, 0.2), (8, 0.1)):
        seen = (counts == value).mean()
        assert abs(seen - share) < FIVE * np.sqrt(share * (1 - share) / counts.size)
    assert set(np.unique(counts)) == {1, 2, 3, 8}


def test_pauses_are_those_that_were_asked_and_arrivals_follow_from_them(long_run: Workload) -> None:
    from groundswell.lengths import length_of

    frame = talks(long_run).filter((pl.col("turn") > 1) & pl.col("arrival_s_before").is_not_null())
    pause = frame["think_s"].to_numpy()
    served = 0.5 + 0.02 * frame["output_tokens_before"].to_numpy()
    np.testing.assert_allclose(frame["arrival_s"] - frame["arrival_s_before"], pause + served, atol=1e-6)
    early = frame.filter((pl.col("turn") == 2) & (pl.col("arrival_s_before") < 10_000))["think_s"].to_numpy()
    value, mass = length_of(str(CHAT["think_ms"])).atoms()
    at = np.sort(early)
    law = np.interp(at * 1000, value, np.cumsum(mass))
    distance = np.abs(np.arange(1, at.size + 1) / at.size - law).max()
    assert distance * np.sqrt(at.size) < KOLMOGOROV
    assert frame["think_s"].null_count() == 0
    assert talks(long_run).filter(pl.col("turn") == 1)["think_s"].null_count() > 0


def test_contexts_grow_by_what_was_said(long_run: Workload) -> None:
    frame = talks(long_run).filter(pl.col("turn_before").is_not_null())
    assert (frame["turn"] == frame["turn_before"] + 1).all()
    new = frame["input_tokens"] - frame["input_tokens_before"] - frame["output_tokens_before"]
    assert (new >= 1).all()
    assert abs(new.mean() - 60) < FIVE * 60 / np.sqrt(new.len())  # type: ignore[operator]


def test_first_prompts_and_all_replies_have_the_lengths_of_their_laws(long_run: Workload) -> None:
    frame = talks(long_run)
    first = frame.filter(pl.col("turn") == 1)["input_tokens"]
    assert abs(first.mean() / 800 - 1) < FIVE * 1.5 / np.sqrt(first.len())  # type: ignore[operator]
    replies = frame["output_tokens"]
    assert abs(replies.mean() / 200 - 1) < FIVE / np.sqrt(replies.len())  # type: ignore[operator]


def test_the_cut_into_blocks_and_the_number_of_workers_change_nothing() -> None:
    pool = pool_of([chat(3, "gamma:cv=2", shared_tokens="empirical:values=(300,900)"), single(2)], 7200)
    whole = composed(pool, 5000)
    for block_rows, workers in ((97, 1), (1000, 3)):
        assert composed(pool, 5000, block_rows=block_rows, workers=workers).frame.equals(whole.frame)
    assert not composed(pool, 5000, seed=2).frame.equals(whole.frame)


def test_requests_that_come_at_one_time_have_an_order_of_their_own() -> None:
    steady: dict[str, Any] = {"turns": 4, "think_ms": 1000, "new_tokens": 10, "input_tokens": 100, "output_tokens": 1}
    clients = [Client(name, 4.0, "deterministic", steady) for name in ("a", "b")]
    pool, at_once = pool_of(clients, 600), Talking(ttft_s=0.0, tpot_s=0.0)
    whole = composed(pool, 600, talking=at_once, block_rows=10**6)
    assert whole.frame["arrival_s"].n_unique() < len(whole)
    for block_rows in (50, 7):
        assert composed(pool, 600, talking=at_once, block_rows=block_rows).frame.equals(whole.frame)


def test_another_client_leaves_the_others_as_they_were() -> None:
    both = composed(pool_of([chat(3), single(2), dataclasses.replace(chat(5), name="other")], 7200))
    alone = composed(pool_of([chat(3)], 7200))
    kept = both.frame.filter(pl.col("client").cast(pl.String) == "chat").drop("client")
    assert kept.equals(alone.frame.drop("client"))
    plain = composed(pool_of([single(2)], 7200)).frame.drop("client")
    kept = both.frame.filter(pl.col("client").cast(pl.String) == "single")
    assert kept.select(plain.columns).equals(plain)
    assert kept["conversation"].null_count() == kept.height


@pytest.mark.parametrize("counts", ["measured", "renewal"])
def test_a_client_whose_conversations_last_longer_leaves_the_others_as_they_were(counts: str) -> None:
    slow = dataclasses.replace(chat(1, think_ms=3_000_000), name="slow")
    both = composed(pool_of([chat(3), slow], 7200), 3600, counts=counts)
    alone = composed(pool_of([chat(3)], 7200), 3600, counts=counts)
    kept = both.frame.filter(pl.col("client").cast(pl.String) == "chat").drop("client")
    assert kept.equals(alone.frame.drop("client"))


def test_conversations_begin_before_a_run_as_long_as_they_last() -> None:
    two = chat(1, turns=2, think_ms=90_000, output_tokens=100)
    many = dataclasses.replace(chat(1, turns=30_000, think_ms=1000, output_tokens=100), name="many")
    talks = compose(pool_of([two, dataclasses.replace(single(), name="single"), many], 600)).planner.talks
    assert talks is not None
    np.testing.assert_allclose(talks.lead_s[:2], [90 + 0.5 + 2, 0.0])
    assert talks.lead_s[2] == pytest.approx(0.998 * 86_400, rel=1e-3)  # a day is the most


@pytest.mark.parametrize("before", [0.0, 1.0, 10.0])
def test_a_rate_that_is_asked_for_was_asked_for_before_the_run_too(before: float) -> None:
    """Whatever the pool's own rate was then: a run at 100 requests a second begins with 100 a second."""
    pool = pool_of([chat(50)], 7200)
    rate = pool.rate_per_s * np.where(np.arange(pool.window_count) < 6, before, 3.0)
    workload = composed(dataclasses.replace(pool, rate_per_s=rate), 600, start_s=3600.0, rate=100.0)
    most = (5 * 1 + 2 * 4 + 2 * 9 + 64) / 10 / MEAN_TURNS
    for span_s in (60, 600):
        asked = 100.0 * span_s
        count = int((workload.arrival_s < span_s).sum())
        assert abs(count - asked) < FIVE * np.sqrt(asked * most) + 0.002 * asked


@pytest.mark.parametrize(("start_s", "window_s"), [(590.0, 600.0), (1790.0, 600.0), (3000.0, 3600.0)])
def test_a_run_that_begins_within_a_window_is_in_the_midst_of_conversations(start_s: float, window_s: float) -> None:
    pool = dataclasses.replace(pool_of([chat(100)], 7200), window_s=window_s)
    most = (5 * 1 + 2 * 4 + 2 * 9 + 64) / 10 / MEAN_TURNS
    for counts in ("measured", "renewal"):
        workload = composed(pool, 600, start_s=start_s, counts=counts)
        count = int((workload.arrival_s < 100).sum())
        assert abs(count - 10_000) < FIVE * np.sqrt(10_000 * most) + 0.002 * 10_000
        turns = workload.frame.select("conversation", "turn")
        assert turns.n_unique() == turns.height  # no conversation is there twice


def windows_off(workload: Workload, asked: np.ndarray, spread: float) -> np.ndarray:
    """By how many standard errors each window's count is off, of conversations whose counts are so much overspread."""
    count = np.histogram(workload.arrival_s, np.arange(asked.size + 1) * 600.0)[0]
    return np.asarray((count - asked) / np.sqrt(asked * spread))


def test_requests_come_when_they_are_asked_though_the_rate_changes() -> None:
    """A rate that rises fivefold in an instant and falls again: as many begin as the later turns to come leave room."""
    pool = pool_of([chat(50)], 14_400)
    level = np.where((np.arange(24) >= 8) & (np.arange(24) < 16), 5.0, 1.0)
    workload = composed(dataclasses.replace(pool, rate_per_s=pool.rate_per_s * level), 14_400)
    asked = 50 * 600 * level
    most = (5 * 1 + 2 * 4 + 2 * 9 + 64) / 10 / MEAN_TURNS
    off = windows_off(workload, asked, most)
    assert (np.abs(off) < FIVE + 0.02 * np.sqrt(asked / most)).all()
    by_curve = composed(pool, 14_400, rate=[(0, 50), (4800, 50), (9600, 250), (14_400, 50)])
    asked = 600 * np.interp(np.arange(24) * 600.0 + 300, [0, 4800, 9600, 14_400], [50, 50, 250, 50])
    assert (np.abs(windows_off(by_curve, asked, most)) < FIVE + 0.02 * np.sqrt(asked / most)).all()


def test_recorded_conversations_follow_a_curve_too() -> None:
    """Half of the requests come five minutes late: in proportion to the curve they would be a twentieth too few."""
    rows = [(20.0 * k, -1, [(0.0, 0, 0, 100, 25), (299.0, 1, 90, 200, 5)]) for k in range(300)]
    workload = composed(recorded(*rows), 6000, rate=[(0, 10), (6000, 110)])
    asked = 600 * (10 + np.arange(10) * 10 + 5.0)
    count = np.histogram(workload.arrival_s, np.arange(11) * 600.0)[0]
    np.testing.assert_allclose(count[2:-1] / asked[2:-1], 1.0, atol=0.02)


def test_a_client_that_converses_in_some_slots_only_has_its_rate_in_all() -> None:
    pool = dataclasses.replace(pool_of([chat(20)], 7200), slot_s=3600.0)
    table = np.repeat(pool.table[:, :1], 2, axis=1)
    table[:, 1, pool.fields.index("turns")] = -1
    workload = composed(dataclasses.replace(pool, table=table), 7200)
    late = workload.frame.filter((pl.col("arrival_s") > 3600) & (pl.col("turn") == 1))
    assert abs(late.height - 20 * 3600) < FIVE * np.sqrt(20 * 3600)


def blocks_of(workload: Workload) -> pl.DataFrame:
    return with_blocks(workload).frame


def test_ids_of_blocks_say_what_prompts_share() -> None:
    size = 16
    laws = {"shared_tokens": "empirical:values=(0,100,640)", "kept_ratio": "empirical:values=(0.6,1),weights=(1,4)"}
    laws["regenerate"] = "empirical:values=(0,1),weights=(4,1)"
    workload = composed(pool_of([chat(2, **laws), single(1)], 7200), 3600, talking=Talking(block_tokens=size))
    frame = blocks_of(workload)
    lengths, ids = frame["input_tokens"].to_numpy(), frame["prefix_blocks"].to_list()
    assert [len(row) for row in ids] == (-(-lengths // size)).tolist()
    assert all(len(set(row)) == len(row) for row in ids)
    common: dict[tuple[int, ...], int] = {}
    seen: dict[int, tuple[int, list[int]]] = {}
    of_talk: dict[int, set[int]] = {}
    cuts = repeats = 0
    for conversation, turn, tokens, row in zip(
        frame["conversation"], frame["turn"], lengths.tolist(), ids, strict=True
    ):
        if conversation is None:
            continue
        of_talk.setdefault(conversation, set()).update(row)
        if turn > 1 and conversation in seen:
            tokens_before, before = seen[conversation]
            equal = 0
            while equal < min(len(row), len(before)) and row[equal] == before[equal]:
                equal += 1
            if tokens == tokens_before and equal == len(row):
                repeats += 1
            elif equal < tokens_before // size:
                cuts += 1  # what is behind a cut is new
                assert equal <= tokens // size
            else:
                assert equal == tokens_before // size
            assert not set(row[equal:]) & set(before)
        seen[conversation] = tokens, row
        if turn == 1:
            common[tuple(row[:40])] = common.get(tuple(row[:40]), 0) + 1
    assert min(cuts, repeats) > 50
    assert max(common.values()) > 100  # the beginning of 640 tokens is 40 blocks
    counts: dict[int, int] = {}
    for held in of_talk.values():
        for block in held:
            counts[block] = counts.get(block, 0) + 1
    assert sum(n > 1 for n in counts.values()) == 100 // size + 640 // size


def test_templates_are_used_as_often_as_their_popularity_says() -> None:
    law = "empirical:values=(0,160,320,640),weights=(4,3,2,1)"
    workload = composed(pool_of([chat(40, shared_tokens=law, input_tokens=1000)], 3600), 3600)
    first = blocks_of(workload).filter(pl.col("turn") == 1)["prefix_blocks"].list.get(0)
    often = np.sort(first.value_counts()["count"].to_numpy())[::-1]
    n = first.len()
    for seen, share in zip(often[:3], (0.3, 0.2, 0.1), strict=True):
        assert abs(seen / n - share) < FIVE * np.sqrt(share * (1 - share) / n)
    assert (often[3:] == 1).all()


def test_a_context_that_is_full_keeps_its_beginning_and_drops_what_is_oldest() -> None:
    most = 1600
    law: dict[str, Any] = {"shared_tokens": 320, "input_tokens": 1200, "turns": 12}
    workload = composed(pool_of([chat(2, **law)], 7200), talking=Talking(max_context_tokens=most))
    frame = blocks_of(workload)
    assert frame["input_tokens"].max() == most
    full = frame.filter(pl.col("input_tokens") == most)["prefix_blocks"].to_list()
    beginning = frame.filter(pl.col("turn") == 1)["prefix_blocks"].to_list()[0][:20]
    assert len(full) > 500
    assert all(row[:20] == beginning for row in full)
    assert len({row[20] for row in full}) > 0.9 * len(full)


def test_a_limit_below_the_first_turn_is_refused() -> None:
    with pytest.raises(UsageError, match=r"max_context_tokens 1,000 is below the first turn: client 'chat' begins"):
        compose(pool_of([chat(input_tokens=1200)], 600), talking=Talking(max_context_tokens=1000))


@pytest.mark.parametrize(
    "wrong",
    [
        {"ttft_s": -1.0},
        {"tpot_s": np.nan},
        {"max_context_tokens": 0},
        {"max_context_tokens": 9.5},
        {"block_tokens": -1},
        {"block_tokens": 2**25},
        {"block_tokens": 1.5},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Talking(**wrong)  # type: ignore[arg-type]


def recorded(
    *conversations: tuple[float, int, list[tuple[float, int, int, int, int]]], rate: float = 1.0
) -> ClientPool:
    """A pool of one recorded client. A conversation is its start, its shared beginning and its requests: pause, back,
    kept, input and output tokens. There are two beginnings: 0 of 64 tokens, and 1 of 160 that begins with it.
    """
    steps = [step for _, _, requests in conversations for step in requests]
    pool = pool_of([Client("c", rate, "poisson", {"input_tokens": 100, "output_tokens": 10})], 6000)
    think_s, back, kept, given, replies = (np.array(column) for column in zip(*steps, strict=True))
    sessions = Sessions(
        first=np.array([0, len(conversations)]),
        start_s=np.array([start_s for start_s, _, _ in conversations]),
        shared=np.array([shared for _, shared, requests in conversations for _ in requests], np.int32),
        edge=np.cumsum([0, *(len(requests) for _, _, requests in conversations)]),
        think_s=think_s.astype(np.float32),
        back=back.astype(np.int32),
        kept_tokens=kept.astype(np.int32),
        input_tokens=given.astype(np.int32),
        output_tokens=replies.astype(np.int32),
        reason_tokens=np.zeros(len(steps), np.int32),
        shared_tokens=np.array([64, 160], np.int32),
        shared_within=np.array([-1, 0], np.int32),
        shared_key=np.array([5, 6], np.uint64),
    )
    return dataclasses.replace(pool, sessions=sessions, stated=np.array([False]))


def test_a_recorded_conversation_comes_as_it_was() -> None:
    requests = [(0.0, 0, 0, 300, 50), (9.0, 1, 300, 500, 60), (4.0, 2, 256, 400, 70), (-1.0, 0, 0, 200, 5)]
    pool = recorded((0.0, 1, requests), rate=0.4)
    frame = blocks_of(composed(pool, 6000))
    begun = frame.filter((pl.col("turn") == 1) & (pl.col("arrival_s") < 5900)).height
    assert begun > 400
    for _, talk in list(frame.group_by("conversation"))[:50]:
        talk = talk.sort("turn")
        if talk.height < 4:
            continue
        assert talk["input_tokens"].to_list() == [300, 500, 400, 200]
        assert talk["output_tokens"].to_list() == [50, 60, 70, 5]
        np.testing.assert_allclose(talk["arrival_s"].diff()[1:], [0.5 + 1 + 9, 0.5 + 1.2 + 4, 0.5 + 1.4 - 1], atol=1e-6)
        assert talk["think_s"].to_list() == [None, 9.0, 4.0, 0.0]
        a, b, c, d = talk["prefix_blocks"].to_list()
        assert a[:10] == b[:10] == c[:10] == d[:10]  # the shared beginning
        assert a[:18] == b[:18]
        assert a[18] != b[18]
        assert c[:16] == a[:16]
        assert c[16] not in {a[16], b[16]}
        assert d[10] not in {a[10], c[10]}
    other = blocks_of(composed(recorded((0.0, 0, requests), rate=0.4), 600))["prefix_blocks"].to_list()[0]
    assert other[:4] == a[:4]
    assert other[4] != a[4]


def test_a_conversation_takes_the_shape_of_one_that_began_at_about_its_time() -> None:
    early = [(10.0 * k, -1, [(0.0, 0, 0, 100, 1)]) for k in range(300)]
    late = [(3000 + 10.0 * k, -1, [(0.0, 0, 0, 900, 1)]) for k in range(300)]
    frame = composed(recorded(*early, *late), 6000).frame
    assert set(frame.filter(pl.col("arrival_s") < 1600)["input_tokens"]) == {100}
    assert set(frame.filter(pl.col("arrival_s") > 4400)["input_tokens"]) == {900}


def test_a_recorded_client_begins_conversations_when_it_began_them() -> None:
    # Two requests in each window, of which the second always follows the one in the window before.
    rows = [(600.0 * k + 100, -1, [(0.0, 0, 0, 100, 25), (599.0, 1, 100, 200, 25)]) for k in range(9)]
    pool = recorded(*rows, rate=2.0)
    share = compose(pool).planner.talks
    assert share is not None
    np.testing.assert_allclose(share.share[0], [1.0] + [0.5] * 8 + [0.0])


def test_at_its_own_rate_each_recorded_conversation_comes_once() -> None:
    rng = np.random.default_rng(4)
    starts = np.sort(rng.uniform(0, 5400, 300))
    rows = [(float(s), -1, [(0.0, 0, 0, 100 + k, 5)]) for k, s in enumerate(starts)]
    pool = recorded(*rows)
    rate = np.histogram(starts, np.arange(11) * 600.0)[0] / 600.0
    pool = dataclasses.replace(pool, rate_per_s=rate[None, : pool.window_count])
    once = composed(pool, 6000)
    assert once.frame["input_tokens"].n_unique() == 300
    assert len(once) == 300
    thrice = composed(pool, 6000, rate="x3").frame["input_tokens"].value_counts()["count"]
    assert set(thrice) <= {2, 3, 4}


def test_sessions_of_a_client_that_is_a_law_say_nothing_of_time() -> None:
    """All of its sessions are of one moment, and last longer than the pool; the rate is that of requests."""
    requests = [(0.0, 0, 0, 100, 10), (3000.0, 1, 110, 150, 10), (9000.0, 1, 160, 200, 10)]
    pool = dataclasses.replace(
        recorded((0.0, -1, requests), (0.0, -1, requests[:1]), rate=2.0), stated=np.array([True])
    )
    begun = compose(pool).planner.talks
    assert begun is not None
    np.testing.assert_allclose(begun.share, 0.5)
    count = len(composed(pool, 6000))
    assert abs(count - 12_000) < FIVE * np.sqrt(12_000 * (9 + 1) / 4)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([1, 7, 16, 512]))
def test_any_sessions_give_blocks_that_fit_the_prompts(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    conversations = []
    for start_s in np.sort(rng.uniform(0, 6000, 20)):
        requests = [(0.0, 0, 0, int(rng.integers(1, 2000)), int(rng.integers(0, 300)))]
        for k in range(1, int(rng.integers(1, 7))):
            back = int(rng.integers(0, k + 1))
            most = sum(requests[k - back][3:]) if back else 0
            kept = int(rng.integers(0, most + 1))
            tokens = max(kept + int(rng.integers(-20, 500)), 1)
            requests.append((float(rng.exponential(20)), back, min(kept, tokens), tokens, int(rng.integers(0, 300))))
        conversations.append((float(start_s), int(rng.integers(-1, 2)), requests))
    frame = blocks_of(composed(recorded(*conversations, rate=0.2), 6000, talking=Talking(block_tokens=size)))
    ids = frame["prefix_blocks"]
    assert (ids.list.len() == -(-frame["input_tokens"] // size)).all()
    place: dict[int, int] = {}
    behind: dict[int, int | None] = {}
    for row in ids.to_list():
        for k, block in enumerate(row):
            assert place.setdefault(block, k) == k
            before = row[k - 1] if k else None
            assert behind.setdefault(block, before) == before  # equal ids are equal tokens behind equal tokens


def test_a_view_of_recorded_conversations_is_composed_though_some_began_before_it() -> None:
    rows = [(20.0 * k, -1, [(0.0, 0, 0, 100 + k, 5), (30.0, 1, 90, 200, 5)]) for k in range(300)]
    view = recorded(*rows).between(3000, 6000)
    workload = composed(view, 3000)
    first = workload.frame.filter(pl.col("turn") == 1)["input_tokens"].unique()
    assert first.min() == 250
    assert first.len() > 140


def test_a_view_of_recorded_conversations_begins_in_their_midst() -> None:
    """A first turn and a second one, which follows 300 s later, every 20 s; scaled threefold, three times as many."""
    rows = [(20.0 * k, -1, [(0.0, 0, 0, 100, 25), (299.0, 1, 90, 200, 5)]) for k in range(300)]
    view = recorded(*rows, rate=0.1).between(3000, 6000)
    for by, pool in ((1, view), (3, view.scaled(3)), (6, view.scaled(3))):
        workload = composed(pool, 3000, rate=0.6 if by == 6 else None)
        count = np.histogram(workload.arrival_s, np.arange(11) * 300.0)[0]
        assert (np.abs(count - 30 * by) <= 3 * by).all()


def test_recorded_rates_with_conversations_that_are_laws_have_them_from_the_first_minute_on() -> None:
    pool = dataclasses.replace(pool_of([chat(20)], 7200), stated=np.array([False]))
    most = (5 * 1 + 2 * 4 + 2 * 9 + 64) / 10 / MEAN_TURNS
    assert abs(int((composed(pool).arrival_s < 600).sum()) - 12_000) < FIVE * np.sqrt(12_000 * most) + 24


def test_replies_are_borrowed_too_by_a_client_that_converses_without_lengths() -> None:
    pool = pool_of([chat(5), dataclasses.replace(chat(5), name="borrower")], 3600)
    table = pool.table.copy()
    for name in ("input_tokens", "output_tokens"):
        table[1, :, pool.fields.index(name)] = -1
    workload = composed(dataclasses.replace(pool, table=table), no_dataset="borrow", duration_s=3600)
    later = workload.frame.filter((pl.col("client").cast(pl.String) == "borrower") & (pl.col("turn") > 1))
    # a conversation's later replies, seven at most, are of one length: that many times the variance of a mean
    assert abs(later["output_tokens"].mean() / 200 - 1) < FIVE * np.sqrt(7 / later.height)  # type: ignore[operator]


def test_no_recorded_conversation_has_more_turns_than_a_workload_can_count() -> None:
    one = recorded((0.0, -1, [(0.0, 0, 0, 10, 1)] * 32_767)).sessions
    assert one is not None
    assert one.requests == 32_767
    with pytest.raises(UsageError, match="more than 32,767 requests"):
        recorded((0.0, -1, [(0.0, 0, 0, 10, 1)] * 32_768))


def test_a_client_whose_lengths_are_those_of_its_recorded_conversations_is_not_left_out() -> None:
    rows = [(20.0 * k, -1, [(0.0, 0, 0, 100, 25)]) for k in range(300)]
    both = concat([recorded(*rows, rate=0.1), pool_of([single(0.1)], 6000)])
    table = both.table.copy()
    table[0] = -1
    composition = compose(dataclasses.replace(both, table=table))
    assert composition.notes == ()
    sent = composition.collect().frame.filter(pl.col("client").cast(pl.String) == "c")
    assert sent.height > 550
    assert set(sent["input_tokens"]) == {100}
