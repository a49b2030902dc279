"""What prompts hold beside text: ServeGen's findings 6 to 8, figures 8 to 11."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.characterize._course import Course, Grid, base_s, offset_s
from groundswell.characterize._shift import shift_by_chance
from groundswell.characterize.figures import Modality, ModalityFigures, Series
from groundswell.characterize.setting import Setting
from groundswell.stats.batches import FEWEST, MOST, interval, run_length, tails, weights
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve
from groundswell.stats.rank import spearman_estimate
from groundswell.stats.token_counts import BUCKETS, Distribution, count
from groundswell.table import ITEM_COLUMNS, Workload

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_ITEMS = 200
"""Requests with more items count as having so many in ``per_request``."""
EXACT = 2**16
"""Sizes below are counted one by one, to find the standard ones."""
STANDARD = 0.02
"""The share of items that makes a size a standard one."""
_SHARE_PARTS = 100
_POINTS = 500
_WINDOWS = 1024
_FEWEST_WINDOWS = 4 * FEWEST
_JITTER_S = 300.0


@compiled
def _fold(items: Any, size: Any, edges: Any, modal: Any, sums: Any, per_request: Any, exact: Any) -> None:
    at = np.int64(0)
    for k in range(edges.size - 1):
        some, begin, tokens = 0, at, 0.0
        for i in range(edges[k], edges[k + 1]):
            n = np.int64(items[i])
            per_request[min(n, MOST_ITEMS)] += 1
            if n:
                here = 0.0
                for j in range(at, at + n):
                    here += size[j]
                    if size[j] < EXACT:
                        exact[size[j]] += 1
                at += n
                some += 1
                tokens += here
                modal[i] += here
        sums[k, 0], sums[k, 1], sums[k, 2] = some, at - begin, tokens


@compiled
def _fold_text(text: Any, modal: Any, edges: Any, sums: Any, shares: Any) -> None:
    for k in range(edges.size - 1):
        tokens = 0.0
        for i in range(edges[k], edges[k + 1]):
            tokens += text[i]
            if modal[i] > 0.0:
                share = modal[i] / (modal[i] + text[i])
                sums[k, 1] += 1.0
                sums[k, 2] += share
                sums[k, 3] += share * share
                shares[min(np.int64(share * shares.size), shares.size - 1)] += 1
        sums[k, 0], sums[k, 4] = edges[k + 1] - edges[k], tokens


@dataclass(frozen=True, eq=False)
class Kind:
    """The items of one modality: how many requests have 0, 1, … 200 of them, and the distribution of their sizes."""

    per_request: Ints = field(default_factory=lambda: np.zeros(MOST_ITEMS + 1, np.int64))
    counts: Floats = field(default_factory=lambda: np.zeros(BUCKETS))
    exact: Ints = field(default_factory=lambda: np.zeros(EXACT, np.int64))
    least: float = np.inf
    most: float = -np.inf

    @classmethod
    def of(cls, lists: pl.Series, edges: Ints, modal: Floats, sums: Floats) -> Kind:
        """Of a column of sizes. Each request's tokens are added to ``modal``; into row k of ``sums`` go, of requests
        ``edges[k]`` to ``edges[k + 1]``, those that have some, items, and their tokens.
        """
        items = lists.list.len().fill_null(0).to_numpy()
        size = lists.explode(empty_as_null=False, keep_nulls=False).to_numpy()
        per_request, exact = np.zeros(MOST_ITEMS + 1, np.int64), np.zeros(EXACT, np.int64)
        _fold(items, size, edges, modal, sums, per_request, exact)
        if not size.size:
            return cls(per_request)
        counts = np.zeros(BUCKETS)
        count(size, counts)
        return cls(per_request, counts, exact, float(size.min()), float(size.max()))

    def __add__(self, other: Kind) -> Kind:
        return Kind(
            self.per_request + other.per_request,
            self.counts + other.counts,
            self.exact + other.exact,
            min(self.least, other.least),
            max(self.most, other.most),
        )


@dataclass(frozen=True, eq=False)
class Fold:
    """The kinds of items by name, and sums over time.

    A stretch has: requests; those with any item; sum and sum of squares of their modal shares; tokens of text; and for
    each kind the requests that have it, items, and tokens. A window, and a step of the course, has requests, tokens of
    text, and tokens of each kind.
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    stretches: Course = field(default_factory=Course)
    windows: Course = field(default_factory=Course)
    course: Course = field(default_factory=Course)
    shares: Ints = field(default_factory=lambda: np.zeros(_SHARE_PARTS, np.int64))
    """How many requests with items have a modal share in each hundredth."""
    first_s: float = np.inf
    last_s: float = -np.inf

    @classmethod
    def of(cls, block: Workload, setting: Setting) -> Fold:
        """Of one block."""
        names = [name for name in ITEM_COLUMNS if name in block.frame.columns]
        if not names or not len(block):
            return cls()
        arrival_s = block.arrival_s
        fine = Grid.over(arrival_s + offset_s(setting), base_s(setting), 2 * _POINTS)
        windows = Grid.over(arrival_s, setting.window_s, _WINDOWS)
        edges = np.union1d(fine.begins, windows.begins)
        sums = np.zeros((edges.size - 1, 5 + 3 * len(names)))
        modal, kinds = np.zeros(len(block)), {}
        for k, name in enumerate(names):
            kinds[name.removesuffix("_tokens")] = Kind.of(block.frame[name], edges, modal, sums[:, 5 + 3 * k :])
        shares = np.zeros(_SHARE_PARTS, np.int64)
        _fold_text(block.input_tokens, modal, edges, sums, shares)
        rates = sums[:, [0, 4, *range(7, sums.shape[1], 3)]]
        return cls(
            kinds,
            Course.of(fine.thinned(MOST), edges, sums, MOST),
            Course.of(windows, edges, rates, _WINDOWS),
            Course.of(fine, edges, rates, 2 * _POINTS),
            shares,
            float(arrival_s[0]),
            float(arrival_s[-1]),
        )

    def __add__(self, other: Fold) -> Fold:
        if not self.kinds or not other.kinds:
            return other if not self.kinds else self
        return Fold(
            {name: kind + other.kinds[name] for name, kind in self.kinds.items()},
            self.stretches + other.stretches,
            self.windows + other.windows,
            self.course + other.course,
            self.shares + other.shares,
            min(self.first_s, other.first_s),
            max(self.last_s, other.last_s),
        )

    def finish(self, setting: Setting, sample: pl.DataFrame) -> ModalityFigures | None:
        """The figures of the modalities that occur, None if none does. Rank correlations rest on the sample."""
        present = {name: k for k, (name, kind) in enumerate(self.kinds.items()) if kind.counts.any()}
        if not present:
            return None
        sums = self.stretches.sums
        with_items = int(sums[:, 1].sum())  # of at least a token
        share = interval(sums, lambda s: s[..., 2] / s[..., 1], with_items)
        variance = sums[:, 3].sum() / max(with_items, 1) - share.value**2
        return ModalityFigures(
            modalities={name: self._modality(name, k, setting, sample) for name, k in present.items()},
            modal_share=share,
            share_cdf=Curve(np.arange(1, _SHARE_PARTS + 1) / _SHARE_PARTS, np.cumsum(self.shares) / max(with_items, 1)),
            share_spread=float(np.sqrt(np.maximum(variance, 0.0))),
            text_rate=self._rate(1, setting),
            together={name: self._together(2 + k) for name, k in present.items()},
        )

    def _modality(self, name: str, k: int, setting: Setting, sample: pl.DataFrame) -> Modality:
        kind, sums = self.kinds[name], self.stretches.sums
        requests, some, items = int(sums[:, 0].sum()), int(sums[:, 5 + 3 * k].sum()), int(kind.counts.sum())
        having, number, tokens = 5 + 3 * k, 6 + 3 * k, 7 + 3 * k
        sizes = Distribution(kind.counts, kind.least, kind.most)
        occurring = np.flatnonzero(kind.per_request[1:]) + 1
        standard = np.flatnonzero(kind.exact >= STANDARD * items)
        standard = standard[np.argsort(-kind.exact[standard], kind="stable")]
        return Modality(
            name=name,
            share=interval(sums, lambda s: s[..., having] / s[..., 0], requests),
            per_request=Curve(occurring.astype(np.float64), kind.per_request[occurring] / some),
            mean_items=interval(sums, lambda s: s[..., number] / s[..., having], some),
            tokens=sizes.cdf(),
            mean_tokens=interval(sums, lambda s: s[..., tokens] / s[..., number], items),
            sizes=tuple((int(size), float(kind.exact[size] / items)) for size in standard),
            spearman=_spearman(sample, f"{name}_tokens"),
            rate=self._rate(2 + k, setting),
            shift=self._shift(2 + k, 0.5 * float(sums[:, tokens].sum()) / items),
            shift_by_chance=self._shift_by_chance(2 + k, 0.5 * float(sums[:, tokens].sum()) / items),
        )

    def _rates(self, course: Course, column: int, offset: float) -> tuple[Floats, Floats, Floats]:
        """Start, tokens per second and requests of the steps of which the trace covers at least half; of all, if of
        none.
        """
        start_s = course.start_s - offset
        covered_s = np.minimum(start_s + course.width_s, self.last_s) - np.maximum(start_s, self.first_s)
        keep = covered_s >= 0.5 * course.width_s
        keep = keep if keep.any() else covered_s > 0
        return start_s[keep], course.sums[keep, column] / covered_s[keep], course.sums[keep, 0]

    def _rate(self, column: int, setting: Setting) -> Series:
        course = self.course.thinned(_POINTS)
        return Series(course.width_s, *self._rates(course, column, offset_s(setting)))

    def _shift(self, column: int, least: float) -> Estimate:
        """95th over 5th percentile of the windows' tokens per second; a window counts as ``least`` tokens or more."""
        _, rate, _ = self._rates(self.windows, column, 0.0)
        if rate.size < 2 or not least > 0:
            return Estimate(n=rate.size)
        order = np.argsort(rate)
        rate = np.maximum(rate[order], least / self.windows.width_s)

        def ratio(drawn: Floats) -> Floats:
            share = np.cumsum(drawn, axis=-1) / drawn.sum(axis=-1, keepdims=True)
            low, high = ((share < q - 1e-12).sum(axis=-1) for q in (0.05, 0.95))
            return np.asarray(rate[high] / rate[low])

        value = float(ratio(np.ones(rate.size)))
        if rate.size < _FEWEST_WINDOWS:
            return Estimate(value, n=rate.size)
        drawn = ratio(weights(rate.size)[:, order])
        low, high = np.quantile(drawn, tails(rate.size / run_length(rate.size)))
        return Estimate(value, float(low), float(high), rate.size)

    def _shift_by_chance(self, column: int, least: float) -> float:
        """The same of tokens that come at a constant rate. How uneven they are is what neighbouring stretches of five
        minutes or more say (von Neumann, 1941), so that slower changes add nothing to it; nan if there are few.
        """
        course = self.course
        while course.width_s < _JITTER_S:
            course = course.widened(2.0 * course.width_s)
        tokens = course.sums[1:-1, column]
        if tokens.size < 2 * FEWEST or not tokens.any():
            return np.nan
        jitter = float((np.diff(tokens) ** 2).mean() / 2 / tokens.mean())
        return shift_by_chance(float(tokens.mean() * self.windows.width_s / course.width_s), jitter, least)

    def _together(self, column: int) -> Estimate:
        """The correlation over windows of tokens per second of a kind with those of text."""
        (_, a, _), (_, b, _) = (self._rates(self.windows, j, 0.0) for j in (column, 1))
        a, b = a - a.mean() if a.size else a, b - b.mean() if b.size else b
        found = interval(np.column_stack([np.ones(a.size), a, b, a * a, b * b, a * b]), _pearson, a.size)
        return Estimate(found.value, max(found.low, -1.0), min(found.high, 1.0), a.size) if found.known else found


def _pearson(s: Floats) -> Floats:
    """Of number, sums, sums of squares and sum of products."""
    n, a, b, aa, bb, ab = np.moveaxis(s, -1, 0)
    return np.asarray((n * ab - a * b) / np.sqrt((n * aa - a * a) * (n * bb - b * b)))


def _spearman(sample: pl.DataFrame, name: str) -> Estimate:
    """Of the requests that have items of this kind: their text, and the tokens of all these items."""
    some = sample.filter(pl.col(name).list.len() > 0)
    tokens = some[name].list.sum().cast(pl.Float64).to_numpy()
    return spearman_estimate(some["arrival_s"].to_numpy(), some["input_tokens"].cast(pl.Float64).to_numpy(), tokens)
