"""How much the number of arrivals varies: its index of dispersion from 0.1 s to an hour, and its autocorrelation.

Every scale is counted exactly. The bins of 0.1 s in which something arrived are made in one pass over the arrivals;
those of a longer scale are made from the bins of a shorter one that divides it, of which there are fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from groundswell.chance import compiled
from groundswell.characterize.figures import Band, Series
from groundswell.stats.batches import BASE_S, MOST, BatchSums, interval
from groundswell.stats.bins import BASE_S as BIN_S
from groundswell.stats.bins import Bins
from groundswell.stats.estimate import Estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCALES = (1, 2, 5, 10, 20, 50, 100, 300, 600, 1200, 3000, 6000, 18_000, 36_000)
"""In tenths of a second."""
_SOURCE = tuple(max((j for j in range(i) if not SCALES[i] % SCALES[j]), default=-1) for i in range(len(SCALES)))
FEWEST_BINS = 20
MOST_LAGS = 200
_JITTER_S = 300.0
_REQUESTS_A_STRETCH = 10.0
_REQUESTS_A_POINT = 30.0
MOST_POINTS = 300
_FEWEST_STRETCHES = 512


@compiled
def runs(at_s: Any, shift_s: Any, times: Any, width: Any) -> Any:
    """The bins ``floor((at_s + shift_s) * times / width)`` in which something is, rising, and how much each has."""
    number, count = np.empty(at_s.size, np.int64), np.empty(at_s.size, np.int64)
    used, current = 0, np.int64(-1)
    for i in range(at_s.size):
        bin_of = np.int64((at_s[i] + shift_s) * times / width)
        if bin_of != current:
            number[used], count[used], current = bin_of, 0, bin_of
            used += 1
        count[used - 1] += 1
    return number[:used].copy(), count[:used].copy()


@compiled
def _coarser(number: Any, count: Any, ratio: Any) -> Any:
    """The same for bins that are ``ratio`` times as wide."""
    wide, total = np.empty(number.size, np.int64), np.empty(number.size, np.int64)
    used, end = 0, np.int64(-1)
    for i in range(number.size):
        if number[i] >= end:
            wide[used], total[used] = number[i] // ratio, 0
            end = (wide[used] + 1) * ratio
            used += 1
        total[used - 1] += count[i]
    return wide[:used].copy(), total[:used].copy()


@compiled
def _over_stretches(number: Any, count: Any, shift: Any, sums: Any) -> Any:
    """Add the counts and their squares to the ``sums`` over stretches of ``2**shift`` bins."""
    first = number[0] >> shift
    for i in range(number.size):
        row, c = (number[i] >> shift) - first, float(count[i])
        sums[row, 0] += c
        sums[row, 1] += c * c


def _summed(number: Ints, count: Ints) -> BatchSums:
    shift = 0
    while (number[-1] >> shift) - (number[0] >> shift) >= MOST:
        shift += 1
    first = int(number[0]) >> shift
    sums = np.zeros(((int(number[-1]) >> shift) - first + 1, 2))
    _over_stretches(number, count, shift, sums)
    return BatchSums(BASE_S * 2.0**shift, first, sums)


@dataclass(frozen=True, eq=False)
class Counts:
    """For each of the :data:`SCALES` the sums of counts and of their squares, over stretches of 2^k bins; and what is
    in the first and the last bin, which may go on in a neighbouring part of the stream.

    ``first`` and ``last`` are the numbers of the first and the last bin of 0.1 s; ``shortest`` has the counts in bins
    of 2^k times 0.1 s, as short as memory allows.
    """

    first: int = 0
    last: int = 0
    in_first: tuple[int, ...] = ()
    in_last: tuple[int, ...] = ()
    sums: tuple[BatchSums, ...] = ()
    shortest: Bins = field(default_factory=Bins)

    @classmethod
    def of(cls, arrival_s: Floats) -> Counts:
        """Those of the sorted ``arrival_s``, at least one."""
        bins = [runs(arrival_s, 0.0, 10.0, 1.0)]
        for i in range(1, len(SCALES)):
            j = _SOURCE[i]
            bins.append(_coarser(*bins[j], SCALES[i] // SCALES[j]))
        number, count = bins[0]
        return cls(
            int(number[0]),
            int(number[-1]),
            tuple(int(count[0]) for _, count in bins),
            tuple(int(count[-1]) for _, count in bins),
            tuple(_summed(number, count) for number, count in bins),
            Bins.of(number * BIN_S, [count]),
        )

    def __add__(self, other: Counts) -> Counts:
        if not self.sums or not other.sums:
            return other if not self.sums else self
        in_first, in_last, sums = list(self.in_first), list(other.in_last), []
        for i, scale in enumerate(SCALES):
            total = self.sums[i] + other.sums[i]
            at = self.last // scale
            if at == other.first // scale:  # a bin of both: (a + b)² = a² + b² + 2ab
                before, after = self.in_last[i], other.in_first[i]
                total = total + BatchSums.of(np.array([at * BASE_S]), np.array([[0.0, 2.0 * before * after]]))
                in_first[i] += after if self.first // scale == at else 0
                in_last[i] += before if other.last // scale == at else 0
            sums.append(total)
        return Counts(
            self.first, other.last, tuple(in_first), tuple(in_last), tuple(sums), self.shortest + other.shortest
        )

    # --- what they say ------------------------------------------------------------------------------------------------

    def rate_per_s(self, first_s: float, last_s: float) -> Estimate:
        """The rate from the first arrival to the last, the first not counted, with a block bootstrap."""
        batches = self.sums[0]
        count = batches.sums[:, 0].copy()
        requests = int(count.sum())
        count[0] -= 1
        width_s = batches.width_s / BASE_S * SCALES[0] / 10
        begin_s = (batches.first + np.arange(count.size)) * width_s
        covered_s = np.minimum(begin_s + width_s, last_s) - np.maximum(begin_s, first_s)
        if last_s <= first_s:
            return Estimate(n=requests)
        return interval(np.column_stack([count, covered_s]), lambda s: s[..., 0] / s[..., 1], requests)

    def dispersion(self, tick_s: float) -> Band:
        """The index of dispersion at each scale that has enough whole bins, and that the clock can tell."""
        told = [i for i, scale in enumerate(SCALES) if _told(scale / 10, tick_s)]
        found = [(SCALES[i] / 10, self._dispersion(i)) for i in told]
        rows = [(s, e.value, e.low, e.high, e.n) for s, e in found if np.isfinite(e.value)]
        columns = np.array(rows, float).reshape(-1, 5)
        return Band(columns[:, 0], columns[:, 1], columns[:, 2], columns[:, 3], columns[:, 4])

    def jitter(self) -> float:
        """The index of dispersion of counts in five to ten minutes, from the differences of neighbours (von Neumann,
        1941), so that a slower change of the rate adds nothing to it. 1 where there are too few to say."""
        for width_s, _, count in _doubling(self.shortest):
            if width_s >= _JITTER_S and count.size >= FEWEST_BINS:
                return float((np.diff(count) ** 2).mean() / 2 / count.mean()) if count.any() else 1.0
        return 1.0

    def _dispersion(self, i: int) -> Estimate:
        """That of scale ``i``, over the bins between the first and the last, which may not be whole."""
        first, last = self.first // SCALES[i], self.last // SCALES[i]
        n = last - first - 1
        if n < FEWEST_BINS:
            return Estimate()
        batches = self.sums[i]
        length = round(batches.width_s / BASE_S)
        begin = (batches.first + np.arange(len(batches.sums))) * length
        bins = np.minimum(begin + length, last) - np.maximum(begin, first + 1)
        sums = np.column_stack([np.maximum(bins, 0), batches.sums])
        for place, at, count in ((0, first, self.in_first[i]), (-1, last, self.in_last[i])):
            assert at // length == batches.first + place % len(sums)  # noqa: S101 (each end is in its own stretch)
            sums[place, 1:] -= count, float(count) ** 2
        return _with_chi_square(interval(sums[sums[:, 0] > 0], _index, n), n)


def _index(totals: Floats) -> Floats:
    """Variance over mean, from the numbers of bins, the sums and the sums of squares."""
    n, total, squares = totals[..., 0], totals[..., 1], totals[..., 2]
    return np.asarray((squares - total**2 / n) / (n - 1) / (total / n))


def _with_chi_square(e: Estimate, n: int) -> Estimate:
    """``e``, at least as wide as if the counts were normal and independent: what the bootstrap makes of the variance of
    few bins is too narrow.
    """
    half = (n - 1) / 2.0  # a chi-square of n - 1 degrees of freedom is twice a gamma of half as many
    low, high = (e.value * half / float(gammaincinv(half, odds)) for odds in (0.975, 0.025))
    return Estimate(e.value, float(np.fmin(e.low, low)), float(np.fmax(e.high, high)), n)


def _told(width_s: float, tick_s: float) -> bool:
    """Whether counts in bins of ``width_s`` say something of arrivals rather than of a clock of ``tick_s``: whether all
    bins have as many ticks, or nearly so.
    """
    if width_s >= 20 * tick_s:
        return True
    ticks = width_s / tick_s
    return ticks > 0.5 and abs(ticks - round(ticks)) < 1e-6


def autocorrelation(counts: Counts, tick_s: float) -> Band:
    """That of the number of arrivals per stretch, at up to 200 lags to a quarter of the span, and 0 ± 1.96/√n.

    A stretch is long enough for ten requests on average, so that chance within a stretch does not hide what stretches
    have in common, as long as 512 of them are left.
    """
    width_s, count = 0.0, np.empty(0)
    for width_s, _, count in _doubling(counts.shortest):
        enough = count.mean() >= _REQUESTS_A_STRETCH and _told(width_s, tick_s)
        if enough or count.size < 2 * _FEWEST_STRETCHES:
            break
    n = count.size
    if n < FEWEST_BINS or count.min() == count.max():
        return Band()
    # The sum over pairs at each lag, by the theorem of Wiener and Khinchin, with room for the longest lag.
    spectrum = np.fft.rfft(count - count.mean(), 2 * n)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n)[:n]
    lag = np.unique(np.geomspace(1, n // 4, MOST_LAGS).round().astype(int))
    chance = np.full(lag.size, 1.96 / np.sqrt(n))
    return Band(lag * width_s, covariance[lag] / covariance[0], -chance, chance, (n - lag).astype(float))


def rate_series(counts: Counts) -> Series:
    """The rate in stretches that are few enough to draw and long enough for thirty requests on average."""
    for width_s, first, count in _doubling(counts.shortest):
        if count.size <= MOST_POINTS and count.mean() >= _REQUESTS_A_POINT:
            start_s: Floats = (first + np.arange(count.size)) * np.float64(width_s)
            return Series(width_s, start_s, count / width_s, count)
    return Series()


def _doubling(bins: Bins) -> Iterator[tuple[float, int, Floats]]:
    """The width of a stretch in seconds, the number of the first whole one, and the counts of all whole stretches;
    again and again twice as wide.
    """
    part = bins.whole
    width_s, first, count = part.width_s / BIN_S * SCALES[0] / 10, part.first, part.sums[:, 0]
    while count.size > 2:
        yield width_s, first + 1, count[1:-1]
        odd = first % 2
        padded = np.concatenate([np.zeros(odd), count, np.zeros((count.size + odd) % 2)])
        width_s, first, count = 2 * width_s, first // 2, padded.reshape(-1, 2).sum(axis=1)
