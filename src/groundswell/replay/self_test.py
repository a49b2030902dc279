"""Up to which rate this machine's figures hold: runs at rising rates against a server whose times are known.

It stands above ``serve``, which has that server, and ``serve`` above the rest of ``replay``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import nan

from groundswell.replay import clock
from groundswell.serve.control import Mock, running_mock
from groundswell.serve.trial import Load, Trial, machine_s, tried

BOUND_S = 0.001
"""What lag's p99, and the errors of what is reported, may be."""
SECONDS = 2.0
MOST_S = 34.0
"""No step begins later."""
BURSTS = tuple(Load(rate, 16, ttft_s=0.02, gap_s=0.0) for rate in (50, 250, 500, 1000, 2000, 4000))
STREAMS = tuple(Load(rate, 32, ttft_s=0.1, gap_s=0.01) for rate in (25, 100, 250, 500, 1000))
_BUSY = 0.85  # of a core: one that has more to do than this is behind now and then
_LOOK_S = 0.5


@dataclass(frozen=True)
class Ladder:
    """Trials at rising rates, up to two in a row that do not hold."""

    trials: tuple[Trial, ...]
    whole: bool
    """Whether the time sufficed to go on until two did not hold, or to the end."""

    @property
    def holding(self) -> Trial | None:
        """The fastest that holds; None where none does."""
        return self.trials[self._held - 1] if self._held else None

    @property
    def failing(self) -> Trial | None:
        """The next faster one, which does not hold; None where none was tried."""
        return self.trials[self._held] if self._held < len(self.trials) else None

    @property
    def _held(self) -> int:
        return max((place for place, trial in enumerate(self.trials, 1) if holds(trial)), default=0)


@dataclass(frozen=True)
class SelfTest:
    """What a machine's figures are worth."""

    bursts: Ladder
    streams: Ladder
    cores: int
    idle: float
    """The share of the machine that was idle before; nan where it does not tell."""


def holds(trial: Trial) -> bool:
    """Whether lag and errors are within :data:`BOUND_S`, and nothing failed."""
    return trial.failed == 0 and trial.lag_s[1] <= BOUND_S and trial.error_s <= BOUND_S


def self_test(
    bursts: Sequence[Load] = BURSTS,
    streams: Sequence[Load] = STREAMS,
    *,
    seconds: float = SECONDS,
    most_s: float = MOST_S,
    say: Callable[[str], None] | None = None,
) -> SelfTest:
    """Send ``bursts`` and then ``streams`` to a mock, for ``seconds`` each, of both until two in a row do not hold.

    That is some 35 seconds in all; no load is begun after ``most_s``. Progress goes to ``say``, a line at a time, by
    default on stderr.
    """
    say, until_ns = say or _on_stderr, clock.now_ns() + int(most_s * 1e9)
    idle = _idle()
    with running_mock() as mock:
        start_up_s = tried(mock, replace(bursts[0], rate_per_s=10.0), 0.2).client_s
        say(f"  {_HEAD}")

        def climbed(loads: Sequence[Load], until_ns: int) -> Ladder:
            return _climbed(mock, loads, seconds, start_up_s, until_ns, say)

        first = climbed(bursts, (clock.now_ns() + until_ns) // 2)
        return SelfTest(first, climbed(streams, until_ns), os.cpu_count() or 1, idle)


def _climbed(
    mock: Mock, loads: Sequence[Load], seconds: float, start_up_s: float, until_ns: int, say: Callable[[str], None]
) -> Ladder:
    trials: list[Trial] = []
    for load in loads:
        if clock.now_ns() > until_ns:
            return Ladder(tuple(trials), whole=False)
        trials.append(tried(mock, load, seconds, start_up_s))
        say(f"  {_line(trials[-1])}{'' if holds(trials[-1]) else '  does not hold'}")
        if not any(map(holds, trials[-2:])) and len(trials) > 1:  # one alone may be something else that came up
            break
    return Ladder(tuple(trials), whole=True)


def _on_stderr(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _idle() -> float:
    """The share of the machine's time that is idle now."""
    busy_s, idle_s = machine_s()
    time.sleep(_LOOK_S)
    busier_s, idler_s = machine_s()
    passed_s = busier_s - busy_s + idler_s - idle_s
    return (idler_s - idle_s) / passed_s if passed_s else nan


def limit(trial: Trial, cores: int) -> str:
    """What keeps a load from holding: the client, the mock, or the machine under both; in words."""
    workers, span_s = trial.load.workers, trial.span_s
    if trial.failed:
        return f"that {trial.failed:,} of {trial.requests:,} requests failed"
    if trial.other_s > 0.1 * cores * trial.took_s:
        return f"the machine: other programs used {trial.other_s / trial.took_s:.1f} of its {cores} cores"
    if trial.mock_s > _BUSY * span_s:
        return "the mock, which has one core and needs all of it; the client itself may hold for more"
    if trial.client_s > _BUSY * workers * span_s:
        return f"the client: its {workers} worker{'s' * (workers > 1)} had no time left"
    if trial.client_s + trial.mock_s > _BUSY * cores * span_s:
        return f"the machine: client and mock share {cores} cores, and use them up"
    return "the machine: it let client and mock wait, though its cores had time"


def describe(found: SelfTest) -> str:
    """A self-test as text: its figures, and what they say."""
    shares = "" if found.idle != found.idle else f", {100 * found.idle:.0f} % of their time idle before"
    lines = [f"{found.cores} cores{shares}; percentiles in ms, errors against the mock's own log", ""]
    for title, ladder in (("Replies at once", found.bursts), ("Replies token by token", found.streams)):
        lines += [f"{title}:", f"  {_HEAD}", *(f"  {_line(trial)}" for trial in ladder.trials), ""]
    lines += [_verdict("at once", found.bursts, found.cores), _verdict("token by token", found.streams, found.cores)]
    if found.idle < 0.9:
        lines.append("The machine was not idle: with nothing else on it, more may hold.")
    return "\n".join(lines)


_HEAD = "requests/s  events/s  lag p50     p99  TTFT off  gaps off  cores  mock"


def _line(trial: Trial) -> str:
    load, span_s = trial.load, trial.span_s
    lag = f"{trial.lag_s[0] * 1e3:8.2f} {trial.lag_s[1] * 1e3:7.2f}"
    ttft, gap = (
        _off(said, true) for said, true in ((trial.ttft_s, trial.true_ttft_s), (trial.gap_s, trial.true_gap_s))
    )
    shares = f"{trial.client_s / span_s:6.2f} {trial.mock_s / span_s:5.2f}"
    return f"{load.rate_per_s:10,.0f} {load.events_per_s:9,.0f} {lag} {ttft:>9} {gap:>9} {shares}"


def _off(said: tuple[float, float], true: tuple[float, float]) -> str:
    """The larger of two percentiles' errors, in milliseconds."""
    if true[0] != true[0]:
        return "-"
    return f"{max((a - b for a, b in zip(said, true, strict=True)), key=abs) * 1e3:+.2f}"


def _verdict(name: str, ladder: Ladder, cores: int) -> str:
    if not ladder.trials:
        return f"Replies {name}: the time was over before any was tried."
    holding, failing = ladder.holding, ladder.failing
    within = f"within {BOUND_S * 1e3:g} ms at p99"
    if holding is None:
        text = f"figures do not hold {within} even at {_rate(ladder.trials[0])}"
    else:
        text = f"figures hold {within} up to {_rate(holding)}, {holding.load.events_per_s:,.0f} events/s"
    if failing is not None:
        return f"Replies {name}: {text}. At {_rate(failing)} the limit is {limit(failing, cores)}."
    return f"Replies {name}: {text}; {'no more was tried' if ladder.whole else 'the time was over then'}."


def _rate(trial: Trial) -> str:
    return f"{trial.load.rate_per_s:,.0f} requests/s"
