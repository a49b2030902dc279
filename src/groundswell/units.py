"""Durations, spans and ranges as people write them, and figures as people read them."""

from __future__ import annotations

import math
import re

from groundswell.errors import UsageError

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PIECE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h|d|w)")


def parse_duration(text: str) -> float:
    """Seconds, from ``10m``, ``6h``, ``1d12h``, or a plain number of seconds.

    >>> parse_duration("10m"), parse_duration("1d12h"), parse_duration("90")
    (600.0, 129600.0, 90.0)
    """
    squeezed = text.replace(" ", "").lower()
    pieces = _PIECE.findall(squeezed)
    if pieces and "".join(number + unit for number, unit in pieces) == squeezed:
        return math.fsum(float(number) * SECONDS[unit] for number, unit in pieces)
    try:
        seconds = float(squeezed)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise UsageError(f"{text!r} is no duration; a duration is like 5ms, 90s, 10m, 6h, 14d or 1d12h")
    return seconds


def parse_span(text: str) -> tuple[float, float]:
    """Start and end in seconds, from ``1d:2d``; an end left out is 0 or infinity.

    >>> parse_span("1d:2d"), parse_span(":6h")
    ((86400.0, 172800.0), (0.0, 21600.0))
    """
    start, end = _two(text, "a span is like 1d:2d, 6h: or :6h")
    low = parse_duration(start) if start else 0.0
    high = parse_duration(end) if end else math.inf
    if not low < high:
        raise UsageError(f"the span {text!r} is empty: its end must come after its start")
    return low, high


def parse_range(text: str) -> tuple[float, float]:
    """The lowest and the highest number of ``100:2000``, both included; an end left out is 0 or infinity.

    >>> parse_range("1:3"), parse_range("2.5:")
    ((1.0, 3.0), (2.5, inf))
    """
    hint = "a range is like 100:2000, 100: or :2000"
    pieces = _two(text, hint)
    try:
        low, high = (float(piece) if piece else default for piece, default in zip(pieces, (0.0, math.inf), strict=True))
    except ValueError:
        raise UsageError(f"{text!r} is no range; {hint}") from None
    if math.isnan(low) or math.isnan(high):
        raise UsageError(f"{text!r} is no range; {hint}")
    if low > high:
        raise UsageError(f"the range {text!r} is empty: its end must not be below its start")
    return low, high


def _two(text: str, hint: str) -> list[str]:
    pieces = [piece.strip() for piece in text.split(":")]
    if len(pieces) != 2 or pieces == ["", ""]:
        raise UsageError(f"{text!r} has not the form start:end; {hint}")
    return pieces


def show_duration(seconds: float) -> str:
    """A duration in the two largest units that say it.

    >>> show_duration(600), show_duration(129600), show_duration(0.25)
    ('10m', '1d12h', '0.25s')
    """
    if not math.isfinite(seconds):
        return "forever"
    if seconds < 60:
        return f"{seconds:.3g}s"
    for large, small in (("d", "h"), ("h", "m"), ("m", "s")):
        if seconds >= SECONDS[large]:
            whole, rest = divmod(round(seconds / SECONDS[small]), round(SECONDS[large] / SECONDS[small]))
            return f"{whole}{large}" + (f"{rest}{small}" if rest else "")
    raise AssertionError(seconds)


def counted(number: int, one: str, many: str = "") -> str:
    """So many things, with every digit.

    >>> counted(1, "request"), counted(12_345, "request"), counted(0, "reply", "replies")
    ('1 request', '12,345 requests', '0 replies')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def show_count(count: float) -> str:
    """A count in three or four figures.

    >>> show_count(1950), show_count(12_345), show_count(237e6)
    ('1,950', '12.3 k', '237 M')
    """
    for least, size, unit in ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if count >= least:
            return f"{count / size:.3g} {unit}"
    return f"{count:,.4g}"


def show_bytes(size: float) -> str:
    """A size in bytes, in three figures.

    >>> show_bytes(512), show_bytes(18_300_000)
    ('512 B', '18.3 MB')
    """
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:.0f} B"
