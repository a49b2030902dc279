"""Fitted families, as lines and as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundswell.report import palette, words
from groundswell.report.figure import Table
from groundswell.report.plot import Line
from groundswell.stats.fits import Fit


def fitted(fits: Sequence[Fit], tail: bool = False) -> list[Line]:
    """The fits' distribution functions as lines, or one less them for the ``tail``."""
    lines = []
    for fit in fits:
        colour, dash = palette.FAMILIES.get(fit.family, (palette.LIGHT["grey"], (1, 0)))
        if fit.curve.x.size:
            y = np.maximum(1.0 - fit.curve.y, 0.0) if tail else fit.curve.y
            lines.append(Line(fit.family, fit.curve.x, y, colour, dash, smooth=True))
    return lines


def said(fits: Sequence[Fit]) -> str:
    """The end of a caption of a chart that has fits in it."""
    return f", as measured and by each family; {fits[0].family} is what they ask for." if fits else "."


def table(title: str, fits: Sequence[Fit]) -> Table:
    """The fits with their parameters and how well they do, the best first."""
    head = ("family", "KS", "ΔAIC", "p") if any(fit.p == fit.p for fit in fits) else ("family", "KS", "ΔAIC")
    rows = []
    for fit in fits:
        parameters = ", ".join(f"{name} {words.number(value)}" for name, value in fit.parameters.items())
        row = (f"{fit.family} ({parameters})" if parameters else fit.family, f"{fit.ks:.3f}", words.number(fit.aic))
        rows.append((*row, words.p_value(fit.p))[: len(head)])
    return Table(
        title,
        head,
        rows,
        "By maximum likelihood, first the family that is asked for: the simplest with an AIC within 4 of the least. "
        "KS is the largest distance between the fitted and the measured distribution"
        + ("; p the odds of as large a distance if the family were true." if "p" in head else "."),
    )
