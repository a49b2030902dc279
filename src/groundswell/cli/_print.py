"""Tables and notes as verbs print them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Collection, Sequence

import numpy as np


def table(head: Sequence[str], rows: Sequence[Sequence[str]], text: Collection[int] = (0,)) -> str:
    """Columns under ``head``: those of ``text`` flush left, the others flush right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return "\n".join(_line(row, widths, text) for row in [head, *rows])


def _line(row: Sequence[str], widths: Sequence[int], text: Collection[int]) -> str:
    cells = [c.ljust(w) if i in text else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
    return "  ".join(cells).rstrip()


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """One fact a line, its name before it."""
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in pairs)


def note(text: str) -> None:
    """A remark that is no part of the result, in lines of 80 columns, or of the longest name in it."""
    # Names of files stay whole, so that they can be copied.
    lines = textwrap.wrap(
        f"note: {text}", 80, subsequent_indent="      ", break_long_words=False, break_on_hyphens=False
    )
    print("\n".join(lines), file=sys.stderr)


def number(value: float) -> str:
    """A figure in three or four digits, whole numbers whole, a dash for none."""
    if not np.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
