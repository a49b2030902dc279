"""Whether a client's gaps are exponential, Gamma or Weibull, from sums over its windows.

The level of a window is a nuisance: what counts is how gaps vary around it. So families are compared by the likelihood
of the gaps' ratios, in which the scale has been integrated out (Lehmann and Romano, *Testing Statistical Hypotheses*,
6.2, the maximal invariant under a change of scale). With y the m gaps over their mean and l the mean of log y,

- exponential: lnΓ(m) - m ln m,
- Gamma of shape a: lnΓ(ma) - m lnΓ(a) + (a - 1) m l - ma ln m,
- Weibull of shape c: lnΓ(m) + (m - 1) ln c + (c - 1) m l - m ln m - m K(c), where K(c) = ln mean y^c.

Only the last needs more than sums of gaps and of their logarithms. K is a smooth curve, a cumulant generating function,
through K(0) = K(1) = 0 with slope l at 0; it is interpolated by the polynomial that has its values at a quarter, a half
and three quarters, and at 2 where the shape is above 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from groundswell.fit.cells import Cells

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FAMILIES = ("gamma", "weibull", "poisson")
GAMMA, WEIBULL, POISSON = range(3)
_ORDER = (POISSON, GAMMA, WEIBULL)  # the simpler first: it is taken where others are no better

_MOST_ZEROS = 0.1  # of gaps: with more, the clock's ticks are seen and not the gaps
_CLEAR = 4.0  # in units of AIC: by how much a window's gaps must speak against its client's family
_GAMMA_SHAPES = (1e-3, 1e3)
_WEIBULL_SHAPES = (0.1, 4.0)
_STEPS = 22  # of golden sections: a thousandth of the widest bracket's logarithm
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


def _solver(nodes: tuple[float, ...]) -> Floats:
    """From K - l·c at the nodes to the coefficients of c², c³, …"""
    powers = np.array([[c ** (2 + j) for j in range(len(nodes))] for c in nodes])
    return np.asarray(np.linalg.inv(powers))


_BELOW, _ABOVE = (0.25, 0.5, 0.75, 1.0), (0.25, 0.5, 0.75, 1.0, 2.0)
_SOLVE_BELOW, _SOLVE_ABOVE = _solver(_BELOW), _solver(_ABOVE)


@dataclass(frozen=True, eq=False)
class Chosen:
    """For each cell its family, an index into ``FAMILIES``, and its own Weibull shape and scale (s); for each client
    its family.
    """

    family: NDArray[np.uint8]
    of_client: NDArray[np.uint8]
    weibull_shape: Floats
    weibull_scale_s: Floats


@dataclass(frozen=True, eq=False)
class Gaps:
    """Gaps above 0 of cells: their number ``m``, mean, the mean logarithm after scaling to mean 1, and the curve K."""

    m: Floats
    mean_s: Floats
    mean_log: Floats
    below: Floats  # (cells, 4) the coefficients of K
    above: Floats  # (cells, 5)

    @classmethod
    def of(cls, cells: Cells) -> Gaps:
        """Those of ``cells``; a cell of fewer than two, or of too many zeros, has none."""
        m = cells.gaps - cells.zeros
        told = (m >= 2) & (cells.zeros <= _MOST_ZEROS * cells.gaps)
        m = np.where(told, m, 0.0)
        safe = np.maximum(m, 1.0)
        mean_s = np.where(told, cells.gap_s / safe, 1.0)
        log_mean = np.log(mean_s)
        mean_log = np.where(told, cells.log_sum / safe - log_mean, 0.0)
        sums = np.column_stack([cells.root_sums, cells.square_sum])
        power = np.array([0.25, 0.5, 0.75, 2.0])
        k = np.where(told[:, None], np.log(np.where(told[:, None], sums, 1.0) / safe[:, None]), 0.0)
        k = np.where(told[:, None], k - power * log_mean[:, None], 0.0)
        one = np.zeros(m.size)
        below = np.column_stack([k[:, :3], one]) - mean_log[:, None] * np.array(_BELOW)
        above = np.column_stack([k[:, :3], one, k[:, 3]]) - mean_log[:, None] * np.array(_ABOVE)
        return cls(m, mean_s, mean_log, below @ _SOLVE_BELOW.T, above @ _SOLVE_ABOVE.T)

    def curve(self, c: Floats, heavy: NDArray[np.bool_]) -> Floats:
        """K(c) of each cell; ``heavy`` where c is at most 1."""
        low, high = (np.zeros(self.m.size) for _ in range(2))
        for j in range(self.below.shape[1] - 1, -1, -1):
            low = (low + self.below[:, j]) * c
        for j in range(self.above.shape[1] - 1, -1, -1):
            high = (high + self.above[:, j]) * c
        return self.mean_log * c + np.where(heavy, low, high) * c

    @property
    def slope_at_1(self) -> Floats:
        """K'(1), by the polynomial for shapes up to 1."""
        return self.mean_log + self.below @ (2.0 + np.arange(self.below.shape[1]))


def choose(cells: Cells, clients: int, k: int = 1) -> Chosen:
    """The family of each cell: its client's, unless the cell's own gaps clearly speak for another (AIC lower by 4).

    A client's family is that of the least AIC when all its windows have one shape. A cell of fewer than two gaps, or
    with more than a tenth of them 0, says nothing and follows its client; a client whose cells that tell have fewer
    than ``k`` requests, or that has none, is Gamma, which takes any CV.
    """
    gaps = Gaps.of(cells)
    of = cells.client.astype(np.int64)
    aic = _aic(gaps, of, clients)
    chosen = np.array(_ORDER)[np.argmin(aic[:, _ORDER], axis=1)]
    told = np.bincount(of, cells.requests * (gaps.m > 0), clients)
    chosen = np.where(told >= k, chosen, GAMMA)
    alone = np.arange(len(cells))
    own = _aic(gaps, alone, len(cells))
    best = np.array(_ORDER)[np.argmin(own[:, _ORDER], axis=1)]
    clear = own[alone, best] < own[alone, chosen[of]] - _CLEAR
    shape, heavy = _weibull_shape(gaps, alone, len(cells))
    return Chosen(
        np.where(clear, best, chosen[of]).astype(np.uint8),
        chosen.astype(np.uint8),
        np.where(gaps.m > 0, shape, np.nan),
        np.where(gaps.m > 0, gaps.mean_s * np.exp(gaps.curve(shape, heavy) / shape), np.nan),
    )


def _aic(gaps: Gaps, group: Ints, groups: int) -> Floats:
    """(groups, families): Akaike's criterion of each family, with one shape for all cells of a group."""

    def total(values: Floats) -> Floats:
        return np.bincount(group, values, groups).astype(np.float64)

    m = gaps.m
    some = np.maximum(m, 1.0)
    base = np.where(m > 0, gammaln(some) - m * np.log(some), 0.0)

    def gamma(shape: Floats) -> Floats:
        a = shape[group]
        own = (
            gammaln(np.maximum(m * a, 1e-300))
            - m * (gammaln(shape)[group] + a * np.log(some))
            + (a - 1) * m * gaps.mean_log
        )
        return total(np.where(m > 0, own, 0.0))

    low, high = (np.full(groups, bound) for bound in _GAMMA_SHAPES)
    of_gamma = gamma(_best(gamma, low, high))
    shape, heavy = _weibull_shape(gaps, group, groups)
    c = shape[group]
    of_weibull = total(base + _weibull(gaps, c, heavy[group]))
    out = np.empty((groups, 3))
    out[:, GAMMA], out[:, WEIBULL] = 2 - 2 * of_gamma, 2 - 2 * of_weibull
    out[:, POISSON] = -2 * total(base)
    return out


def _weibull(gaps: Gaps, c: Floats, heavy: NDArray[np.bool_]) -> Floats:
    """The part of the log likelihood that depends on the shape."""
    return (gaps.m > 0) * ((gaps.m - 1) * np.log(c) + (c - 1) * gaps.m * gaps.mean_log - gaps.m * gaps.curve(c, heavy))


def _weibull_shape(gaps: Gaps, group: Ints, groups: int) -> tuple[Floats, NDArray[np.bool_]]:
    """The likeliest shape of each group, and whether it lies below 1: the likelihood falls at 1 then."""
    rises = np.bincount(group, (gaps.m > 0) * (gaps.m - 1 + gaps.m * (gaps.mean_log - gaps.slope_at_1)), groups)
    heavy = rises <= 0

    def likelihood(shape: Floats) -> Floats:
        return np.bincount(group, _weibull(gaps, shape[group], heavy[group]), groups).astype(np.float64)

    low, high = np.where(heavy, _WEIBULL_SHAPES[0], 1.0), np.where(heavy, 1.0, _WEIBULL_SHAPES[1])
    return _best(likelihood, low, high), heavy


def _best(value: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Where each of many functions of one hill is highest, by golden sections of the logarithm (Kiefer 1953)."""
    a, b = np.log(low), np.log(high)
    left, right = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
    at_left, at_right = value(np.exp(left)), value(np.exp(right))
    for _ in range(_STEPS):
        lower = at_left >= at_right
        a, b = np.where(lower, a, left), np.where(lower, right, b)
        left, right = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
        at_left, at_right = value(np.exp(left)), value(np.exp(right))
    return np.asarray(np.exp((a + b) / 2))
