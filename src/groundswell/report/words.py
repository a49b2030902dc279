"""Figures and names as a person reads them in the report."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import PurePath

from groundswell.stats.estimate import Estimate
from groundswell.units import show_count, show_duration

Say = Callable[[float], str]

UNKNOWN = "not known"


def number(value: float) -> str:
    """Three or four figures, large ones with k, M, G.

    >>> number(0.01234), number(5.0), number(1234.6), number(2_500_000)
    ('0.0123', '5', '1,235', '2.5 M')
    """
    if not math.isfinite(value):
        return UNKNOWN
    size = abs(value)
    text = show_count(size) if size >= 1e3 else f"{size:.3g}" if size >= 1e-3 or not size else f"{size:.1g}"
    text = text.replace("e-0", "e-")
    return f"−{text}" if value < 0 else text


def share(value: float) -> str:
    """A share in percent.

    >>> share(0.5), share(0.0123), share(0.99996)
    ('50 %', '1.23 %', '99.996 %')
    """
    if not math.isfinite(value):
        return UNKNOWN
    percent = 100 * value
    near_whole = 99.95 < percent < 100
    return f"{percent:.5g} %" if near_whole else f"{percent:.3g} %" if abs(percent) >= 1e-3 else f"{percent:.1g} %"


def duration(seconds: float) -> str:
    """A duration, in the unit that suits it.

    >>> duration(0.00123), duration(2.5), duration(600)
    ('1.23 ms', '2.5 s', '10m')
    """
    if not math.isfinite(seconds):
        return UNKNOWN
    if seconds and abs(seconds) < 1e-3:
        return f"{seconds * 1e6:.3g} µs"
    if seconds and abs(seconds) < 1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if abs(seconds) < 60 else show_duration(seconds)


def rate(per_s: float) -> str:
    """Requests per second."""
    return f"{number(per_s)}/s"


def tokens(count: float) -> str:
    """A number of tokens."""
    return f"{number(count)} tokens"


def p_value(p: float) -> str:
    """A p-value in two figures; that of a bootstrap is no surer than its replicates.

    >>> p_value(0.2345), p_value(0.0)
    ('0.23', '< 0.01')
    """
    return "–" if not math.isfinite(p) else "< 0.01" if p < 0.01 else f"{p:.2g}"


def interval(estimate: Estimate, say: Say = number) -> str:
    """The 95 % interval alone, or nothing where it is not known."""
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return ""
    return f"{say(estimate.low)} to {say(estimate.high)}"


def estimate(figure: Estimate, say: Say = number) -> str:
    """The figure with its interval.

    >>> estimate(Estimate(1.32, 1.2, 1.44, 100))
    '1.32 (1.2 to 1.44)'
    """
    between = interval(figure, say)
    return f"{say(figure.value)} ({between})" if between else say(figure.value)


def count(things: float, one: str, many: str = "") -> str:
    """So many things.

    >>> count(1, "window"), count(12_345, "request"), count(2, "reply", "replies")
    ('1 window', '12.3 k requests', '2 replies')
    """
    return f"{show_count(things)} {one if things == 1 else many or one + 's'}"


def short(name: str, most: int = 28) -> str:
    """A name in at most ``most`` characters, on one line, without control characters.

    >>> short("a" * 40, 10), short("two\\nlines")
    ('aaaaaaaaa…', 'two lines')
    """
    start = name[: 4 * most]
    line = " ".join("".join(c if c.isprintable() else " " for c in start).split()) or "(blank)"
    return line if len(line) <= most and len(start) == len(name) else line[: most - 1] + "…"


def labels(names: Sequence[str], most: int = 28) -> list[str]:
    """The names, shortened and still different from one another.

    >>> labels(["a" * 9 + "1", "a" * 9 + "2"], 8)
    ['aaaaaaa…', 'aaaaaaa… (2)']
    """
    given: dict[str, int] = {}
    out = []
    for name in (short(name, most) for name in names):
        given[name] = given.get(name, 0) + 1
        out.append(name if given[name] == 1 else f"{name} ({given[name]})")
    return out


def ends(paths: Sequence[str]) -> list[str]:
    """Files by the ends of their paths, as much of them as tells them apart.

    >>> ends(["/a/b/t.csv", "/a/c/t.csv"]), ends(["/a/one.csv", "/b/two.csv"])
    (['b/t.csv', 'c/t.csv'], ['one.csv', 'two.csv'])
    """
    parts = [PurePath(path).parts[-12:] for path in paths]
    needed = next((k for k in range(1, 12) if len({part[-k:] for part in parts}) == len(parts)), 12)
    return ["/".join(part[-needed:]) for part in parts]
