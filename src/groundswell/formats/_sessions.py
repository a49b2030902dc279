"""Sessions whose rows hold what is new: how long the whole prompt is, and when a turn comes that has only a delay."""

from __future__ import annotations

import polars as pl

_KNOWN = {"session": pl.String(), "at_s": pl.Float64(), "text": pl.Int64(), "turns": pl.Int64()}


class Sessions:
    """What was read of each session so far: when its last turn came, how long its text is, and how many turns it had.

    It is kept from one part of a file to the next, so these must be given in the file's order, each once. It takes some
    50 bytes a session, whatever the number of turns.
    """

    def __init__(self) -> None:
        self.known = pl.DataFrame(schema=_KNOWN)

    def continued(self, rows: pl.DataFrame) -> pl.DataFrame:
        """``rows`` with ``history`` (the tokens of all turns before), ``turn`` (from 1) and ``arrival_s`` filled in.

        ``rows`` has ``session`` (text or null), ``timestamp_s`` and ``delay_s`` (seconds or null), ``new_tokens`` and
        ``output_tokens``. A turn without a time comes ``delay_s`` after the turn before it. Rows without a session
        stand alone.
        """
        before = self.known.join(rows.select("session"), on="session", how="semi")
        whole = pl.concat([_as_rows(before), rows.with_columns(_turns=pl.lit(1, pl.Int64))], how="diagonal")
        text = pl.sum_horizontal(pl.col("new_tokens", "output_tokens").cast(pl.Int64))
        waited = pl.col("delay_s").fill_null(0.0).cum_sum().over("session")
        whole = whole.with_columns(
            _through=text.cum_sum().over("session"), _waited=waited, turn=pl.col("_turns").cum_sum().over("session")
        )
        anchor = (pl.col("timestamp_s") - pl.col("_waited")).forward_fill().over("session")
        whole = whole.with_columns(
            history=pl.col("_through") - text,
            arrival_s=pl.coalesce(
                "timestamp_s", pl.when(pl.col("delay_s").is_not_null()).then(anchor + pl.col("_waited"))
            ),
        )
        self._remember(whole)
        alone = pl.col("session").is_null()
        return whole.filter(pl.col("line").is_not_null()).with_columns(
            history=pl.when(alone).then(0).otherwise("history"),
            turn=pl.when(alone).then(1).otherwise("turn"),
            arrival_s=pl.when(alone).then("timestamp_s").otherwise("arrival_s"),
        )

    def _remember(self, whole: pl.DataFrame) -> None:
        latest = (
            whole.filter(pl.col("session").is_not_null())
            .group_by("session")
            .agg(at_s=pl.col("arrival_s").last(), text=pl.col("_through").last(), turns=pl.col("turn").last())
        )
        self.known = pl.concat([self.known.join(latest, on="session", how="anti"), latest])


def _as_rows(known: pl.DataFrame) -> pl.DataFrame:
    """A row for each session that stands for all its turns before."""
    return known.select(
        pl.lit(None, pl.UInt32).alias("line"),
        "session",
        pl.col("at_s").alias("timestamp_s"),
        pl.col("text").alias("new_tokens"),
        pl.col("turns").alias("_turns"),
    )
