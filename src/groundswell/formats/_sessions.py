"""Sessions whose rows hold what is new: how long the whole prompt is, and when a turn comes that has only a delay."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from groundswell.chance import compiled

_KNOWN = {"session": pl.Int64(), "at_s": pl.Float64(), "text": pl.Int64(), "turns": pl.Int64()}


class Sessions:
    """What was read of each session so far: when its last turn came, how long its text is, and how many turns it had.

    It is kept from one part of a file to the next, so these must be given in the file's order, each once. It takes
    32 bytes a session, whatever the number of turns.
    """

    def __init__(self) -> None:
        self.known = pl.DataFrame(schema=_KNOWN)

    def continued(self, rows: pl.DataFrame) -> pl.DataFrame:
        """``history`` (the tokens of all turns before), ``turn`` (from 1) and ``arrival_s`` of each of ``rows``.

        ``rows`` has ``session`` (a number or null), ``timestamp_s`` and ``delay_s`` (seconds or null), ``new_tokens``
        and ``output_tokens``. A turn without a time comes ``delay_s`` after the turn before it. Rows without a session
        stand alone.
        """
        asked = rows.select(pl.col("session").drop_nulls().unique())
        known = self.known.join(asked, on="session", how="semi")
        before = rows.select("session").join(known, on="session", how="left", maintain_order="left")
        order = rows.select(pl.arg_sort_by("session", maintain_order=True)).to_series().to_numpy()
        followed = _followed(
            order,
            rows["session"].fill_null(0).to_numpy(),
            rows["session"].is_null().to_numpy(),
            rows["timestamp_s"].fill_null(np.nan).to_numpy(),
            rows["delay_s"].fill_null(np.nan).to_numpy(),
            rows.select(pl.sum_horizontal(pl.col("new_tokens", "output_tokens").cast(pl.Int64))).to_series().to_numpy(),
            before["at_s"].fill_null(np.nan).to_numpy(),
            before["text"].fill_null(0).to_numpy(),
            before["turns"].fill_null(0).to_numpy(),
        )
        arrival_s, latest_s, history, through, turn, is_last = followed
        latest = pl.DataFrame({"session": rows["session"], "at_s": latest_s, "text": through, "turns": turn})
        latest = latest.filter(pl.Series(is_last))
        self.known = pl.concat([self.known.join(latest, on="session", how="anti"), latest])
        return pl.DataFrame({"arrival_s": pl.Series(arrival_s).fill_nan(None), "history": history, "turn": turn})


@compiled
def _followed(
    order: Any, session: Any, alone: Any, time: Any, delay: Any, text: Any, at: Any, before: Any, turns: Any
) -> Any:
    """Of each row: its time (NaN if nothing says), that of the latest turn that has one, the text before it and with
    it, its turn, and whether it is the last of its session here; ``order`` puts sessions together.
    """
    n = order.size
    arrival, latest = np.empty(n), np.empty(n)
    history, through, turn = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    is_last = np.zeros(n, np.bool_)
    last, length, count = np.nan, np.int64(0), np.int64(0)
    for k in range(n):
        i = order[k]
        if k == 0 or alone[i] or session[i] != session[order[k - 1]] or alone[order[k - 1]]:
            last, length, count = at[i], before[i], turns[i]
        arrival[i] = last + delay[i] if np.isnan(time[i]) else time[i]
        if not np.isnan(arrival[i]):
            last = arrival[i]
        history[i] = length
        length += text[i]
        count += 1
        latest[i], through[i], turn[i] = last, length, count
        is_last[i] = not alone[i] and (k == n - 1 or session[order[k + 1]] != session[i])
    return arrival, latest, history, through, turn, is_last
