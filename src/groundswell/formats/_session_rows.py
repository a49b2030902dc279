"""Conversations as rows of sessions, in Mooncake's fields: what AIPerf and Dynamo replay turn by turn.

A session's first row says when it begins, each later one how long after the reply before it comes. Rows hold the whole
prompt (``cumulative``) or what is new in it (``delta``); a reader of deltas puts the turns and replies before in front.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import compiled
from groundswell.errors import UsageError
from groundswell.formats._blocks import BlockIds
from groundswell.formats._lines import LeanJsonLines, input_length
from groundswell.formats._numbering import Numbering
from groundswell.service import TPOT_S, TTFT_S
from groundswell.table import Workload

_CUT = "{:,} turns hold less than was said before, which rows of deltas cannot say: each begins a session of its own."
_GUESSED = (
    "{:,} turns have no time to think: their delay is what is left of the gap before them after a reply of "
    f"{TTFT_S:g} s and {TPOT_S:g} s for each token."
)
_STATE: dict[str, Any] = {"context": np.int64, "end_s": np.float64, "part": np.int32}


def check_turns(turns: str, name: str) -> None:
    """Raises UsageError if ``turns`` is neither of the two."""
    if turns not in ("delta", "cumulative"):
        raise UsageError(f"{name}: turns must be delta or cumulative, not {turns!r}")


class SessionLines(LeanJsonLines):
    """A file of such rows, one object a line."""

    def __init__(
        self, place: Path, turns: str, ids: BlockIds, *, always_ids: bool = False, whole_ms: bool = False
    ) -> None:
        self.made = SessionRows(turns, ids, always_ids=always_ids, whole_ms=whole_ms)
        super().__init__(place, self.made.of)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self.notes += self.made.notes()


class SessionRows:
    """Makes each block's rows, in the workload's order; :attr:`notes` grow meanwhile.

    It keeps some 60 bytes for each conversation, whatever its length. ``always_ids``: rows have ``hash_ids`` even where
    the workload has no prefix blocks. ``whole_ms``: times are whole milliseconds.
    """

    def __init__(self, turns: str, ids: BlockIds, *, always_ids: bool, whole_ms: bool) -> None:
        self.delta = turns == "delta"
        self.ids = ids
        self.always_ids = always_ids
        self.whole_ms = whole_ms
        self.cut = self.guessed = 0
        self._numbering = Numbering()
        self._state = {name: np.zeros(0, dtype) for name, dtype in _STATE.items()}

    def of(self, block: Workload) -> pl.DataFrame:
        """The rows of ``block``: null where a field does not apply."""
        frame = block.frame
        length = frame.select(input_length(block)).to_series()
        has_ids = self.always_ids or "prefix_blocks" in frame.columns
        in_sessions = "conversation" in frame.columns
        # Rows of all of Mooncake's fields and no others are Mooncake's, whose times are whole.
        whole = self.whole_ms or (has_ids and not in_sessions)
        time_ms = _ms(frame["arrival_s"], whole).alias("timestamp")
        columns = [time_ms, length.alias("input_length"), frame["output_tokens"].alias("output_length")]
        if in_sessions:
            part, new, later, delay_s = self._followed(block, length.to_numpy())
            later_rows = pl.Series(later)
            session = frame["conversation"].cast(pl.String)
            session = session.zip_with(
                pl.Series(part < 2), session + pl.Series(part).cast(pl.String).str.replace("^", ".")
            )
            columns = [
                session.alias("session_id"),
                time_ms.set(later_rows, None),
                _ms(pl.Series("delay", delay_s), whole).set(~later_rows, None),
                pl.Series("input_length", new),
                columns[2],
            ]
            block = self._new_text(block, new, later_rows) if self.delta else block
        if has_ids:
            columns.append(self.ids.of(block))
        return pl.DataFrame(columns)

    def notes(self) -> list[str]:
        """What a person should know of the rows so far."""
        return [text.format(count) for text, count in ((_CUT, self.cut), (_GUESSED, self.guessed)) if count]

    def _followed(self, block: Workload, length: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Of each row: the part of its conversation, its new tokens, whether it is a later turn, and its delay."""
        frame, n = block.frame, len(block)
        talks = frame["conversation"].is_not_null().to_numpy()
        number = np.full(n, -1)
        number[talks] = self._numbering.of(frame["conversation"].drop_nulls().to_numpy())
        more = self._numbering.given - self._state["part"].size
        if more > 0:
            # twice the room, so that conversations that begin later do not copy it block by block
            room = max(more, self._state["part"].size)
            self._state = {name: np.append(old, np.zeros(room, old.dtype)) for name, old in self._state.items()}
        think_s = frame["think_s"].fill_null(np.nan).to_numpy() if "think_s" in frame.columns else np.full(n, np.nan)
        reply_s = TTFT_S + TPOT_S * block.output_tokens
        part, new, later, delay_s = np.ones(n, np.int32), length.copy(), np.zeros(n, np.bool_), np.zeros(n)
        cut, guessed = _follow(
            number, block.arrival_s, think_s, length, block.output_tokens, reply_s, self.delta,
            self._state["context"], self._state["end_s"], self._state["part"], part, new, later, delay_s,
        )  # fmt: skip
        self.cut += cut
        self.guessed += guessed
        return part, new, later, delay_s

    @staticmethod
    def _new_text(block: Workload, new: NDArray[np.int64], later: pl.Series) -> Workload:
        """``block`` with the new text alone as its prompts, of which later turns share none."""
        items = [name for name in ("image_tokens", "audio_tokens", "video_tokens") if name in block.frame.columns]
        frame = block.frame.drop(items).with_columns(pl.Series("input_tokens", new, pl.Int32))
        if "prefix_blocks" in frame.columns:
            nothing = pl.lit([], pl.List(pl.Int64))
            frame = frame.with_columns(pl.when(~later).then("prefix_blocks").otherwise(nothing).alias("prefix_blocks"))
        return Workload(frame, block.metadata)


def _ms(seconds: pl.Series, whole: bool) -> pl.Series:
    return (seconds * 1000).round().cast(pl.Int64) if whole else (seconds * 1000).round(3)


@compiled
def _follow(
    number: Any, arrival_s: Any, think_s: Any, length: Any, output: Any, reply_s: Any, delta: bool,
    context: Any, end_s: Any, parts: Any, part: Any, new: Any, later: Any, delay_s: Any,
) -> Any:  # fmt: skip
    """Fills the last four for each row, and moves on the state of each conversation: how many were cut, and guessed."""
    cut, guessed = 0, 0
    for i in range(number.size):
        k = number[i]
        if k < 0:
            continue
        if parts[k] == 0:
            parts[k] = 1
        elif delta and length[i] <= context[k]:
            parts[k] += 1
            cut += 1
        else:
            later[i] = True
            if delta:
                new[i] = length[i] - context[k]
            if np.isfinite(think_s[i]):
                delay_s[i] = think_s[i]
            else:
                delay_s[i] = max(arrival_s[i] - end_s[k], 0.0)
                guessed += 1
        part[i] = parts[k]
        context[k] = length[i] + output[i]
        end_s[k] = arrival_s[i] + reply_s[i]
    return cut, guessed
