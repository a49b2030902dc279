"""``groundswell replay``: a workload sent to a server, and what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundswell.cli import _options as take
from groundswell.cli import _server as ask
from groundswell.errors import UsageError

if TYPE_CHECKING:
    from groundswell.judge.figures import Judgement
    from groundswell.replay.launch import Outcome

INTERRUPTED = 130

WorkloadFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[WORKLOAD]", show_default=False, help="What to send: a file of ours, or a trace in any format."
    ),
]
ResultsFile = Annotated[Path | None, take.option("The results to write, a Parquet file.", "FILE", "--output", "-o")]


def replay(
    workload: WorkloadFile = None,
    url: Annotated[
        str | None,
        take.option("Where the server is, such as http://localhost:8000; a path in front of /v1 belongs to it.", "URL"),
    ] = None,
    output: ResultsFile = None,
    target: ask.Target = "openai_chat",
    model: ask.Model = None,
    tokenizer: ask.Tokenizer = None,
    seed: take.Seed = 0,
    turns: ask.TurnsWait = "closed",
    answers: ask.Answers = "server",
    slo: ask.Slo = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be sent, and send nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Measure up to which rate this machine's figures hold.")
    ] = False,
    workers: ask.ReplayWorkers = None,
    api_key_env: ask.KeyEnv = None,
    header: ask.Header = None,
    extra_body: ask.ExtraBody = None,
    natural_lengths: ask.NaturalLengths = False,
    timeout: ask.Timeout = "10m",
    max_open: ask.MaxOpen = 0,
    quick_ack: ask.QuickAck = False,
    event_times: ask.EventTimes = False,
    ca_file: ask.CaFile = None,
    insecure: ask.Insecure = False,
    no_probe: ask.NoProbe = False,
    no_metrics: ask.NoMetrics = False,
    audio_tokens_per_s: ask.AudioTokens = 25.0,
    yes: ask.Yes = False,
    from_: take.From = None,
    columns: take.Map = None,
    time_unit: take.TimeUnit = None,
    block_tokens: take.TableBlockTokens = None,
    client_by: take.ClientBy = None,
    bad_rows: take.BadRows = "stop",
    dequantise: take.Dequantise = False,
) -> int:
    """Send a workload to a server, each request when it is due, and say what came of it."""
    if self_test:
        return _self_test()
    from groundswell.cli._traces import opened_source
    from groundswell.replay.plan import survey

    if workload is None:
        raise UsageError("say what to send: groundswell replay WORKLOAD --url URL -o results.parquet")
    with opened_source(workload, from_, columns, time_unit, block_tokens, client_by, bad_rows, dequantise) as source:
        surveyed = survey(source)
        if plan:
            print(surveyed.text())
            return 0
        if output is None or (url is None and target.partition(":")[0] != "null"):
            raise UsageError("say where to send it and what to write: --url URL -o results.parquet")
        options = ask.options_of(
            url or "http://localhost",
            target,
            model,
            seed,
            tokenizer,
            turns,
            answers,
            workers,
            api_key_env,
            header,
            extra_body,
            natural_lengths,
            timeout,
            max_open,
            quick_ack,
            event_times,
            ca_file,
            insecure,
            no_probe,
            no_metrics,
            audio_tokens_per_s,
        )
        _check_slo(slo)
        if not ask.agreed(options.url, surveyed, yes):
            return 1
        from groundswell.cli._print import note
        from groundswell.replay.launch import replay as replayed

        outcome = replayed(source, surveyed, options, output, resume=resume, say=note)
    return said(outcome, slo)


def _check_slo(slo: str | None) -> None:
    if slo is not None:
        from groundswell.judge import SLO

        SLO.parse(slo)


def said(outcome: Outcome, slo: str | None) -> int:
    """Judge the results and print that; the exit code."""
    from groundswell.judge import SLO, judge
    from groundswell.judge.text import describe
    from groundswell.results import Results

    results = Results.read(outcome.results, leave_out=("event_s",))
    print(f"wrote {outcome.results}: {len(results):,} requests")
    if outcome.folder is not None:
        print(
            f"interrupted: {outcome.remaining:,} requests were not sent yet; --resume goes on from {outcome.folder}",
            file=sys.stderr,
        )
    judgement: Judgement = judge(results, SLO.parse(slo) if slo is not None else None)
    print(describe(judgement))
    if outcome.ended.interrupted:
        return INTERRUPTED
    return 1 if judgement.verdict == "invalid" else 0


def _self_test() -> int:
    from groundswell.replay.self_test import describe, self_test

    print(describe(self_test()))
    return 0
