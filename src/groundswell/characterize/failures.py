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


def rate_of(sums: Floats) -> Estimate:
    """Failed over all, from both by stretch of time, (m, 2): all first."""
    total, failed = sums.sum(axis=0)
    drawn = interval(sums, lambda s: s[..., 1] / s[..., 0], n=round(total))
    if not drawn.known:
        return drawn
    rate, z2 = drawn.value, _Z * _Z / total
    middle = (rate + z2 / 2.0) / (1.0 + z2)
    half = _Z * np.sqrt(rate * (1.0 - rate) / total + z2 * z2 / (4.0 * _Z * _Z)) / (1.0 + z2)
    low = 0.0 if failed == 0 else min(drawn.low, middle - half)
    high = 1.0 if failed == total else max(drawn.high, middle + half)
    return Estimate(rate, float(low), float(high), drawn.n)


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
    rates = [rate_of(_stretches(minutes, which)) for which in chosen]
    return Band(
        x=np.array([minutes.requests[which].mean() / minutes.width_s for which in chosen]),
        middle=np.array([rate.value for rate in rates]),
        low=np.array([rate.low for rate in rates]),
        high=np.array([rate.high for rate in rates]),
        n=np.array([rate.n for rate in rates], np.float64),
    )


def _load_ratio(minutes: Minutes) -> Estimate:
    """The rate in the busiest tenth of minutes over that in the rest; all minutes as busy as the tenth's least belong
    to it. Nan where all minutes are alike, or nothing failed in the rest."""
    seen = minutes.requests > 0
    busy = minutes.requests >= np.quantile(minutes.requests[seen], 0.9, method="higher")
    rest = seen & ~busy
    if not minutes.failed[rest].sum():
        return UNKNOWN
    sums = np.concatenate([_stretches(minutes, busy), _stretches(minutes, rest)], axis=1)
    return interval(sums, lambda s: (s[..., 1] / s[..., 0]) / (s[..., 3] / s[..., 2]), n=int(seen.sum()))


def _stretches(minutes: Minutes, which: NDArray[np.bool_]) -> Floats:
    """All requests and the failed ones of the minutes ``which``, by stretches that intervals can rest on: (m, 2)."""
    begins = np.arange(0, which.size, -(-which.size // MOST))
    return np.column_stack(
        [np.add.reduceat(counts * which, begins) for counts in (minutes.requests, minutes.failed)]
    ).astype(np.float64)
