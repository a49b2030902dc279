"""Requests that failed: how many, whose, and whether failures come with load."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.characterize._failure_sums import Minutes, Senders
from groundswell.characterize.figures import UNKNOWN, Band, FailureFigures, Series
from groundswell.characterize.setting import Setting
from groundswell.stats.batches import MOST, interval
from groundswell.stats.estimate import Estimate
from groundswell.table import Workload

Floats = NDArray[np.float64]

_POINTS = 500
_BUSIEST_CLIENTS = 10
_BUSIEST_MODELS = 50
_Z = 1.959964


@dataclass(frozen=True, eq=False)
class Fold:
    """Requests and failures by minute, and by sender; ``a + b`` is that of a's blocks and then b's.

    A request whose ``failed`` is not known counts as one that did not fail. Of a trace without the column nothing is
    kept.
    """

    minutes: Minutes = field(default_factory=Minutes)
    clients: Senders = field(default_factory=Senders)
    models: Senders = field(default_factory=Senders)

    @classmethod
    def of(cls, block: Workload, setting: Setting) -> Fold:
        """What one block says."""
        if not len(block) or "failed" not in block.frame.columns:
            return cls()
        failed = block.frame["failed"].fill_null(value=False).to_numpy()
        return cls(
            Minutes.of(block.arrival_s, failed),
            Senders.of(block.arrival_s, block.frame["client"], failed),
            _models(block, failed) if "model" in block.frame.columns else Senders(),
        )

    def __add__(self, later: Fold) -> Fold:
        return Fold(self.minutes + later.minutes, self.clients + later.clients, self.models + later.models)

    def finish(self, setting: Setting, sample: pl.DataFrame) -> FailureFigures | None:
        """The figures, None of a trace that does not say what failed. All rest on every request.

        Intervals draw stretches of time anew, and are no narrower than Wilson's for as many independent requests, so
        that none failing of a few is not taken for never.
        """
        minutes = self.minutes
        if not minutes.requests.size:
            return None
        return FailureFigures(
            failed=int(minutes.failed.sum()),
            rate=rate_of(_stretches(minutes, np.ones(minutes.requests.size, bool))),
            by_model=_rates(self.models.busiest(_BUSIEST_MODELS)),
            by_client=_rates(self.clients.busiest(_BUSIEST_CLIENTS)),
            over_time=_over_time(minutes),
            by_load=_by_load(minutes),
            load_ratio=_load_ratio(minutes),
            load_s=minutes.width_s,
        )


def rate_of(sums: Floats, together: float | None = None) -> Estimate:
    """Failed over all, from both by stretch of time, (m, 2): all first. Where these are too few to draw from, the
    interval is Wilson's if it is known how many failures come ``together``.
    """
    total, failed = sums.sum(axis=0)
    drawn = interval(sums, lambda s: s[..., 1] / s[..., 0], n=round(total))
    if not drawn.known and together is None:
        return drawn
    low, rate, high = _wilson(failed, total, together or 1.0)
    return Estimate(rate, float(np.fmin(drawn.low, low)), float(np.fmax(drawn.high, high)), drawn.n)


def _models(block: Workload, failed: NDArray[np.bool_]) -> Senders:
    """The failures of the requests that name a model."""
    model = block.frame["model"]
    named = model.is_not_null().to_numpy()
    model = model.drop_nulls()
    return Senders.of(block.arrival_s[named], model.cast(pl.Enum(model.unique(maintain_order=True))), failed[named])


def _rates(sums: dict[str, Floats]) -> dict[str, Estimate]:
    return {name: rate_of(table) for name, table in sums.items()}


def _over_time(minutes: Minutes) -> Series:
    group = -(-minutes.requests.size // _POINTS)
    begins = np.arange(0, minutes.requests.size, group)
    n, failed = (np.add.reduceat(counts, begins).astype(np.float64) for counts in (minutes.requests, minutes.failed))
    seen = n > 0
    start_s = minutes.width_s * (minutes.first + begins[seen]).astype(np.float64)
    return Series(group * minutes.width_s, start_s, failed[seen] / n[seen], n[seen])


def _by_load(minutes: Minutes) -> Band:
    """The rate in each tenth of the minutes that saw a request, by how many they saw; equal numbers stay together."""
    seen = minutes.requests > 0
    edges = np.unique(np.quantile(minutes.requests[seen], np.arange(1, 10) / 10.0, method="higher"))
    tenth = np.where(seen, np.searchsorted(edges, minutes.requests, side="right"), -1)
    chosen = [tenth == i for i in np.unique(tenth[seen])]
    whole = _stretches(minutes, seen)
    together = _together(whole) if rate_of(whole).known else None
    rates = [rate_of(_stretches(minutes, which), together) for which in chosen]
    return Band(
        x=np.array([minutes.requests[which].mean() / minutes.width_s for which in chosen]),
        middle=np.array([rate.value for rate in rates]),
        low=np.array([rate.low for rate in rates]),
        high=np.array([rate.high for rate in rates]),
        n=np.array([rate.n for rate in rates], np.float64),
    )


def _load_ratio(minutes: Minutes) -> Estimate:
    """The rate in the busiest tenth of minutes over that in the rest; all minutes as busy as the tenth's least belong
    to it. Nan where all minutes are alike, or nothing failed in the rest.

    The interval is the bootstrap's, and no narrower than what Wilson's intervals of both rates make of their ratio
    (Donner and Zou, 2012), for as many requests as failures are independent of each other: what is drawn anew of a
    tenth of minutes in which nothing failed never has a failure.
    """
    seen = minutes.requests > 0
    busy = minutes.requests >= np.quantile(minutes.requests[seen], 0.9, method="higher")
    rest = seen & ~busy
    if not minutes.failed[rest].sum():
        return UNKNOWN
    sums = np.concatenate([_stretches(minutes, busy), _stretches(minutes, rest)], axis=1)
    drawn = interval(sums, lambda s: (s[..., 1] / s[..., 0]) / (s[..., 3] / s[..., 2]), n=int(seen.sum()))
    if not drawn.known:
        return drawn
    together = _together(sums[:, :2] + sums[:, 2:])
    low, high = _ratio_of(*(_wilson(failed, n, together) for n, failed in sums.sum(axis=0).reshape(2, 2)))
    return Estimate(drawn.value, min(drawn.low, low), max(drawn.high, high), drawn.n)


def _together(sums: Floats) -> float:
    """How many times as much the share of failures varies as if each were on its own: 1 at least."""
    n, failed = sums.sum(axis=0)
    rate = failed / n
    off = sums[:, 1] - rate * sums[:, 0]
    return max(float((off**2).sum()) / (n * rate * (1.0 - rate)), 1.0) if 0 < failed < n else 1.0


def _wilson(failed: float, n: float, together: float = 1.0) -> tuple[float, float, float]:
    """Wilson's interval (1927) of a rate, and the rate between; ``together`` failures count as one."""
    rate, z2 = failed / n, _Z * _Z * together / n
    middle = (rate + z2 / 2.0) / (1.0 + z2)
    half = np.sqrt(z2 * rate * (1.0 - rate) + z2 * z2 / 4.0) / (1.0 + z2)
    return 0.0 if failed == 0 else middle - half, rate, 1.0 if failed == n else middle + half


def _ratio_of(above: tuple[float, float, float], below: tuple[float, float, float]) -> tuple[float, float]:
    """The interval of a ratio from those of both rates: Donner and Zou, "Closed-form confidence intervals for functions
    of the normal mean and standard deviation", 2012."""
    (low_a, a, high_a), (low_b, b, high_b) = above, below
    least, most = high_b * (2.0 * b - high_b), low_b * (2.0 * b - low_b)
    product = a * b
    high = (product + np.sqrt(max(product**2 - high_a * (2.0 * a - high_a) * most, 0.0))) / most if most > 0 else np.inf
    if abs(least) < 1e-15:  # the limit of what is below
        return low_a * (2.0 * a - low_a) / (2.0 * product) if product > 0 else 0.0, float(high)
    root = np.sqrt(max(product**2 - low_a * (2.0 * a - low_a) * least, 0.0))
    return float(max((product - root) / least, 0.0)), float(high)


def _stretches(minutes: Minutes, which: NDArray[np.bool_]) -> Floats:
    """All requests and the failed ones of the minutes ``which``, by stretches that intervals can rest on: (m, 2)."""
    begins = np.arange(0, which.size, -(-which.size // MOST))
    return np.column_stack(
        [np.add.reduceat(counts * which, begins) for counts in (minutes.requests, minutes.failed)]
    ).astype(np.float64)
