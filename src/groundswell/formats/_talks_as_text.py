"""Conversations whose turns are text: what is new in each, as words that mean nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from groundswell.formats._blocks import BlockIds
from groundswell.formats._words import texts
from groundswell.prefix import flat, with_blocks
from groundswell.table import BLOCK_SIZE_KEY, Workload

_USUAL_BLOCK = 16

TEXT = "Prompts and replies are words that mean nothing, one for each token, the same where prefixes are the same."
CUT = "Turns that hold less than was said before begin a conversation of their own."


class TextTurns:
    """Makes the turns of whole conversations, with texts of their new tokens; ids of one block give one text."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        size = metadata.get(BLOCK_SIZE_KEY)
        self.block_tokens = size if isinstance(size, int) and size > 0 else _USUAL_BLOCK
        self.metadata = dict(metadata)
        self.ids = BlockIds(self.block_tokens, metadata)

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """``talk``, ``part`` (from 1; a conversation whose context was cut has several), ``conversation``, ``prompt``,
        ``input_tokens``, ``output_tokens`` of each of ``rows``, which are conversations one after the other."""
        over = "talk"
        before = (pl.col("input_tokens") + pl.col("output_tokens")).shift(1).over(over)
        cut = (pl.col("input_tokens") <= before).fill_null(False)
        rows = rows.with_columns(
            (cut.cast(pl.Int64).cum_sum().over(over) + 1).alias("part"),
            pl.when(cut).then("input_tokens").otherwise(pl.col("input_tokens") - before.fill_null(0)).alias("new"),
            (cut | before.is_null()).alias("is_first"),
        )
        told = (
            pl.col("conversation") if "conversation" in rows.columns else pl.lit(None, pl.Int64).alias("conversation")
        )
        return rows.select("talk", "part", told, self._prompts(rows).alias("prompt"), "input_tokens", "output_tokens")

    def _prompts(self, rows: pl.DataFrame) -> pl.Series:
        """The text of what is new in each turn: the blocks of a first one, and words of its own for a later."""
        columns = [
            pl.lit(0.0).alias("arrival_s"),
            pl.lit("", pl.Enum([""])).alias("client"),
            pl.col("new").cast(pl.Int32).alias("input_tokens"),
            pl.col("output_tokens"),
        ]
        if "prefix_runs" in rows.columns:
            columns.append(
                pl.when("is_first").then("prefix_runs").otherwise(pl.lit([], pl.List(pl.Int64))).alias("prefix_runs")
            )
        ids = self.ids.of(with_blocks(Workload(rows.select(columns), self.metadata)))
        count, flat_ids = flat(ids)
        return texts(flat_ids, count, rows["new"].to_numpy(), self.block_tokens)


def replies(tokens: pl.Series) -> pl.Series:
    """A text for each reply, of which readers take the length alone: so many times the same word."""
    count = tokens.cast(pl.Int64).to_numpy()
    return texts(
        np.zeros(count.size, np.int64), np.zeros(count.size, np.int64), count, max(int(count.max(initial=0)), 1)
    )
