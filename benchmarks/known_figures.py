"""What is true of the traces of known_traces.py: for each the figures that are asked for and their true values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from math import asin, exp, pi, sqrt
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammainc
from scipy.stats import multivariate_normal, norm

import known_traces as known
from groundswell.characterize.setting import Setting
from groundswell.stats.estimate import Estimate
from groundswell.table import Workload

Truth = tuple[str, float, Callable[[Any], Estimate]]
"""An estimator's name, what is true, and where the estimate is."""


@dataclass(frozen=True)
class Case:
    """A kind of trace, the topic that is asked about it, and the truths."""

    name: str
    topic: str
    make: Callable[[np.random.Generator], Workload]
    truths: list[Truth]
    setting: Setting = field(default_factory=Setting)


def get(*path: Any) -> Callable[[Any], Estimate]:
    """The estimate at ``path``: attributes by name, entries by key or number."""

    def found(figures: Any) -> Estimate:
        for step in path:
            figures = figures[step] if isinstance(figures, (dict, tuple)) else getattr(figures, step)
        assert isinstance(figures, Estimate)
        return figures

    return found


def dispersion(scale_s: float) -> Callable[[Any], Estimate]:
    """The index of dispersion at a scale."""

    def found(figures: Any) -> Estimate:
        band = figures.dispersion
        at = np.flatnonzero(band.x == scale_s)
        if not at.size:
            return Estimate()
        value, low, high = (float(v[at[0]]) for v in (band.middle, band.low, band.high))
        return Estimate(value, low, high)

    return found


def autocorrelation(place: int) -> Callable[[Any], Estimate]:
    """The autocorrelation at a lag, within the band of a series without any."""

    def found(figures: Any) -> Estimate:
        band = figures.autocorrelation
        value = float(band.middle[place])
        return Estimate(value, value + float(band.low[place]), value + float(band.high[place]))

    return found


@lru_cache(maxsize=1)
def cases() -> list[Case]:
    """Every kind of trace, with what is true of it."""
    return [*of_arrivals(), *of_lengths(), *of_clients(), *of_requests(), *of_conversations(), *of_failures()]


# --- arrivals ---------------------------------------------------------------------------------------------------------


def of_arrivals() -> Iterator[Case]:
    rate: Truth = ("rate", known.RATE_PER_S, get("rate_per_s"))
    lags: list[Truth] = [(f"correlation, lag {k}", 0.0, autocorrelation(k)) for k in (0, 5, 40)]
    scales = (0.1, 1.0, 10.0, 60.0)
    ones: list[Truth] = [(f"dispersion {s:g} s", 1.0, dispersion(s)) for s in scales]
    yield Case("Poisson", "arrivals", known.plain, [rate, ("CV", 1.0, get("cv")), *ones, *lags])
    fours: list[Truth] = [(f"dispersion {s:g} s", 4.0, dispersion(s)) for s in scales]
    yield Case("batches of 4", "arrivals", known.batches, [rate, ("CV", sqrt(7.0), get("cv")), *fours])
    # Cox, Renewal Theory, 1962, 4.5, for a process met at any time: CV² + (1/6 + CV⁴/2 - third moment/3)/mean count.
    limit = [4.0 + (1 / 6 + 8.0 - 32.0 / 3.0) / (known.RATE_PER_S * s) for s in (10.0, 60.0)]
    gamma: list[Truth] = [(f"dispersion {s:g} s", v, dispersion(s)) for s, v in zip((10.0, 60.0), limit, strict=True)]
    yield Case("Gamma CV 2", "arrivals", known.bursty, [rate, ("CV", 2.0, get("cv")), *gamma])
    moved: list[Truth] = [
        (f"dispersion {s:g} s", switching_dispersion(s, known.SWITCH_RATES, known.SWITCH_S), dispersion(s))
        for s in (1.0, 10.0, 60.0)
    ]
    yield Case("modulated Poisson", "arrivals", known.switched, [rate, ("CV", switching_cv(), get("cv")), *moved])
    signal = (known.DAY_SIZE * known.DAY_COUNT) ** 2 / 2
    noise = known.DAY_COUNT + (known.DAY_NOISE * known.DAY_COUNT) ** 2 * (1 + known.DAY_SIZE**2 / 2)
    day: list[Truth] = [
        ("day ratio", (1 + known.DAY_SIZE) / (1 - known.DAY_SIZE), get("day_ratio")),
        ("day strength", signal / (signal + noise), get("day_strength")),
    ]
    yield Case("14 noisy days", "arrivals", known.daily, day, Setting(midnight_s=0.0))
    between = (1 - known.WEEKEND) ** 2 * (5 / 7) * (2 / 7) * known.DAY_COUNT**2
    left = known.DAY_COUNT * (5 + 2 * known.WEEKEND) / 7
    week: list[Truth] = [("week strength", between / (between + left), get("week_strength"))]
    yield Case("4 weeks", "arrivals", known.weekly, week, Setting(midnight_s=0.0))
    minute = Setting(window_s=known.SHIFT_WINDOW_S)
    yield Case(
        "rate drawn by the minute",
        "arrivals",
        known.shifting,
        [("rate p95/p5", rate_ratio(), get("rate_shift"))],
        minute,
    )
    yield Case(
        "CV drawn by the minute", "arrivals", known.shifting_cv, [("CV p95/p5", cv_ratio(), get("cv_shift"))], minute
    )


def switching_variance(span_s: float, rates: tuple[float, float], mean_s: float) -> float:
    """Of the count, beyond that of a Poisson process: the rate's covariance falls as exp(-2t/mean_s)."""
    decay = 2.0 / mean_s
    return 2 * (rates[0] - rates[1]) ** 2 / 4 * (span_s / decay - (1 - exp(-decay * span_s)) / decay**2)


def switching_dispersion(span_s: float, rates: tuple[float, float], mean_s: float) -> float:
    mean = sum(rates) / 2
    return 1 + switching_variance(span_s, rates, mean_s) / (mean * span_s)


def switching_cv() -> float:
    """Of the gaps of a Markov-modulated Poisson process (Fischer and Meier-Hellstern, 1993)."""
    rates, leave = np.array(known.SWITCH_RATES), 1 / known.SWITCH_S
    inverse = np.linalg.inv(np.diag(rates + leave) - leave * (1 - np.eye(2)))
    at_arrivals = rates / rates.sum()
    mean, square = (at_arrivals @ m @ np.ones(2) for m in (inverse, 2 * inverse @ inverse))
    return float(sqrt(square / mean**2 - 1))


def rate_ratio() -> float:
    """Counts are a mixture of Poisson ones, which integrates to incomplete gamma functions."""
    low, high = (known.SHIFT_WINDOW_S * rate for rate in known.SHIFT_RATES)
    n = np.arange(2000)
    below = np.cumsum(gammainc(n + 1, high) - gammainc(n + 1, low)) / (high - low)
    return float(np.searchsorted(below, 0.95) / np.searchsorted(below, 0.05))


def cv_ratio() -> float:
    """The CV that 500 gaps show is off by a normal error of relative variance (1 + CV²)/1000."""
    random = np.random.default_rng(0)
    cv = random.uniform(0.5, 1.5, 1_000_000)
    low, high = np.quantile(cv * (1 + np.sqrt((1 + cv**2) / 1000) * random.normal(size=cv.size)), [0.05, 0.95])
    return float(high / low)


# --- lengths ----------------------------------------------------------------------------------------------------------


def of_lengths() -> Iterator[Case]:
    quantiles = (50, 90, 99)
    yield Case(
        "log-normal in, exponential out",
        "lengths",
        known.plain,
        [
            ("mean input", exp(6.5) - 0.5, get("fields", "input", "mean")),  # whole tokens, rounded down
            *((f"p{q} input", exp(6 + norm.ppf(q / 100)), get("fields", "input", f"p{q}")) for q in quantiles),
            ("CV input", sqrt(exp(1) - 1), get("fields", "input", "cv")),
            ("mean output", 299.5, get("fields", "output", "mean")),
            *((f"p{q} output", -300 * np.log1p(-q / 100), get("fields", "output", f"p{q}")) for q in quantiles),
            ("CV output", 300 / 299.5, get("fields", "output", "cv")),
            ("Spearman", 6 / pi * asin(0.1), get("spearman")),
        ],
    )
    share = np.array(known.SWITCH_RATES) / sum(known.SWITCH_RATES)
    first, second = np.array(known.SWITCH_MU).T
    yield Case(
        "lengths by a moving state",
        "lengths",
        known.switched,
        [
            ("mean input", float(share @ np.exp(first + 0.5)) - 0.5, get("fields", "input", "mean")),
            *(
                (f"p{q} input", mixed_quantile(q / 100, share, first), get("fields", "input", f"p{q}"))
                for q in quantiles
            ),
            ("mean output", float(share @ np.exp(second + 0.5)) - 0.5, get("fields", "output", "mean")),
            ("Spearman", mixed_spearman(share, first, second), get("spearman")),
        ],
    )
    yield Case("Zipf 1.1 inputs", "lengths", known.zipf, [("Zipf exponent", 1.1, get("zipf_exponent"))])
    means: list[Truth] = [
        (f"mean of period {k + 1}", mean, get("fields", "input", "periods", k, "mean"))
        for k, mean in enumerate(known.PERIOD_MEANS)
    ]
    shift: Truth = ("shift", max(known.PERIOD_MEANS) / min(known.PERIOD_MEANS), get("fields", "input", "shift"))
    yield Case("4 periods", "lengths", known.periods, [*means, shift], Setting(period_s=1000.0))
    yield Case(
        "16 linked periods",
        "lengths",
        known.linked,
        [("together", 0.6, get("together"))],
        Setting(period_s=known.PERIOD_S),
    )


def mixed_quantile(q: float, share: Any, mu: Any) -> float:
    """Of log-normals of sigma 1."""
    return float(exp(brentq(lambda y: share @ norm.cdf(y - mu) - q, -10, 30)))


def mixed_spearman(share: Any, first: Any, second: Any) -> float:
    """12 E[F(X) G(Y)] - 3, of normals that are independent given the state."""
    above, beyond = (norm.cdf((mu[:, None] - mu) / sqrt(2)) @ share for mu in (first, second))
    return float(12 * share @ (above * beyond) - 3)


# --- clients ----------------------------------------------------------------------------------------------------------


def of_clients() -> Iterator[Case]:
    tops: list[Truth] = [(f"top {k} share", float(known.SHARE[:k].sum()), get("top_share", k)) for k in (1, 4, 10)]
    parts: list[Truth] = [(f"top {k} explain", float(known.SHARE[:k].sum()), get("explained", k)) for k in (1, 5, 10)]
    yield Case("60 Poisson clients", "clients", known.many, [*tops, ("Gini", gini(known.SHARE), get("gini")), *parts])
    window_s = 150.0
    count = np.array([sum(known.MOODY_RATES) / 2, *known.STEADY_RATES]) * window_s
    count[0] += switching_variance(window_s, known.MOODY_RATES, known.MOODY_S)
    rate = np.array([sum(known.MOODY_RATES) / 2, *known.STEADY_RATES])
    yield Case(
        "a modulated client and 3 others",
        "clients",
        known.moody,
        [
            ("top 1 share", float(rate[0] / rate.sum()), get("top_share", 1)),
            ("Gini", gini(rate / rate.sum()), get("gini")),
            ("top 1 explain", float(count[0] / count.sum()), get("explained", 1)),
        ],
    )
    # Per period the mean is p·m₁(1 + d₁) + (1 - p)·m₂(1 + d₂), where p is what 600 requests make of a uniform share.
    (low, high), (m1, m2) = known.MIX, known.DRIFT_MEANS
    spread = (high - low) ** 2 / 12
    middle = (low + high) / 2
    own = known.DRIFT**2 * (m1**2 * (middle**2 + spread) + m2**2 * ((1 - middle) ** 2 + spread))
    mix, chance = (m1 - m2) ** 2 * spread, (m1 - m2) ** 2 * (middle * (1 - middle) - spread) / 600
    mean = middle * m1 + (1 - middle) * m2
    yield Case(
        "2 drifting clients",
        "clients",
        known.drifting,
        [
            ("own drift", known.DRIFT, get("own_drift")),
            ("whole drift", sqrt(own + mix) / mean, get("whole_drift")),
            ("mix explains", (mix + chance) / (own + mix + chance), get("mix_explains")),
        ],
        Setting(window_s=100.0, period_s=100.0),
    )
    rate = np.array(known.OWN_RATES)
    bursty: Truth = (
        "bursty share", float(rate[np.array(known.OWN_CVS) > 1.2].sum() / rate.sum()), get("bursty_share")
    )  # fmt: skip
    for name, make in (("6 clients, 2 bursty", known.temperaments), ("the same, composed", known.composed)):
        top: Truth = ("top 1 share", float(rate[0] / rate.sum()), get("top_share", 1))
        yield Case(name, "clients", make, [top, ("Gini", gini(rate / rate.sum()), get("gini")), bursty])
    yield Case("the same, composed", "arrivals", known.composed, [("rate", float(rate.sum()), get("rate_per_s"))])
    yield Case(
        "the same, composed",
        "lengths",
        known.composed,
        [
            ("mean input", 800.0, get("fields", "input", "mean")),
            ("CV input", 1.5, get("fields", "input", "cv")),
            ("p90 output", 200 * np.log(10), get("fields", "output", "p90")),
            ("Spearman", 0.0, get("spearman")),
        ],
    )


def gini(share: Any) -> float:
    """Of shares that add up to 1."""
    ordered, n = np.sort(share), len(share)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / n)


# --- modalities, reasoning --------------------------------------------------------------------------------------------


def of_requests() -> Iterator[Case]:
    outcomes, odds = requests_with_pictures()
    text, tokens = outcomes.T
    per_request = (odds / 3) @ np.column_stack([text * tokens, tokens**2])
    text2 = per_text_squared()
    yield Case(
        "images",
        "modalities",
        known.pictures,
        [
            ("share", 1 / 3, get("modalities", "image", "share")),
            ("items", 2.0, get("modalities", "image", "mean_items")),
            ("tokens", 600.0, get("modalities", "image", "mean_tokens")),
            ("modal share", float(odds @ (tokens / (tokens + text))), get("modal_share")),
            ("Spearman", discrete_spearman(text, tokens, odds), get("modalities", "image", "spearman")),
            # Of compound Poisson sums, which counts of requests have in common.
            ("together", float(per_request[0] / sqrt(per_request[1] * text2)), get("together", "image")),
            ("tokens p95/p5", picture_ratio(outcomes, odds), get("modalities", "image", "shift")),
        ],
        Setting(window_s=60.0),
    )
    parts, sizes = np.array(known.PARTS), np.array(known.PART_SIZES)
    yield Case(
        "reasoning",
        "reasoning",
        known.thinking,
        [
            ("share", known.THINKING, get("share")),
            ("times", float(sizes @ parts / (sizes @ (1 - parts))), get("times")),
            ("Spearman", common_factor_spearman(np.log(parts), np.log(1 - parts), sizes), get("spearman")),
        ],
    )


def requests_with_pictures() -> tuple[Any, Any]:
    """(text, tokens of images) that a request with images can have, and their odds."""
    found: dict[tuple[int, int], float] = {}
    for items in (1, 2, 3):
        for sizes in product(known.ITEM_SIZES, repeat=items):
            for text, odds in zip(known.TEXTS, (0.0, 1.0) if items == 3 else (0.75, 0.25), strict=True):
                key = (text, sum(sizes))
                found[key] = found.get(key, 0.0) + odds / 3 / 2**items
    return np.array(list(found), float), np.array(list(found.values()))


def per_text_squared() -> float:
    """The mean square of a request's text: one in nine has three images, the others are long in one of four."""
    long = 1 / 9 + 8 / 9 / 4
    return float(known.TEXTS[0] ** 2 * (1 - long) + known.TEXTS[1] ** 2 * long)


def discrete_spearman(a: Any, b: Any, odds: Any) -> float:
    """The correlation of mid-ranks."""
    ranks = [((v > v[:, None]).T + 0.5 * (v == v[:, None])) @ odds for v in (a, b)]
    x, y = (rank - odds @ rank for rank in ranks)
    return float(odds @ (x * y) / sqrt((odds @ x**2) * (odds @ y**2)))


def picture_ratio(outcomes: Any, odds: Any) -> float:
    """Of minutes' tokens, a Poisson number of requests each, from a million minutes."""
    random = np.random.default_rng(0)
    number = random.poisson(known.RATE_PER_S * 60 / 3 * odds, (200_000, odds.size))
    low, high = np.quantile(number @ outcomes[:, 1], [0.05, 0.95])
    return float(high / low)


def common_factor_spearman(first: Any, second: Any, share: Any) -> float:
    """12 E[F(X) G(Y)] - 3 for X = Z + first, Y = Z + second with a common standard normal Z."""
    both = multivariate_normal(cov=[[2.0, 1.0], [1.0, 2.0]])
    states = range(len(share))
    total = sum(
        share[s] * share[t] * share[u] * both.cdf([first[s] - first[t], second[s] - second[u]])
        for s, t, u in product(states, repeat=3)
    )
    return float(12 * total - 3)


# --- conversations, prefixes ------------------------------------------------------------------------------------------


def of_conversations() -> Iterator[Case]:
    turns = 1 + 1 / known.STOP
    of_many = known.GO_ON * turns
    yield Case(
        "conversations",
        "conversations",
        known.talking,
        [
            ("mean turns", turns, get("mean_turns")),
            ("multi-turn share", of_many / (of_many + 1 - known.GO_ON), get("multi_turn_share")),
            ("gap p50", exp(known.GAP_MU), get("gap_p50")),
            ("gap p90", exp(known.GAP_MU + known.GAP_SIGMA * norm.ppf(0.9)), get("gap_p90")),
            ("growth", 50.0, get("growth_per_turn")),
            ("CV of single ones", 1.0, get("single_cv")),
            ("CV of starts", 1.0, get("starts_cv")),
        ],
    )
    single = (1 - known.GO_ON) * 4 + known.GO_ON  # of a geometric number of gaps
    yield Case(
        "conversations in bursts",
        "conversations",
        known.talking_in_bursts,
        [
            ("mean turns", turns, get("mean_turns")),
            ("CV of single ones", sqrt(single), get("single_cv")),
            ("CV of starts", 2.0, get("starts_cv")),
        ],
    )
    yield Case(
        "settled conversations",
        "conversations",
        known.settled,
        [("CV of turns", turns_cv(many=True), get("multi_cv")), ("CV of all", turns_cv(many=False), get("whole_cv"))],
    )
    odds, n = known.BLOCKS, known.REQUESTS
    yield Case(
        "independent blocks",
        "prefixes",
        known.independent_blocks,
        [
            ("ideal hit rate", 1 - float((1 - (1 - odds) ** n).sum()) / n, get("ideal_hit_rate")),
            ("within client", float((known.SHARE**2).sum()), get("within_client")),
            ("within conversation", 1 / known.TALKS, get("within_conversation")),
        ],
    )


def turns_cv(many: bool) -> float:
    """The plain CV of the gaps of a million conversations."""
    frame = known.settled(np.random.default_rng(0), 1_000_000).frame
    count = np.bincount(frame["conversation"].to_numpy())[frame["conversation"].to_numpy()]
    gaps = np.diff(frame["arrival_s"].to_numpy()[(count > 1) | (not many)])
    return float(gaps.std() / gaps.mean())


# --- failures ---------------------------------------------------------------------------------------------------------


def of_failures() -> Iterator[Case]:
    calm, wild = known.FAILING
    yield Case(
        "failures by sender",
        "failures",
        known.failing,
        [
            ("rate", 0.75 * calm + 0.25 * wild, get("rate")),
            ("rate of a model", wild, get("by_model", "wild")),
            ("rate of a client", calm, get("by_client", "c0")),
            ("load ratio", 1.0, get("load_ratio")),
        ],
    )
    # A tenth of minutes is the busiest; the others hold the lower third of the busy ones.
    minutes = np.array([known.LOADED - 0.1, 1 - known.LOADED])
    requests = 60 * np.array([known.LOADS[1], known.LOADS[0]])
    requests[0] += sqrt(requests[0]) * -norm.pdf(norm.ppf(1 / 3)) * 3
    weight = minutes * requests / (minutes @ requests)
    yield Case(
        "failures by load",
        "failures",
        known.failing_with_load,
        [("load ratio", float(known.LOAD_ODDS[1] / (weight @ known.LOAD_ODDS[::-1])), get("load_ratio"))],
    )
    yield Case(
        "failures in spells",
        "failures",
        known.failing_in_spells,
        [("rate", 0.025, get("rate")), ("load ratio", 1.0, get("load_ratio"))],
    )
