"""A pool in one file: a zip of a JSON head and Parquet tables, about a fourteenth of the folder it was read from.

Only rates and shapes are in it, and nothing that could be run. Windows and slots that hold nothing take no room, and a
distribution's atoms are kept as steps, modulo 2³², from one value's bits and one threshold to the next, which are small
and alike and so compress well. Every array comes back bit for bit. The zip's checksums tell a damaged file.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell._version import __version__
from groundswell.clients.pool import FIELDS, ClientPool
from groundswell.clients.sessions import Sessions
from groundswell.clients.views import without_unused_lengths
from groundswell.errors import DataError, UsageError
from groundswell.length_tables import TOP, LengthTables
from groundswell.whole_file import appearing, faults_of

SCHEMA, VERSION = "groundswell.pool", 2
_READ = (1, 2)  # version 1 had no conversations
_HEAD = "pool.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same pool gives the same bytes, whenever it is written
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)
"""What ``zipfile``, ``json`` and polars raise on damaged bytes; all of it means the same to the reader of a pool."""


def write_pool(pool: ClientPool, path: str | Path) -> None:
    """Write ``pool`` to ``path``: beside it first, then renamed, so that half a pool never has that name.

    Lengths of clients that are not in the pool are not in the file either, though a view may still hold them.
    """
    path = Path(path)
    pool = without_unused_lengths(pool)
    with appearing(path) as place, faults_of(path), zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as file:
        for name, content in _members(pool).items():
            file.writestr(zipfile.ZipInfo(name, _EPOCH), content)


def read_pool(path: str | Path) -> ClientPool:
    """The pool that :func:`write_pool` wrote to ``path``; UsageError if there is none, DataError if it is damaged."""
    path = Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    except OSError as fault:
        raise UsageError(f"{path}: cannot be read: {fault.strerror}") from fault
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as file:
            head = json.loads(file.read(_HEAD))
            if head["schema"] == SCHEMA and head["version"] in _READ:
                tables = [*_TABLES, *(_SESSIONS if head.get("sessions") else ())]
                return _pool(head, {name: pl.read_parquet(file.read(f"{name}.parquet")) for name in tables})
    except _ZIP_FAULTS as fault:
        what = " ".join(str(fault).split()) or type(fault).__name__
        raise DataError(
            f"{path}: not a pool file, or a damaged one ({what}); write it again with 'pool import'"
        ) from None
    raise DataError(
        f"{path}: holds {head['schema']} version {head['version']}; this version reads {SCHEMA} version {VERSION}"
    )


def _members(pool: ClientPool) -> dict[str, bytes]:
    head = {
        "schema": SCHEMA,
        "version": VERSION,
        "made_by": f"groundswell {__version__}",
        "names": pool.names,
        "stated": pool.stated.tolist(),
        "families": pool.families,
        "fields": pool.fields,
        "start_s": pool.start_s,
        "window_s": pool.window_s,
        "windows": pool.window_count,
        "slot_s": pool.slot_s,
        "slots": pool.slot_count,
        "origin": pool.origin,
        "sessions": pool.sessions is not None,
    }
    columns = {name: np.ascontiguousarray(getattr(pool, name)).ravel() for name in _WINDOWS}
    held = ~np.all([_is_default(column, _WINDOWS[name]) for name, column in columns.items()], axis=0)
    slots = pool.table.ravel()
    tables = {
        "windows": {"gap": _gaps(held), **{name: column[held] for name, column in columns.items()}},
        "slots": {"gap": _gaps(slots >= 0), "distribution": slots[slots >= 0]},
        "distributions": {"atoms": np.diff(pool.lengths.first)},
        "atoms": {"value": _steps(pool.lengths.value.view(np.uint32)), "threshold": _steps(pool.lengths.threshold)},
    }
    if (sessions := pool.sessions) is not None:
        tables |= {name: {key: getattr(sessions, key) for key in kinds} for name, kinds in _SESSIONS.items()}
        tables["senders"] = {"conversations": np.diff(sessions.first)}
        tables["conversations"]["requests"] = np.diff(sessions.edge)
    return {_HEAD: json.dumps(head, indent=1).encode()} | {
        f"{name}.parquet": _parquet(pl.DataFrame(table)) for name, table in tables.items()
    }


# What a window holds when nothing is known of it, and each column's type.
_WINDOWS: dict[str, Any] = {
    "rate_per_s": np.float64(0),
    "cv": np.float32(np.nan),
    "family": np.uint8(0),
    "first_parameter": np.float32(np.nan),
    "second_parameter": np.float32(np.nan),
}
_TABLES: dict[str, dict[str, Any]] = {
    "windows": {"gap": np.uint32, **{name: default.dtype.type for name, default in _WINDOWS.items()}},
    "slots": {"gap": np.uint32, "distribution": np.int32},
    "distributions": {"atoms": np.int64},
    "atoms": {"value": np.uint32, "threshold": np.uint32},
}


_SESSIONS: dict[str, dict[str, Any]] = {
    "senders": {},
    "conversations": {"start_s": np.float64},
    "requests": {
        "think_s": np.float32,
        **dict.fromkeys(("shared", "back", "kept_tokens", "input_tokens", "output_tokens", "reason_tokens"), np.int32),
    },
    "shared": {"shared_tokens": np.int32, "shared_within": np.int32, "shared_key": np.uint64},
}
"""Tables of conversations and their columns, beside the counts that say where each one's part begins."""


def _sessions(frames: dict[str, pl.DataFrame]) -> Sessions:
    columns = {
        key: _column(frames[name], key, kind) for name, kinds in _SESSIONS.items() for key, kind in kinds.items()
    }
    counts = (
        _column(frames["senders"], "conversations", np.int64),
        _column(frames["conversations"], "requests", np.int64),
    )
    first, edge = (np.concatenate([[0], np.cumsum(count)]).astype(np.int64) for count in counts)
    return Sessions(first=first, edge=edge, **columns)


def _pool(head: dict[str, Any], frames: dict[str, pl.DataFrame]) -> ClientPool:
    """The pool of a file's parts; ValueError, TypeError or KeyError if they do not fit together."""
    held = {
        name: {column: _column(frames[name], column, kind) for column, kind in columns.items()}
        for name, columns in _TABLES.items()
    }
    names, fields, families = (tuple(map(str, head[key])) for key in ("names", "fields", "families"))
    start_s, window_s, slot_s = (float(head[key]) for key in ("start_s", "window_s", "slot_s"))
    shape = (len(names), int(head["windows"]))
    cell = _cells(held["windows"]["gap"], shape)
    columns = {}
    for name, default in _WINDOWS.items():
        columns[name] = np.full(shape, default)
        columns[name].ravel()[cell] = held["windows"][name]
    first = np.concatenate([[0], np.cumsum(held["distributions"]["atoms"])]).astype(np.int64)
    value = np.cumsum(held["atoms"]["value"], dtype=np.uint32).view(np.float32)
    threshold = np.cumsum(held["atoms"]["threshold"], dtype=np.uint32)
    table = np.full((len(names), int(head["slots"]), len(fields)), -1, np.int32)
    table.ravel()[_cells(held["slots"]["gap"], table.shape)] = held["slots"]["distribution"]
    for right, what in (
        (set(fields) <= set(FIELDS), "unknown fields"),
        (np.isfinite([start_s, window_s, slot_s]).all() and min(window_s, slot_s) > 0, "times out of range"),
        (not (np.diff(first) < 1).any() and first[-1] == value.size, "distributions that are not whole"),
        (bool((threshold[first[1:] - 1] == TOP).all()), "distributions that do not end"),
        (not (table < -1).any() and table.shape[1] > 0, "slots out of range"),
        (isinstance(head["origin"], dict), "no origin"),
    ):
        if not right:
            raise ValueError(what)
    return ClientPool(
        names=names,
        **columns,
        families=families,
        stated=np.array(head["stated"], np.bool_),
        fields=fields,
        table=table,
        lengths=LengthTables(first, value, threshold),
        start_s=start_s,
        window_s=window_s,
        slot_s=slot_s,
        origin=head["origin"],
        sessions=_sessions(frames) if head.get("sessions") else None,
    )


def _parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out, compression="zstd", statistics=False)
    return out.getvalue()


def _column(frame: pl.DataFrame, name: str, kind: Any) -> NDArray[Any]:
    values = frame[name].to_numpy()
    if values.dtype != kind:
        raise ValueError(f"{name} is {values.dtype}")
    return values


def _is_default(column: NDArray[Any], default: Any) -> NDArray[np.bool_]:
    return np.asarray(np.isnan(column) if np.isnan(default) else column == default)


def _gaps(held: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """How far each true element lies after the one before."""
    return np.diff(np.flatnonzero(held), prepend=-1).astype(np.uint32)


def _cells(gaps: NDArray[np.uint32], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The inverse of :func:`_gaps`, for an array of ``shape``."""
    cells = np.cumsum(gaps, dtype=np.int64) - 1
    if cells.size and (cells[-1] >= np.prod(shape) or not gaps.all()):
        raise ValueError("cells out of range")
    return cells


def _steps(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """From each word to the next, modulo 2³²; :func:`numpy.cumsum` in the same type undoes it."""
    return np.diff(words, prepend=np.uint32(0))
