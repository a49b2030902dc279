"""Lengths of what prompts begin with: a few system prompts and templates, some far more often than others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from groundswell.errors import UsageError
from groundswell.lengths import LARGEST_TOKENS, LENGTHS, Floats, Length, length_of
from groundswell.lengths._whole import check_number, check_whole

_MOST = 16_384
_GOLDEN = 0.5 * (5.0**0.5 - 1.0)


@LENGTHS.register("templates")
@dataclass(frozen=True)
class Templates:
    """``count`` shared beginnings of prompts, told apart by their lengths; a prompt has one with probability ``share``.

    Their lengths are the quantiles (k + ½) / count of the law ``tokens`` (a part, its text, or a number); equal ones
    are moved apart by a token. The k-th most popular is chosen in proportion to k^-popularity (Zipf). It is the one at
    the place of ½ + (k - 1)·φ modulo 1 among all these, φ = 0.618…: the most popular is near the median, and long
    ones are neither more nor less popular than short ones. 0, a prompt without one, has the rest of the probability.
    """

    count: float
    tokens: Length | str | float
    popularity: float = 1.0
    share: float = 1.0

    def __post_init__(self) -> None:
        check_number("templates", "count", self.count, 1, _MOST)
        if self.count != int(self.count):
            raise UsageError(f"templates: count must be a whole number, not {self.count}")
        check_number("templates", "popularity", self.popularity, 0, 20)
        check_number("templates", "share", self.share, 0, 1, above=True)
        object.__setattr__(self, "tokens", length_of(self.tokens))
        check_whole("templates", length_of(self.tokens))

    @property
    def mean(self) -> float:
        """The weighted mean of the beginnings' lengths, in tokens, with the prompts that have none."""
        value, mass = self.atoms()
        return float(value @ mass)

    def cdf(self, tokens: Floats) -> Floats:
        """P(length <= tokens), element by element."""
        value, mass = self._table
        return np.concatenate([[0.0], np.cumsum(mass)])[np.searchsorted(value, tokens, side="right")]

    def moment(self, tokens: Floats) -> Floats:
        """E[length · 1(length <= tokens)], element by element."""
        value, mass = self._table
        return np.concatenate([[0.0], np.cumsum(value * mass)])[np.searchsorted(value, tokens, side="right")]

    def atoms(self) -> tuple[Floats, Floats]:
        """The beginnings' lengths, rising, and 0 before them where ``share`` is below 1."""
        return self._table

    @cached_property
    def _table(self) -> tuple[Floats, Floats]:
        count = int(self.count)
        value, mass = length_of(self.tokens).atoms()
        place = np.searchsorted(np.cumsum(mass), (np.arange(count) + 0.5) / count)
        length = _apart(value[np.minimum(place, value.size - 1)])
        weight = np.arange(1.0, count + 1) ** -float(self.popularity)
        order = np.argsort(np.modf(0.5 + np.arange(count) * _GOLDEN)[0], kind="stable")
        popular = float(self.share) * weight[order] / weight.sum()
        if self.share == 1:
            return length, popular
        return np.concatenate([[0.0], length]), np.concatenate([[1.0 - float(self.share)], popular])


def _apart(length: Floats) -> Floats:
    """Whole numbers that never fall, made to rise: each is at least one more than that before it."""
    step = np.arange(length.size)
    risen = np.maximum.accumulate(length - step) + step
    return np.asarray(np.minimum(risen, LARGEST_TOKENS - step[::-1]), np.float64)
