"""``groundswell simulate``: what a fleet of engines would make of a workload, without any of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundswell.cli import _options as take
from groundswell.cli import _server as ask
from groundswell.cli._engine import Engines
from groundswell.cli._fleet import FleetOptions
from groundswell.cli._groups import with_options
from groundswell.cli._reading import Reading
from groundswell.cli._stop import StoppedError
from groundswell.errors import UsageError

if TYPE_CHECKING:
    from groundswell.judge.figures import Judgement
    from groundswell.results import Results
    from groundswell.simulate.spec import Stated
    from groundswell.table import Workload

_LATE_S = 10.0
"""A workload whose first request comes later than that begins with it."""

WorkloadFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[WORKLOAD]", show_default=False, help="What comes: a file of ours, or a trace in any format."
    ),
]
ResultsFile = Annotated[Path | None, take.option("The results to write, a Parquet file.", "FILE", "--output", "-o")]
Serve = Annotated[
    str | None,
    take.option(
        "Answer OpenAI's API there instead, in real time, as the fleet would; without a workload.", "HOST:PORT"
    ),
]


@with_options()
def simulate(
    *,
    workload: WorkloadFile = None,
    output: ResultsFile = None,
    engines: Engines,
    fleet: FleetOptions,
    turns: ask.TurnsWait = "closed",
    seed: take.Seed = 0,
    slo: ask.Slo = None,
    serve: Serve = None,
    reading: Reading,
) -> int:
    """Say what a fleet of serving engines would make of a workload, without any of them.

    Results are those of a replay: judge and report take them, and report A B says how far apart two runs are. With
    --serve the fleet answers requests that are sent to it.
    """
    if serve is not None:
        if workload is not None or output is not None or slo is not None:
            raise UsageError("--serve answers what is sent to it: it takes no workload, no -o and no --slo")
        return _serve(serve, fleet.stated(engines), seed)
    if workload is None or output is None:
        raise UsageError("say what comes and what to write: groundswell simulate WORKLOAD -o results.parquet")
    from groundswell.cli._print import note
    from groundswell.cli.replay import slo_of
    from groundswell.judge import judge
    from groundswell.judge.text import describe
    from groundswell.units import counted
    from groundswell.whole_file import check_apart, check_place

    bounds, stated = slo_of(slo), fleet.stated(engines)
    check_place(output)
    check_apart(output, workload, engines.profile, *fleet.files())
    asked = _from_its_first(reading.whole(workload))
    results = _simulated(stated, asked, workload, output, seed, turns)
    results.write(output)
    judgement = judge(results, bounds)
    print(f"wrote {output}: {counted(len(results), 'request')}")
    print(f"\n{describe(judgement)}\n\n{_used(results)}")
    for remark in (*_passed_by(stated, asked), *_overloaded(results, judgement), *stated.notes(results)):
        note(remark)
    return 1 if judgement.verdict == "invalid" else 0


def _from_its_first(workload: Workload) -> Workload:
    """The workload, begun with its first request if that would be waited for."""
    import polars as pl

    from groundswell.table import Workload

    first_s = float(workload.arrival_s[0])
    if first_s <= _LATE_S:
        return workload
    return Workload(workload.frame.with_columns(pl.col("arrival_s") - first_s), workload.metadata)


def _simulated(stated: Stated, asked: Workload, path: Path, output: Path, seed: int, turns: ask.TurnsWait) -> Results:
    """What comes of it, with a progress bar; Ctrl-C leaves no file."""
    from groundswell.progress import counting

    try:
        with counting(len(asked), "simulating", "requests") as done:
            results = stated.simulate(asked, seed, turns, progress=done)
    except KeyboardInterrupt:
        raise StoppedError(f"interrupted; nothing was written to {output}") from None
    results.run["workload"] = str(path)
    return results


def _used(results: Results) -> str:
    """What the instances did, in a sentence or two."""
    from groundswell.units import counted, show_duration

    run, series, totals = results.run, results.series, results.totals
    said = [
        f"{run['fleet']}, router {run['router']}: busy {run['busy_share']:.0%} of the time",
        f"up to {max(series['kv_used'], default=0.0):.0%} of the KV cache in use",
        f"up to {counted(round(max(series['waiting'], default=0.0)), 'request')} waiting",
        counted(round(totals["preemptions"]), "preemption"),
    ]
    if totals.get("prefix_queries"):
        said.append(f"{totals['prefix_hits'] / totals['prefix_queries']:.1%} of prompt tokens from the prefix cache")
    hours = f"{run['instance_s'] / 3600:.3g} instance-hours until {show_duration(run['end_s'])}"
    return _wrapped(f"{'; '.join(said)}; {hours}.")


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(text, 80, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _overloaded(results: Results, judgement: Judgement) -> list[str]:
    """What to say of a fleet that did not keep up."""
    from groundswell.plan.backlog import backlog_of

    left = backlog_of([results], judgement.window.begin_s)
    if not left.grows:
        return []
    from groundswell.units import counted

    return [
        f"overloaded: {counted(left.waiting, 'request')} waited when the last one came, and ever more of them through "
        "the run; percentiles would be other ones after a longer run"
    ]


def _passed_by(stated: Stated, asked: Workload) -> list[str]:
    """What to say of stages that no request has to go through."""
    from groundswell.table import ITEM_COLUMNS

    there = [name for name in ITEM_COLUMNS if name in asked.frame.columns]
    if not stated.fleet.stages or any(asked.frame[name].list.len().sum() for name in there):
        return []
    names = ", ".join(stage.name for stage in stated.fleet.stages)
    return [f"no request has images, audio or video, so none goes through {names}"]


def _serve(place: str, stated: Stated, seed: int) -> int:
    from groundswell.serve.engine import serve_fleet
    from groundswell.units import counted

    host, colon, number = place.rpartition(":")
    if not colon or not number.isdecimal() or int(number) > 65_535:
        raise UsageError(f"--serve {place}: say HOST:PORT, such as 127.0.0.1:8000; port 0 is any that is free")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if stated.failures is not None:
        raise UsageError("--serve: a fleet that answers in real time has no failures")

    def ready(port: int, most_context: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        print(f"{stated.about['fleet']}, router {stated.about['router']}, as {stated.model}", file=sys.stderr)
        print(f"longest context {most_context:,} tokens; Ctrl-C ends it", file=sys.stderr)
        print(f"http://{shown}:{port}", flush=True)

    requests = serve_fleet(stated.fleet, stated.model, host, int(number), seed, ready)
    print(f"{counted(requests, 'request')} came", file=sys.stderr)
    return 0
