"""``groundswell search``: the most of a workload's traffic that a server keeps within an SLO."""

from __future__ import annotations

import json as json_
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from groundswell.cli import _options as take
from groundswell.cli import _server as ask
from groundswell.errors import UsageError


def search(
    workload: Annotated[
        Path, typer.Argument(metavar="WORKLOAD", show_default=False, help="The traffic: a file of ours, or any trace.")
    ],
    url: ask.Url,
    slo: Annotated[str, take.option("What has to be kept, such as 'ttft:p99<2s,tpot:p99<0.1s'.", "SLO")],
    output: Annotated[
        Path,
        take.option("The folder for the results of each trial; made if it is not there.", "FOLDER", "--output", "-o"),
    ],
    scale: Annotated[
        Literal["rates", "clients"],
        typer.Option(
            help="What makes more load of the workload. rates: conversations begin faster, and go on as they did. "
            "clients: more or fewer of them, at their own rates."
        ),
    ] = "rates",
    first: Annotated[
        float | None, take.option("The rate to try first, req/s. If not given, the workload's own.", "RATE", "--from")
    ] = None,
    trial: Annotated[str, typer.Option(metavar="TIME", help="How long a rate is tried.")] = "1m",
    budget: Annotated[str, typer.Option(metavar="TIME", help="No trial begins that would end later.")] = "30m",
    tolerance: Annotated[
        float, typer.Option(metavar="SHARE", min=0.001, help="How near the rates that meet and fail should come.")
    ] = 0.05,
    json: take.Json = False,
    target: ask.Target = "openai_chat",
    model: ask.Model = None,
    tokenizer: ask.Tokenizer = None,
    seed: take.Seed = 0,
    turns: ask.TurnsWait = "closed",
    answers: ask.Answers = "server",
    workers: ask.ReplayWorkers = None,
    api_key_env: ask.KeyEnv = None,
    header: ask.Header = None,
    extra_body: ask.ExtraBody = None,
    natural_lengths: ask.NaturalLengths = False,
    timeout: ask.Timeout = "2m",
    max_open: ask.MaxOpen = 0,
    quick_ack: ask.QuickAck = False,
    ca_file: ask.CaFile = None,
    insecure: ask.Insecure = False,
    no_probe: ask.NoProbe = False,
    no_metrics: ask.NoMetrics = False,
    audio_tokens_per_s: ask.AudioTokens = 25.0,
    yes: ask.Yes = False,
    format_: take.From = None,
) -> int:
    """Find the most of a workload's traffic that a server keeps within an SLO.

    Tries rates, twice as many while the SLO is met and half as many while it is not, then between; the same rate is
    always the same requests.
    """
    from groundswell.cli._print import note
    from groundswell.cli._traces import opened_source
    from groundswell.judge import SLO
    from groundswell.replay import clock
    from groundswell.replay.plan import survey
    from groundswell.search import search as searched
    from groundswell.search.load import Load
    from groundswell.search.text import describe, describe_trial
    from groundswell.search.trials import Trials
    from groundswell.units import parse_duration
    from groundswell.whole_file import check_folder

    asked = SLO.parse(slo)
    check_folder(output)
    if first is not None and not first > 0:
        raise UsageError(f"--from {first:g}: a rate is above 0")
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
        False,
        ca_file,
        insecure,
        no_probe,
        no_metrics,
        audio_tokens_per_s,
    )
    with opened_source(workload, format_) as source:
        if not ask.agreed(url, survey(source), yes):
            return 1
        load = Load(source, scale, seed)
    output.mkdir(exist_ok=True)
    trials = Trials(load, asked, options, output, note)
    found = searched(
        trials.attempt,
        first or load.rate_per_s,
        parse_duration(trial),
        parse_duration(budget),
        lambda: clock.now_ns() * 1e-9,
        tolerance,
        load.most_s,
        lambda one: print(describe_trial(one), file=sys.stderr if json else sys.stdout, flush=True),
    )
    if json:
        print(json_.dumps(asdict(found), indent=1))
    else:
        print(describe(found, slo))
        print(f"the results of {len(found.trials)} trials are in {output}")
    return 1 if found.why == "invalid" else 0
