"""``groundswell search``: the most of a workload's traffic that a server keeps within an SLO."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from groundswell.cli import _options as take
from groundswell.cli import _server as ask
from groundswell.cli._groups import with_options
from groundswell.cli._reading import Reading
from groundswell.cli.replay import INTERRUPTED
from groundswell.errors import UsageError

FOUND = "search.json"
_CODES = {"interrupted": INTERRUPTED, "invalid": 1, "server": 1}


@with_options(timeout="2m")
def search(
    *,
    workload: Annotated[
        Path, typer.Argument(metavar="WORKLOAD", show_default=False, help="The traffic: a file of ours, or any trace.")
    ],
    url: ask.Url,
    slo: Annotated[str, take.option("What has to be kept, such as 'ttft:p99<2s,tpot:p99<0.1s'.", "SLO")],
    output: Annotated[
        Path,
        take.option(
            f"The folder for the results of each trial and {FOUND}; made if it is not there.",
            "FOLDER",
            "--output",
            "-o",
        ),
    ],
    scale: Annotated[
        Literal["rates", "clients"],
        typer.Option(
            help="What makes more load of the workload. rates: conversations begin faster, and go on as they did. "
            "clients: more or fewer of them, at their own rates."
        ),
    ] = "rates",
    first: Annotated[
        float | None, take.option("The rate to try first, req/s. If not given, the workload's own.", "RATE")
    ] = None,
    trial: Annotated[
        str, typer.Option(metavar="TIME", help="How long a rate is tried; longer where so few requests say nothing.")
    ] = "1m",
    budget: Annotated[str, typer.Option(metavar="TIME", help="No trial begins that would end later.")] = "30m",
    tolerance: Annotated[
        float, typer.Option(metavar="SHARE", min=0.001, help="How near the rates that meet and fail should come.")
    ] = 0.05,
    json: take.Json = False,
    seed: take.Seed = 0,
    sending: ask.Sending,
    reading: Reading,
) -> int:
    """Find the most of a workload's traffic that a server keeps within an SLO.

    Tries rates, twice as many while the SLO is met and half as many while it is not, then between; the same rate is
    always the same requests. Exits with 1 where our own sending or the server ended the search.
    """
    from groundswell.characterize.as_json import as_json
    from groundswell.cli._print import note
    from groundswell.judge import SLO
    from groundswell.replay import clock
    from groundswell.replay.plan import survey
    from groundswell.search import Limits
    from groundswell.search import search as searched
    from groundswell.search.load import Load
    from groundswell.search.text import describe, describe_trial
    from groundswell.search.trials import Trials, requests_for
    from groundswell.units import parse_duration
    from groundswell.whole_file import appearing, check_apart, check_folder, check_place

    asked = SLO.parse(slo)
    check_folder(output)
    check_place(output / FOUND if output.is_dir() else output)
    check_apart(output / FOUND, workload)
    if first is not None and not 0 < first < float("inf"):
        raise UsageError(f"--first {first:g}: a rate is above 0")
    trial_s, budget_s = parse_duration(trial), parse_duration(budget)
    limits = Limits(trial_s, budget_s, tolerance, requests_for(asked))
    options = sending.options(url, seed)
    with reading.opened(workload) as source:
        load = Load(source, scale, seed)
        first = load.rate_per_s if first is None else first
        limits = limits.up_to(load.most_per_s(trial_s))
        if not sending.agreed(url, survey(source), requests=round(first * budget_s)):
            return 1
    output.mkdir(exist_ok=True)
    trials = Trials(load, asked, options, output, note)
    found = searched(
        trials.attempt,
        first,
        limits,
        lambda: clock.now_ns() * 1e-9,
        load.lasts_s,
        lambda one: print(describe_trial(one), file=sys.stderr if json else sys.stdout, flush=True),
    )
    with appearing(output / FOUND) as beside:
        beside.write_bytes(as_json(found))
    if json:
        sys.stdout.write(as_json(found).decode())
    else:
        print(f"\n{describe(found, str(asked))}")
        print(f"\nwrote the results of {len(found.trials)} trials, and {FOUND}, to {output}")
    return _CODES.get(found.why, int(all(one.held == "invalid" for one in found.trials)))
