"""Conversations of a trace as laws: near the truth that made it, and in a pool that is shared never of fewer than k.

Statistics have fixed seeds. A table is held to the law by its largest distance from it: 2.5 / √n, which n draws pass
with odds of 1 in 130,000 (Massart 1990).
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.clients import ClientPool
from groundswell.clients.client import Client, pool_of
from groundswell.clients.conversation import conversation, prefix
from groundswell.clients.session_values import KEPT_STEPS
from groundswell.clients.sessions import Sessions
from groundswell.compose import compose
from groundswell.errors import UsageError
from groundswell.fit import FitSetting, fit_pool
from groundswell.fit.laws import _beginnings
from groundswell.population import Population, fit_population
from groundswell.table import BLOCK_SIZE_KEY, Workload
from test_fit_sessions import random_tree, trace_of

LAWS = FitSetting(min_requests=1, conversations="laws")
LATER = ("think_ms", "new_tokens", "kept_ratio", "regenerate")


def table(pool: ClientPool, field: str, client: int = 0, slot: int = 0) -> tuple[Any, Any]:
    return pool.lengths.table(int(pool.table[client, slot, pool.fields.index(field)]))


def distance(one: tuple[Any, Any], two: tuple[Any, Any]) -> float:
    """The Kolmogorov–Smirnov distance of two tables."""
    grid = np.union1d(one[0], two[0])
    below = [np.append(0.0, np.cumsum(share))[np.searchsorted(value, grid, "right")] for value, share in (one, two)]
    return float(np.abs(below[0] - below[1]).max())


def first_prompts(pool: ClientPool) -> tuple[Any, Any]:
    """The lengths of first prompts: of what is drawn and the beginning with a token, the larger."""
    (value, share), (room, often) = table(pool, "input_tokens"), table(pool, "shared_tokens")
    grid = np.union1d(value, room + 1)
    below = np.append(0.0, np.cumsum(share))[np.searchsorted(value, grid, "right")]
    below *= np.append(0.0, np.cumsum(often))[np.searchsorted(room + 1, grid, "right")]
    return grid, np.diff(below, prepend=0.0)


# Near the truth


@pytest.fixture(scope="module")
def talker() -> ClientPool:
    return pool_of(
        [
            Client(
                "a",
                2.0,
                "gamma:cv=2",
                {"input_tokens": "lognormal:mean=900,cv=0.8", "output_tokens": "lognormal:mean=100,cv=0.7"}
                | conversation(
                    turns="exponential:mean=3",
                    think_s="lognormal:mean=60,cv=1",
                    new_tokens="lognormal:mean=80,cv=1",
                    regenerate=0.1,
                )
                | prefix(tokens=320, count=3, popularity=1.0, share=0.7),
            )
        ]
    )


@pytest.fixture(scope="module")
def talked(talker: ClientPool) -> Workload:
    return compose(talker, duration_s=43_200.0, seed=3).collect()


@pytest.mark.parametrize("setting", [LAWS, FitSetting(min_group=50)], ids=["laws", "shared"])
def test_laws_that_made_a_trace_are_found_in_it(talker: ClientPool, talked: Workload, setting: FitSetting) -> None:
    pool = fit_pool([talked], setting).pool
    assert pool.sessions is None
    assert pool.converses.all()
    turn = talked.frame["turn"].to_numpy()
    later, begun = int((turn > 1).sum()), int((turn == 1).sum())
    gathered = 0.01 if setting.min_group > 1 else 0.0  # what gathering of the rarest may move
    for field, n in (("turns", begun), *((name, later) for name in LATER)):
        off = distance(table(pool, field), table(talker, field) if field in talker.fields else (np.ones(1), np.ones(1)))
        assert off < 2.5 / np.sqrt(n) + gathered, field
    off = distance(first_prompts(pool), first_prompts(talker))
    assert off < 2.5 / np.sqrt(0.45 * begun) + gathered  # of one of the two slots
    shared, often = table(pool, "shared_tokens")
    known = np.sort(table(talker, "shared_tokens")[1])
    assert shared.tolist() == [0, 320, 321, 322]  # whole blocks, told apart by a token
    np.testing.assert_allclose(np.sort(often), known, atol=5 * 0.5 / np.sqrt(begun))


def test_what_is_generated_from_laws_converses_as_the_trace_did(talked: Workload) -> None:
    made = compose(fit_pool([talked], LAWS).pool, seed=5).collect()
    assert made.metadata[BLOCK_SIZE_KEY] == 16
    shares = [float((one.frame["turn"] > 1).mean()) for one in (talked, made)]  # type: ignore[arg-type]
    talks = made.frame.group_by("conversation").len()["len"].to_numpy()
    error = np.sqrt((((talks - 1) - shares[1] * talks) ** 2).sum()) / len(made)
    assert shares[1] == pytest.approx(shares[0], abs=5 * np.sqrt(2) * error + 0.005)  # and what the ends cut off
    assert len(made) == pytest.approx(len(talked), rel=0.02)  # a run from the pool's own beginning may begin cold


def test_starts_have_the_gaps_of_the_process_that_placed_them(talked: Workload) -> None:
    pool = fit_pool([talked], LAWS).pool
    inner = pool.cv[0, 1:-1]
    assert inner.mean() == pytest.approx(2.0, abs=5 * inner.std() / np.sqrt(inner.size) + 0.05)


# In a pool that is shared


def conversations(sessions: Sessions, client: int) -> dict[str, Any]:
    """What a client's sessions say of each field, plainly."""
    out: dict[str, list[float]] = {name: [] for name in ("turns", "input_tokens", "beginnings", *LATER)}
    for m in range(int(sessions.first[client]), int(sessions.first[client + 1])):
        rows = range(int(sessions.edge[m]), int(sessions.edge[m + 1]))
        out["turns"].append(len(rows))
        out["input_tokens"].append(float(sessions.input_tokens[rows[0]]))
        out["beginnings"].append(float(sessions.shared[rows[0]]))
        for n in rows[1:]:
            given, before = int(sessions.input_tokens[n]), int(sessions.input_tokens[n - 1])
            context, kept = before + int(sessions.output_tokens[n - 1]), int(sessions.kept_tokens[n])
            again = int(sessions.back[n]) == 1 and given == before and kept >= given
            out["think_ms"].append(float(np.rint(1000 * max(float(sessions.think_s[n]), 0))))
            out["regenerate"].append(float(again))
            if not again:
                step = KEPT_STEPS * min(kept, given, context) // context
                out["kept_ratio"].append(step / KEPT_STEPS)
                out["new_tokens"].append(max(given - step * context // KEPT_STEPS, 1))
    return {name: np.array(column) for name, column in out.items()}


@given(st.integers(0, 10**6), st.integers(100, 400), st.integers(1, 3), st.booleans(), st.integers(2, 25))
def test_no_published_value_of_conversations_rests_on_fewer_than_k(
    seed: int, requests: int, clients: int, names: bool, k: int
) -> None:
    """Of every table: as many things as k for each of its values; between a value's neighbours k things at least."""
    trace = trace_of(random_tree(seed, requests, names=names, clients=clients))
    sent = trace.frame["client"].value_counts()["count"].to_numpy()
    if sent.min() < k:
        return  # who is pooled with whom is not known from outside
    whole = fit_pool([trace], FitSetting(min_requests=1)).pool
    pool = fit_pool([trace], FitSetting(min_requests=1, min_group=k)).pool
    assert pool.sessions is None
    assert whole.sessions is not None
    assert len(pool) == len(whole)  # both number clients from the busiest on
    said = [conversations(whole.sessions, c) for c in range(len(whole))]
    for field in ("turns", *LATER, *(["input_tokens"] if pool.converses.all() else [])):
        if field not in pool.fields:
            assert field == "regenerate" or sum(one[field].size for one in said) < k or not pool.converses.any()
            continue
        numbers = pool.table[:, :, pool.fields.index(field)]
        for number in np.unique(numbers[numbers >= 0]).tolist():
            users = np.flatnonzero((numbers == number).any(axis=1))
            if field == "input_tokens" and "shared_tokens" in pool.fields:
                users = np.arange(len(pool))  # one of several senders is made anew for each one's beginnings
            things = np.sort(np.concatenate([said[c][field] for c in users]))
            value, share = pool.lengths.table(number)
            assert things.size >= k * value.size
            if field not in ("turns", "think_ms", "input_tokens"):  # there, things count for others that were not seen
                assert (share * things.size > k - 0.01).all()
            edges = np.concatenate([[-np.inf], value, [np.inf]])
            for low, high in zip(edges[:-2], edges[2:], strict=True):
                assert ((things > low - 0.5001) & (things < high + 0.5001)).sum() >= k
    if "shared_tokens" not in pool.fields:
        return
    sessions = whole.sessions
    for c in np.flatnonzero(pool.table[:, 0, pool.fields.index("shared_tokens")] >= 0).tolist():
        value, share = table(pool, "shared_tokens", c)
        assert (share * said[c]["beginnings"].size > k - 0.01).all()
        chains = [chain(sessions, int(at)) for at in said[c]["beginnings"]]
        for one in value[value > 0]:
            near = [any(one - value.size <= sessions.shared_tokens[at] <= one for at in path) for path in chains]
            assert sum(near) >= k or value[0] > 0  # a few that share nothing are told with those that share least


def chain(sessions: Sessions, at: int) -> list[int]:
    """A beginning and those that it lies in."""
    out = []
    while at >= 0:
        out.append(at)
        at = int(sessions.shared_within[at])
    return out


@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(1, 80), st.integers(2, 9))
def test_beginnings_that_stand_are_those_of_k_and_as_good_as_the_outermost_or_their_own(
    seed: int, beginnings: int, talks: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    within = np.array([int(rng.integers(-1, i)) if i else -1 for i in range(beginnings)])
    tokens = np.zeros(beginnings, np.int64)
    for i in range(beginnings):  # a length says which it is
        outer = tokens[within[i]] // 10_000 if within[i] >= 0 else 0
        tokens[i] = 10_000 * (outer + int(rng.integers(1, 9))) + 100 * i
    begun = rng.integers(-1, beginnings, talks)
    out = np.empty(talks, np.int64)
    _beginnings(np.array([0, talks]), begun, tokens, within, k, out)

    def worth(lengths: Any) -> float:
        value, count = np.unique(lengths[lengths > 0], return_counts=True)
        return float((value * (count - 1))[count >= k].sum())

    counts = np.unique(out[out > 0], return_counts=True)[1]
    assert (counts >= k).all()
    outermost = np.zeros(talks, np.int64)
    for m, at in enumerate(begun.tolist()):
        path = []
        while at >= 0:
            path.append(at)
            at = int(within[at])
        assert out[m] == 0 or out[m] in tokens[path]
        outermost[m] = tokens[path[-1]] if path else 0
    own = np.where(begun >= 0, tokens[begun], 0)
    assert worth(out) >= max(worth(own), worth(outermost)) - 1e-6


def test_conversations_that_too_few_have_are_left_out_and_a_note_says_so() -> None:
    rows = random_tree(1, 60, names=True)
    fitted = fit_pool([trace_of(rows)], FitSetting(min_group=55))
    assert not fitted.pool.converses.any()
    assert "too few" in " ".join(fitted.notes)
    assert fitted.pool.mean_length("input_tokens") == pytest.approx(np.mean([len(row[2]) for row in rows]), abs=1)


def test_a_pool_of_laws_says_so_and_one_that_is_shared_has_nothing_else() -> None:
    trace = trace_of(random_tree(1, 300, names=True))
    assert fit_pool([trace], FitSetting(min_requests=1)).pool.sessions is not None
    for setting in (LAWS, FitSetting(min_group=5), FitSetting(min_group=5, conversations="whole")):
        fitted = fit_pool([trace], setting)
        assert fitted.pool.sessions is None
        assert fitted.pool.converses.all()
        assert "as laws" in " ".join(fitted.notes)
    with pytest.raises(UsageError, match="conversations 'some' is none of whole, laws"):
        FitSetting(conversations="some")  # type: ignore[arg-type]


def test_members_of_a_group_that_do_not_converse_are_conversations_of_one_turn() -> None:
    talks = trace_of([row for row in random_tree(2, 200, names=True) if row[4] is not None]).frame
    other = pl.DataFrame(
        {
            "arrival_s": np.arange(100) + 0.25,
            "client": pl.Series(["plain"] * 100, dtype=pl.Enum(["plain"])),
            "input_tokens": np.full(100, 7, np.int32),
            "output_tokens": np.full(100, 3, np.int32),
        }
    )
    names = pl.Enum(["client 0", "plain"])
    parts = [part.with_columns(pl.col("client").cast(pl.String).cast(names)) for part in (talks, other)]
    trace = Workload(pl.concat(parts, how="diagonal").sort("arrival_s"), {BLOCK_SIZE_KEY: 16})
    alone, together = (fit_pool([trace], FitSetting(min_requests=n, conversations="laws")).pool for n in (1, 1000))
    assert len(together) == 1
    assert alone.converses.sum() == 1
    talking = int(np.flatnonzero(alone.converses)[0])
    own, both = (dict(zip(*table(pool, "turns", c), strict=True))[1] for pool, c in ((alone, talking), (together, 0)))
    whole = fit_pool([trace], FitSetting(min_requests=1)).pool.sessions
    assert whole is not None
    counted = 100 * (1 - both) / (both - own)  # as both = (own · counted + 100) / (counted + 100) has it
    assert 0.5 * len(whole) <= counted <= len(whole) + 1e-6
    value, share = table(together, "input_tokens")
    assert share[value == 7][0] * (counted + 100) >= 100 - 0.01


# For a population


def test_a_population_that_was_drawn_generated_and_fitted_is_found_again() -> None:
    """20 clients, a day, two requests a second; of 170,000 requests a half are in 21,500 conversations of four turns.

    Standard errors: 0.5 % of turns (a geometric number of two more), 0.4 % of their share, 0.4 % of medians (a spread
    near 1, of 64,000 pauses), 0.3 % of spreads; five of them, and what rounding to three digits adds, are 3 %.
    """
    law = Population.load("reasoning")
    assert law.conversations is not None
    stated = msgspec.structs.replace(
        law.conversations, clients=1.0, multi_turn=0.5, turns=4.0, think_median_s=40.0, think_spread=1.0,
        longest_think_s=3600.0, regenerated=0.1,
    )  # fmt: skip
    pool = msgspec.structs.replace(law, conversations=stated).sample(20, 1, span_s=86_400)
    trace = compose(pool, 2.0, 86_400.0, seed=1).collect()
    for setting in (FitSetting(), LAWS, FitSetting(min_group=50)):
        found = fit_population(fit_pool([trace], setting).pool).conversations
        assert found is not None
        assert found.clients == 1.0
        for name in ("multi_turn", "turns", "think_median_s", "think_spread", "new_median_tokens", "new_spread"):
            assert getattr(found, name) == pytest.approx(getattr(stated, name), rel=0.03), name
        assert found.kept == pytest.approx(1.0, abs=0.005)
        assert found.regenerated == pytest.approx(0.1, abs=0.005)
