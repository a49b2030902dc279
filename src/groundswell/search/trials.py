"""A load, tried against a server: sent, and judged by the SLO."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from groundswell.errors import UsageError
from groundswell.judge import SLO, judge
from groundswell.judge.figures import Judgement
from groundswell.judge.quantiles import needed
from groundswell.replay import clock
from groundswell.replay.launch import replay
from groundswell.replay.learned import Learned, learn
from groundswell.replay.options import Options
from groundswell.replay.plan import survey
from groundswell.replay.source import held
from groundswell.results import Results
from groundswell.search import LEAST_REQUESTS, StoppedTrialError, Trial
from groundswell.search.bracket import Held
from groundswell.search.idle import wait_until_idle
from groundswell.search.load import Load
from groundswell.search.text import clause_in_words

_JUDGED = 0.75
"""At least so much of a trial is judged: its warm-up and its cool-down are a tenth each at most."""


class Trials:
    """Tries loads, and keeps the results of each in ``folder``, which holds no earlier ones. Raises UsageError if it
    does."""

    def __init__(
        self, load: Load, slo: SLO, options: Options, folder: Path, say: Callable[[str], None] = lambda text: None
    ) -> None:
        if next(folder.glob("trial-*"), None) is not None:
            raise UsageError(f"{folder}: holds the trials of an earlier search; name another folder")
        self._load, self._slo, self._options, self._folder, self._say = load, slo, options, folder, say
        self._made = 0
        self._learned: Learned | None = None

    def attempt(self, rate_per_s: float, span_s: float) -> Trial:
        """Send ``span_s`` of the workload at ``rate_per_s`` and judge it, when the server has done what it was sent
        before. Raises StoppedTrialError for Ctrl-C, and what the run raises."""
        begin_ns = clock.now_ns()
        workload = self._load.at(rate_per_s, span_s)
        source = held(workload, f"{self._load.name} at {rate_per_s:.4g} req/s")
        plan = survey(source)
        if self._made:
            wait_until_idle(self._options)
        if self._learned is None:
            self._learned = learn(plan, self._options, _nobody if self._made else self._say)
        self._made += 1
        place = self._folder / f"trial-{self._made:02d}.parquet"
        options = replace(self._options, seed=seed_of(self._options.seed, self._made))
        outcome = replay(source, plan, options, place, learned=self._learned)
        if outcome.ended.interrupted:  # a part of a trial says nothing, and is not gone on with
            place.unlink(missing_ok=True)
            if outcome.folder is not None:
                shutil.rmtree(outcome.folder, ignore_errors=True)
            raise StoppedTrialError("interrupted")
        results = Results.read(place, leave_out=("event_s",))
        judgement = judge(results, self._slo)
        if judgement.failed == judgement.requests:
            self._learned = None  # is it there at all? The next trial begins with asking
        took_s = (clock.now_ns() - begin_ns) * 1e-9
        trial = trial_of(judgement, rate_per_s, span_s, len(workload), took_s, str(place))
        return replace(trial, answered_per_s=answered_per_s(results))


def answered_per_s(results: Results) -> float:
    """What a server did while it had something to do: replies that ended well, until the last of them."""
    done_s = results.floats("done_s")[~results.failed]
    return done_s.size / float(done_s.max()) if done_s.size and done_s.max() > 0 else 0.0


def seed_of(seed: int, trial: int) -> int:
    """What the words of a trial's prompts are drawn with.

    Trials have requests in common, their times and lengths and what they share among themselves, but not the text: the
    server would have it in its prefix cache from the trial before.
    """
    return int.from_bytes(hashlib.sha256(f"{seed} {trial}".encode()).digest()[:6])


def trial_of(
    judgement: Judgement, rate_per_s: float, span_s: float, requests: int, took_s: float, results: str
) -> Trial:
    """What a judgement says of a load."""
    verdict = judgement.verdict
    held_: Held = "unclear" if verdict == "measured" else verdict
    return Trial(
        rate_per_s,
        span_s,
        held_,
        requests,
        took_s,
        tuple(clause_in_words(clause) for clause in judgement.clauses),
        judgement.rates.goodput_per_s,
        why="; ".join(f"{reason.text}: {reason.advice}" for reason in judgement.invalid),
        results=results,
    )


def requests_for(slo: SLO) -> int:
    """How many requests a trial must have, so that all percentiles of an SLO can be met for sure."""
    places = [clause.quantile for clause in slo.clauses if clause.quantile is not None and 0 < clause.quantile < 1]
    return max([LEAST_REQUESTS, *(round(needed(place) / _JUDGED) for place in places)])


def _nobody(text: str) -> None:
    """It has been said."""
