"""Every N-th request, on one instance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.plan.methods import METHODS, Drawn
from groundswell.plan.outcome import Sent
from groundswell.plan.windows import Part
from groundswell.table import Workload

SHARES = 4
"""So many of the N shares are tried, each on an instance of its own, and judged together."""


@METHODS.register("one_of")
@dataclass(frozen=True)
class OneOf:
    """One instance gets every N-th request, as it would behind a round robin; of conversations every N-th whole one, by
    when they begin."""

    title: ClassVar[str] = "every N-th request, on one instance"

    def sends(self, part: Part, seed: int, drawn: Drawn | None) -> Callable[[int], Sent]:
        """The first few of N shares."""
        unit = units(part.workload)

        def share(k: int, n: int) -> Workload:
            mine = pl.Series(unit % n == k)
            return Workload(part.workload.frame.filter(mine), part.workload.metadata)

        def sent(n: int) -> Sent:
            shares = [share(k, n) for k in range(min(n, SHARES))]
            return Sent(tuple(each for each in shares if len(each)), 1, part.begin_s, part.end_s)

        return sent


def units(workload: Workload) -> NDArray[np.int64]:
    """The number, by when it begins, of each request's conversation; a request without one is one of its own.

    >>> import polars as pl
    >>> talks = {"arrival_s": [0.0, 1.0, 2.0, 3.0], "client": ["a"] * 4, "conversation": [7, None, 3, 7]}
    >>> frame = pl.DataFrame(talks | {"input_tokens": [1] * 4, "output_tokens": [1] * 4})
    >>> tokens = pl.col("input_tokens", "output_tokens").cast(pl.Int32)
    >>> units(Workload(frame.with_columns(tokens, pl.col("client").cast(pl.Enum(["a"]))))).tolist()
    [0, 1, 2, 0]
    """
    row = np.arange(len(workload))
    if "conversation" not in workload.frame.columns:
        return row
    talk = workload.frame["conversation"]
    begin = pl.DataFrame({"talk": talk, "row": row}).select(pl.col("row").min().over("talk")).to_series().to_numpy()
    begin = np.where(talk.is_null().to_numpy(), row, begin)
    return np.asarray(np.unique(begin, return_inverse=True)[1], np.int64)
