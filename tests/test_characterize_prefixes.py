"""Prefixes: hits and reuse distances against a cache that is run, closed forms, and the parts of a stream."""

from __future__ import annotations

import functools
import operator
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.characterize import _reuse
from groundswell.characterize.figures import PrefixFigures
from groundswell.characterize.prefixes import Fold
from groundswell.characterize.setting import Setting
from groundswell.table import Workload
from workloads import cut

SETTING = Setting(block_tokens=16)


def workload(
    lists: Sequence[Sequence[int] | None],
    arrival_s: Sequence[float] | None = None,
    client: Sequence[int] | None = None,
    conversation: Sequence[int | None] | None = None,
) -> Workload:
    """Requests with these prefix blocks, one a second unless it is said when."""
    n = len(lists)
    names = [f"c{i}" for i in range(5)]
    frame = pl.DataFrame(
        {
            "arrival_s": pl.Series(np.arange(float(n)) if arrival_s is None else arrival_s, dtype=pl.Float64),
            "client": pl.Series([names[c] for c in client or [0] * n], dtype=pl.Enum(names)),
            "input_tokens": pl.Series([16 * len(ids or ()) for ids in lists], dtype=pl.Int32),
            "output_tokens": pl.Series([1] * n, dtype=pl.Int32),
            "prefix_blocks": pl.Series(lists, dtype=pl.List(pl.Int64)),
        }
    )
    if conversation is not None:
        frame = frame.with_columns(pl.Series("conversation", conversation, dtype=pl.Int64))
    return Workload(frame)


def figures(*blocks: Workload) -> PrefixFigures:
    """The figures of blocks that follow one another."""
    whole = functools.reduce(operator.add, (Fold.of(block, SETTING) for block in blocks), Fold())
    found = whole.finish(SETTING, pl.DataFrame())
    assert found is not None
    return found


def lru_hits(references: Sequence[int], size: int) -> int:
    """How often a cache of ``size`` blocks has what is asked for, by running it."""
    cache: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for block in references:
        hits += block in cache
        cache[block] = None
        cache.move_to_end(block)
        if len(cache) > size:
            cache.popitem(last=False)
    return hits


def same(a: PrefixFigures, b: PrefixFigures) -> None:
    """Both say the same."""
    for name in ("blocks", "distinct", "sampled", "ideal_hit_rate", "within_client", "within_conversation"):
        x, y = getattr(a, name), getattr(b, name)
        if hasattr(x, "value"):
            np.testing.assert_allclose([x.value, x.low, x.high, x.n], [y.value, y.low, y.high, y.n])
        else:
            assert x == y
    for name in ("hit_rate", "reuse_s", "reuse_blocks", "popular", "shared_tokens"):
        x, y = getattr(a, name), getattr(b, name)
        np.testing.assert_allclose(x.x, y.x)
        np.testing.assert_allclose(x.y, y.y)


requests = st.lists(st.lists(st.integers(-3, 40), max_size=12), min_size=1, max_size=60).filter(any)


@given(requests)
def test_a_cache_that_is_run_hits_what_the_curve_says_at_every_size(lists: list[list[int]]) -> None:
    references = [block for ids in lists for block in ids]
    curve = figures(workload(lists)).hit_rate
    assert curve.x.tolist() == list(range(1, len(set(references)) + 1))
    hits = [lru_hits(references, int(size)) for size in curve.x]
    np.testing.assert_allclose(curve.y, np.array(hits) / len(references), atol=1e-12)


@given(
    requests,
    st.lists(st.integers(0, 60), max_size=8),
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 3), st.none() | st.integers(0, 5)), min_size=60, max_size=60),
)
def test_parts_of_a_trace_add_up_to_the_whole(
    lists: list[list[int]], cuts: list[int], rows: list[tuple[float, int, int | None]]
) -> None:
    gaps, clients, talks = zip(*rows[: len(lists)], strict=True)
    whole = workload(lists, np.cumsum(gaps).tolist(), clients, talks)
    same(figures(*cut(whole, cuts)), figures(whole))
    same(figures(*cut(whole, range(1, len(lists)))), figures(whole))


@given(requests, st.integers(0, 60), st.integers(0, 60))
def test_it_does_not_matter_which_parts_are_added_first(lists: list[list[int]], first: int, second: int) -> None:
    a, b, c = (Fold.of(part, SETTING) for part in cut(workload(lists), sorted((first, second))))
    left, right = ((a + b) + c).finish(SETTING, pl.DataFrame()), (a + (b + c)).finish(SETTING, pl.DataFrame())
    assert left is not None
    assert right is not None
    same(left, right)


def test_hits_are_told_by_the_conversation_and_the_client_that_saw_the_block_last() -> None:
    found = figures(
        workload([[7], [7], [7], [7], [7]], client=[0, 0, 1, 1, 0], conversation=[4, 4, None, None, 4]),
    )
    assert found.within_client.value == pytest.approx(2 / 4)
    assert found.within_conversation.value == pytest.approx(1 / 4)
    alone = figures(workload([[7], [7]]))
    assert np.isnan(alone.within_client.value)
    assert np.isnan(alone.within_conversation.value)


def test_reuse_times_and_distances_of_a_cycle_are_those_of_the_cycle() -> None:
    found = figures(workload([[i % 10] for i in range(1000)]))
    assert found.ideal_hit_rate.value == pytest.approx(0.99)
    assert found.reuse_blocks.x[0] == pytest.approx(9.0, abs=0.1)  # nine others since
    assert found.reuse_s.x[0] == pytest.approx(10.0, rel=0.04)
    assert found.reuse_s.y[0] == found.reuse_blocks.y[0] == 1.0
    assert found.hit_rate.y[:9].tolist() == [0.0] * 9
    np.testing.assert_allclose(found.popular.y, np.arange(1, 11) / 10)


@given(requests)
def test_shared_tokens_are_the_leading_blocks_that_were_seen_before(lists: list[list[int]]) -> None:
    prompts = [list(accumulated(ids)) for ids in lists]
    seen: set[int] = set()
    leading = []
    for ids in prompts:
        leading.append(next((place for place, block in enumerate(ids) if block not in seen), len(ids)))
        seen.update(ids)
    curve = figures(workload(prompts)).shared_tokens
    expected = [np.mean(np.array(leading) * 16 <= tokens) for tokens in curve.x]
    np.testing.assert_allclose(curve.y, expected, atol=1e-12)


def accumulated(ids: Sequence[int]) -> Sequence[int]:
    """Ids that stand for a block and all before it."""
    return [hash(tuple(ids[: i + 1])) for i in range(len(ids))]


def test_references_that_know_nothing_of_each_other_hit_as_often_as_the_closed_form_says() -> None:
    popularity = 1.0 / np.arange(1.0, 301.0)
    popularity /= popularity.sum()
    n, rates = 4000, []
    for seed in range(40):
        references = np.random.default_rng(seed).choice(300, n, p=popularity)
        rates.append(figures(workload(references.reshape(-1, 8).tolist())).ideal_hit_rate.value)
    # A block is first seen at reference i with the odds p (1 - p)^i; those of all i sum to 1 - (1 - p)^n.
    expected = 1.0 - (1.0 - (1.0 - popularity) ** n).sum() / n
    assert abs(np.mean(rates) - expected) < 5 * np.std(rates) / np.sqrt(len(rates))


def test_a_share_of_the_blocks_says_what_all_of_them_do(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    ranks = np.arange(1.0, 200_001.0) ** -0.8
    ids = random.choice(200_000, 1_000_000, p=ranks / ranks.sum())
    blocks = cut(workload(ids.reshape(-1, 20).tolist()), range(2_500, 50_000, 2_500))
    exact = figures(*blocks)
    monkeypatch.setattr(_reuse, "MOST", 2**16)
    sampled = figures(*blocks)
    assert exact.sampled == 1.0
    assert sampled.sampled == 1 / 4
    assert sampled.distinct == pytest.approx(exact.distinct, rel=5 / np.sqrt(2**15))
    assert sampled.ideal_hit_rate.value == pytest.approx(exact.ideal_hit_rate.value, abs=0.005)
    sizes = np.geomspace(10, 150_000, 50)
    error = np.interp(sizes, sampled.hit_rate.x, sampled.hit_rate.y) - np.interp(
        sizes, exact.hit_rate.x, exact.hit_rate.y
    )
    assert np.abs(error).mean() < 0.004
    assert np.abs(error).max() < 0.01
    same_at = np.interp(exact.shared_tokens.x, sampled.shared_tokens.x, sampled.shared_tokens.y)
    np.testing.assert_allclose(same_at, exact.shared_tokens.y, atol=0.02)


def test_what_is_followed_does_not_depend_on_how_the_trace_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reuse, "MOST", 100)
    ids = np.random.default_rng(1).zipf(1.3, 20_000) % 3000
    whole = workload(ids.reshape(-1, 10).tolist())
    one, many = figures(whole), figures(*cut(whole, range(37, 2000, 37)))
    assert one.sampled == many.sampled < 1.0
    assert one.distinct == many.distinct
    assert one.ideal_hit_rate.value == pytest.approx(many.ideal_hit_rate.value)
    np.testing.assert_allclose(one.popular.y, many.popular.y)
    np.testing.assert_allclose(one.shared_tokens.y, many.shared_tokens.y)


def test_the_interval_of_the_ideal_hit_rate_covers_it() -> None:
    covered = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        # A block is new with the odds .3, otherwise it is block -1.
        new = random.random(3000) < 0.3
        lists = np.where(new, np.arange(3000), -1).reshape(-1, 3)
        rate = figures(workload(lists.tolist())).ideal_hit_rate
        covered += rate.low <= 0.7 - 1 / 3000 <= rate.high
    assert covered >= 180


def test_a_trace_without_prefix_blocks_has_no_figures() -> None:
    assert Fold().finish(SETTING, pl.DataFrame()) is None
    none = workload([[1]])
    assert Fold.of(Workload(none.frame.drop("prefix_blocks")), SETTING).finish(SETTING, pl.DataFrame()) is None
    assert Fold.of(workload([None, []]), SETTING).finish(SETTING, pl.DataFrame()) is None
    assert Fold.of(Workload(none.frame.clear()), SETTING).finish(SETTING, pl.DataFrame()) is None


def test_requests_without_blocks_share_nothing() -> None:
    found = figures(workload([None, [1, 2], [], [1, 2]]))
    assert found.blocks == 4
    assert found.shared_tokens.x.tolist() == [0.0, 16.0, 32.0]
    assert found.shared_tokens.y.tolist() == [0.75, 0.75, 1.0]


def test_mooncakes_prompts_hit_as_often_as_in_a_cache_that_is_run(public_data: Path) -> None:
    raw = pl.read_ndjson(public_data / "mooncake" / "conversation_trace.jsonl")
    whole = workload(raw["hash_ids"].to_list(), (raw["timestamp"] / 1000).to_list())
    found = figures(*cut(whole, range(1000, len(whole), 1000)))
    assert found.blocks == raw["hash_ids"].list.len().sum()
    assert found.distinct == raw["hash_ids"].explode().n_unique()
    assert found.ideal_hit_rate.value == pytest.approx(1 - found.distinct / found.blocks)
    references = raw["hash_ids"].explode().to_list()
    for x, y in zip(found.hit_rate.x[::40], found.hit_rate.y[::40], strict=True):
        assert y == pytest.approx(lru_hits(references, int(x)) / len(references), abs=1e-12)
