"""Lengths between bounds, such as a model's context window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from groundswell.errors import UsageError
from groundswell.lengths import LARGEST_TOKENS, LENGTHS, Floats, Length, length_of
from groundswell.lengths._whole import Whole, check_number, check_whole
from groundswell.lengths.empirical import Empirical

_LEAST_MASS = 1e-9  # less than this between the bounds leaves too few digits to tell the law by


@LENGTHS.register("truncated")
@dataclass(frozen=True)
class Truncated(Whole):
    """The law ``of`` (a part or its text), given a length between ``least`` and ``most`` tokens, both included."""

    of: Length | str
    least: float = 1.0
    most: float = LARGEST_TOKENS

    def __post_init__(self) -> None:
        check_number("truncated", "least", self.least, 0, LARGEST_TOKENS)
        check_number("truncated", "most", self.most, self.least, LARGEST_TOKENS)
        object.__setattr__(self, "of", length_of(self.of))
        if not isinstance(self.of, Empirical):
            check_whole("truncated", length_of(self.of))
        if self._share < _LEAST_MASS:
            law = LENGTHS.text(length_of(self.of))
            raise UsageError(f"truncated: hardly any length of {law} lies between {self.least:g} and {self.most:g}")

    @property
    def mean(self) -> float:
        """The mean between the bounds, in tokens."""
        return self.whole_mean()

    def cdf(self, tokens: Floats) -> Floats:
        """P(X <= tokens), element by element."""
        return (length_of(self.of).cdf(self._within(tokens)) - self._before[0]) / self._share

    def moment(self, tokens: Floats) -> Floats:
        """E[X · 1(X <= tokens)], element by element."""
        return (length_of(self.of).moment(self._within(tokens)) - self._before[1]) / self._share

    def atoms(self) -> tuple[Floats, Floats]:
        """A law's own grid between the bounds; of an empirical table, its values between them."""
        if not isinstance(self.of, Empirical):
            return super().atoms()
        values, probabilities = self.of.atoms()
        kept = (values >= self.least) & (values <= self.most)
        return values[kept], probabilities[kept] / probabilities[kept].sum()

    def _within(self, tokens: Floats) -> Floats:
        return np.clip(np.asarray(tokens, np.float64), np.nextafter(self.least, -np.inf), self.most)

    @cached_property
    def _before(self) -> tuple[float, float]:
        """The mass and the partial mean of what lies below ``least``."""
        low = np.array([np.nextafter(self.least, -np.inf)])
        return float(length_of(self.of).cdf(low)[0]), float(length_of(self.of).moment(low)[0])

    @cached_property
    def _share(self) -> float:
        return float(length_of(self.of).cdf(np.array([float(self.most)]))[0]) - self._before[0]
