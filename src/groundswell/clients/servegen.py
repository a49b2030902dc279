"""Pools as ServeGen publishes them (arXiv 2505.09999): folders of ``chunk-N-trace.csv`` and ``chunk-N-dataset.json``.

A trace is a client's windows and a dataset its lengths, which some clients lack. The files are read as they are, and
nothing in them is ever run.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundswell.clients._dataset import Dataset, read_dataset
from groundswell.clients._scan import PADDING
from groundswell.clients._trace import FAMILIES, Trace, read_trace
from groundswell.clients.pool import FIELDS, ClientPool
from groundswell.errors import DataError, UsageError
from groundswell.length_tables import LengthTables

_CHUNK = re.compile(r"(chunk-(\d+))-(trace\.csv|dataset\.json)")
_SLOT_S = 21_600.0  # ServeGen's, where a folder has fewer than two slots to tell it from


@dataclass(frozen=True, eq=False)
class _Chunk:
    """One client as read."""

    name: str
    trace: Trace
    dataset: Dataset | None
    digest: str  # of the files' bytes


def read_servegen(folder: str | Path) -> ClientPool:
    """The pool in ``folder``, its clients called ``chunk-N``, in the order of N.

    UsageError if the folder holds no pool; DataError, with file and line, if something in it is not as it should be.
    Slots that lie outside the traces' span are left out.
    """
    folder = Path(folder)
    files = _files(folder)
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as threads:
        chunks = list(threads.map(lambda name: _read(folder, name, files[name]), files))
    grid = chunks[0].trace
    for chunk in chunks:
        _check_grid(folder, chunk, chunks[0])
    end_s = grid.start_s + grid.window_s * grid.rate_per_s.size
    slot_s = _slot_length_s(folder, chunks)
    fields, table, lengths = _lengths(chunks, slot_s, grid.start_s, end_s)
    return ClientPool(
        names=tuple(chunk.name for chunk in chunks),
        rate_per_s=np.stack([chunk.trace.rate_per_s for chunk in chunks]),
        cv=np.stack([chunk.trace.cv for chunk in chunks]).astype(np.float32),
        family=np.stack([chunk.trace.family for chunk in chunks]),
        first_parameter=np.stack([chunk.trace.first_parameter for chunk in chunks]).astype(np.float32),
        second_parameter=np.stack([chunk.trace.second_parameter for chunk in chunks]).astype(np.float32),
        families=FAMILIES,
        stated=np.zeros(len(chunks), np.bool_),
        fields=fields,
        table=table,
        lengths=lengths,
        start_s=grid.start_s,
        window_s=grid.window_s,
        slot_s=slot_s,
        origin={
            "kind": "servegen",
            "folder": folder.resolve().name,
            "sha256": hashlib.sha256("\n".join(chunk.digest for chunk in chunks).encode()).hexdigest(),
        },
    )


def list_servegen(root: str | Path) -> list[Path]:
    """The folders that hold pools: ``root`` itself, or those up to three levels below it, sorted."""
    root = Path(root)
    for pattern in (".", "*", "*/*", "*/*/*"):
        found = sorted({trace.parent for trace in root.glob(f"{pattern}/chunk-*-trace.csv")})
        if found:
            return found
    return []


def _files(folder: Path) -> dict[str, set[str]]:
    """Which of the two files every client has, by client, in the order of their numbers."""
    if not folder.exists():
        raise UsageError(f"{folder}: there is no such folder")
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is a file; a ServeGen pool is a folder of chunk-N-trace.csv and chunk-N-dataset.json"
        )
    found = [chunk for chunk in map(_CHUNK.fullmatch, sorted(os.listdir(folder))) if chunk]
    if not found:
        pools = ", ".join(str(pool.relative_to(folder)) for pool in list_servegen(folder))
        if pools:
            raise UsageError(f"{folder} holds several pools, say which: {pools}")
        raise UsageError(f"{folder} is no ServeGen pool: it has no chunk-N-trace.csv and chunk-N-dataset.json")
    files: dict[str, set[str]] = {}
    for chunk in sorted(found, key=lambda chunk: (int(chunk[2]), chunk[1])):
        files.setdefault(chunk[1], set()).add(chunk[3])
    for name, kinds in files.items():
        if "trace.csv" not in kinds:
            raise DataError(f"{folder / name}-dataset.json: its client has no {name}-trace.csv; a client needs a trace")
    return files


def _read(folder: Path, name: str, kinds: set[str]) -> _Chunk:
    path = folder / f"{name}-trace.csv"
    text, digest = _bytes(path)
    trace = read_trace(path, text)
    if "dataset.json" not in kinds:
        return _Chunk(name, trace, None, digest)
    path = folder / f"{name}-dataset.json"
    text, dataset_digest = _bytes(path)
    return _Chunk(name, trace, read_dataset(path, text), digest + dataset_digest)


def _bytes(path: Path) -> tuple[NDArray[np.uint8], str]:
    """A file's bytes with zeros behind them, and their digest."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            text = np.zeros(size + PADDING, np.uint8)
            got = file.readinto(text[:size].data)
    except OSError as fault:
        raise DataError(f"{path}: cannot be read: {fault.strerror}") from fault
    if got < size:
        raise DataError(f"{path}: changed while it was read")
    return text, hashlib.sha256(text[:size].data).hexdigest()


def _check_grid(folder: Path, chunk: _Chunk, other: _Chunk) -> None:
    """DataError unless the two clients' windows are the same."""
    ours, theirs = ((c.trace.start_s, c.trace.window_s, c.trace.rate_per_s.size) for c in (chunk, other))
    if ours != theirs:
        raise DataError(
            f"{folder / chunk.name}-trace.csv: {ours[2]} windows of {ours[1]:g} s from {ours[0]:g} s, but "
            f"{other.name}-trace.csv has {theirs[2]} of {theirs[1]:g} s from {theirs[0]:g} s; "
            "the clients of a folder share one grid, so one of the files is cut off or from elsewhere"
        )


def _slot_length_s(folder: Path, chunks: Sequence[_Chunk]) -> float:
    """The common length of all clients' slots, from where they start; DataError for a slot that is off the grid."""
    window_s, windows = chunks[0].trace.window_s, chunks[0].trace.rate_per_s.size
    held = [(chunk.name, chunk.dataset.slot_s) for chunk in chunks if chunk.dataset]
    starts = np.unique(np.concatenate([np.zeros(1), *(slots for _, slots in held)]))
    if starts.size == 1:
        return _SLOT_S if _is_whole(_SLOT_S / window_s) else window_s * windows
    slot_s = float(np.diff(starts).min())
    if not _is_whole(slot_s / window_s):
        raise DataError(
            f"{folder}: slots of lengths start {slot_s:g} s apart; "
            f"that must be a whole number of windows of {window_s:g} s"
        )
    for name, slots in held:
        off = np.abs(slots / slot_s - np.round(slots / slot_s)) > 1e-6
        if off.any():
            raise DataError(
                f"{folder / name}-dataset.json: slot {slots[off][0]:.15g} is off the folder's grid; "
                f"slots start at multiples of {slot_s:g} s"
            )
    return slot_s


def _is_whole(ratio: float) -> bool:
    return ratio > 0.5 and abs(ratio - round(ratio)) < 1e-6


def _lengths(
    chunks: Sequence[_Chunk], slot_s: float, start_s: float, end_s: float
) -> tuple[tuple[str, ...], NDArray[np.int32], LengthTables]:
    """The fields that occur, the number of the distribution of each client, slot and field, and the distributions."""
    held = [(c, chunk.dataset) for c, chunk in enumerate(chunks) if chunk.dataset and chunk.dataset.field.size]
    first_slot = int(np.floor(start_s / slot_s + 1e-9))
    slots = max(int(np.ceil(end_s / slot_s - 1e-9)) - first_slot, 1)
    table = np.full((len(chunks), slots, len(FIELDS)), -1, np.int32)
    numbered = atoms = 0
    firsts = [np.zeros(1, np.int64)]
    for c, dataset in held:
        slot = np.round(dataset.start_s / slot_s).astype(np.int64) - first_slot
        inside = (slot >= 0) & (slot < slots)
        table[c, slot[inside], dataset.field[inside]] = (numbered + np.arange(slot.size))[inside]
        firsts.append(dataset.first[1:] + atoms)
        numbered, atoms = numbered + slot.size, atoms + dataset.value.size
    if not held:
        return (), table[:, :, :0], LengthTables.empty()
    occurs = (table >= 0).any(axis=(0, 1))
    lengths = LengthTables(
        np.concatenate(firsts),
        np.concatenate([dataset.value for _, dataset in held]),
        np.concatenate([dataset.threshold for _, dataset in held]),
    )
    return tuple(np.array(FIELDS)[occurs].tolist()), table[:, :, occurs], lengths
