"""Characterizations made up for tests of the report: a rich one with every topic, and a bare one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from groundswell.characterize.engine import Characterization
from groundswell.characterize.figures import (
    ArrivalFigures,
    Band,
    Client,
    ClientFigures,
    ConversationFigures,
    FailureFigures,
    Field,
    GapWindow,
    LengthFigures,
    Modality,
    ModalityFigures,
    Period,
    PrefixFigures,
    ReasoningFigures,
    Series,
)  # fmt: skip
from groundswell.characterize.findings import Finding
from groundswell.characterize.setting import Setting
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve, Fit, Floats
from groundswell.summary import Figures, ItemFigures, TokenFigures

WEEK_S = 7 * 86_400.0
NAMES = ("team-search/production", "batch-labelling", "chat-web", "key-7f3a")
NASTY = (
    "</script><script>alert(1)</script>",
    "\"quotes\" & 'more' <b>bold</b> \\u003c ${x} {{y}}",
    "emoji 🦆 and عربي\nnew\x00line\u2028",
    "n" * 10_000,
)
NONE = np.empty(0)


def around(value: float, spread: float = 0.07, n: int = 12_345) -> Estimate:
    """An estimate with an interval."""
    return Estimate(value, value * (1 - spread), value * (1 + spread), n)


def floats(values: Any) -> Floats:
    return np.asarray(values, np.float64)


def daily(points: int, span_s: float, level: float, swing: float, seed: int) -> Series:
    """A series that goes up and down with the day, with some noise."""
    width = span_s / points
    start = np.arange(points) * width
    noise = np.random.default_rng(seed).normal(1, 0.05, points)
    value = level * (1 + swing * np.sin(2 * np.pi * (start / 86_400 - 0.3))) * noise
    return Series(width, floats(start), value, np.full(points, 50.0))


def fits(values: Any, x: Floats, names: Sequence[str], tail: bool = False) -> tuple[Fit, ...]:
    """Families beside a law, with curves at x."""
    mean = float(values.mean())
    laws = {
        "gamma": stats.gamma(0.6, scale=mean / 0.6),
        "weibull": stats.weibull_min(0.7, scale=mean / 1.27),
        "lognormal": stats.lognorm(1.2, scale=mean / 2),
        "exponential": stats.expon(scale=mean),
        "pareto": stats.lomax(1.8, scale=mean * 0.8),
        "pareto+lognormal": stats.lognorm(1.25, scale=mean / 2.1),
        "zipf": stats.lomax(1.1, scale=mean * 0.4),
    }
    return tuple(
        Fit(
            name,
            {"mean": mean, "cv": 1.29},
            4321,
            0.012 + 0.03 * i,
            37.5 * i * i,
            0.4 / (1 + i) ** 3,
            Curve(x, laws[name].cdf(x)),
        )
        for i, name in enumerate(names)
    )


def arrivals(points: int, span_s: float) -> ArrivalFigures:
    families = ("gamma", "weibull", "lognormal", "exponential", "pareto")
    law = stats.gamma(0.62, scale=0.085 / 0.62)
    x = np.geomspace(1e-4, 2.0, min(points, 200))
    rng = np.random.default_rng(1)
    windows = tuple(
        GapWindow(start, 9000, 7.5, 1.3, tuple(
            Fit(name, {}, 9000, float(0.02 + 0.03 * i + rng.uniform(0, 0.02)), 10.0 * i)
            for i, name in enumerate(families)
        ))
        for start in np.linspace(0, span_s - 1200, 48)
    )  # fmt: skip
    scale = floats(np.geomspace(0.1, 3600, 24))
    index = 1.1 + 0.6 * scale**0.55
    lag = floats(np.arange(1, 120) * 1200.0)
    correlation = np.cos(2 * np.pi * lag / 86_400) * 0.8
    hours = np.arange(168)
    weekly = (11 + 5 * np.sin(2 * np.pi * (hours - 8) / 24)) * np.where(hours < 120, 1, 0.6)
    day = 11 + 5 * np.sin(2 * np.pi * (np.arange(24) - 8) / 24)
    cv = daily(points, span_s, 1.32, 0.12, 3)
    cv.value[points // 3 : points // 3 + 9] = np.nan
    return ArrivalFigures(
        requests=8_123_456, span_s=span_s, window_s=1200.0, rate_per_s=around(13.4), cv=around(1.32),
        rate=daily(points, span_s, 13.4, 0.5, 2), window_cv=cv,
        example=GapWindow(span_s * 0.4, 20_345, 17.0, 1.35, fits(law, x, families)),
        example_gaps=Curve(x, law.cdf(x)), windows=windows,
        best={"gamma": 0.71, "weibull": 0.25, "lognormal": 0.04, "exponential": 0.0, "pareto": 0.0},
        accepted={"gamma": 0.52, "weibull": 0.21, "lognormal": 0.0, "exponential": 0.02, "pareto": 0.0},
        dispersion=Band(scale, index, index * 0.8, index * 1.25, span_s / scale),
        autocorrelation=Band(lag, correlation, np.full(119, -0.09), np.full(119, 0.09), 504 - lag / 1200),
        day=Band(floats(np.arange(24) + 0.5), day, day * 0.93, day * 1.07, np.full(24, 330_000.0)),
        day_ratio=around(2.7), day_strength=Estimate(0.81, 0.75, 0.87, 168),
        week=Series(3600.0, floats(hours * 3600.0), weekly, np.full(168, 48_000.0)),
        week_strength=Estimate(0.12, 0.05, 0.2, 168), rate_shift=around(2.9), cv_shift=around(1.4), tick_s=0.0,
    )  # fmt: skip


def field(name: str, mean: float, points: int, span_s: float) -> Field:
    law = stats.lognorm(1.2, scale=mean / 2)
    x = np.unique(np.geomspace(1, mean * 80, min(points, 200)).round())
    middle = np.geomspace(1, mean * 80, min(points, 80))
    share = np.diff(law.cdf(np.r_[middle[0] * 0.9, middle * 1.05]))
    periods = tuple(
        Period(start, 99_000, around(mean * (1 + 0.2 * np.sin(start / 20_000))), mean * 0.5, mean * 2.2, mean * 8)
        for start in np.arange(0, span_s, 21_600)
    )
    names = ("pareto+lognormal", "lognormal", "gamma", "exponential", "pareto", "zipf")
    return Field(
        name, 8_123_456, around(mean), around(mean / 2), around(mean * 2.2), around(mean * 8), mean * 80, around(1.7),
        Curve(middle, share), Curve(x, law.sf(x)), fits(law, x, names), Curve(x, law.cdf(x)), periods, around(1.5),
        daily(points, span_s, mean, 0.2, 5),
    )  # fmt: skip


def lengths(points: int, span_s: float) -> LengthFigures:
    x = np.geomspace(10, 60_000, 24)
    middle = 180 * x**0.1
    return LengthFigures(
        {"input": field("input", 1834.0, points, span_s), "output": field("output", 402.0, points, span_s)},
        Estimate(0.17, 0.12, 0.22, 131_072), Band(x, middle, middle * 0.1, middle * 5, np.full(24, 5400.0)),
        around(1.13), around(0.021), 0.23, Estimate(0.11, -0.3, 0.5, 28),
    )  # fmt: skip


def clients(points: int, span_s: float, names: Sequence[str]) -> ClientFigures:
    rank = np.unique(np.geomspace(1, 2412, min(points, 200)).round())
    part = np.linspace(0.002, 1, min(points, 200))
    top = tuple(
        Client(
            name, 2_000_000 // (i + 1), (0.336, 0.134, 0.096, 0.088)[i], 4.4 / (i + 1), 2.1 - 0.4 * i, 900.0 * (i + 1),
            300.0 + 90 * i, daily(points, span_s, 4.4 / (i + 1), 0.5, i),
            daily(points, span_s, 900.0 * (i + 1), 0.03, 9 + i),
            daily(points, span_s, 300.0 + 90 * i, 0.05, 20 + i), 0.021, 0.034,
        )
        for i, name in enumerate(names)
    )  # fmt: skip
    return ClientFigures(
        2412, "the column user", {1: around(0.336), 4: around(0.654), 10: around(0.81), 100: around(0.97)},
        Estimate(0.93, 0.91, 0.95, 2412),
        {50: 2, 90: 29, 99: 310}, Curve(rank, np.minimum(1, 0.336 + 0.664 * np.log(rank) / np.log(2412))),
        Curve(np.geomspace(1e-6, 4.4, part.size), part), Curve(np.geomspace(0.3, 20, part.size), part),
        Curve(np.geomspace(10, 30_000, part.size), part), Curve(np.geomspace(5, 4000, part.size), part),
        Estimate(0.43, 0.38, 0.47, 2412), top, {1: around(0.55), 5: around(0.9, 0.03), 10: around(0.97, 0.01)},
        around(0.03), around(0.21), Estimate(0.82, 0.7, 0.94, 28),
    )  # fmt: skip


def modalities(points: int, span_s: float) -> ModalityFigures:
    def kind(name: str, part: float, tokens: float) -> Modality:
        items = np.arange(1, 37.0)
        sizes = np.sort(np.random.default_rng(3).choice([256, 576, 1024, 1225.0, 2048], min(points, 200)))
        return Modality(
            name, around(part), Curve(items, 0.5 ** np.minimum(items, 20)), around(1.9),
            Curve(sizes * tokens / 1000, np.linspace(0, 1, sizes.size)), around(tokens),
            ((1225, 0.31), (1024, 0.22), (576, 0.05)), Estimate(0.08, 0.02, 0.14, 9999),
            daily(points, span_s, tokens * part, 0.6, 7), around(3.1),
        )  # fmt: skip

    kinds = {"image": kind("image", 0.41, 1080), "audio": kind("audio", 0.12, 320), "video": kind("video", 0.03, 6000)}
    part = np.linspace(0, 1, min(points, 200))
    return ModalityFigures(
        kinds, Estimate(0.66, 0.64, 0.68, 4_100_000), Curve(part, part**2), 0.27,
        daily(points, span_s, 900, 0.4, 8), {name: Estimate(0.2, -0.1, 0.5, 504) for name in kinds},
    )  # fmt: skip


def reasoning(points: int, span_s: float, names: Sequence[str]) -> ReasoningFigures:
    x = np.arange(50) / 50 + 0.01

    def ratio(tilt: float) -> Curve:
        y = stats.norm(0.38, 0.08).pdf(x) * (1 + tilt) + 2 * stats.norm(0.88, 0.05).pdf(x)
        return Curve(x, y / y.sum())

    by = np.geomspace(10, 30_000, 20)
    return ReasoningFigures(
        Estimate(0.97, 0.96, 0.98, 1_964_415),
        field("reason", 1100.0, points, span_s), field("answer", 300.0, points, span_s),
        around(3.9), Estimate(0.41, 0.37, 0.45, 131_072), ratio(0),
        tuple((i * span_s / 4, ratio(0.1 * i)) for i in range(4)),
        tuple((name, ratio(i - 1.0)) for i, name in enumerate(names)), (0.38, 0.88), 0.031, 0.0,
        Band(by, 30 * by**0.3, 3 * by**0.3, 200 * by**0.3, np.full(20, 6000.0)),
    )  # fmt: skip


def conversations(points: int) -> ConversationFigures:
    turns = np.arange(1, min(points, 200) + 1.0)
    gap, law = np.geomspace(0.5, 90_000, min(points, 200)), stats.lognorm(1.4, scale=100)
    turn = np.arange(1, 13.0)
    return ConversationFigures(
        "ids", 57_205, 1.0, Estimate(0.096, 0.09, 0.1, 1_964_415), around(3.4),
        Curve(turns, 0.35 * 0.65 ** (turns - 1)),
        Curve(gap, law.cdf(gap)), around(100.0, n=131_784), around(610.0),
        Band(turn, np.full(12, 100.0), np.full(12, 18.0), np.full(12, 600.0), 60_000 / turn**2),
        Fit("lognormal", {"mean": 266.0, "cv": 2.4}, 131_784, 0.021, 0.0, 0.08, Curve(gap, law.cdf(gap) ** 1.05)),
        Curve(gap, np.minimum(1, law.cdf(gap) * 1.1)), Band(turn, 300 * turn, 60 * turn, 2000 * turn, 60_000 / turn**2),
        around(310.0), around(1.21), around(1.02, 0.04), around(1.13, 0.03), around(1.09, 0.05),
    )  # fmt: skip


def prefixes(points: int) -> PrefixFigures:
    size, part = np.geomspace(1, 182_790, min(points, 200)), np.linspace(0.005, 1, min(points, 200))
    return PrefixFigures(
        512, 1_234_567, 182_790, 0.25, Estimate(0.52, 0.49, 0.55, 1_234_567),
        Curve(size, 0.52 * np.log(size + 1) / np.log(182_791)),
        Curve(np.geomspace(0.01, 3000, part.size), part), Curve(np.geomspace(1, 150_000, part.size), part),
        around(0.7), around(0.9), Curve(size, np.log(size + 1) / np.log(182_791)),
        Curve(np.r_[0, np.geomspace(512, 120_000, part.size - 1)], part),
    )  # fmt: skip


def failures(points: int, span_s: float, names: Sequence[str]) -> FailureFigures:
    load = np.linspace(2, 31, 10)
    rate = 0.01 + 0.0004 * load**1.6
    return FailureFigures(
        345_678, Estimate(0.0426, 0.04, 0.045, 8_123_456), {"gpt-4": around(0.076), "chat-large": around(0.008)},
        {name: around(0.01 * (i + 1)) for i, name in enumerate(names)}, daily(points, span_s, 0.04, 0.5, 11),
        Band(load, rate, rate * 0.8, rate * 1.2, np.full(10, 800_000.0)), around(2.6),
    )  # fmt: skip


def findings() -> tuple[Finding, ...]:
    return (
        Finding(
            "S1", "arrivals are bursty, and no process fits all", "holds",
            "CV 1.32 [1.23, 1.41]; gamma best in 71% of windows", around(1.32),
            "CV 1.0–1.6; the best family differs by workload", "the CV's interval within windows lies above 1",
        ),
        Finding(
            "S4", "input and output correlate weakly, shift independently", "does not hold",
            "rank correlation 0.37 [0.32, 0.42]", around(0.37), "weak; by figure",
            "the interval of the rank correlation lies within ±0.3, and shifts over periods do not go together",
        ),
        Finding(
            "S8", "download, normalise and encode add much to TTFT", "cannot be said", "–", Estimate(), "by figure",
            "a trace of requests has no times of the server's stages",
        ),
        Finding(
            "B5", "failures come with bursts", "holds",
            "4.26% fail; in the busiest tenth of minutes × 2.60 [2.42, 2.78]", around(2.6),
            "API 7.6 %, conversations .8 %",
            "the interval of the ratio of failure rates, busiest minutes over the rest, lies above 1",
        ),
    )  # fmt: skip


def tokens(mean: float) -> TokenFigures:
    return TokenFigures(8_123_456, int(8_123_456 * mean), mean, mean / 2, mean * 2.2, mean * 8, mean * 80)


def summary(span_s: float) -> Figures:
    return Figures(
        8_123_456, span_s, 13.4, 61.2, 1.4, {"input": tokens(1834), "output": tokens(402)},
        {"image": ItemFigures(0.41, tokens(1080))}, 2412, 2399,
    )  # fmt: skip


def rich(
    points: int = 500,
    names: Sequence[str] = NAMES,
    span_s: float = WEEK_S,
    dated: bool = True,
    source: str = "api-week.parquet",
) -> Characterization:
    """Every topic, with series of so many points and four busiest clients of these names."""
    told: dict[str, Any] = {"source": source, "format": "parquet", "rows": 8_123_468, "skipped": 12}
    told |= {"notes": ["timestamps come in steps of 1 ms"], "client_is": "the column user"}
    told |= {"start_unix_s": 1_763_337_600.0} if dated else {}
    return Characterization(
        told, Setting(midnight_s=28_800.0 if dated else None), summary(span_s), arrivals(points, span_s),
        lengths(points, span_s), clients(points, span_s, names), modalities(points, span_s),
        reasoning(points, span_s, names), conversations(points), prefixes(points),
        failures(points, span_s, names), findings(),
    )  # fmt: skip


def bare() -> Characterization:
    """Two requests: figures without points, intervals or fits."""
    nothing = Estimate()
    empty = Field("input", 2, Estimate(7.0, n=2), nothing, nothing, nothing, 9.0, nothing,
                  Curve(np.array([8.0]), np.array([1.0])),
                  Curve(np.array([5.0, 9.0]), np.array([1.0, 0.5])), (), Curve(), (), nothing, Series())  # fmt: skip
    only = ArrivalFigures(
        2, 1.0, 1200.0, Estimate(2.0, n=2), nothing, Series(1.0, np.zeros(1), np.array([2.0]), np.array([2.0])),
        Series(1.0, np.zeros(1), np.array([np.nan]), np.array([2.0])), None, Curve(), (), {}, {}, Band(),
        Band(), Band(),
        nothing, nothing, Series(), nothing, nothing, nothing, 0.0,
    )  # fmt: skip
    few = Figures(2, 1.0, 1.0, 2.0, np.nan, {"input": TokenFigures(2, 14, 7.0, 5.0, 9.0, 9.0, 9.0)}, {}, 1, 1)
    return Characterization(
        {"source": "two.csv"},
        Setting(),
        few,
        only,
        LengthFigures({"input": empty}, nothing, Band(), nothing, nothing, np.nan, nothing),
    )
