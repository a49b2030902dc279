"""How often the stated 95 % intervals hold the truth, on traces whose truth is known; and false alarms.

    python benchmarks/intervals.py [--repeats 200]

Each row is one estimator on one kind of trace: its true value, the mean of the estimates, and the share of repeats
whose interval holds the truth. Below 90 % is marked. The last rows are shares of repeats in which a decision was wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import norm

from groundswell.characterize import (
    arrivals,
    clients,
    conversations,
    failures,
    lengths,
    modalities,
    prefixes,
    reasoning,
)
from groundswell.characterize.setting import Setting
from groundswell.stats.estimate import Estimate
from groundswell.stats.sample import Sample
from groundswell.table import Workload, list_column

FEWEST = 0.90
RATE_PER_S = 5.0
REQUESTS = 20_000
TOPICS: dict[str, Any] = {
    "arrivals": arrivals,
    "clients": clients,
    "conversations": conversations,
    "failures": failures,
    "lengths": lengths,
    "modalities": modalities,
    "prefixes": prefixes,
    "reasoning": reasoning,
}


@dataclass(frozen=True)
class Case:
    """A kind of trace, the topic that is asked about it, and the truths by the estimator's name."""

    name: str
    topic: str
    make: Callable[[np.random.Generator], Workload]
    truth: dict[str, tuple[float, Callable[[Any], Estimate]]]


def trace(gaps_s: Any, inputs: Any, outputs: Any, **columns: Any) -> Workload:
    """A workload of one client, or of those in ``columns``."""
    n = len(gaps_s)
    clients_of = columns.pop("client", np.zeros(n, np.uint32))
    names = [f"c{i}" for i in range(int(clients_of.max()) + 1)]
    base = Workload.from_columns(
        np.cumsum(gaps_s), clients_of, names, np.asarray(inputs, np.int32), np.asarray(outputs, np.int32)
    )
    return Workload(base.frame.with_columns(**columns)) if columns else base


def poisson(random: np.random.Generator, n: int = REQUESTS) -> Any:
    """Gaps of a Poisson process."""
    return random.exponential(1 / RATE_PER_S, n)


def copula(random: np.random.Generator, rho: float, n: int = REQUESTS) -> tuple[Any, Any]:
    """Two uniforms with the rank correlation of a Gaussian copula of ``rho``."""
    a, b = random.normal(size=(2, n))
    return norm.cdf(a), norm.cdf(rho * a + np.sqrt(1 - rho**2) * b)


INPUT = {"mu": 6.0, "sigma": 1.0}
OUTPUT_MEAN = 300.0


def plain(random: np.random.Generator) -> Workload:
    """Poisson, log-normal inputs, exponential outputs, a little dependence."""
    u, v = copula(random, 0.2)
    inputs = np.exp(INPUT["mu"] + INPUT["sigma"] * norm.ppf(u))
    return trace(poisson(random), inputs, -OUTPUT_MEAN * np.log1p(-v))


def bursty(random: np.random.Generator) -> Workload:
    """Gamma gaps of CV 2."""
    n = REQUESTS
    return trace(random.gamma(0.25, 4 / RATE_PER_S, n), np.full(n, 100), np.full(n, 10))


SHARE = np.arange(1, 61, dtype=float) ** -1.2
SHARE /= SHARE.sum()


def many(random: np.random.Generator) -> Workload:
    """Sixty Poisson clients whose rates follow Zipf's law."""
    n = REQUESTS
    who = random.choice(SHARE.size, n, p=SHARE).astype(np.uint32)
    return trace(poisson(random), random.poisson(200, n), random.poisson(50, n), client=who)


def gini(share: Any) -> float:
    """Of shares that add up to 1."""
    ordered, n = np.sort(share), len(share)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / n)


def thinking(random: np.random.Generator) -> Workload:
    """Replies whose reasoning is nine tenths or two fifths of them."""
    n = REQUESTS
    output = np.maximum(random.lognormal(6, 1, n).astype(np.int32), 20)
    part = np.where(random.random(n) < 0.5, 0.9, 0.4)
    reason = np.floor(output * part).astype(np.int32)
    return trace(poisson(random), np.full(n, 100), output, reason_tokens=reason)


def pictures(random: np.random.Generator) -> Workload:
    """A third of requests have one to three images of 400 or 800 tokens."""
    n = REQUESTS
    count = np.where(random.random(n) < 1 / 3, random.integers(1, 4, n), 0)
    sizes = random.choice([400, 800], int(count.sum())).astype(np.int32)
    return trace(
        poisson(random), np.full(n, 100), np.full(n, 10), image_tokens=list_column("image_tokens", count, sizes)
    )


GAP = {"mu": 4.6, "sigma": 1.0}
STOP = 0.3


def talking(random: np.random.Generator) -> Workload:
    """A fifth of conversations go on, for a geometric number of turns, log-normal times apart."""
    starts = np.cumsum(random.exponential(0.5, 12_000))
    turns = np.where(random.random(starts.size) < 0.2, 1 + random.geometric(STOP, starts.size), 1)
    which = np.repeat(np.arange(starts.size), turns)
    turn = np.arange(which.size) - np.repeat(np.cumsum(turns) - turns, turns)
    gap = np.where(turn > 0, random.lognormal(GAP["mu"], GAP["sigma"], which.size), 0.0)
    since = np.cumsum(gap) - np.repeat(np.cumsum(gap)[np.cumsum(turns) - turns], turns)
    at_s = starts[which] + since
    order = np.argsort(at_s, kind="stable")
    frame = pl.DataFrame(
        {
            "arrival_s": at_s[order],
            "client": pl.Series(["all"] * at_s.size, dtype=pl.Enum(["all"])),
            "input_tokens": (100 + 50 * turn[order]).astype(np.int32),
            "output_tokens": np.full(at_s.size, 40, np.int32),
            "conversation": which[order].astype(np.int64),
            "turn": (turn[order] + 1).astype(np.int16),
        }
    )
    return Workload(frame)


def failing(random: np.random.Generator) -> Workload:
    """Two in a hundred fail, whatever the load."""
    n = REQUESTS
    return trace(poisson(random), np.full(n, 100), np.full(n, 10), failed=random.random(n) < 0.02)


def get(*path: Any) -> Callable[[Any], Estimate]:
    """The estimate at ``path``: attributes by name, entries by key."""

    def found(figures: Any) -> Estimate:
        for step in path:
            figures = figures[step] if isinstance(figures, dict) else getattr(figures, step)
        assert isinstance(figures, Estimate)
        return figures

    return found


def cases() -> list[Case]:
    """Every kind of trace, with what is true of it."""
    spearman = 6 / np.pi * np.arcsin(0.1)
    quantile = {q: float(np.exp(INPUT["mu"] + INPUT["sigma"] * norm.ppf(q))) for q in (0.5, 0.9, 0.99)}
    mean_input = float(np.exp(INPUT["mu"] + INPUT["sigma"] ** 2 / 2)) - 0.5  # whole tokens, rounded down
    top = {k: float(SHARE[:k].sum()) for k in (1, 4, 10)}
    return [
        Case("Poisson", "arrivals", plain, {"rate": (RATE_PER_S, get("rate_per_s")), "CV": (1.0, get("cv"))}),
        Case("Gamma CV 2", "arrivals", bursty, {"rate": (RATE_PER_S, get("rate_per_s")), "CV": (2.0, get("cv"))}),
        Case(
            "log-normal in, exponential out",
            "lengths",
            plain,
            {
                "mean input": (mean_input, get("fields", "input", "mean")),
                **{
                    f"p{int(q * 100)} input": (v, get("fields", "input", f"p{int(q * 100)}"))
                    for q, v in quantile.items()
                },
                "CV input": (float(np.sqrt(np.e - 1)), get("fields", "input", "cv")),
                "mean output": (OUTPUT_MEAN - 0.5, get("fields", "output", "mean")),
                "p50 output": (OUTPUT_MEAN * np.log(2), get("fields", "output", "p50")),
                "Spearman": (float(spearman), get("spearman")),
            },
        ),
        Case(
            "60 clients",
            "clients",
            many,
            {
                **{f"top {k} share": (v, get("top_share", k)) for k, v in top.items()},
                "Gini": (gini(SHARE), get("gini")),
            },
        ),
        Case(
            "reasoning",
            "reasoning",
            thinking,
            {"share": (1.0, get("share"))},
        ),
        Case(
            "images",
            "modalities",
            pictures,
            {
                "share": (1 / 3, get("modalities", "image", "share")),
                "items": (2.0, get("modalities", "image", "mean_items")),
                "tokens": (600.0, get("modalities", "image", "mean_tokens")),
            },
        ),
        Case(
            "conversations",
            "conversations",
            talking,
            {
                "mean turns": (1 + 1 / STOP, get("mean_turns")),
                "multi-turn share": (
                    0.2 * (1 + 1 / STOP) / (0.2 * (1 + 1 / STOP) + 0.8),
                    get("multi_turn_share"),
                ),
                "gap p50": (float(np.exp(GAP["mu"])), get("gap_p50")),
                "gap p90": (float(np.exp(GAP["mu"] + GAP["sigma"] * norm.ppf(0.9))), get("gap_p90")),
                "growth": (50.0, get("growth_per_turn")),
            },
        ),
        Case("failures", "failures", failing, {"rate": (0.02, get("rate")), "load ratio": (1.0, get("load_ratio"))}),
    ]


def figures_of(case: Case, seed: int) -> Any:
    """What the topic says of one draw of the case."""
    workload = case.make(np.random.default_rng([seed, *case.name.encode()]))
    setting = Setting(seed=seed)
    fold = TOPICS[case.topic].Fold.of(workload, setting)
    return fold.finish(setting, Sample.of(workload).frame)


def one(number: int, seed: int) -> list[tuple[float, float, float]]:
    """The estimates of one draw of case ``number``: value, low, high."""
    case = cases()[number]
    figures = figures_of(case, seed)
    found = (getter(figures) for _, getter in case.truth.values())
    return [(e.value, e.low, e.high) for e in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    print(f"{'trace':<32}{'estimator':<18}{'truth':>10}{'mean':>10}{'held':>8}   of {repeats} repeats")
    wrong: dict[str, float] = {}
    with ProcessPoolExecutor() as pool:
        for number, case in enumerate(cases()):
            drawn = np.array(list(pool.map(partial(one, number), range(repeats), chunksize=5)))
            for (name, (truth, _)), column in zip(case.truth.items(), np.moveaxis(drawn, 1, 0), strict=True):
                held = float(((column[:, 1] <= truth) & (truth <= column[:, 2])).mean())
                mark = "  below" if held < FEWEST else ""
                print(f"{case.name:<32}{name:<18}{truth:>10.4g}{np.nanmean(column[:, 0]):>10.4g}{held:>8.1%}{mark}")
                if (case.name, name) == ("Poisson", "CV"):
                    wrong["a Poisson trace is called bursty"] = float((column[:, 1] > 1.0).mean())
    for what, share in wrong.items():
        print(f"{what}: {share:.1%} of {repeats} repeats")


if __name__ == "__main__":
    main()
