"""``groundswell plan``: how many instances a workload takes within an SLO."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundswell.cli import _options as take
from groundswell.cli._engine import Engines
from groundswell.cli._fleet import SCALERS, Startup
from groundswell.cli._groups import with_options
from groundswell.cli._reading import Reading
from groundswell.errors import DataError, UsageError

if TYPE_CHECKING:
    from groundswell.plan import Plan
    from groundswell.plan.autoscale import Autoscaling
    from groundswell.plan.methods import Drawn
    from groundswell.table import Workload

LAW_S = 600.0
"""How long a law is drawn for, where nobody says."""


@with_options()
def plan(
    *,
    workload: Annotated[
        str,
        typer.Argument(
            metavar="WORKLOAD|SOURCE",
            show_default=False,
            help="The traffic: a file of ours or any trace; or clients to draw it from, as generate takes them.",
        ),
    ],
    slo: Annotated[str, take.option("What has to be kept, such as 'ttft:p99<2.25s,tbt:p99<0.5s'.", "SLO")],
    engines: Engines,
    router: Annotated[str, typer.Option(metavar="ROUTER", help="Which instance a request goes to.")] = "jsq",
    methods: Annotated[
        str, typer.Option(metavar="NAMES", help="Ways to find out, with commas between; direct is the one that counts.")
    ] = "naive,scaled,one_of,direct",
    grid: Annotated[
        str | None,
        take.option("Also for each of these SLOs, such as 'ttft=1s,2s,4s;tbt=0.1s,0.2s' (of p99).", "GRID"),
    ] = None,
    price: Annotated[str | None, take.option("What an hour costs: 2.50/gpu or 5/instance.", "PRICE")] = None,
    leave_out: Annotated[
        int, typer.Option(metavar="N", min=0, help="Of so many clients say what would do without them.")
    ] = 3,
    window: Annotated[
        str | None,
        take.option(
            "Plan for the worst windows of this length. If not given: for all of up to two hours, of more for windows "
            "of 10m.",
            "TIME",
        ),
    ] = None,
    scaler: Annotated[
        list[str] | None,
        take.option(f"Also find the fewest instance-hours of this autoscaler: {SCALERS}; may be repeated.", "SCALER"),
    ] = None,
    startup: Startup = None,
    history: Annotated[
        Path | None,
        take.option("And of one that expects each hour to bring what it brought in this workload of a day.", "FILE"),
    ] = None,
    most_instances: Annotated[int, typer.Option(metavar="N", min=1, help="Try no more.")] = 1000,
    rate: take.Rate = "own",
    duration: take.Duration = None,
    start: take.Start = None,
    clients: take.Clients = None,
    max_context: take.MaxContext = None,
    seed: take.Seed = 0,
    json: take.Json = False,
    html: take.HtmlPage = None,
    figures: take.FiguresFolder = None,
    reading: Reading,
) -> int:
    """Say how many instances a workload takes within an SLO, four ways side by side.

    Every number is simulated: direct is the whole workload behind the router, naive, scaled and one_of are what one
    instance tells. --rate, --duration, --start, --clients and --max-context are for clients that traffic is drawn from.
    Exits with 1 where no number of instances is found.
    """
    from groundswell.characterize.as_json import as_json
    from groundswell.cli._print import note
    from groundswell.plan import Options
    from groundswell.plan import plan as planned
    from groundswell.plan.grid import Bounds
    from groundswell.plan.price import Price
    from groundswell.plan.text import describe
    from groundswell.progress import tallying
    from groundswell.units import parse_duration
    from groundswell.whole_file import check_apart, check_folder, check_place

    if html is not None:
        check_place(html)
        check_apart(html, workload, history, engines.profile, rate)
    if figures is not None:
        check_folder(figures)
    profile, engine = engines.build()
    options = Options(
        methods=tuple(name.strip().replace("-", "_") for name in methods.split(",") if name.strip()),
        most_instances=most_instances,
        window_s=None if window is None else parse_duration(window),
        grid=None if grid is None else Bounds.parse(grid),
        clients=leave_out,
        gpus=profile.gpus,
        price=None if price is None else Price.parse(price),
        autoscaling=_autoscaling(scaler, startup, history, reading),
    )
    drawn: Drawn | None = None
    if _is_file(workload):
        if (rate, duration, start, clients, max_context) != ("own", None, None, None, None):
            raise UsageError(
                f"{workload} is a workload: --rate, --duration, --start, --clients and --max-context are for clients; "
                "groundswell rescale changes a workload's rate"
            )
        traffic = _read(Path(workload), reading)
    else:
        traffic, drawn = _drawn(workload, rate, duration, start, clients, max_context, seed)
    with tallying("planning", "requests simulated") as tell:
        found = planned(traffic, engine, slo, router, seed, options, drawn, tell)
    for remark in profile.notes(engine.most_tokens, _longest(traffic)):
        note(remark)
    if html is not None:
        _write_page(found, html)
    if figures is not None:
        _write_figures(found, figures)
    if json:
        sys.stdout.write(as_json(found).decode())
    else:
        print(describe(found))
    return 1 if found.instances is None else 0


def _is_file(text: str) -> bool:
    path = Path(text).expanduser()
    return path.is_file() and path.suffix not in (".pool", ".toml")


def _read(path: Path, reading: Reading) -> Workload:
    """A workload from its first request on."""
    import polars as pl

    from groundswell.table import Workload

    workload = reading.whole(path)
    return Workload(workload.frame.with_columns(pl.col("arrival_s") - float(workload.arrival_s[0])), workload.metadata)


def _autoscaling(
    scalers: list[str] | None, startup: str | None, history: Path | None, reading: Reading
) -> Autoscaling | None:
    from groundswell.plan.autoscale import STARTUP_S, Autoscaling
    from groundswell.scaling import SCALING
    from groundswell.units import parse_duration

    if scalers is None and history is None:
        if startup is not None:
            raise UsageError("--startup is for a --scaler or a --history: without, all instances run all the time")
        return None
    asked = Autoscaling(
        tuple(map(SCALING.build, scalers or ())),
        STARTUP_S if startup is None else parse_duration(startup),
        None if history is None else _read(history, reading),
    )
    try:
        _ = asked.forecast  # a history of which nothing can be learned is told of before all else
    except DataError as fault:
        raise DataError(f"--history {history}: {fault}") from None
    return asked


def _drawn(
    text: str,
    rate: str,
    duration: str | None,
    start: str | None,
    clients: int | None,
    max_context: int | None,
    seed: int,
) -> tuple[Workload, Drawn]:
    """What clients send, and how they send it again."""
    from groundswell.cli._print import note
    from groundswell.clients.source import is_law, open_source
    from groundswell.compose import Talking
    from groundswell.plan.source import PoolTraffic
    from groundswell.progress import with_progress
    from groundswell.table import Workload
    from groundswell.units import parse_duration

    duration_s = None if duration is None else parse_duration(duration)
    start_s = None if start is None else parse_duration(start)
    if is_law(text):
        duration_s, start_s = LAW_S if duration_s is None else duration_s, start_s or 0.0
    pool = open_source(text, clients=clients, seed=seed, span_s=duration_s, start_s=start_s or 0.0)
    source = PoolTraffic(pool, rate, duration_s, start_s, Talking(max_context_tokens=max_context))
    composition = source.composed(seed)
    for remark in composition.notes:
        note(remark)
    made = Workload.concat(list(with_progress(composition, composition.expected_requests, "generating")))
    if not len(made):
        raise UsageError("no request arrives: say a higher --rate or a longer --duration")
    return Workload(made.frame, composition.metadata), source.drawn


def _longest(workload: Workload) -> int:
    return int((workload.input_tokens.astype("int64") + workload.output_tokens).max())


def _write_page(found: Plan, path: Path) -> None:
    from groundswell.cli._plan_figures import sections, summary
    from groundswell.report.files import write_page
    from groundswell.report.html import page

    write_page(page(f"A plan for {found.slo}", summary(found), sections(found)), path)
    print(f"wrote {path}", file=sys.stderr)


def _write_figures(found: Plan, folder: Path) -> None:
    from groundswell.cli._plan_figures import charts
    from groundswell.report.files import FORMATS, write_each

    written = write_each(charts(found), folder, tuple(FORMATS))
    print(f"wrote {len(written)} files to {folder}", file=sys.stderr)
