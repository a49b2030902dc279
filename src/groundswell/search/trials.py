"""A load, tried against a server: sent, and judged by the SLO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from groundswell.errors import GroundswellError
from groundswell.judge import SLO, judge
from groundswell.judge.figures import Judgement
from groundswell.replay import clock
from groundswell.replay.launch import Options, replay
from groundswell.replay.plan import survey
from groundswell.replay.source import held
from groundswell.results import Results
from groundswell.search import Trial
from groundswell.search.bracket import Held
from groundswell.search.load import Load


class InterruptedSearchError(GroundswellError):
    """Ctrl-C during a trial; what was found until then is known."""

    exit_code = 130


class Trials:
    """Tries loads, and keeps the results of each in ``folder``."""

    def __init__(
        self, load: Load, slo: SLO, options: Options, folder: Path, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self._load, self._slo, self._options, self._folder, self._say = load, slo, options, folder, say
        self._made = 0

    def attempt(self, rate_per_s: float, span_s: float) -> Trial:
        """Send ``span_s`` of the workload at ``rate_per_s`` and judge it; raises what the run raises."""
        begin_ns = clock.now_ns()
        self._made += 1
        place = self._folder / f"trial-{self._made:02d}.parquet"
        source = held(self._load.at(rate_per_s, span_s), self._load.name)
        # What the first trial learned of the server holds for the others.
        outcome = replay(source, survey(source), self._options, place, say=self._say if self._made == 1 else _nobody)
        if outcome.ended.interrupted:
            raise InterruptedSearchError("interrupted")
        results = Results.read(place, leave_out=("event_s",))
        self._options = replace(self._options, model=str(results.run["model"]))
        return trial_of(judge(results, self._slo), rate_per_s, span_s, (clock.now_ns() - begin_ns) * 1e-9, str(place))


def trial_of(judgement: Judgement, rate_per_s: float, span_s: float, took_s: float, results: str) -> Trial:
    """What a judgement says of a load."""
    held_: Held = "unclear"
    if judgement.verdict in ("meets", "fails"):
        held_ = "meets" if judgement.verdict == "meets" else "fails"
    invalid = "; ".join(f"{reason.text} ({reason.advice})" for reason in judgement.invalid)
    figures = tuple(f"{clause.text}: {clause.why}" for clause in judgement.clauses)
    return Trial(rate_per_s, span_s, held_, invalid, took_s, figures, judgement.rates.goodput_per_s.value, results)


def _nobody(text: str) -> None:
    """It has been said."""
