"""One client's trace as ServeGen publishes it: a line a window, ``start,rate,cv,family,parameter,parameter``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundswell.clients._scan import PADDING, scan_trace
from groundswell.errors import DataError

Floats = NDArray[np.float64]

FAMILIES = ("gamma", "weibull", "poisson")
_RECORDED = {"Gamma": 0, "Weibull": 1, "Poisson": 2, "Exponential": 2}  # as the files say it, an index into FAMILIES
_NAMES = (*_RECORDED, "")
_NAME_BYTES = np.frombuffer("".join(_NAMES).encode(), np.uint8)
_NAME_FIRST = np.cumsum([0, *map(len, _NAMES)])
_FAMILY_OF_NAME = np.array([*_RECORDED.values(), 0], np.uint8)
_COLUMNS = "start_s, rate_per_s, cv, family, first parameter, second parameter"

# Beyond these a file is broken, not busy: they keep all that is computed from a pool finite in single precision.
_MOST_S, _MOST_RATE_PER_S, _MOST_CV, _MOST_PARAMETER = 1e12, 1e9, 1e6, 1e30


@dataclass(frozen=True, eq=False)
class Trace:
    """The windows of one client, on a regular grid. A window without requests has rate 0 and nan for the rest."""

    start_s: float
    window_s: float
    rate_per_s: Floats
    cv: Floats
    family: NDArray[np.uint8]  # an index into FAMILIES; 0 for a window without requests
    first_parameter: Floats
    second_parameter: Floats


def read_trace(path: Path, text: NDArray[np.uint8]) -> Trace:
    """The trace in ``text``, the padded bytes of the file at ``path``; DataError names the line of a fault."""
    most = text.size // 11 + 1
    column = np.empty((5, most))
    name = np.empty(most, np.uint8)
    lines = scan_trace(text, _NAME_BYTES, _NAME_FIRST, column, name)
    if lines < 0:
        column, name = _plain(path, bytes(text[:-PADDING]))
    else:
        column, name = column[:, :lines], name[:lines]
    _check(path, column, name)
    start_s, rate, cv, first, second = column
    quiet = rate == 0
    unknown = quiet | (cv == 0)  # no parameters describe a CV of 0
    return Trace(
        float(start_s[0]),
        float(start_s[1] - start_s[0]) if start_s.size > 1 else 600.0,
        rate,
        np.where(quiet, np.nan, cv),
        np.where(quiet, 0, _FAMILY_OF_NAME[name]).astype(np.uint8),
        np.where(unknown, np.nan, first),
        np.where(unknown, np.nan, second),
    )


def _plain(path: Path, raw: bytes) -> tuple[Floats, NDArray[np.uint8]]:
    """What the compiled reader gives, read line by line; DataError for the first line that is none."""
    try:
        lines = raw.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as fault:
        raise DataError(
            f"{path}: not text: byte {fault.start} is {raw[fault.start]:#04x}; a trace is CSV in UTF-8"
        ) from None
    if lines.pop():
        raise DataError(
            f"{path}:{len(lines) + 1}: the last line has no line end, so the file was cut off; copy it again"
        )
    column = np.empty((5, len(lines)))
    name = np.empty(len(lines), np.uint8)
    for n, line in enumerate(lines):
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != 6:
            raise DataError(f"{path}:{n + 1}: {_short(line)} has {len(cells)} columns; a line has six: {_COLUMNS}")
        if cells[3] not in _NAMES:
            raise DataError(
                f"{path}:{n + 1}: family {_short(cells[3])} is not known; it is {', '.join(_RECORDED)} or empty"
            )
        name[n] = _NAMES.index(cells[3])
        for c, cell in enumerate(cells[:3] + cells[4:]):
            try:
                column[c, n] = float(cell)
            except ValueError:
                raise DataError(f"{path}:{n + 1}: {_short(cell)} is not a number; a line has: {_COLUMNS}") from None
    return column, name


def _check(path: Path, column: Floats, name: NDArray[np.uint8]) -> None:
    """DataError for the first line whose numbers cannot be meant."""
    start_s, rate, cv, first, second = column
    if not start_s.size:
        raise DataError(f"{path}: no windows; a trace has a line for each, with {_COLUMNS}")
    step = start_s[1] - start_s[0] if start_s.size > 1 else 600.0
    with np.errstate(invalid="ignore", over="ignore"):
        grid = start_s[0] + step * np.arange(start_s.size)
        has_parameters = (rate > 0) & (cv > 0)
        faults = (
            (~_between(start_s, _MOST_S), start_s, "window start {:.15g} must be between 0 and 1e12 s"),
            ((name == len(_NAMES) - 1) & (rate > 0), rate, "a window with {:g} requests/s must say its family"),
            (~_between(rate, _MOST_RATE_PER_S), rate, "rate {:g} must be a number between 0 and 1e9 requests/s"),
            (~_between(cv, _MOST_CV), cv, "CV {:g} must be a number between 0 and 1e6"),
            (
                has_parameters & ~_between(first, _MOST_PARAMETER),
                first,
                "first parameter {:g} must lie between 0 and 1e30",
            ),
            (
                has_parameters & ~_between(second, _MOST_PARAMETER),
                second,
                "second parameter {:g} must lie between 0 and 1e30",
            ),
            (
                ~(np.abs(start_s - grid) <= 1e-6 * step),
                start_s,
                f"window start {{:.15g}} leaves the grid of the first two lines, every {step:.15g} s",
            ),
        )
    found = [(int(np.argmax(wrong)), value, text) for wrong, value, text in faults if wrong.any()]
    if found:
        n, value, text = min(found, key=lambda fault: fault[0])
        raise DataError(f"{path}:{n + 1}: {text.format(value[n])}")


def _between(value: Floats, most: float) -> NDArray[np.bool_]:
    return (value >= 0) & (value <= most)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
