"""Files in which a conversation stands in one place: its rows are collected through temporary files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from groundswell.formats._lines import input_length
from groundswell.formats._numbering import Numbering
from groundswell.formats.reading.order import RUN_ROWS, SortedRuns, gathered
from groundswell.prefix import runs_of
from groundswell.table import Workload

_RUN_NUMBERS = 2**24  # of prefixes in one sorted file: 128 MB
_FRAME_TOKENS = {False: 2**26, True: 2**22}  # of prompts and replies: four million ids, or 25 MB of text
_FRAME_ROWS = (2**8, 2**15)

Render = Callable[[pl.DataFrame], bytes]


class ConversationLines:
    """A sink that hands whole conversations to ``render``, in the order in which they begin, and writes what it gives.

    ``render`` is given frames of whole conversations: ``talk`` (their number, from 0), ``conversation`` (null for a
    request of none, which is one of its own), ``at_s``, ``input_tokens`` (items included), ``output_tokens``,
    ``think_s``, ``model`` and ``prefix_runs`` where the workload has them. ``begin``, ``between`` and ``end`` stand
    around what it gives; ``text``: it gives prompts as text.

    A conversation can go on to the end of the workload, so all rows wait in temporary files, in the folder TMPDIR, of
    about the size of the workload as Parquet. In memory are 20 bytes a row, some 60 bytes a conversation, at most a
    million rows or 16 million numbers of prefixes at a time, and the longest conversation.
    """

    def __init__(
        self,
        place: Path,
        render: Render,
        begin: bytes = b"",
        between: bytes = b"",
        end: bytes = b"",
        *,
        text: bool = False,
    ) -> None:
        self.notes: list[str] = []
        self.file: IO[bytes] = place.open("wb")
        self._render, self._begin, self._between, self._end = render, begin, between, end
        self._frame_tokens = _FRAME_TOKENS[text]
        self._folder = tempfile.TemporaryDirectory(prefix="groundswell-")
        self._runs = SortedRuns(Path(self._folder.name))
        self._numbering = Numbering()
        self._held: list[pl.DataFrame] = []
        self._rows = self._numbers = self._tokens = 0

    def add(self, block: Workload) -> None:
        """Keep the rows of ``block`` for later."""
        if not len(block):
            return
        rows = self._numbered(block)
        self._held.append(rows)
        self._rows += rows.height
        self._tokens += int(rows["input_tokens"].sum()) + int(rows["output_tokens"].cast(pl.Int64).sum())
        if "prefix_runs" in rows.columns:
            self._numbers += int(rows["prefix_runs"].list.len().sum())
        if sum(frame.height for frame in self._held) >= RUN_ROWS or self._numbers >= _RUN_NUMBERS:
            self._spill()

    def close(self) -> None:
        """Write all conversations, and close the file."""
        if self._held:
            self._spill()
        self.file.write(self._begin)
        if self._rows:
            fewest, most = _FRAME_ROWS
            at_once = int(np.clip(self._frame_tokens * self._rows // max(self._tokens, 1), fewest, most))
            between = b""
            for frame in gathered(self._runs.in_order(at_once), 1):
                self.file.write(between + self._render(frame.rename({"arrival_s": "talk"}).cast({"talk": pl.Int64})))
                between = self._between
        self.file.write(self._end)
        self.file.close()
        self._folder.cleanup()

    def abort(self) -> None:
        """Close the file, with whatever it holds, and drop what was kept."""
        with suppress(OSError):
            self.file.close()
        self._folder.cleanup()

    def _numbered(self, block: Workload) -> pl.DataFrame:
        """The rows of ``block``, with the number of their conversation where the files that sort have the time."""
        frame = block.frame
        if "conversation" in frame.columns:
            alone = frame["conversation"].is_null().to_numpy()
            talk = self._numbering.of(frame["conversation"].fill_null(0).to_numpy(), alone)
        else:
            talk = self._numbering.fresh(len(block))
        told = [name for name in ("conversation", "think_s", "model", "prefix_runs") if name in frame.columns]
        rows = frame.select(
            pl.Series("arrival_s", talk.astype(np.float64)),
            pl.col("arrival_s").alias("at_s"),
            input_length(block).alias("input_tokens"),
            pl.col("output_tokens"),
            *told,
        )
        return rows.with_columns(runs_of(frame["prefix_blocks"])) if "prefix_blocks" in frame.columns else rows

    def _spill(self) -> None:
        self._runs.add(pl.concat(self._held, rechunk=True))
        self._held, self._numbers = [], 0
