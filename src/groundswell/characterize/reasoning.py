"""How replies think: ServeGen's findings 9 and 11, figures 13 and 17.

All of it is about requests that reason at all and did not fail; the answer is what the reply holds beside reasoning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.signal import find_peaks

from groundswell.chance import compiled
from groundswell.characterize._course import Course, offset_s
from groundswell.characterize._field import FieldFold, band, grid
from groundswell.characterize.figures import ReasoningFigures
from groundswell.characterize.lengths import answered_of
from groundswell.characterize.setting import Setting
from groundswell.stats.batches import MOST, interval
from groundswell.stats.dip import dip_test
from groundswell.stats.fits import Curve
from groundswell.stats.rank import spearman_estimate
from groundswell.table import Workload

Floats = NDArray[np.float64]

PARTS = 50
SHOWN = 4
"""As many periods and clients are shown alone."""
FEWEST = 100
"""… if they have so many requests that reason."""
_SURE = 5.0
_LEAST_PROMINENCE = 0.05  # of the highest mode


@compiled
def _parted(reason: Any, output: Any, begins: Any, parts: Any, answer: Any) -> None:
    """Fill in the answers, and count into each stretch's row the part of 0 … 1 that the ratio lies in."""
    size = parts.shape[1]
    for k in range(begins.size - 1):
        for i in range(begins[k], begins[k + 1]):
            whole = max(output[i], reason[i])  # a reply holds its reasoning, whatever a trace says
            answer[i] = whole - reason[i]
            parts[k, min(np.int64(size * (reason[i] / whole)), size - 1)] += 1.0


@dataclass(frozen=True, eq=False)
class Fold:
    """Reason and answer lengths; over stretches of time the requests and those that reason, and how many of these have
    their ratio of reasoning to output in each of 50 equal parts of 0 … 1.
    """

    reason: FieldFold = field(default_factory=FieldFold)
    answer: FieldFold = field(default_factory=FieldFold)
    asked: Course = field(default_factory=Course)
    ratio: Course = field(default_factory=Course)

    @classmethod
    def of(cls, block: Workload, setting: Setting) -> Fold:
        """Of one block."""
        if "reason_tokens" not in block.frame.columns or not len(block):
            return cls()
        arrival_s, output = block.arrival_s, block.output_tokens
        reason = block.frame["reason_tokens"].fill_null(0).to_numpy()
        answered = answered_of(block.frame)
        if answered is not None:
            arrival_s, output, reason = arrival_s[answered], output[answered], reason[answered]
        if not arrival_s.size:
            return cls()
        stretches, some = grid(arrival_s, setting), reason > 0
        coarse = stretches.thinned(MOST)
        before = np.concatenate([[0], np.cumsum(some)])[coarse.begins]
        asked = Course(
            coarse.width_s, coarse.first, np.diff(np.column_stack([coarse.begins, before]), axis=0).astype(float), MOST
        )
        if not some.any():
            return cls(asked=asked)
        if not some.all():
            arrival_s, output, reason = arrival_s[some], output[some], reason[some]
            stretches = grid(arrival_s, setting)
            coarse = stretches.thinned(MOST)
        parts, answer = np.zeros((len(coarse), PARTS)), np.empty_like(reason)
        _parted(reason, output, coarse.begins, parts, answer)
        return cls(
            FieldFold.of(reason, stretches),
            FieldFold.of(answer, stretches),
            asked,
            Course(coarse.width_s, coarse.first, parts, MOST),
        )

    def __add__(self, other: Fold) -> Fold:
        return Fold(
            self.reason + other.reason,
            self.answer + other.answer,
            self.asked + other.asked,
            self.ratio + other.ratio,
        )

    def finish(self, setting: Setting, sample: pl.DataFrame) -> ReasoningFigures | None:
        """The figures, None if no request reasons. Fits, rank correlation and the dip rest on the sample."""
        if not self.reason.n:
            return None
        thinking = _thinking(sample)
        arrival_s, reason, answer = (thinking[name].to_numpy() for name in ("arrival_s", "reason", "answer"))
        found = dip_test(_spread(reason, answer, setting.seed))
        whole = self.ratio.sums.sum(axis=0)
        # Both are of the same requests, so in the same stretches.
        both = np.column_stack([self.reason.stretches.sums[:, 1], self.answer.stretches.sums[:, 1]])
        return ReasoningFigures(
            share=interval(self.asked.sums, lambda s: s[..., 1] / s[..., 0], int(self.asked.sums[:, 0].sum())),
            reason=self.reason.finish("reason", setting, reason),
            answer=self.answer.finish("answer", setting, answer),
            times=interval(both, lambda s: s[..., 0] / s[..., 1], self.reason.n),
            spearman=spearman_estimate(arrival_s, reason, answer),
            ratio=_shares(whole),
            ratio_periods=self._periods(setting),
            ratio_clients=_clients(thinking),
            modes=modes(whole),
            dip=found.value,
            dip_p=found.p,
            by_reason=band(reason, answer, 0.05, 0.95),
        )

    def _periods(self, setting: Setting) -> tuple[tuple[float, Curve], ...]:
        """Of the four periods in a row that hold most requests, those that hold enough."""
        rows = self.ratio.periods(setting)
        size = rows.sums.sum(axis=1)
        first = int(np.argmax(np.convolve(size, np.ones(SHOWN), "full")[SHOWN - 1 :]))
        return tuple(
            (float(start_s - offset_s(setting)), _shares(sums))
            for start_s, sums in list(zip(rows.start_s, rows.sums, strict=True))[first : first + SHOWN]
            if sums.sum() >= FEWEST
        )


def _thinking(sample: pl.DataFrame) -> pl.DataFrame:
    """Of the sample's requests that reason and did not fail: arrival, client, reason, answer, and their ratio."""
    answered = answered_of(sample)
    kept = sample if answered is None else sample.filter(answered)
    reason, output = pl.col("reason_tokens").cast(pl.Float64), pl.col("output_tokens").cast(pl.Float64)
    whole = pl.max_horizontal(reason, output)
    return kept.filter(pl.col("reason_tokens") > 0).select(
        "arrival_s", "client", reason=reason, answer=whole - reason, ratio=reason / whole
    )


def _spread(reason: Floats, answer: Floats, seed: int) -> Floats:
    """The ratios of lengths off by up to half a token, by chance: else the few ratios that short replies can have
    would each be a mode.
    """
    off = np.random.default_rng(seed).uniform(-0.5, 0.5, reason.size)
    # A reply has no less than no answer.
    off = np.where(answer > 0, off, -np.abs(off))
    return np.asarray(np.clip((reason + off) / (reason + answer), 0.0, 1.0))


def _clients(thinking: pl.DataFrame) -> tuple[tuple[str, Curve], ...]:
    """The ratio's histogram of the four clients with most of the sampled requests, if they have enough."""
    busiest = (
        thinking.group_by("client")
        .len()
        .filter(pl.col("len") >= FEWEST)
        .sort("len", "client", descending=[True, False])
    )
    return tuple(
        (name, _histogram(thinking.filter(pl.col("client") == name))) for name in busiest["client"].head(SHOWN)
    )


def _histogram(thinking: pl.DataFrame) -> Curve:
    part = np.minimum((thinking["ratio"].to_numpy() * PARTS).astype(np.int64), PARTS - 1)
    return _shares(np.bincount(part, minlength=PARTS).astype(np.float64))


def _shares(counts: Floats) -> Curve:
    return Curve((np.arange(PARTS) + 0.5) / PARTS, counts / counts.sum())


def modes(counts: Floats) -> tuple[float, ...]:
    """Where a histogram over 0 … 1 has its modes, after smoothing it with weights 1, 4, 6, 4, 1: summits that rise from
    what surrounds them by a twentieth of the highest and by five times what chance does.
    """
    n = counts.sum()
    if not n:
        return ()
    smooth = np.convolve(counts / n, np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0)
    # Beyond both ends it is 0, so that a mode can lie at an end.
    padded = np.concatenate([[0.0], smooth, [0.0]])
    # Of summits that are equally high only one rises from all: a hair decides which.
    padded[1:-1] += 1e-12 * np.arange(smooth.size)
    summits, about = find_peaks(padded, prominence=_LEAST_PROMINENCE * smooth.max())
    chance = _SURE * np.sqrt(padded[summits] / n)
    at = (summits[about["prominences"] > chance] - 3 + 0.5) / counts.size
    return tuple(np.clip(at, 0.0, 1.0).tolist())
