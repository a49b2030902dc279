"""How a client's input and output lengths go together, which a pool does not hold and ``--joint`` puts back."""

from __future__ import annotations

import numpy as np
import polars as pl

from groundswell.fit.setting import Grid
from groundswell.stats.batches import BatchSums, Floats
from groundswell.stats.estimate import Estimate

_FEWEST = 10
"""A client's requests in a slot have ranks that say something from so many on."""


def rank_correlation(sample: pl.DataFrame, grid: Grid) -> Estimate:
    """Spearman's correlation of input and output within a client and slot, over all that are large enough.

    Ranks are among the requests of the same client and slot, since that is where generation draws a pair from. The
    covariances of these ranks over their variances, both summed over all requests.
    """
    if not sample.height:
        return Estimate()
    slot = grid.slot(grid.window(sample["arrival_s"].to_numpy()))
    cell = ("client", "slot")
    ranks = (
        sample.select("arrival_s", "client", "input_tokens", "output_tokens", slot=pl.Series(slot))
        .filter(pl.len().over(cell) >= _FEWEST)
        .with_columns(
            (pl.col(f"{kind}_tokens").rank() / pl.len()).over(cell).alias(kind) for kind in ("input", "output")
        )
        .with_columns((pl.col(kind) - pl.col(kind).mean()).over(cell) for kind in ("input", "output"))
    )
    x, y = (ranks[kind].to_numpy() for kind in ("input", "output"))
    return BatchSums.of(ranks["arrival_s"].to_numpy(), [x * y, x * x, y * y]).estimate(_correlation, n=ranks.height)


def _correlation(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / np.sqrt(sums[..., 1] * sums[..., 2]))
