"""Traces of which all that is asked is known beforehand: drawn from closed forms, or composed of stated clients."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy.stats import norm

from groundswell.clients.client import Client, pool_of
from groundswell.compose import compose
from groundswell.table import Workload, list_column

RATE_PER_S = 5.0
REQUESTS = 20_000
Random = np.random.Generator


def trace(at_s: Any, inputs: Any = 100, outputs: Any = 10, **columns: Any) -> Workload:
    """A workload of rising arrivals; ``client`` among the columns says who, by number."""
    n = len(at_s)
    who = columns.pop("client", np.zeros(n, np.uint32)).astype(np.uint32)
    given, got = (np.broadcast_to(np.asarray(tokens, np.int32), n).copy() for tokens in (inputs, outputs))
    names = [f"c{i}" for i in range(int(who.max()) + 1)]
    base = Workload.from_columns(np.ascontiguousarray(at_s), who, names, given, got)
    return Workload(base.frame.with_columns(**columns)) if columns else base


def poisson(random: Random, n: int = REQUESTS, rate_per_s: float = RATE_PER_S) -> Any:
    """Arrivals of a Poisson process."""
    return np.cumsum(random.exponential(1 / rate_per_s, n))


def renewal(random: Random, cv: float, n: int = REQUESTS, rate_per_s: float = RATE_PER_S) -> Any:
    """Arrivals with Gamma gaps."""
    return np.cumsum(random.gamma(cv**-2, cv**2 / rate_per_s, n))


def switching(random: Random, span_s: float, rates: tuple[float, float], mean_s: float) -> tuple[Any, Any]:
    """Arrivals of a Poisson process whose rate jumps between two after exponential times, and the state at each."""
    hold = random.exponential(mean_s, int(span_s / mean_s * 1.5) + 100)
    edge = np.concatenate([[0.0], np.cumsum(hold)])
    state = (np.arange(hold.size) + random.integers(2)) % 2
    count = random.poisson(hold * np.array(rates)[state])
    at_s = np.sort(np.repeat(edge[:-1], count) + random.random(count.sum()) * np.repeat(hold, count))
    at_s = at_s[at_s < span_s]
    return at_s, state[np.searchsorted(edge, at_s, side="right") - 1]


def copula(random: Random, rho: float, n: int = REQUESTS) -> tuple[Any, Any]:
    """Two normals of correlation ``rho``."""
    a, b = random.normal(size=(2, n))
    return a, rho * a + np.sqrt(1 - rho**2) * b


# --- arrivals ---------------------------------------------------------------------------------------------------------


def plain(random: Random) -> Workload:
    """Poisson, log-normal inputs of mu 6 and sigma 1, exponential outputs of mean 300, a Gaussian copula of .2."""
    u, v = copula(random, 0.2)
    return trace(poisson(random), np.exp(6.0 + u), -300.0 * norm.logsf(v))


def bursty(random: Random) -> Workload:
    """Gamma gaps of CV 2."""
    return trace(renewal(random, 2.0))


def batches(random: Random) -> Workload:
    """Four at a time, at Poisson times."""
    return trace(np.repeat(poisson(random, REQUESTS // 4, RATE_PER_S / 4), 4))


SWITCH_RATES, SWITCH_S = (9.0, 1.0), 10.0
SWITCH_MU = ((6.0, 4.0), (7.0, 5.0))  # of inputs and outputs, by state; both have sigma 1


def switched(random: Random) -> Workload:
    """A Poisson process that is modulated, and inputs and outputs that depend on its state and nothing else."""
    at_s, state = switching(random, 4000.0, SWITCH_RATES, SWITCH_S)
    mu = np.array(SWITCH_MU)[state]
    lengths = np.exp(mu + random.normal(size=mu.shape))
    return trace(at_s, lengths[:, 0], lengths[:, 1])


DAY_SIZE, DAY_NOISE, DAY_COUNT = 0.5, 0.2, 60.0


def daily(random: Random, days: int = 14) -> Workload:
    """A sine of the day, 60 requests an hour on average; each hour's level is off by a fifth, as a Gamma variable."""
    hour = np.arange(24 * days)
    turn = 2 * np.pi * (hour % 24) / 24
    level = 1 + DAY_SIZE * np.sin(turn)
    count = random.poisson(DAY_COUNT * level * random.gamma(DAY_NOISE**-2, DAY_NOISE**2, hour.size))
    return trace(np.sort(3600 * (np.repeat(hour, count) + random.random(count.sum()))))


WEEKEND = 0.4


def weekly(random: Random) -> Workload:
    """Four weeks of 60 requests an hour, on two days of seven .4 times as many."""
    hour = np.arange(24 * 28)
    count = random.poisson(DAY_COUNT * np.where(hour // 24 % 7 < 5, 1.0, WEEKEND))
    return trace(np.sort(3600 * (np.repeat(hour, count) + random.random(count.sum()))))


SHIFT_WINDOW_S, SHIFT_RATES = 60.0, (2.0, 6.0)


def shifting(random: Random, windows: int = 100) -> Workload:
    """In each minute another rate, even between 2 and 6 a second."""
    level = random.uniform(*SHIFT_RATES, windows)
    count = random.poisson(SHIFT_WINDOW_S * level)
    return trace(np.sort(SHIFT_WINDOW_S * (np.repeat(np.arange(windows), count) + random.random(count.sum()))))


def shifting_cv(random: Random, windows: int = 60, n: int = 500) -> Workload:
    """In each minute gaps of another CV, even between .5 and 1.5."""
    cv = random.uniform(0.5, 1.5, windows)
    gaps = random.gamma(cv[:, None] ** -2, cv[:, None] ** 2, (windows, n))
    within = np.cumsum(gaps, axis=1) / gaps.sum(axis=1, keepdims=True) * (1 - 1e-9)
    return trace((SHIFT_WINDOW_S * (np.arange(windows)[:, None] + within)).ravel())


# --- lengths ----------------------------------------------------------------------------------------------------------


def zipf(random: Random) -> Workload:
    """Inputs from Zipf's law with exponent 1.1 on 1 … 1,000."""
    k = np.arange(1, 1001)
    inputs = random.choice(k, REQUESTS, p=k**-1.1 / (k**-1.1).sum())
    return trace(poisson(random), inputs, random.geometric(0.01, REQUESTS))


PERIOD_S, PERIODS = 250.0, 16
PERIOD_MEANS = (500.0, 800.0, 650.0, 600.0)


def periods(random: Random) -> Workload:
    """Four thousand seconds whose quarters have mean inputs of 500, 800, 650 and 600, exponential."""
    at_s = np.sort(random.uniform(0, 4000.0, REQUESTS))
    mean = np.array(PERIOD_MEANS)[(at_s // 1000).astype(int)]
    return trace(at_s, np.rint(random.exponential(mean)), random.geometric(0.01, REQUESTS))


def linked(random: Random, rho: float = 0.6) -> Workload:
    """Sixteen periods whose mean inputs and outputs are log-normal, the logarithms correlated by ``rho``."""
    at_s = np.sort(random.uniform(0, PERIOD_S * PERIODS, REQUESTS))
    shift = np.exp(0.3 * np.array(copula(random, rho, PERIODS)))[:, (at_s // PERIOD_S).astype(int)]
    return trace(at_s, *np.rint(random.exponential(500 * shift)))


# --- clients ----------------------------------------------------------------------------------------------------------

SHARE = np.arange(1, 61, dtype=float) ** -1.2
SHARE /= SHARE.sum()


def many(random: Random) -> Workload:
    """Sixty Poisson clients whose rates follow Zipf's law."""
    n = REQUESTS
    who = random.choice(SHARE.size, n, p=SHARE)
    return trace(poisson(random), random.poisson(200, n), random.poisson(50, n), client=who)


MOODY_RATES, MOODY_S, STEADY_RATES = (4.0, 2.0), 10.0, (1.5, 1.0, 0.5)


def moody(random: Random) -> Workload:
    """One client whose rate jumps, and three Poisson clients of lower rates."""
    arrivals = [switching(random, 4000.0, MOODY_RATES, MOODY_S)[0]]
    arrivals += [np.sort(random.uniform(0, 4000.0, random.poisson(4000.0 * rate))) for rate in STEADY_RATES]
    return _merged(arrivals)


DRIFT, MIX = 0.2, (0.3, 0.7)
DRIFT_MEANS = (1000.0, 100.0)


def drifting(random: Random, periods: int = 48) -> Workload:
    """Two clients of mean inputs 1,000 and 100, whose shares and own means are drawn again every period."""
    number = np.repeat(np.arange(periods), 600)
    at_s = 100.0 * (number + np.sort(random.random((periods, 600)), axis=1).ravel())
    first = random.random(number.size) < random.uniform(*MIX, periods)[number]
    mean = np.where(first, *(m * (1 + DRIFT * random.normal(size=periods))[number] for m in DRIFT_MEANS))
    inputs = np.rint(mean * random.gamma(4.0, 0.25, number.size))
    return trace(at_s, np.maximum(inputs, 1), client=~first)


OWN_CVS = (2.0, 1.0, 2.0, 1.0, 1.0, 1.0)
OWN_RATES = (1.5, 1.2, 0.9, 0.6, 0.5, 0.3)


def temperaments(random: Random) -> Workload:
    """Six clients, of whom two have Gamma gaps of CV 2."""
    arrivals = [
        renewal(random, cv, int(4000 * rate * 1.5) + 100, rate) for cv, rate in zip(OWN_CVS, OWN_RATES, strict=True)
    ]
    return _merged([at_s[at_s < 4000.0] for at_s in arrivals])


def composed(random: Random) -> Workload:
    """The six of :func:`temperaments` stated as clients, with log-normal inputs of mean 800, and composed."""
    lengths = {"input_tokens": "lognormal:mean=800,cv=1.5", "output_tokens": "exponential:mean=200"}
    clients = [
        Client(f"c{i}", rate, f"gamma:cv={cv:g}", lengths)
        for i, (rate, cv) in enumerate(zip(OWN_RATES, OWN_CVS, strict=True))
    ]
    return Workload.concat(list(compose(pool_of(clients), duration_s=4000.0, seed=int(random.integers(2**31)))))


def one_client(random: Random) -> Workload:
    """A Poisson client of 5 requests a second, composed."""
    client = Client("one", RATE_PER_S, "poisson", {"input_tokens": 100, "output_tokens": 10})
    return Workload.concat(list(compose(pool_of([client]), duration_s=4000.0, seed=int(random.integers(2**31)))))


def _merged(arrivals: list[Any], **columns: Any) -> Workload:
    at_s, who = np.concatenate(arrivals), np.repeat(np.arange(len(arrivals)), [a.size for a in arrivals])
    order = np.argsort(at_s, kind="stable")
    return trace(at_s[order], client=who[order], **columns)


# --- modalities, reasoning --------------------------------------------------------------------------------------------

ITEM_SIZES = (400, 800)
TEXTS = (100, 900)


def pictures(random: Random) -> Workload:
    """A third of requests have one to three images of 400 or 800 tokens; those with three have 900 tokens of text."""
    n = REQUESTS
    count = np.where(random.random(n) < 1 / 3, random.integers(1, 4, n), 0)
    sizes = random.choice(ITEM_SIZES, int(count.sum())).astype(np.int32)
    text = np.where((count == 3) | (random.random(n) < 0.25), TEXTS[1], TEXTS[0])
    return trace(poisson(random), text, image_tokens=list_column("image_tokens", count, sizes))


THINKING, PARTS, PART_SIZES = 0.7, (0.9, 0.4), (0.5, 0.5)


def thinking(random: Random) -> Workload:
    """Seven tenths of replies reason, which takes nine tenths or two fifths of them; replies are log-normal."""
    n = REQUESTS
    output = np.maximum(random.lognormal(6, 1, n).astype(np.int32), 20)
    reason = np.rint(output * random.choice(PARTS, n, p=PART_SIZES)).astype(np.int32)
    return trace(poisson(random), 100, output, reason_tokens=np.where(random.random(n) < THINKING, reason, 0))


# --- conversations, prefixes ------------------------------------------------------------------------------------------

GAP_MU, GAP_SIGMA, STOP, GO_ON = 4.6, 1.0, 0.3, 0.2


def talking(random: Random, cv: float = 1.0, begun: int = 12_000) -> Workload:
    """A fifth of conversations go on, for a geometric number of turns, log-normal times apart."""
    starts = renewal(random, cv, begun, 2.0)
    turns = np.where(random.random(starts.size) < GO_ON, 1 + random.geometric(STOP, starts.size), 1)
    which = np.repeat(np.arange(starts.size), turns)
    begin = np.cumsum(turns) - turns
    turn = np.arange(which.size) - np.repeat(begin, turns)
    gap = np.where(turn > 0, random.lognormal(GAP_MU, GAP_SIGMA, which.size), 0.0)
    at_s = starts[which] + np.cumsum(gap) - np.repeat(np.cumsum(gap)[begin], turns)
    order = np.argsort(at_s, kind="stable")
    columns = {"conversation": which[order].astype(np.int64), "turn": (turn[order] + 1).astype(np.int16)}
    return trace(at_s[order], 100 + 50 * turn[order], **columns)


def talking_in_bursts(random: Random) -> Workload:
    """The same, begun with Gamma gaps of CV 2."""
    return talking(random, 2.0)


def settled(random: Random, begun: int = 18_000) -> Workload:
    """:func:`talking` from second 2,000, when as many conversations go on as ever will, until the last one begins."""
    frame = talking(random, 1.0, begun).frame
    inside = pl.col("arrival_s").is_between(2000.0, begun / 2.0 - 100.0)
    return Workload(frame.filter(inside).with_columns(pl.col("arrival_s") - 2000.0))


BLOCKS = np.arange(1, 5001, dtype=float) ** -0.8
BLOCKS /= BLOCKS.sum()
TALKS = 20


def independent_blocks(random: Random) -> Workload:
    """One block a request, drawn by Zipf's law; clients and conversations have nothing to do with it."""
    n = REQUESTS
    block = pl.Series("prefix_blocks", random.choice(BLOCKS.size, (n, 1), p=BLOCKS).astype(np.int64))
    return trace(
        poisson(random),
        512,
        client=random.choice(SHARE.size, n, p=SHARE),
        conversation=random.integers(TALKS, size=n),
        prefix_blocks=block.cast(pl.List(pl.Int64)),
    )


# --- failures ---------------------------------------------------------------------------------------------------------

FAILING = (0.02, 0.08)


def failing(random: Random) -> Workload:
    """Two or eight in a hundred fail, by client and by model, whatever the load."""
    who = (random.random(REQUESTS) < 0.25).astype(np.uint32)
    failed = random.random(REQUESTS) < np.array(FAILING)[who]
    return trace(poisson(random), client=who, model=pl.Series(["calm", "wild"]).gather(who), failed=failed)


LOADS, LOAD_ODDS, LOADED = (2.0, 10.0), (0.02, 0.10), 0.15


def failing_with_load(random: Random, minutes: int = 200) -> Workload:
    """In 15 of 100 minutes five times as many requests come, and fail five times as often."""
    busy = random.permutation(minutes) < LOADED * minutes
    count = random.poisson(60 * np.where(busy, LOADS[1], LOADS[0]))
    at_s = np.sort(60 * (np.repeat(np.arange(minutes), count) + random.random(count.sum())))
    odds = np.where(np.repeat(busy, count), LOAD_ODDS[1], LOAD_ODDS[0])
    return trace(at_s, failed=random.random(at_s.size) < odds)


def failing_in_spells(random: Random) -> Workload:
    """Failures come in spells of ten seconds in which half of requests fail, a twentieth of the time on average."""
    at_s = poisson(random)
    spell = random.random(int(at_s[-1] // 10) + 1) < 0.05
    return trace(at_s, failed=(random.random(at_s.size) < 0.5) & spell[(at_s // 10).astype(int)])
