"""``groundswell fit``: from a trace to a pool of clients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from groundswell.cli import _options as take
from groundswell.cli._files import write_pool_and_say
from groundswell.cli._groups import with_options
from groundswell.cli._reading import Reading
from groundswell.cli._traces import say_reading, through
from groundswell.errors import UsageError

if TYPE_CHECKING:
    from groundswell.fit import Cost, Fitted

TOP = 5
_UNCHANGED = 1e-9


Window = Annotated[str, typer.Option(metavar="TIME", help="Measure rate and burstiness in windows this long.")]
Slot = Annotated[
    str, typer.Option(metavar="TIME", help="Measure lengths in slots this long, a whole number of windows.")
]
MinRequests = Annotated[
    int, typer.Option(metavar="N", min=1, help="Pool clients of fewer requests into groups of clients like them.")
]
MinGroup = Annotated[
    int,
    typer.Option(
        metavar="K",
        min=1,
        help="For a pool to be shared: merge clients, windows and lengths until none rests on fewer than K requests.",
    ),
]
Names = Annotated[
    Literal["number", "keep"], typer.Option(help="number: client-1 is the busiest. keep: the trace's own names.")
]
Conversations = Annotated[
    Literal["whole", "laws"],
    typer.Option(
        help="whole: each conversation as it was. laws: tables of turns, pauses and new text, as --min-group has them."
    ),
]
Align = Annotated[
    Literal["clock", "trace"],
    typer.Option(help="Where windows begin: at multiples of their length from midnight, or with the trace."),
]


@with_options()
def fit(
    *,
    trace_file: take.TraceFile,
    output: take.Output,
    window: Window = "10m",
    slot: Slot = "6h",
    min_requests: MinRequests = 50,
    min_group: MinGroup = 1,
    conversations: Conversations = "whole",
    names: Names = "number",
    align: Align = "clock",
    reading: Reading,
) -> None:
    """Fit a pool of clients to a trace; write a .pool file.

    Ends with the pool, what merging clients cost, and how to generate from it.
    """
    from groundswell.cli._pool_text import describe
    from groundswell.cli._print import note
    from groundswell.fit import FitSetting, fit_pool
    from groundswell.units import parse_duration
    from groundswell.whole_file import check_apart, check_place

    setting = FitSetting(
        parse_duration(window), parse_duration(slot), min_requests, min_group, names, align, conversations=conversations
    )
    if output.suffix != ".pool":
        raise UsageError(f"{output}: a pool file's name ends in .pool")
    check_place(output)
    check_apart(output, trace_file)
    trace = reading.trace(trace_file)
    fitted = through(trace, "fitting", lambda blocks: fit_pool(blocks, setting, metadata=trace.metadata))
    say_reading(trace)
    for remark in fitted.notes:
        note(remark)
    print(describe(fitted.pool, TOP))
    print("\n" + what_it_cost(fitted.cost) + "\n")
    write_pool_and_say(fitted.pool, output)
    print("\n".join(hints(fitted, output)))


def what_it_cost(cost: tuple[Cost, ...]) -> str:
    """Figures of the trace beside those of the pool."""
    from groundswell.cli._print import table

    if all(abs(one.after - one.before) <= _UNCHANGED * max(abs(one.before), 1.0) for one in cost):
        return "nothing was merged: counts, CVs and lengths are the trace's own"
    rows = [[one.what, _shown(one.before, one.kind), _shown(one.after, one.kind)] for one in cost]
    return table(["what merging cost", "trace", "pool"], rows)


def _shown(value: float, kind: str) -> str:
    from groundswell.cli._print import number

    if kind == "share":
        return f"{value:.2%}"
    return number(value) if abs(value) > _UNCHANGED else "0"


def hints(fitted: Fitted, output: Path) -> list[str]:
    """How to go on."""
    lines = [f"generate from it: groundswell generate {output} -o workload.parquet"]
    if fitted.joint_option != "independent":
        rho = fitted.joint
        interval = f"{rho.value:.2f} ({rho.low:.2f} to {rho.high:.2f})"
        lines[0] += f" --joint {fitted.joint_option}"
        lines.append(f"a client's inputs and outputs have a rank correlation of {interval}, which a pool does not hold")
    return lines
