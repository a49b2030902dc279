"""Lists of whole numbers as text."""

from __future__ import annotations

import polars as pl


def whole_numbers(text: pl.Expr) -> pl.Expr:
    """The numbers of ``[3, 4]`` or ``3, 4``, an empty list for nothing; null where something else stands among them."""
    inner = text.fill_null("").str.strip_chars("[]() ")
    numbers = inner.str.extract_all(r"\d+").cast(pl.List(pl.Int32), strict=False)
    return pl.when(inner.str.contains(r"^(\d{1,9}([,; ]+\d{1,9})*)?$")).then(numbers)
