"""Sessions row by row: how long the whole prompt is where rows hold what is new, and when a turn comes that has only
a delay."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from groundswell.chance import compiled
from groundswell.service import TPOT_S, TTFT_S

_KNOWN = {
    "session": pl.Int64(),
    "at_s": pl.Float64(),
    "end_s": pl.Float64(),
    "text": pl.Int64(),
    "turns": pl.Int64(),
}


class Sessions:
    """What was read of each session so far: when its last turn came, how long its text is, and how many turns it had.

    It is kept from one part of a file to the next, so these must be given in the file's order, each once. It takes
    40 bytes a session, whatever the number of turns.
    """

    def __init__(self) -> None:
        self.known = pl.DataFrame(schema=_KNOWN)

    def continued(self, rows: pl.DataFrame) -> pl.DataFrame:
        """``history`` (the tokens of all turns before), ``turn`` (from 1), ``arrival_s`` and ``before_s`` (the arrival
        of the turn before, null for none) of each of ``rows``.

        ``rows`` has ``session`` (a number or null), ``timestamp_s`` and ``delay_s`` (seconds or null), ``new_tokens``
        and ``output_tokens``. A turn without a time comes ``delay_s`` after the end of the reply before it, by the
        nominal speed of :mod:`groundswell.service`. Rows without a session stand alone.
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
            rows.select(TTFT_S + TPOT_S * pl.col("output_tokens").fill_null(0)).to_series().to_numpy(),
            before["at_s"].fill_null(np.nan).to_numpy(),
            before["end_s"].fill_null(np.nan).to_numpy(),
            before["text"].fill_null(0).to_numpy(),
            before["turns"].fill_null(0).to_numpy(),
        )
        arrival_s, before_s, latest_s, end_s, history, through, turn, is_last = followed
        latest = pl.DataFrame(
            {"session": rows["session"], "at_s": latest_s, "end_s": end_s, "text": through, "turns": turn}
        )
        latest = latest.filter(pl.Series(is_last))
        self.known = pl.concat([self.known.join(latest, on="session", how="anti"), latest])
        times = {"arrival_s": arrival_s, "before_s": before_s}
        told = {name: pl.Series(seconds).fill_nan(None) for name, seconds in times.items()}
        return pl.DataFrame({**told, "history": history, "turn": turn})


@compiled
def _followed(
    order: Any, session: Any, alone: Any, time: Any, delay: Any, text: Any, reply: Any,
    at: Any, end: Any, before: Any, turns: Any,
) -> Any:  # fmt: skip
    """Of each row: its time and that of the turn before (NaN if nothing says), the latest time that there is and when
    the reply to that ended, the text before it and with it, its turn, and whether it is the last of its session here;
    ``order`` puts sessions together.
    """
    n = order.size
    arrival, earlier, latest, ended = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    history, through, turn = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    is_last = np.zeros(n, np.bool_)
    last, done, length, count = np.nan, np.nan, np.int64(0), np.int64(0)
    for k in range(n):
        i = order[k]
        if k == 0 or alone[i] or session[i] != session[order[k - 1]] or alone[order[k - 1]]:
            last, done, length, count = at[i], end[i], before[i], turns[i]
        earlier[i] = last
        arrival[i] = done + delay[i] if np.isnan(time[i]) else time[i]
        if not np.isnan(arrival[i]):
            last = arrival[i]
            done = last + reply[i]
        history[i] = length
        length += text[i]
        count += 1
        latest[i], ended[i], through[i], turn[i] = last, done, length, count
        is_last[i] = not alone[i] and (k == n - 1 or session[order[k + 1]] != session[i])
    return arrival, earlier, latest, ended, history, through, turn, is_last
