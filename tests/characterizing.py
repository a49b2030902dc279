"""A trace in parts, and whether two characterizations say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from groundswell.table import Workload


def in_parts(whole: Workload, cuts: Sequence[int]) -> list[Workload]:
    """The trace in parts; each part's Enum knows only the clients that were seen by then."""
    names = whole.frame["client"].cast(pl.String)
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    return [
        Workload(whole.frame[a:b].with_columns(names[a:b].cast(pl.Enum(names[:b].unique(maintain_order=True)))))
        for a, b in pairwise(edges)
    ]


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """The same figures, up to rounding."""
    if is_dataclass(a):
        assert type(a) is type(b), where
        for f in fields(a):
            assert_same(getattr(a, f.name), getattr(b, f.name), f"{where}.{f.name}")
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}[{key}]")
    elif isinstance(a, tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{i}]")
    elif isinstance(a, (float, np.ndarray)):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=where)
    else:
        assert a == b, where
