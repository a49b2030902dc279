"""The journals of a run, all workers' together, read a part at a time in the order of the workload's rows."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.replay.journal import ERROR, GAP, RECORD, Records

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_STRETCHES = 128
"""So many stretches of time the gaps are kept of."""
_LENGTH = struct.Struct("<H")


class Journals:
    """What the workers of a run wrote down.

    A row that was sent again after an interruption has its last record. The files are mapped, not read: in memory are
    16 bytes a record.
    """

    def __init__(self, folder: Path) -> None:
        self.workers = sorted(int(path.stem) for path in folder.glob("*.rows"))
        self._folder = folder
        parts = [_mapped(folder / f"{worker}.rows", RECORD) for worker in self.workers]
        self._parts, self._starts = parts, np.concatenate([[0], np.cumsum([part.size for part in parts])]).astype(int)
        rows = np.concatenate([part["row"] for part in parts]) if parts else np.empty(0, np.int64)
        order = np.argsort(rows, kind="stable")
        last = np.append(rows[order][1:] != rows[order][:-1], True)[: rows.size]
        self._order = order[last]
        self.rows: Ints = np.asarray(rows[self._order])
        """Of which rows there are records, rising."""

    def __len__(self) -> int:
        return self.rows.size

    def part(self, begin: int, end: int) -> tuple[Records, Ints]:
        """Records ``begin`` to ``end`` of those in order of rows, and where each stands in the files."""
        place = self._order[begin:end]
        found = np.empty(place.size, RECORD)
        for i, records in enumerate(self._parts):
            here = (place >= self._starts[i]) & (place < self._starts[i + 1])
            found[here] = records[place[here] - self._starts[i]]
        return found, place

    def ended_rows(self) -> Ints:
        """The rows that need not be sent again: all that ended by themselves."""
        again = [ERROR[name] for name in ("interrupted", "unsent", "worker lost")]
        kept = []
        for begin in range(0, len(self), 2**16):
            records, _ = self.part(begin, begin + 2**16)
            kept.append(records["row"][~np.isin(records["error"], again)])
        return np.concatenate(kept) if kept else np.empty(0, np.int64)

    def times(self, records: Records, place: Ints) -> tuple[Ints, Floats]:
        """How many events each of ``records`` has the times of, and all of them in a row."""
        count = records["times"].astype(np.int64)
        values = np.empty(int(count.sum()))
        to = np.cumsum(count) - count
        for i, worker in enumerate(self.workers):
            here = np.flatnonzero((place >= self._starts[i]) & (place < self._starts[i + 1]) & (count > 0))
            if here.size:
                times = _mapped(self._folder / f"{worker}.times", np.dtype("<f8"))
                begin = self._times_begin(i)[place[here] - self._starts[i]]
                values[_spread(to[here], count[here])] = times[_spread(begin, count[here])]
        return count, values

    def _times_begin(self, i: int) -> Ints:
        count = self._parts[i]["times"].astype(np.int64)
        return np.asarray(np.cumsum(count) - count)

    def words(self, records: Records, place: Ints) -> list[str | None]:
        """What servers said of each record's error; None where they said nothing."""
        said = np.full(len(records), None, object)
        for i, worker in enumerate(self.workers):
            here = np.flatnonzero((place >= self._starts[i]) & (place < self._starts[i + 1]) & (records["words"] >= 0))
            if not here.size:
                continue
            data = _mapped(self._folder / f"{worker}.words", np.dtype(np.uint8))
            offsets, which = np.unique(records["words"][here], return_inverse=True)
            texts = [_text(data, int(offset)) for offset in offsets]
            said[here] = np.array(texts, object)[which]
        found: list[str | None] = said.tolist()
        return found

    def gaps(self) -> dict[str, Any]:
        """The gaps between events as results' metadata has them, in at most 128 stretches of equal time."""
        gaps = np.concatenate([np.empty(0, GAP), *(_mapped(self._folder / f"{w}.gaps", GAP) for w in self.workers)])
        if not gaps.size:
            return {}
        width_s = 1
        second = gaps["second"].astype(np.int64)
        while int(second.max()) // width_s - int(second.min()) // width_s >= MOST_STRETCHES:
            width_s *= 2
        stretch = second // width_s
        first, last = int(stretch.min()), int(stretch.max())
        key, place = np.unique(stretch << 16 | gaps["bucket"], return_inverse=True)
        count = np.bincount(place, gaps["count"]).astype(np.int64)
        edge = np.searchsorted(key >> 16, np.arange(first, last + 2))
        pairs = np.column_stack([key & 0xFFFF, count]).tolist()
        stretches = [pairs[low:high] for low, high in itertools.pairwise(edge)]
        return {"width_s": width_s, "first": first, "stretches": stretches}


def _mapped(path: Path, kind: np.dtype[Any]) -> NDArray[Any]:
    """The whole items of a file; what was cut off by a crash is left out."""
    count = path.stat().st_size // kind.itemsize if path.exists() else 0
    return np.memmap(path, kind, "r", shape=(count,)) if count else np.empty(0, kind)


def _spread(begin: Ints, count: Ints) -> Ints:
    """begin[0], begin[0] + 1, … (``count[0]`` of them), begin[1], …"""
    ends = np.cumsum(count)
    return np.asarray(np.repeat(begin - (ends - count), count) + np.arange(int(ends[-1])))


def _text(data: NDArray[np.uint8], at: int) -> str:
    begin = at + _LENGTH.size
    if begin > data.size:
        return ""
    length = _LENGTH.unpack(data[at:begin].tobytes())[0]
    return data[begin : begin + length].tobytes().decode(errors="replace")
