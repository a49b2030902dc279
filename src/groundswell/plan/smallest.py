"""The least number of instances that is enough, and between which numbers nobody can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from groundswell.plan.figures import Trial

Attempt = Callable[[int], Trial]

_GROWTH = 1.5
NEAR = 0.05
"""So far below the answer, as a share, every number is tried, and three of them at least."""
FURTHER = 2
"""A number that clearly meets is looked for up to so many times the answer."""


@dataclass(frozen=True)
class Found:
    """``answer``: the least number that keeps the SLO, None where none does. ``low`` is the least that does not clearly
    fail, ``high`` the least that clearly meets (None: none does)."""

    answer: int | None
    low: int
    high: int | None
    monotone: bool
    trials: tuple[Trial, ...]


def smallest(attempt: Attempt, first: int, most: int, sure: bool = True) -> Found:
    """Try numbers from ``first`` on, at most ``most``, until the least is known that keeps the SLO.

    More instances are taken to do no worse, about: chance lets one more do a little worse now and then. So a few
    numbers below the answer are tried, too (:data:`NEAR`), of which none keeps the SLO, and one above it. What is not
    ``sure`` is without an interval.
    """
    tried: dict[int, Trial] = {}

    def at(n: int) -> Trial:
        if n not in tried:
            tried[n] = attempt(n)
        return tried[n]

    def keeps(n: int) -> bool:
        return at(n).keeps

    low, high = _bracket(keeps, min(max(first, 1), most), most)
    if high is None:
        failed = max((n for n, trial in tried.items() if trial.held == "fails"), default=0)
        return Found(None, failed + 1, None, True, _in_order(tried))
    answer = _between(keeps, low, high)
    while (lower := next(filter(keeps, _near(answer)), None)) is not None:
        answer = lower
    keeps(min(answer + 1, most))
    if not sure:
        return Found(answer, answer, None, _monotone(tried), _in_order(tried))
    clear = next((n for n in _upward(answer - 1, min(most, FURTHER * answer)) if at(n).held == "meets"), None)
    if clear is not None and clear > answer:
        below = max(n for n in tried if n < clear and tried[n].held != "meets")
        clear = _between(lambda n: at(n).held == "meets", below, clear)
    failing = next((n for n in _downward(answer) if at(n).held == "fails"), 0)
    above = min(n for n in tried if failing < n <= answer and tried[n].held != "fails")
    least = _between(lambda n: at(n).held != "fails", failing, above)
    return Found(answer, least, clear, _monotone(tried), _in_order(tried))


def _bracket(keeps: Callable[[int], bool], n: int, most: int) -> tuple[int, int | None]:
    """A number that does not keep the SLO, 0 at least, and one above it that does."""
    if keeps(n):
        while n > 1 and keeps(n // 2):
            n //= 2
        return (n // 2, n)
    while n < most:
        below, n = n, min(max(n + 1, round(n * _GROWTH)), most)
        if keeps(n):
            return below, n
    return n, None


def _between(good: Callable[[int], bool], low: int, high: int) -> int:
    """The least number that is good, where ``low`` is not and ``high`` is."""
    while high - low > 1:
        middle = (low + high) // 2
        if good(middle):
            high = middle
        else:
            low = middle
    return high


def _near(answer: int) -> range:
    """The numbers just below ``answer``, largest first."""
    return range(answer - 1, max(answer - 1 - max(round(NEAR * answer), 3), 0), -1)


def _upward(n: int, most: int) -> Iterator[int]:
    """Numbers above ``n``, in steps that double."""
    step = 1
    while n < most:
        n = min(n + step, most)
        yield n
        step *= 2


def _downward(n: int) -> Iterator[int]:
    step = 1
    while n > 1:
        n = max(n - step, 1)
        yield n
        step *= 2


def _monotone(tried: dict[int, Trial]) -> bool:
    """Whether nothing that keeps the SLO is below something that does not."""
    keeping = [n for n in tried if tried[n].keeps]
    return not keeping or all(trial.keeps for n, trial in tried.items() if n > min(keeping))


def _in_order(tried: dict[int, Trial]) -> tuple[Trial, ...]:
    return tuple(tried[n] for n in sorted(tried))
