"""``groundswell run``: from clients to a page on how a server served them, in one command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from groundswell.cli import _options as take
from groundswell.cli import _server as ask
from groundswell.cli.replay import said
from groundswell.errors import UsageError

WORKLOAD, RESULTS, PAGE = "workload.parquet", "results.parquet", "report.html"


def run(
    context: typer.Context,
    source: take.Source,
    url: ask.Url,
    rate: Annotated[
        str,
        take.option(
            "Requests a second of all clients together: a number, x0.5 (times the clients' own), or a CSV file of "
            "time_s,rate_per_s.",
            "RATE",
        ),
    ],
    output: Annotated[
        Path,
        take.option(
            f"The folder for {WORKLOAD}, {RESULTS} and {PAGE}; made if it is not there.", "FOLDER", "--output", "-o"
        ),
    ],
    duration: Annotated[str, typer.Option(metavar="TIME", help="How long requests arrive.")] = "5m",
    slo: ask.Slo = None,
    clients: take.Clients = None,
    start: take.Start = None,
    max_context: take.MaxContext = None,
    seed: take.Seed = 0,
    target: ask.Target = "openai_chat",
    model: ask.Model = None,
    tokenizer: ask.Tokenizer = None,
    turns: ask.TurnsWait = "closed",
    answers: ask.Answers = "server",
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
) -> int:
    """Generate a workload, send it to a server, judge what came of it, and write a page on that.

    The same as generate, replay and report, one after the other; each can be run again with the files of this one.
    """
    from groundswell.cli._print import note
    from groundswell.judge import SLO
    from groundswell.replay.launch import replay
    from groundswell.replay.plan import survey
    from groundswell.replay.source import opened
    from groundswell.whole_file import check_folder

    check_folder(output)
    if slo is not None:
        SLO.parse(slo)
    options = ask.options_of(
        url,
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
    output.mkdir(exist_ok=True)
    workload, results = output / WORKLOAD, output / RESULTS
    _generate(source, workload, rate, duration, clients, start, seed, max_context)
    with opened(workload) as asked:
        plan = survey(asked)
        print(plan.text(), flush=True)
        if not ask.agreed(url, plan, yes):
            return 1
        outcome = replay(asked, plan, options, results, say=note)
    code = said(outcome, slo)
    _draw(results, slo, output / PAGE)
    return code


def _generate(
    source: str,
    path: Path,
    rate: str,
    duration: str,
    clients: int | None,
    start: str | None,
    seed: int,
    max_context: int | None,
) -> None:
    """The workload's file, as ``generate`` with the same words writes it."""
    from groundswell import formats
    from groundswell.clients.source import open_source
    from groundswell.compose import Talking, compose
    from groundswell.progress import with_progress
    from groundswell.service import TPOT_S, TTFT_S
    from groundswell.units import parse_duration

    span_s, start_s = parse_duration(duration), parse_duration(start) if start is not None else None
    if not span_s > 0:
        raise UsageError(f"--duration {duration}: must be above 0")
    pool = open_source(source, clients=clients, seed=seed, span_s=span_s, start_s=start_s or 0.0)
    talking = Talking(TTFT_S, TPOT_S, max_context)
    composition = compose(pool, rate, span_s, seed, start_s=start_s, talking=talking)
    shown = with_progress(composition, composition.expected_requests, "generating")
    formats.write(shown, path, metadata=composition.metadata)
    print(f"wrote {path}", file=sys.stderr)


def _draw(results: Path, slo: str | None, page: Path) -> None:
    from groundswell.judge import SLO, judge
    from groundswell.report.run import write_html
    from groundswell.results import Results

    found = Results.read(results, leave_out=("event_s",))
    write_html(found, judge(found, SLO.parse(slo) if slo is not None else None), page)
    print(f"wrote {page}")
