"""What a cache makes of composed conversations, against a slow generator that was written apart from them.

The slow one is a page of plain Python with a list of tokens for each prompt. Both draw twelve runs; means of the runs
may differ by five standard errors of their difference, which happens by chance in 6e-7 of the cases.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import pytest

from groundswell.characterize.engine import characterize
from groundswell.clients.client import Client, pool_of
from groundswell.compose import Talking, compose
from groundswell.prefix import with_blocks
from groundswell.table import Workload

SIZE = 32
SPAN_S = 1800.0
RATE = 1.0
TURNS, TURN_SHARE = (1, 2, 5), (0.5, 0.3, 0.2)
SHARED, POPULARITY = (0, 128, 1000), (0.3, 0.5, 0.2)
KEPT, KEPT_SHARE = (0.5, 1.0), (0.1, 0.9)
INPUT, OUTPUT, NEW = (200, 1500, 6000), (50, 400), (20, 500)
THINK_S = (5.0, 60.0, 400.0)
RUNS = 12
WITHIN_S = (10, 50, 100, 300, 450)
CACHES = (100, 300, 1000, 3000, 10_000)

Requests = list[tuple[float, list[int]]]


def values(numbers: tuple[float, ...], weights: tuple[float, ...] | None = None) -> str:
    text = f"empirical:values=({','.join(map(str, numbers))})"
    return text if weights is None else f"{text},weights=({','.join(map(str, weights))})"


def composed(seed: int) -> Workload:
    laws = {
        "input_tokens": values(INPUT),
        "output_tokens": values(OUTPUT),
        "turns": values(TURNS, TURN_SHARE),
        "think_ms": values(tuple(1000 * s for s in THINK_S)),
        "new_tokens": values(NEW),
        "kept_ratio": values(KEPT, KEPT_SHARE),
        "shared_tokens": values(SHARED, POPULARITY),
    }
    pool = pool_of([Client("c", RATE, "poisson", laws)], SPAN_S)
    return compose(pool, seed=seed, talking=Talking(block_tokens=SIZE)).collect()


def ours(seed: int) -> Requests:
    workload = composed(seed)
    ids = with_blocks(workload).frame["prefix_blocks"]
    return list(zip(workload.arrival_s.tolist(), ids.to_list(), strict=True))


def slow(seed: int) -> Requests:
    """The same law, token by token: each token has a number of its own, and a block is known by all up to its end."""
    rng = np.random.default_rng([seed, 99])
    numbers = count()
    templates = {tokens: list(islice(numbers, tokens)) for tokens in SHARED}
    mean_turns = float(np.dot(TURNS, TURN_SHARE))
    before_s = (max(TURNS) - 1) * (0.5 + 0.02 * max(OUTPUT) + max(THINK_S))  # no conversation lasts longer
    starts = rng.uniform(-before_s, SPAN_S, rng.poisson((SPAN_S + before_s) * RATE / mean_turns))
    out: Requests = []
    for start_s in starts:
        t = float(start_s)
        shared = int(rng.choice(SHARED, p=POPULARITY))
        prompt: list[int] = []
        for turn in range(int(rng.choice(TURNS, p=TURN_SHARE))):
            if turn == 0:
                tokens = max(int(rng.choice(INPUT)), shared + (shared > 0))
                prompt = templates[shared] + list(islice(numbers, tokens - shared))
            else:
                reply = int(rng.choice(OUTPUT))
                t += 0.5 + 0.02 * reply + float(rng.choice(THINK_S))
                said = prompt + list(islice(numbers, reply))
                kept = said[: int(len(said) * rng.choice(KEPT, p=KEPT_SHARE))]
                prompt = kept + list(islice(numbers, int(rng.choice(NEW))))
            if 0 <= t < SPAN_S:
                out.append((t, list(blocks(prompt))))
    return sorted(out, key=lambda request: request[0])


def blocks(prompt: list[int]) -> Iterator[int]:
    known = 0
    for k in range(0, len(prompt), SIZE):
        known = hash((known, *prompt[k : k + SIZE]))
        yield known


def measured(requests: Requests) -> dict[str, float]:
    """The share of blocks that a cache of each size hits, and how soon blocks are sent again."""
    caches: dict[int, OrderedDict[int, None]] = {most: OrderedDict() for most in CACHES}
    hits = dict.fromkeys(CACHES, 0)
    last_s: dict[int, float] = {}
    again_s = []
    references = 0
    for t, ids in requests:
        for block in ids:
            references += 1
            if block in last_s:
                again_s.append(t - last_s[block])
            last_s[block] = t
            for most, cache in caches.items():
                if block in cache:
                    hits[most] += 1
                    cache.move_to_end(block)
                else:
                    cache[block] = None
                    if len(cache) > most:
                        cache.popitem(last=False)
    out = {f"hits at {most}": hits[most] / references for most in CACHES}
    out |= {f"reuse within {within_s}": float((np.array(again_s) <= within_s).mean()) for within_s in WITHIN_S}
    return out | {"requests": float(len(requests)), "ideal": len(again_s) / references}


@pytest.fixture(scope="module")
def runs() -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    return [measured(ours(seed)) for seed in range(RUNS)], [measured(slow(seed)) for seed in range(RUNS)]


@pytest.mark.parametrize(
    "what",
    [*(f"hits at {most}" for most in CACHES), *(f"reuse within {w}" for w in WITHIN_S), "requests", "ideal"],
)
def test_a_cache_sees_what_it_sees_of_the_slow_generator(
    what: str, runs: tuple[list[dict[str, float]], list[dict[str, float]]]
) -> None:
    a, b = (np.array([run[what] for run in side]) for side in runs)
    error = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / RUNS)
    assert abs(a.mean() - b.mean()) <= 5 * error


def test_the_characterization_measures_the_same_cache() -> None:
    expected = measured(ours(0))
    found = characterize([composed(0)]).prefixes
    assert found is not None
    assert found.ideal_hit_rate.value == pytest.approx(expected["ideal"], rel=1e-9)
    for most in CACHES[:2]:  # distances up to 256 are exact; above, a bucket is 0.8 % wide
        assert np.interp(most, found.hit_rate.x, found.hit_rate.y) == pytest.approx(
            expected[f"hits at {most}"], abs=0.01
        )
