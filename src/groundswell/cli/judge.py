"""``groundswell judge``: what came of a run, and whether it kept its objectives."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from groundswell.cli import _options as take

WIDTHS = (80, 110)
"""Of the text: at least, however narrow the terminal is, and at most."""

ResultsFile = Annotated[
    Path, typer.Argument(metavar="RESULTS", show_default=False, help="The Parquet file that a replay wrote.")
]
Slo = Annotated[
    str | None,
    take.option(
        "Bounds that have to hold, such as ttft:p99<2s,tpot:p99<0.1s: on ttft, ttfa, tpot, itl, e2e or lag, each by a "
        "percentile, mean or max.",
        "SLO",
    ),
]
WarmUp = Annotated[
    str | None,
    take.option(
        "How much of the run's beginning is not judged. If not given: the p95 of end-to-end latency, at most a tenth.",
        "TIME",
    ),
]
CoolDown = Annotated[str | None, take.option("And how much of its end. If not given: the same.", "TIME")]


def judge(
    results: ResultsFile,
    slo: Slo = None,
    warm_up: WarmUp = None,
    cool_down: CoolDown = None,
    json: take.Json = False,
    require: Annotated[
        bool, typer.Option("--require", help="Exit with 1 unless the SLO is met, so that a script can go by it.")
    ] = False,
) -> None:
    """Say what came of a run: latencies, errors, rates, and whether an SLO held.

    Exits with 1 where the run is INVALID: its figures are about the sending machine, not about the server.
    """
    from groundswell.characterize.as_json import as_json
    from groundswell.errors import UsageError
    from groundswell.judge.slo import SLO
    from groundswell.units import parse_duration

    if require and slo is None:
        raise UsageError("--require asks whether an SLO is met: give one with --slo")
    objective = None if slo is None else SLO.parse(slo)
    warm_up_s, cool_down_s = (None if text is None else parse_duration(text) for text in (warm_up, cool_down))

    from groundswell.judge.run import judge as judged
    from groundswell.judge.text import describe
    from groundswell.results import Results

    table = Results.read(results, leave_out={"event_s"})
    if not table.metadata.get("gaps"):
        table = Results.read(results)
    found = judged(table, objective, warm_up_s, cool_down_s)
    if json:
        sys.stdout.write(as_json(found).decode())
    else:
        least, most = WIDTHS
        print(describe(found, min(max(shutil.get_terminal_size((least, 24)).columns, least), most)))
    if found.verdict == "invalid" or (require and found.verdict != "meets"):
        raise typer.Exit(1)
