"""A body and a tail: ServeGen's finding 3 has prompts' lengths as a mixture of a log-normal and a Pareto law."""

from __future__ import annotations

from dataclasses import dataclass

from groundswell.lengths import LENGTHS, Floats, Length, length_of
from groundswell.lengths._whole import Whole, check_number, check_whole


@LENGTHS.register("mixture")
@dataclass(frozen=True)
class Mixture(Whole):
    """Lengths from ``tail`` with probability ``weight``, else from ``body``.

    Both are parts or their texts:
    ``mixture:body=(lognormal:mean=800,cv=1.2),tail=(pareto:alpha=1.5,least=2000),weight=0.1``.
    """

    body: Length | str
    tail: Length | str
    weight: float

    def __post_init__(self) -> None:
        check_number("mixture", "weight", self.weight, 0, 1)
        object.__setattr__(self, "body", length_of(self.body))
        object.__setattr__(self, "tail", length_of(self.tail))
        for part in (self.body, self.tail):
            check_whole("mixture", length_of(part))

    @property
    def mean(self) -> float:
        """The weighted mean of the two means, in tokens."""
        return self.weight * length_of(self.tail).mean + (1.0 - self.weight) * length_of(self.body).mean

    def cdf(self, tokens: Floats) -> Floats:
        """P(X <= tokens), element by element."""
        return self.weight * length_of(self.tail).cdf(tokens) + (1.0 - self.weight) * length_of(self.body).cdf(tokens)

    def moment(self, tokens: Floats) -> Floats:
        """E[X · 1(X <= tokens)], element by element."""
        tail, body = length_of(self.tail).moment(tokens), length_of(self.body).moment(tokens)
        return self.weight * tail + (1.0 - self.weight) * body
