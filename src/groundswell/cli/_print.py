"""Tables and notes as verbs print them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under ``head``: the first flush left, the others flush right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [head, *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """One fact a line, its name before it."""
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in pairs)


def note(text: str) -> None:
    """A remark that is no part of the result."""
    print(f"note: {text}", file=sys.stderr)


def number(value: float) -> str:
    """A figure in three or four digits, whole numbers whole, a dash for none."""
    if not np.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
