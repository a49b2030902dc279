"""What workers write down while they run: fixed records, appended, so that a crash loses at most what was not flushed.

A worker has four files in the run's folder: ``N.rows`` with a :data:`RECORD` for every request that has ended,
``N.times`` with the times of its events where they are kept, ``N.gaps`` with how many gaps between events of which
length were seen when, ``N.words`` with what servers said of their errors; and ``N.state``, which is overwritten.
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from groundswell.gap_buckets import LAST_BUCKET, LEAST_GAP_S, PER_DOUBLING

Records = NDArray[np.void]

RECORD = np.dtype(
    [
        ("row", "<i8"),  # of the workload
        ("due_s", "<f8"),  # all times from the run's begin; nan where it did not come to that
        ("sent_s", "<f8"),
        ("head_s", "<f8"),  # of the reply
        ("first_token_s", "<f8"),  # of reasoning or answer
        ("first_answer_s", "<f8"),
        ("done_s", "<f8"),  # when it ended, well or not
        ("made_tokens", "<i4"),  # tokens of the prompt as we meant it, with the template's; -1: not known
        ("prompt_tokens", "<i4"),  # as the server counts them; -1: it did not say. So are the following three
        ("output_tokens", "<i4"),
        ("reason_tokens", "<i4"),
        ("cached_tokens", "<i4"),
        ("events", "<i4"),  # that carried content
        ("longest_gap_s", "<f4"),  # between two of them; nan for fewer
        ("status", "<i2"),  # of HTTP; 0: none came
        ("error", "u1"),  # a number into ERRORS
        ("flags", "u1"),
        ("words", "<i4"),  # where in N.words the error's words begin; -1: none
        ("times", "<i4"),  # how many times it has in N.times
        ("digest", "V16"),  # of what was made to be sent
    ]
)
"""One request that has ended."""

_PACK = struct.Struct("<q6d6ifhBBii16s").pack  # a numpy record takes ten times as long to make

ERRORS = (
    "",
    "refused",  # no connection could be made
    "name",  # the host's name could not be resolved
    "tls",  # the certificate or the handshake
    "reset",  # the connection died before the reply's end
    "cut off",  # the reply ended properly, but before the stream's end
    "timeout",
    "status",  # an HTTP status that is none of success; the status says which
    "server",  # an error inside a stream
    "protocol",  # no HTTP, no event stream, or no JSON
    "too large",
    "unsent",  # due, but never sent
    "interrupted",  # sent, and given up when the run was stopped
    "worker lost",
)
"""How a request can end; 0 is well."""
ERROR = {name: code for code, name in enumerate(ERRORS)}

RETRIED, HELD, FRESH = 1, 2, 4
"""Flags: sent a second time on a fresh connection; held back by the limit of open requests; a later turn that carries
no earlier answers, as the context was cut, or an earlier turn failed."""

GAP = np.dtype([("second", "<u4"), ("bucket", "<u2"), ("count", "<u4")])
"""So many gaps between events, of a length in ``bucket`` (:mod:`groundswell.gap_buckets`), seen in a second of the run.
"""

STATE = struct.Struct("<qqqqqq")
"""Sent, ended, open, held back at the moment, failed, and the number of requests known but not yet due."""
_CLOCK = struct.Struct("<d")  # follows the state: when it was written, in seconds from the run's begin

MOST_WORDS_BYTES = 2**26
"""What servers said is kept up to here for a worker; each text once, where it is among the latest."""
_LATEST_WORDS = 4096


class Journal:
    """The files of one worker, open for appending. Whoever adds also flushes, at least once a second."""

    def __init__(self, folder: Path, worker: int) -> None:
        def opened(kind: str) -> IO[bytes]:
            return (folder / f"{worker}.{kind}").open("ab", buffering=0)

        self._files = {kind: opened(kind) for kind in ("times", "gaps", "words", "rows")}
        self._state = os.open(folder / f"{worker}.state", os.O_CREAT | os.O_RDWR)
        self._rows = bytearray()
        self._times: list[float] = []
        self._gaps: dict[int, int] = {}
        self._words = bytearray()
        self._words_at = (folder / f"{worker}.words").stat().st_size
        self._latest_words: dict[bytes, int] = {}

    def add(self, record: tuple[Any, ...], times_s: list[float] | None = None) -> None:
        """Keep a record, its fields in the order of :data:`RECORD`, and its events' times."""
        self._rows += _PACK(*record)
        if times_s:
            self._times += times_s

    def add_gap(self, gap_s: float) -> None:
        """Count a gap between two events."""
        # One by one, as a thousand at a time would hold up what is due: this is gap_buckets of one number.
        bucket = 0
        if gap_s > LEAST_GAP_S:
            bucket = min(int(math.log2(gap_s / LEAST_GAP_S) * PER_DOUBLING) + 1, LAST_BUCKET)
        self._gaps[bucket] = self._gaps.get(bucket, 0) + 1

    def add_no_gaps(self, count: int) -> None:
        """Count events that came in one piece with the one before."""
        self._gaps[0] = self._gaps.get(0, 0) + count

    def add_words(self, text: str) -> int:
        """Keep what a server said; where it begins, or -1 where that is too much by now."""
        said = text.encode(errors="replace")[:400]
        known = self._latest_words.get(said)
        if known is not None:
            return known
        at = self._words_at + len(self._words)
        if at > MOST_WORDS_BYTES:
            return -1
        self._words += struct.pack("<H", len(said)) + said
        if len(self._latest_words) >= _LATEST_WORDS:
            self._latest_words.clear()
        self._latest_words[said] = at
        return at

    def flush(self, now_s: float, state: tuple[int, int, int, int, int, int]) -> None:
        """Write what was added. Raises OSError where the disk is full."""
        if self._gaps:
            second = max(math.floor(now_s), 0)
            counted = [(second, bucket, count) for bucket, count in self._gaps.items()]
            _write(self._files["gaps"], np.array(counted, GAP).tobytes())
            self._gaps.clear()
        if self._times:
            _write(self._files["times"], np.array(self._times, "<f8").tobytes())
            self._times.clear()
        if self._words:
            _write(self._files["words"], bytes(self._words))
            self._words_at += len(self._words)
            self._words.clear()
        if self._rows:
            _write(self._files["rows"], bytes(self._rows))
            self._rows.clear()
        os.pwrite(self._state, STATE.pack(*state) + _CLOCK.pack(now_s), 0)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        os.close(self._state)


def _write(file: IO[bytes], data: bytes) -> None:
    at = 0
    while at < len(data):
        at += file.write(memoryview(data)[at:]) or 0


class Tail:
    """The records that a worker adds to its journal, as they come."""

    def __init__(self, folder: Path, worker: int) -> None:
        self._rows, self._state = folder / f"{worker}.rows", folder / f"{worker}.state"
        self._at = 0

    def records(self) -> Records:
        """Those that were written since the last call."""
        if not self._rows.exists():
            return np.empty(0, RECORD)
        count = (self._rows.stat().st_size - self._at) // RECORD.itemsize
        found = np.fromfile(self._rows, RECORD, count, offset=self._at)
        self._at += found.nbytes
        return found

    def state(self) -> tuple[int, int, int, int, int, int]:
        """The worker's last :data:`STATE`; zeros before its first."""
        data = self._state.read_bytes() if self._state.exists() else b""
        return STATE.unpack_from(data) if len(data) >= STATE.size else (0, 0, 0, 0, 0, 0)

    def clock_s(self) -> float:
        """When the worker wrote its state last, on the run's clock; 0 before it did."""
        data = self._state.read_bytes() if self._state.exists() else b""
        return float(_CLOCK.unpack_from(data, STATE.size)[0]) if len(data) >= STATE.size + _CLOCK.size else 0.0
