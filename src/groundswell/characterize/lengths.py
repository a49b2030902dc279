"""How long prompts and replies are: ServeGen's findings 3 and 4, BurstGPT's Zipf law and its two modes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.characterize._course import Course
from groundswell.characterize._field import FEWEST_SHIFTING, FieldFold, band, grid
from groundswell.characterize.figures import LengthFigures
from groundswell.characterize.setting import Setting
from groundswell.stats.batches import BatchSums
from groundswell.stats.dip import dip_test
from groundswell.stats.estimate import Estimate
from groundswell.stats.power_law import exponents
from groundswell.stats.rank import spearman_estimate
from groundswell.table import Workload

Floats = NDArray[np.float64]

PERIODS = 16
FEWEST_CHANGES = 8
"""From fewer changes between periods no correlation of them is given."""


@dataclass(frozen=True, eq=False)
class Fold:
    """The lengths of inputs, and of the outputs of requests that did not fail."""

    input: FieldFold = field(default_factory=FieldFold)
    output: FieldFold = field(default_factory=FieldFold)

    @classmethod
    def of(cls, block: Workload, setting: Setting) -> Fold:
        """Of one block."""
        if not len(block):
            return cls()
        stretches = grid(block.arrival_s, setting)
        inputs = FieldFold.of(block.input_tokens, stretches)
        answered = answered_of(block.frame)
        if answered is None:
            return cls(inputs, FieldFold.of(block.output_tokens, stretches))
        if not answered.any():
            return cls(inputs)
        return cls(inputs, FieldFold.of(block.output_tokens[answered], grid(block.arrival_s[answered], setting)))

    def __add__(self, other: Fold) -> Fold:
        return Fold(self.input + other.input, self.output + other.output)

    def finish(self, setting: Setting, sample: pl.DataFrame) -> LengthFigures | None:
        """The figures. Fits, rank correlation, Zipf's exponent and the dip rest on the sample."""
        if not self.input.n:
            return None
        answered = answered_of(sample)
        replied = sample if answered is None else sample.filter(answered)
        inputs, outputs = (
            self.input.finish("input", setting, _column(sample, "input_tokens")),
            self.output.finish("output", setting, _column(replied, "output_tokens")),
        )
        given, got = _column(replied, "input_tokens"), _column(replied, "output_tokens")
        modes, odds = modes_of_logs(got)
        return LengthFigures(
            fields={"input": inputs, "output": outputs},
            spearman=spearman_estimate(_column(replied, "arrival_s"), given, got),
            by_input=band(given, got, 0.05, 0.95),
            zipf_exponent=zipf_exponent(sample),
            output_modes=modes,
            output_dip_p=odds,
            together=self._together(setting),
        )

    def _together(self, setting: Setting) -> Estimate:
        """The correlation of the relative change of mean input, from one period to the next, with that of mean output.

        Periods are cut in halves, quarters … until there are 16; those with fewer than 100 requests are left out. The
        interval is Fisher's. Neighbouring changes share a period, which makes them correlated by -1/2 where periods are
        independent of each other, and the correlation of two such series vary by 1 + 2/4 times as much (Bartlett,
        1946).
        """
        rows = [field.moments.periods(setting, PERIODS) for field in (self.input, self.output)]
        width_s = max(row.width_s for row in rows)
        means = [_means(row.widened(width_s)) for row in rows]
        shared = sorted(means[0].keys() & means[1].keys())
        if len(shared) <= FEWEST_CHANGES:
            return Estimate(n=max(len(shared) - 1, 0))
        a, b = (np.diff(np.log([mean[start] for start in shared])) for mean in means)
        if not (a.std() > 0 and b.std() > 0):
            return Estimate(n=a.size)
        value = float(np.corrcoef(a, b)[0, 1])
        at, room = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12)), 1.96 * np.sqrt(1.5 / (a.size - 3))
        return Estimate(value, float(np.tanh(at - room)), float(np.tanh(at + room)), a.size)


def _means(periods: Course) -> dict[float, float]:
    """The mean in each period with enough requests, by its start."""
    return {
        float(start_s): float(total / n)
        for start_s, (n, total, _) in zip(periods.start_s, periods.sums, strict=True)
        if n >= FEWEST_SHIFTING and total > 0
    }


def answered_of(frame: pl.DataFrame) -> NDArray[np.bool_] | None:
    """Which requests did not fail: None if all, for a failed one's output means nothing."""
    if "failed" not in frame.columns or not frame["failed"].any():
        return None
    return ~frame["failed"].fill_null(False).to_numpy()


def modes_of_logs(lengths: Floats) -> tuple[Estimate, float]:
    """Hartigan's dip of the logarithms of lengths above 0, and the odds of as large a dip from one mode.

    The logarithms are spread evenly from those of half below to those of half above, or whole numbers themselves would
    count as modes. (Spread evenly before the logarithm is taken, each number below some twenty is a mode: its
    logarithms are denser towards its upper end.)
    """
    number, count = np.unique(lengths[lengths > 0], return_counts=True)
    low, high = np.log(number - 0.5), np.log(number + 0.5)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    found = dip_test(np.repeat(low, count) + (place + 0.5) * np.repeat((high - low) / count, count))
    return Estimate(found.value, found.low, found.high, found.n), found.p


def zipf_exponent(sample: pl.DataFrame) -> Estimate:
    """The exponent of the Zipf law of greatest likelihood for inputs of at least 1 token, up to the largest of them."""
    inputs, arrival_s = _column(sample, "input_tokens"), _column(sample, "arrival_s")
    some = inputs > 0
    if not some.any() or inputs[some].min() == inputs[some].max():
        return Estimate(n=int(some.sum()))
    sums = BatchSums.of(arrival_s[some], [np.ones(int(some.sum())), np.log(inputs[some])])
    most = float(inputs.max())
    return sums.estimate(lambda s: exponents(s[..., 1] / s[..., 0], most), int(some.sum()))


def _column(frame: pl.DataFrame, name: str) -> Floats:
    return frame[name].cast(pl.Float64).to_numpy()
