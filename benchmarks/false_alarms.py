"""Traces of which a finding is false, and whether it is said to hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import known_traces as known
from groundswell.characterize.engine import TOPICS, Characterization
from groundswell.characterize.findings import findings
from groundswell.characterize.setting import Setting
from groundswell.stats.sample import Sample
from groundswell.summary import Summary
from groundswell.table import Workload, list_column

HOUR_S = 3600.0


@dataclass(frozen=True)
class Alarm:
    """A kind of trace, a finding, a verdict that is wrong, and how often that may be said."""

    name: str
    key: str
    make: Callable[[np.random.Generator], Workload]
    topics: tuple[str, ...]
    most: float = 0.06
    wrong: str = "holds"


def judged(workload: Workload, key: str, topics: tuple[str, ...]) -> Any:
    """The finding ``key`` of a workload, from these topics alone."""
    setting = Setting()
    sample = Sample.of(workload).frame
    figures: dict[str, Any] = {name: TOPICS[name].of(workload, setting).finish(setting, sample) for name in topics}
    whole = Characterization({}, setting, Summary.of(workload).finish(), **figures)
    return next(finding for finding in findings(whole) if finding.key == key)


def verdict(number: int, seed: int) -> str:
    """What is said of one draw of alarm ``number``."""
    alarm = ALARMS[number]
    workload = alarm.make(np.random.default_rng([seed, *alarm.name.encode()]))
    return str(judged(workload, alarm.key, alarm.topics).verdict)


def smooth(random: np.random.Generator) -> Workload:
    """Poisson, with a rate that swings by half over twelve hours."""
    at_s = known.poisson(random, 40_000, 1.2)
    at_s = at_s[at_s < 8 * HOUR_S]
    return known.trace(at_s[random.random(at_s.size) < (1 + 0.5 * np.sin(at_s / HOUR_S * np.pi / 6)) / 1.5])


def hours(rate_per_s: float, cv: float = 1.0) -> Callable[[np.random.Generator], Workload]:
    """A day at a constant rate."""
    return lambda random: known.trace(known.renewal(random, cv, int(24 * HOUR_S * rate_per_s), rate_per_s))


def days(random: np.random.Generator) -> Workload:
    """Three days at a constant rate."""
    return known.trace(known.poisson(random, 26_000, 0.1))


def outputs(draw: Callable[[np.random.Generator, int], Any], n: int = known.REQUESTS) -> Any:
    """Poisson, with outputs of one mode."""
    return lambda random: known.trace(known.poisson(random, n), 100, draw(random, n))


def pictures_for_hours(random: np.random.Generator) -> Workload:
    """A third of requests have images, a day at a constant rate."""
    at_s = known.poisson(random, 17_280, 0.2)
    count = np.where(random.random(at_s.size) < 1 / 3, random.integers(1, 4, at_s.size), 0)
    sizes = random.choice(known.ITEM_SIZES, int(count.sum())).astype(np.int32)
    return known.trace(at_s, random.geometric(0.01, at_s.size), image_tokens=list_column("image_tokens", count, sizes))


def one_way_of_thinking(random: np.random.Generator) -> Workload:
    """Short replies, of which a part around six tenths is reasoning."""
    output = random.integers(10, 40, known.REQUESTS)
    reason = random.binomial(output, random.beta(12, 8, known.REQUESTS))
    return known.trace(known.poisson(random), 100, output, reason_tokens=reason.astype(np.int32))


def steady_failures(odds: float, cv: float = 1.0) -> Callable[[np.random.Generator], Workload]:
    """Failures that have nothing to do with each other, or with load."""

    def made(random: np.random.Generator) -> Workload:
        at_s = known.renewal(random, cv)
        return known.trace(at_s, failed=random.random(at_s.size) < odds)

    return made


def one_body(random: np.random.Generator) -> Workload:
    """Log-normal inputs, exponential outputs."""
    return known.trace(known.poisson(random, 5000), random.lognormal(6, 1, 5000), random.exponential(300, 5000))


def sparse(random: np.random.Generator) -> Workload:
    """Poisson, 90 arrivals in each of twenty minutes, for four hours."""
    return known.trace(known.poisson(random, 1080, 0.075))


def apart(random: np.random.Generator) -> Workload:
    """Periods whose mean inputs and outputs are drawn apart."""
    return known.linked(random, 0.0)


ALARMS = [
    Alarm("S1: Poisson is bursty", "S1", known.plain, ("arrivals",)),
    Alarm("S1: 300 Poisson arrivals are bursty", "S1", lambda r: known.trace(known.poisson(r, 300)), ("arrivals",)),
    Alarm("S1: Poisson whose rate swings over hours is bursty", "S1", smooth, ("arrivals",)),
    Alarm("S1: a composed Poisson client is bursty", "S1", known.one_client, ("arrivals",)),
    Alarm("S2: a constant rate shifts, 600 a window", "S2", hours(0.5), ("arrivals",)),
    Alarm("S2: a constant rate shifts, 60 a window", "S2", hours(0.05), ("arrivals",)),
    Alarm("S2: a constant rate shifts, 600 in bursts a window", "S2", hours(0.5, 2.0), ("arrivals",)),
    Alarm("S3: log-normal inputs ask for the mixture", "S3", one_body, ("lengths",)),
    Alarm("S4: lengths that shift apart are linked", "S4", apart, ("lengths",), wrong="does not hold"),
    Alarm("S4: lengths that do not shift are linked", "S4", known.plain, ("lengths",), wrong="does not hold"),
    Alarm("S6: constant loads shift", "S6", pictures_for_hours, ("arrivals", "modalities")),
    Alarm("S9: one way of thinking is two, short replies", "S9", one_way_of_thinking, ("reasoning",)),
    Alarm("S10: turns of a Poisson process are calmer", "S10", known.talking, ("arrivals", "conversations")),
    Alarm("B1: Poisson gaps, 90 a window, are not Gamma", "B1", sparse, ("arrivals",), wrong="does not hold"),
    Alarm("B2: a constant rate is periodic", "B2", days, ("arrivals",)),
    Alarm("B4: log-normal outputs are bimodal", "B4", outputs(lambda r, n: r.lognormal(5, 1, n)), ("lengths",)),
    Alarm(
        "B4: geometric outputs of mean 13 are bimodal", "B4", outputs(lambda r, n: r.geometric(1 / 13, n)), ("lengths",)
    ),
    Alarm("B4: 130,000 of them are bimodal", "B4", outputs(lambda r, n: r.geometric(1 / 13, n), 130_000), ("lengths",)),
    Alarm(
        "B4: 130,000 of mean 3 are bimodal", "B4", outputs(lambda r, n: r.geometric(1 / 3, n), 130_000), ("lengths",)
    ),
    Alarm("B5: memoryless failures come with load, 2 %", "B5", steady_failures(0.02), ("failures",)),
    Alarm("B5: memoryless failures come with load, .2 %", "B5", steady_failures(0.002), ("failures",)),
    Alarm("B5: memoryless failures come with load, bursts", "B5", steady_failures(0.02, 3.0), ("failures",)),
    Alarm("B5: failures in spells come with load", "B5", known.failing_in_spells, ("failures",)),
]
