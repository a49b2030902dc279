"""Gaps and lengths from laws fitted every twenty minutes: BurstGPT's modelled scaling (arXiv 2401.17644)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.arrivals import ARRIVALS
from groundswell.chance import stream_key, uniforms
from groundswell.errors import UsageError
from groundswell.lengths import LENGTHS
from groundswell.rescale import METHODS
from groundswell.stats.fits import fit
from groundswell.stats.power_law import exponent
from groundswell.table import Workload

Floats = NDArray[np.float64]

NAME = "burstgpt"
_LENGTHS = ("input_tokens", "output_tokens")
_FEWEST_GAPS = 8
"""Of fewer gaps nothing can be said: they are taken for a Poisson process's."""
_CVS = (0.01, 100.0)
_ROWS = 2**18


@METHODS.register("burstgpt")
@dataclass(frozen=True)
class BurstGpt:
    """New requests of one sender: in each stretch of ``window_s`` seconds, gaps are drawn from the Gamma law that fits
    its gaps, at its rate times the factor, and inputs and outputs each from the Zipf law that fits its lengths.

    The span is kept. Clients, conversations and all else are lost, and lengths know nothing of each other.
    """

    window_s: float = 1200.0
    shortens: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (isinstance(self.window_s, (int, float)) and 1.0 <= self.window_s < np.inf):
            raise UsageError(f"burstgpt: window_s must be a number of seconds from 1 on, not {self.window_s}")

    def rescaled(self, blocks: Iterable[Workload], factor: float, seed: int) -> Iterator[Workload]:
        """A model of ``blocks`` at ``factor`` times the rate. Times and lengths of one stretch are held."""
        for number, begin_s, end_s, held in _windows(blocks, self.window_s):
            if not end_s > begin_s:
                continue
            key = stream_key(seed, "rescale", NAME, number)
            laws = [_length(held[name].to_numpy()) for name in _LENGTHS]
            done = 0
            for arrival_s in _arrivals(held["arrival_s"].to_numpy(), begin_s, end_s, factor, key):
                index = np.arange(done, done + arrival_s.size)
                inputs, outputs = (_drawn(law, uniforms(key, 2 * index + place)) for place, law in enumerate(laws))
                done += arrival_s.size
                yield Workload.from_columns(arrival_s, np.zeros(index.size, np.uint32), (NAME,), inputs, outputs)


def _windows(blocks: Iterable[Workload], window_s: float) -> Iterator[tuple[int, float, float, pl.DataFrame]]:
    """Number, begin and end of each stretch that has requests, and these; the last one ends with its last request."""
    held: list[pl.DataFrame] = []
    current = 0
    for block in blocks:
        frame = block.frame.select("arrival_s", *_LENGTHS)
        number = np.floor(block.arrival_s / window_s).astype(np.int64)
        cuts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), number.size]
        for low, high in pairwise(cuts):
            if high > low and number[low] != current:
                if held:
                    yield current, current * window_s, (current + 1) * window_s, pl.concat(held)
                current, held = int(number[low]), []
            held.append(frame[low:high])
    whole = pl.concat(held) if held else pl.DataFrame()
    if whole.height:
        yield current, current * window_s, float(whole["arrival_s"][-1]), whole


def _arrivals(times_s: Floats, begin_s: float, end_s: float, factor: float, key: int) -> Iterator[Floats]:
    """Arrivals from ``begin_s`` to ``end_s`` with Gamma gaps as fit those of ``times_s``; ``factor`` times as many on
    average.
    """
    gamma = ARRIVALS["gamma"]
    gaps = np.diff(times_s)
    fitted = fit(gaps, ["gamma"]) if gaps.size >= _FEWEST_GAPS else ()
    cv = np.clip(fitted[0].parameters["cv"], *_CVS) if fitted else 0.0 if gaps.size >= _FEWEST_GAPS else 1.0
    a, b = gamma.shapes(np.array([max(cv, _CVS[0])]), np.zeros(1), np.zeros(1), np.array([np.inf]))
    mean_s = (end_s - begin_s) / (factor * times_s.size)
    keys = np.array([key], np.uint64)
    # The process is met in the middle of a gap, so that the expected number is right in every stretch.
    unit = np.empty(1)
    gamma.first(unit, keys, a, b)
    latest_s = begin_s + mean_s * float(unit[0])
    index = 0
    while latest_s < end_s:
        unit = np.empty(_ROWS)
        gamma.fill(unit, np.array([0, _ROWS]), keys, np.array([index]), a, b)
        arrival_s = latest_s + mean_s * np.concatenate([[0.0], np.cumsum(unit)])
        index, latest_s = index + _ROWS, float(arrival_s[-1])
        inside = arrival_s[:-1]
        yield inside[: np.searchsorted(inside, end_s)]


def _length(tokens: NDArray[np.int32]) -> tuple[Floats, Floats]:
    """Rising lengths and their cumulative probabilities: Zipf's law of the lengths above 0, or the only length."""
    some = tokens[tokens > 0].astype(np.float64)
    if not some.size or some.min() == some.max():
        return np.array([some[0] if some.size else 0.0]), np.ones(1)
    most = float(some.max())
    law = LENGTHS["zipf"](exponent(float(np.log(some).mean()), most), most)  # type: ignore[call-arg]
    values, probability = law.atoms()
    return values, np.cumsum(probability)


def _drawn(law: tuple[Floats, Floats], uniform: Floats) -> NDArray[np.int32]:
    values, below = law
    return values[np.minimum(np.searchsorted(below, uniform), values.size - 1)].astype(np.int32)
