"""What a method has tried: each number of instances is simulated once, whatever is asked of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from groundswell.judge.figures import ClauseHeld
from groundswell.judge.slo import SLO
from groundswell.plan.figures import Answer, Trial
from groundswell.plan.methods import METHODS, Drawn
from groundswell.plan.outcome import Outcome, Patience, Sent, observe, trial
from groundswell.plan.smallest import Found, smallest
from groundswell.plan.windows import Part
from groundswell.routing import Router
from groundswell.simulate.parts import Engine, Fleet, Pool

_WORST = {"fails": 0, "unclear": 1, "meets": 2}


@dataclass(frozen=True, eq=False)
class Setting:
    """What all trials of a plan have in common."""

    engine: Engine
    router: Router
    seed: int
    most_instances: int
    patience: Patience | None = None
    drawn: Drawn | None = None
    many: bool = False
    """Whether several SLOs are asked of one trial, so that what came of it is kept."""
    tell: Callable[[int], None] = lambda requests: None
    """Told how many requests have been simulated, after each simulation."""

    def fleet(self, instances: int) -> Fleet:
        """So many instances behind the router."""
        return Fleet((Pool(self.engine, instances),), self.router)


@dataclass(eq=False)
class Trials:
    """The trials of one method for windows of a workload; more windows can be added."""

    method: str
    setting: Setting
    parts: list[Part] = field(default_factory=list)
    _sends: list[Callable[[int], Sent]] = field(default_factory=list)
    _outcomes: dict[tuple[int, int], Outcome] = field(default_factory=dict)
    _found: dict[tuple[int, int, SLO], Trial] = field(default_factory=dict)
    _first: list[int] = field(default_factory=list)
    """Windows in the order in which they are tried: what failed last comes first."""

    @classmethod
    def of(cls, method: str, setting: Setting, parts: Sequence[Part]) -> Trials:
        """Nothing is tried yet."""
        made = cls(method, setting)
        for part in parts:
            made.add(part)
        return made

    def add(self, part: Part) -> None:
        """Ask the SLO of this window, too."""
        kind = METHODS[self.method]()
        self._first.append(len(self.parts))
        self.parts.append(part)
        self._sends.append(kind.sends(part, self.setting.seed, self.setting.drawn))

    def at(self, instances: int, slo: SLO) -> Trial:
        """What becomes of ``slo`` on so many instances, in the window where it is worst."""
        over = [part.busy for part in self.parts if instances < part.least(_waits_s(slo))]
        if over:
            why = f"overloaded: what comes keeps {max(over):.3g} instances busy at least, all the time"
            return Trial(instances, "fails", False, (), why)
        worst: Trial | None = None
        for place in list(self._first):
            found = self._one(place, instances, slo)
            if worst is None or _rank(found) < _rank(worst):
                worst = found
            if found.held == "fails":
                self._first.remove(place)
                self._first.insert(0, place)
                break
        assert worst is not None  # noqa: S101 (there is a window)
        return worst

    def search(self, slo: SLO, first: int, sure: bool = False) -> Found:
        """The least number of instances that keeps ``slo``; ``first`` is tried first. ``sure`` with its interval."""
        return smallest(lambda n: self.at(n, slo), first, self.setting.most_instances, sure)

    def answer(self, slo: SLO, first: int) -> Answer:
        """What the method says of ``slo``."""
        found = self.search(slo, first, sure=True)
        rate_per_s = max(int(part.judged.sum()) / (part.end_s - part.begin_s) for part in self.parts)
        per_s = rate_per_s / found.answer if found.answer else math.nan
        title = METHODS[self.method].title
        return Answer(self.method, title, found.answer, found.low, found.high, found.monotone, found.trials, per_s)

    def _one(self, place: int, instances: int, slo: SLO) -> Trial:
        """What becomes of ``slo`` in one window."""
        key = place, instances, slo
        if key not in self._found:
            outcome = self._outcomes.get((place, instances)) or self._observed(place, instances)
            self._found[key] = trial(outcome, slo, instances, place)
            if self.setting.many:
                self._outcomes[place, instances] = outcome
        return self._found[key]

    def _observed(self, place: int, instances: int) -> Outcome:
        setting = self.setting
        sent = self._sends[place](instances)
        outcome = observe(sent, setting.fleet, setting.seed, setting.patience)
        setting.tell(sum(map(len, sent.workloads)))
        return outcome


def _waits_s(slo: SLO) -> float:
    """For how long requests may be held up, at most."""
    return max((clause.bound_s for clause in slo.clauses if clause.metric in ("ttft", "e2e")), default=0.0)


def _rank(given: Trial) -> tuple[int, int, float]:
    """Less is worse: by the verdict, by whether it is kept, by how near the figures are to their bounds."""
    spare = min((_spare(clause) for clause in given.clauses), default=-math.inf)
    return _WORST[given.held], int(given.keeps), spare


def _spare(given: ClauseHeld) -> float:
    """The share of the bound that is left."""
    value = given.figure.value
    return math.inf if math.isnan(value) else 1.0 - value / given.clause.bound_s
