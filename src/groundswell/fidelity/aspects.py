"""The ways in which two workloads are compared, each with its distance: arrivals, lengths, how they move together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from groundswell.fidelity.profile import GRID, PER_DOUBLING, Profile, gap_s
from groundswell.fidelity.resample import LONGEST, REPEATS, Aspect, judged, lost, near, unsaid
from groundswell.stats.bins import Part

Floats = NDArray[np.float64]

STRETCHES = 64
"""Into so many stretches of time the bins are cut."""
SHORT_S = 3.0
"""The least length of a short window, as in ServeGen's figure 19."""
PER_WINDOW = 10.0
"""A short window holds at least so many requests on average."""
POINTS = 1_200
"""As many short windows enter the energy distance."""
HOURS_6 = 21_600.0


def aspects(a: Profile, b: Profile) -> Iterator[Aspect]:
    """Every aspect in which ``b`` is held against ``a``."""
    bins_a, bins_b = a.bins.whole, b.bins.whole
    ratio = span_s(b) / span_s(a) if span_s(a) > 0 else np.nan
    window_s = short_window_s(a)
    yield from _arrivals(bins_a, bins_b, window_s, ratio)
    yield judged(
        "gaps", "KS of inter-arrival times", "share", a.gap.sums.sums, b.gap.sums.sums, _cdf, _ks, ratio, _furthest_gap
    )
    periods = max(round(span_s(a) / HOURS_6), 1) if 0.9 < ratio < 1.1 else 1
    by_period = partial(_cdf_by_period, periods=periods)
    for name, one, other in (("input", a.input, b.input), ("output", a.output, b.output)):
        what = f"Wasserstein distance of log {name} tokens" + (", mean of 6-hour periods" if periods > 1 else "")
        key, sums = f"{name}_lengths", (one.sums.sums, other.sums.sums)
        yield judged(key, what, "shift", *sums, by_period, _wasserstein, ratio, _typical_lengths)
    what, sums = "rank correlation of input and output", (a.joint.sums.sums, b.joint.sums.sums)
    yield judged("rank_correlation", what, "difference", *sums, _spearman, _difference, ratio)
    for column, name in ((1, "input"), (2, "output")):
        yield _scatter(points(bins_a, window_s, column), points(bins_b, window_s, column), name, window_s, ratio)


def span_s(profile: Profile) -> float:
    """From the first to the last arrival."""
    return profile.summary.last_s - profile.summary.first_s


def short_window_s(profile: Profile) -> float:
    """Short enough to see bursts, long enough for a mean length."""
    rate = profile.summary.requests / max(span_s(profile), 1e-9)
    return max(SHORT_S, float(np.ceil(PER_WINDOW / rate)))


def _arrivals(a: Part, b: Part, window_s: float, ratio: float) -> Iterator[Aspect]:
    rates = (_rates(a), _rates(b)) if ratio > 0 else (np.empty(0), np.empty(0))
    yield judged("rate", "mean rate, requests/s", "ratio", *rates, _rate, _log_ratio, ratio)
    windows = (_moments(a, (window_s,)), _moments(b, (window_s,)))
    what = f"spread of the rate in {window_s:g} s windows"
    yield judged("short_spread", what, "ratio", *windows, _spread, _log_ratio, ratio)
    scales = sorted(set(scales_s(a)) & set(scales_s(b)))
    if not scales:
        yield unsaid("dispersion", "index of dispersion", "ratio")
        return
    what = f"index of dispersion, {scales[0]:g} to {scales[-1]:g} s"
    counts = (_moments(a, scales), _moments(b, scales))
    yield judged("dispersion", what, "ratio", *counts, _dispersion, _log_ratio, ratio, partial(_furthest_scale, scales))


def scales_s(bins: Part) -> list[float]:
    """The lengths of windows, each twice the last, of which every stretch has at least eight."""
    span = len(bins.sums) * bins.width_s
    return [scale for k in range(30) if (scale := bins.width_s * 2.0**k) * 8 * STRETCHES <= span]


def dispersion(bins: Part, scales: Sequence[float]) -> Floats:
    """The index of dispersion within stretches at each of ``scales``, of :func:`scales_s`."""
    return _dispersion(_moments(bins, scales))


def _rates(bins: Part) -> Floats:
    """(m, 2): requests and seconds of each stretch."""
    number = np.arange(len(bins.sums)) * STRETCHES // len(bins.sums)
    begins = np.flatnonzero(np.diff(number, prepend=-1))
    seconds = np.diff(np.append(begins, len(bins.sums))) * bins.width_s
    return np.column_stack([np.add.reduceat(bins.sums[:, 0], begins), seconds])


def _rate(sums: Floats) -> Floats:
    total = sums.sum(axis=0)
    return np.asarray([total[0] / total[1]])


def _moments(bins: Part, scales: Sequence[float]) -> Floats:
    """(m, scales, 3): of each stretch, windows of each scale: how many, their counts, their squared distances from the
    stretch's mean, freed from the loss of a degree of freedom."""
    tables = []
    for scale_s in scales:
        per = max(round(scale_s / bins.width_s), 1)
        count = bins.sums[: len(bins.sums) // per * per, 0].reshape(-1, per).sum(axis=1)
        each = max(len(count) // STRETCHES, 2)
        rows = min(len(count) // each, STRETCHES)
        count = count[: rows * each].reshape(rows, each)
        squares = ((count - count.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) * each / (each - 1)
        tables.append(np.column_stack([np.full(rows, float(each)), count.sum(axis=1), squares]))
    return np.stack(tables, axis=1)


def _spread(moments: Floats) -> Floats:
    n, total, squares = np.moveaxis(moments.sum(axis=0), -1, 0)
    return np.asarray(np.sqrt(squares / n) / (total / n))


def _dispersion(moments: Floats) -> Floats:
    _, total, squares = np.moveaxis(moments.sum(axis=0), -1, 0)
    return np.asarray(squares / total)


def _cdf(sums: Floats) -> Floats:
    total = sums.sum(axis=0)
    return np.asarray(np.cumsum(total) / total.sum())


def _cdf_by_period(sums: Floats, periods: int) -> Floats:
    """(periods, buckets), nan for a period without requests."""
    number = np.arange(len(sums)) * periods // len(sums)
    table = np.array([sums[number == p].sum(axis=0) for p in range(periods)])
    return np.asarray(np.cumsum(table, axis=1) / table.sum(axis=1, keepdims=True))


def _ks(a: Floats, b: Floats) -> float:
    return float(np.abs(a - b).max())


def _wasserstein(a: Floats, b: Floats) -> float:
    """In natural logarithms: .1 is 10 % of length."""
    per_period = np.abs(a - b).sum(axis=1) * np.log(2.0) / PER_DOUBLING
    return float(np.nanmean(per_period)) if np.isfinite(per_period).any() else np.nan


def _typical_lengths(a: Floats, b: Floats) -> tuple[float, float, float]:
    """The geometric means, over the periods."""
    middle = (np.arange(a.shape[1]) + 0.5) * np.log(2.0) / PER_DOUBLING
    typical = [np.exp(np.mean((np.diff(cdf, axis=1, prepend=0.0) @ middle)[np.isfinite(cdf[:, -1])])) for cdf in (a, b)]
    return float(typical[0]), float(typical[1]), np.nan


def _furthest_gap(a: Floats, b: Floats) -> tuple[float, float, float]:
    """The shares of gaps up to where they differ most, and where that is."""
    at = int(np.abs(a - b).argmax())
    return float(a[at]), float(b[at]), gap_s(at + 1)


def _log_ratio(a: Floats, b: Floats) -> float:
    apart = np.abs(np.log(b / a))
    return float(apart[np.isfinite(apart)].max(initial=0.0)) if np.isfinite(apart).any() else np.nan


def _furthest_scale(scales: Sequence[float], a: Floats, b: Floats) -> tuple[float, float, float]:
    """The figures at the scale where their ratio is largest, and which that is."""
    apart = np.abs(np.log(b / a))
    if not np.isfinite(apart).any():
        return np.nan, np.nan, np.nan
    at = int(np.argmax(np.where(np.isfinite(apart), apart, -1.0)))
    return float(a[at]), float(b[at]), scales[at]


def _difference(a: Floats, b: Floats) -> float:
    return float(np.abs(b - a).max())


def _spearman(sums: Floats) -> Floats:
    """The rank correlation from counts in a grid: ranks are the middles of their buckets."""
    table = sums.sum(axis=0).reshape(GRID, GRID)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    x, y = (np.asarray(np.cumsum(n) - n / 2 - n.sum() / 2) for n in (rows, columns))
    return np.asarray([x @ table @ y / np.sqrt((rows @ x**2) * (columns @ y**2))])


@dataclass(frozen=True, eq=False)
class Points:
    """Short windows: their rate and the mean length of their requests, and which stretch of time they lie in."""

    rate_per_s: Floats
    mean_tokens: Floats
    stretch: NDArray[np.int64]


def points(bins: Part, window_s: float, column: int) -> Points:
    """At most :data:`POINTS` short windows, spread evenly over the time."""
    per = max(round(window_s / bins.width_s), 1)
    table = bins.sums[: len(bins.sums) // per * per].reshape(-1, per, bins.sums.shape[1]).sum(axis=1)
    chosen = np.unique(np.linspace(0, len(table) - 1, min(len(table), POINTS)).astype(np.int64))
    chosen = chosen[table[chosen, 0] > 0]
    count = table[chosen, 0]
    return Points(count / (per * bins.width_s), table[chosen, column] / count, chosen * STRETCHES // max(len(table), 1))


def _scatter(a: Points, b: Points, name: str, window_s: float, ratio: float) -> Aspect:
    """The energy distance (Székely and Rizzo, 2013) of the scatter of short-window rate against mean length."""
    what = f"energy distance of rate against mean {name}, {window_s:g} s windows"
    key = f"joint_{name}"
    if min(a.stretch.size, b.stretch.size) < 2 * STRETCHES:
        return unsaid(key, what, "cloud")
    one, other = _standard(a, a), _standard(a, b)
    within = _distances(one, one)
    uniform = np.full(len(one), 1 / len(one))
    second = np.full(len(other), 1 / len(other))
    energy = 2 * uniform @ _distances(one, other) @ second
    energy -= uniform @ within @ uniform + second @ _distances(other, other) @ second
    random = np.random.default_rng(len(one))
    noise = []
    for _ in range(REPEATS):
        u, v = (_weights(a.stretch, round(STRETCHES * r), random) for r in (1.0, min(ratio, LONGEST)))
        noise.append(np.sqrt(max(float(-(u - v) @ within @ (u - v)), 0.0)))
    first, second_figure = (_correlation(points) for points in (a, b))
    distance = float(np.sqrt(max(energy, 0.0)))
    limit = lost(STRETCHES) * float(np.quantile(noise, 0.95))
    return Aspect(key, what, first, second_figure, distance, limit, "cloud")


def _correlation(points: Points) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.corrcoef(points.rate_per_s, points.mean_tokens)[0, 1])


def _standard(reference: Points, points: Points) -> Floats:
    """(n, 2): log rate and log mean length, in the reference's standard deviations."""
    columns = []
    for values, scale in ((points.rate_per_s, reference.rate_per_s), (points.mean_tokens, reference.mean_tokens)):
        known = np.log(np.maximum(scale, 1e-9))
        columns.append((np.log(np.maximum(values, 1e-9)) - known.mean()) / (known.std() or 1.0))
    return np.column_stack(columns)


def _distances(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.sqrt(((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)))


def _weights(stretch: NDArray[np.int64], size: int, random: np.random.Generator) -> Floats:
    """What each point weighs when stretches are drawn from near their places."""
    drawn = np.bincount(near(STRETCHES, max(size, 8), random), minlength=STRETCHES).astype(np.float64)
    weight = drawn[stretch]
    return np.asarray(weight / weight.sum())
