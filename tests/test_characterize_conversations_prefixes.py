"""Conversations that are inferred from the ids of prompts' blocks."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.characterize import _prefix_sessions, conversations
from groundswell.characterize._prefix_sessions import IDLE_S, Prompts, Sessions
from groundswell.characterize.conversations import Fold
from groundswell.characterize.figures import ConversationFigures
from groundswell.characterize.setting import Setting
from groundswell.table import Workload
from test_characterize_conversations import same
from workloads import cut

BLOCK = 16
SETTING = Setting(window_s=100.0, block_tokens=BLOCK)

Request = tuple[float, tuple[int, ...], int]
"""Arrival, the tokens' blocks by content, and by how much the last one is filled."""


def ids_of(contents: Sequence[int]) -> list[int]:
    """Ids that stand for a block and all before it."""
    return [hash(tuple(contents[: i + 1])) for i in range(len(contents))]


def workload(requests: Sequence[Request]) -> Workload:
    """A trace of these requests."""
    return Workload(
        pl.DataFrame(
            {
                "arrival_s": pl.Series([at for at, _, _ in requests], dtype=pl.Float64),
                "client": pl.Series(["c"] * len(requests), dtype=pl.Enum(["c"])),
                "input_tokens": pl.Series(
                    [max(len(blocks) * BLOCK - BLOCK + last, 0) for _, blocks, last in requests], dtype=pl.Int32
                ),
                "output_tokens": pl.Series([1] * len(requests), dtype=pl.Int32),
                "prefix_blocks": pl.Series([ids_of(blocks) for _, blocks, _ in requests], dtype=pl.List(pl.Int64)),
            }
        )
    )


def length(request: Request) -> int:
    """The tokens of a request's prompt."""
    return (len(request[1]) - 1) * BLOCK + request[2]


def followed(requests: Sequence[Request]) -> list[int | None]:
    """Which request each one follows, by looking at all before it."""
    parent: list[int | None] = []
    talk: list[int] = []
    for i, request in enumerate(requests):
        best: tuple[int, int] | None = None
        for j, earlier in enumerate(requests[:i]):
            full = length(earlier) // BLOCK
            prefix = earlier[1][:full]
            first = next(k for k in range(j + 1) if requests[k][1][:full] == prefix)
            own = full > 0 and talk[first] == talk[j]
            longer = length(request) > length(earlier) and request[1][:full] == prefix
            waits = j not in parent and request[0] - earlier[0] <= IDLE_S
            if own and longer and waits and (best is None or (full, j) > best):
                best = (full, j)
        parent.append(best[1] if best else None)
        talk.append(talk[best[1]] if best else i)
    return parent


def inferred(whole: Workload) -> tuple[Sessions, list[int]]:
    """The conversation of each request of a trace, looked at alone."""
    lists = whole.frame["prefix_blocks"]
    ends = np.cumsum(lists.list.len().cast(pl.Int64).to_numpy())
    prompts = Prompts(lists.explode().to_numpy(), ends, whole.arrival_s, whole.input_tokens, BLOCK)
    sessions, talk = Sessions().after(prompts)
    return sessions, talk.tolist()


def figures(*blocks: Workload, setting: Setting = SETTING) -> ConversationFigures:
    """The figures of blocks that follow one another."""
    whole = functools.reduce(operator.add, (Fold.of(block, setting) for block in blocks), Fold())
    found = whole.finish(setting, pl.DataFrame())
    assert found is not None
    return found


requests = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 30.0]),
        st.lists(st.integers(0, 1), min_size=1, max_size=7).map(tuple),
        st.sampled_from([5, BLOCK]),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


def at_their_times(gaps: Sequence[Request]) -> list[Request]:
    """The requests with arrivals instead of gaps."""
    times = np.cumsum([gap for gap, _, _ in gaps])
    return [(float(at), blocks, last) for at, (_, blocks, last) in zip(times, gaps, strict=True)]


@given(requests)
def test_each_request_follows_the_one_that_a_search_of_all_finds(drawn: list[Request]) -> None:
    trace = at_their_times(drawn)
    _, talk = inferred(workload(trace))
    root: list[int] = []
    for i, parent in enumerate(followed(trace)):
        root.append(i if parent is None else root[parent])
    assert len(set(talk)) == len(set(root)) == len(set(zip(root, talk, strict=True)))


@given(requests, st.lists(st.integers(0, 40), max_size=6))
def test_parts_of_a_trace_add_up_to_the_whole(drawn: list[Request], cuts: list[int]) -> None:
    whole = workload(at_their_times(drawn))
    same(figures(*cut(whole, cuts)), figures(whole))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversations, "_AT_ONCE", 20)
        same(figures(*cut(whole, range(1, len(whole)))), figures(whole))


def chats(n: int, seed: int) -> tuple[Workload, list[int]]:
    """``n`` conversations over one system prompt of two blocks, each turn three blocks longer; and which is whose."""
    random = np.random.default_rng(seed)
    rows = []
    for talk in range(n):
        at, contents = random.uniform(0, 20_000.0), [0, 0]
        for _ in range(random.geometric(0.4)):
            contents += random.integers(1, 2**40, 3).tolist()
            rows.append((at, tuple(contents), int(random.integers(1, BLOCK + 1)), talk))
            at += random.exponential(60.0)
    rows.sort()
    return workload([row[:3] for row in rows]), [row[3] for row in rows]


def test_conversations_over_one_system_prompt_are_found_as_they_were_made() -> None:
    whole, talk = chats(2000, 1)
    named = Workload(whole.frame.drop("prefix_blocks").with_columns(conversation=pl.Series(talk, dtype=pl.Int64)))
    found, truth = (figures(part, setting=replace(SETTING, window_s=2000.0)) for part in (whole, named))
    assert (found.source, truth.source) == ("prefixes", "ids")
    assert found.conversations == truth.conversations == 2000
    for name in ("multi_turn_share", "mean_turns", "gap_p50", "growth_per_turn", "multi_cv", "single_cv", "starts_cv"):
        assert getattr(found, name).value == pytest.approx(getattr(truth, name).value)


def test_the_same_prompt_from_many_joins_nobody() -> None:
    alike = [(float(i), (0, 0), 5) for i in range(100)]
    assert figures(workload(alike)).conversations == 100
    assert (
        figures(workload([(0.0, (0, 1, 2), BLOCK), *((at, (0, int(at) % 2), 5) for at, _, _ in alike)])).conversations
        == 101
    )


def test_who_comes_back_after_too_long_begins_anew() -> None:
    def after(pause_s: float) -> int:
        return figures(workload([(0.0, (1, 2), BLOCK), (pause_s, (1, 2, 3), BLOCK)])).conversations

    assert after(IDLE_S - 1.0) == 1
    assert after(IDLE_S + 1.0) == 2


def test_memory_is_bounded_and_short_pauses_survive_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_prefix_sessions, "MOST_BLOCKS", 2000)
    whole, talk = chats(2000, 2)
    sessions, _ = inferred(whole)
    assert sessions.table.size <= 4 * 4000
    assert figures(whole).conversations == pytest.approx(len(set(talk)), rel=0.1)


def test_parts_that_were_looked_at_apart_lose_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "_AT_ONCE", 100)
    whole, _ = chats(500, 3)
    blocks = [Fold.of(block, SETTING) for block in cut(whole, range(50, len(whole), 50))]
    half = len(blocks) // 2
    left, right = (functools.reduce(operator.add, part) for part in (blocks[:half], blocks[half:]))
    found = (left + right).finish(SETTING, pl.DataFrame())
    assert found is not None
    assert 500 <= found.conversations <= 520
    assert found.multi_turn_share.n == len(whole)


def test_mooncakes_conversations_are_those_that_a_dictionary_finds(public_data: Path) -> None:
    raw = pl.read_ndjson(public_data / "mooncake" / "conversation_trace.jsonl")
    whole = Workload(
        raw.select(
            (pl.col("timestamp") / 1000).alias("arrival_s"),
            pl.lit("c").cast(pl.Enum(["c"])).alias("client"),
            pl.col("input_length").cast(pl.Int32).alias("input_tokens"),
            pl.col("output_length").cast(pl.Int32).alias("output_tokens"),
            pl.col("hash_ids").alias("prefix_blocks"),
        )
    )
    setting = Setting()
    talk: list[int] = []
    owner: dict[int, int] = {}
    waiting: dict[int, tuple[int, int]] = {}
    for i, (tokens, ids) in enumerate(raw.select("input_length", "hash_ids").rows()):
        key = next((block for block in reversed(ids) if block in waiting and waiting[block][1] < tokens), None)
        talk.append(i if key is None else talk[waiting.pop(key)[0]])
        for block in ids:
            owner.setdefault(block, talk[i])
        if owner[ids[tokens // 512 - 1]] == talk[i]:
            waiting[ids[tokens // 512 - 1]] = i, tokens
    size = np.bincount(talk)[talk]
    folds = (Fold.of(block, setting) for block in cut(whole, range(1000, len(whole), 1000)))
    found = functools.reduce(operator.add, folds).finish(setting, pl.DataFrame())
    assert found is not None
    assert found.conversations == len(set(talk))
    assert found.multi_turn_share.value == pytest.approx(np.mean(size > 1))
    assert found.mean_turns.value == pytest.approx((size > 1).sum() / (1.0 / size[size > 1]).sum())
