"""``groundswell replay``: a workload sent to a server, and what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundswell.cli import _options as take
from groundswell.cli import _server as ask
from groundswell.cli._groups import with_options
from groundswell.cli._reading import Reading
from groundswell.errors import UsageError

if TYPE_CHECKING:
    from groundswell.judge.figures import Judgement
    from groundswell.judge.slo import SLO
    from groundswell.replay.launch import Outcome
    from groundswell.results import Results

INTERRUPTED = 130

WorkloadFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[WORKLOAD]", show_default=False, help="What to send: a file of ours, or a trace in any format."
    ),
]
MaybeUrl = Annotated[
    str | None,
    take.option("Where the server is, such as http://localhost:8000; a path in front of /v1 belongs to it.", "URL"),
]
ResultsFile = Annotated[Path | None, take.option("The results to write, a Parquet file.", "FILE", "--output", "-o")]


@with_options()
def replay(
    *,
    workload: WorkloadFile = None,
    url: MaybeUrl = None,
    output: ResultsFile = None,
    slo: ask.Slo = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be sent, and send nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Measure up to which rate this machine's figures hold.")
    ] = False,
    seed: take.Seed = 0,
    sending: ask.Sending,
    reading: Reading,
) -> int:
    """Send a workload to a server, each request when it is due, and say what came of it.

    Exits with 1 where the run is INVALID: its figures are about the sending machine, not about the server.
    """
    if self_test:
        return _self_test()
    from groundswell.replay.plan import survey

    if workload is None:
        raise UsageError("say what to send: groundswell replay WORKLOAD --url URL -o results.parquet")
    if plan:
        with reading.opened(workload) as source:
            print(survey(source).text())
        return 0
    if output is None or (url is None and not sending.is_null):
        raise UsageError("say where to send it and what to write: --url URL -o results.parquet")

    from groundswell.cli._print import note
    from groundswell.replay.launch import replay as replayed
    from groundswell.whole_file import check_apart, check_place

    # All that can be wrong with what was asked for comes before a trace is read, which may take long.
    bounds, options = slo_of(slo), sending.options(url or "http://localhost", seed)
    check_place(output)
    check_apart(output, workload, sending.tokenizer, sending.ca_file)
    with reading.opened(workload) as source:
        surveyed = survey(source)
        if not sending.agreed(options.url, surveyed):
            return 1
        outcome = replayed(source, surveyed, options, output, resume=resume, say=note)
    _, judgement = judged(outcome, bounds, "the same with --resume")
    return code_of(outcome, judgement)


def slo_of(text: str | None) -> SLO | None:
    """The objectives, if any. Raises UsageError for what are none."""
    from groundswell.judge import SLO

    return None if text is None else SLO.parse(text)


def judged(outcome: Outcome, slo: SLO | None, again: str) -> tuple[Results, Judgement]:
    """The results and what they say, which is printed; ``again`` says how to go on with what was interrupted."""
    from groundswell.judge import judge
    from groundswell.judge.text import describe
    from groundswell.results import Results
    from groundswell.units import counted

    results = Results.read(outcome.results, leave_out=("event_s",))
    print(f"wrote {outcome.results}: {counted(len(results), 'request')}")
    if outcome.folder is not None:
        print(
            f"interrupted: {outcome.remaining:,} requests were not sent yet; to go on, say {again}",
            file=sys.stderr,
        )
    judgement = judge(results, slo)
    print(describe(judgement))
    return results, judgement


def code_of(outcome: Outcome, judgement: Judgement) -> int:
    """The exit code of a run."""
    if outcome.ended.interrupted:
        return INTERRUPTED
    return 1 if judgement.verdict == "invalid" else 0


def _self_test() -> int:
    from groundswell.replay.self_test import describe, self_test

    print(describe(self_test()))
    return 0
