"""By what the reference and the candidates are told apart in every figure."""

from __future__ import annotations

from groundswell.report import palette

REFERENCE = "reference"


def colour(i: int) -> str:
    """The colour of candidate ``i``."""
    return palette.SERIES[i % len(palette.SERIES)]
