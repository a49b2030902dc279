"""``groundswell rescale``: a trace at another rate, into a file."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import groundswell
from groundswell.cli import _options as take
from groundswell.cli._files import with_turns, write_workload
from groundswell.cli._groups import with_options
from groundswell.cli._reading import Reading
from groundswell.cli._stop import StoppedError, stopped_between
from groundswell.cli._traces import say_reading
from groundswell.cli.generate import Tally
from groundswell.family import part_names

if TYPE_CHECKING:
    from groundswell.formats.reading import Trace
    from groundswell.rescale import Method, Selection, Target

METHODS = part_names(Path(str(groundswell.__file__)).parent / "rescale")
NOT_IN_THE_RECORD = ("trace_file", "output")
KEPT = ("start_unix_s", "prefix_block_tokens", "client_is", "source", "format")
"""What the new file says of the trace's origin."""

Rate = Annotated[
    str,
    take.option("Requests a second, such as 100, or so many times the trace's own, such as x2.5.", "RATE", "--to"),
]
How = Annotated[
    str,
    typer.Option(
        "--method",
        metavar="METHOD",
        help=f"One of {', '.join(METHODS)}. itt: conversations begin faster, and go on as they did. naive: all gaps "
        "shrink. time: the whole clock goes faster. thin: a sample of clients or conversations, or copies of them. "
        "burstgpt: Gamma gaps and Zipf lengths, fitted every 20 minutes.",
    ),
]
By = Annotated[
    str | None,
    take.option(
        "thin chooses among these: client, conversation or request. If not given: conversations where the trace names "
        "them, else clients, else requests.",
        "UNIT",
    ),
]
Jitter = Annotated[
    str | None,
    take.option(
        "thin moves copies at random within stretches of this length; 0 leaves them. If not given: 5m.", "TIME"
    ),
]
Filter = Annotated[
    list[str] | None,
    take.option(
        "Take only requests of which this is true: model=GPT-4,log_type=API or client=NAME or failed=no or "
        "input_tokens=100:2000.",
        "COLUMN=VALUE",
        "--filter",
    ),
]
Span = Annotated[
    str | None,
    take.option("Take only this time of the trace, such as 1h:3h, counted from its first request.", "START:END"),
]
As = Annotated[
    str | None,
    take.option(f"Write one of {', '.join(take.FORMATS)}. If not given, the file's ending decides.", "FORMAT", "--as"),
]


@with_options()
def rescale(
    *,
    context: typer.Context,
    trace_file: take.TraceFile,
    output: take.Output,
    to: Rate,
    method: How = "itt",
    by: By = None,
    jitter: Jitter = None,
    only: Filter = None,
    span: Span = None,
    seed: take.Seed = 0,
    as_: As = None,
    turns: take.Turns = None,
    reading: Reading,
) -> None:
    """Rescale a trace to another rate.

    itt, naive and time divide the span by the factor; thin and burstgpt keep it. Ends with a summary of what was
    written.
    """
    began_s = time.perf_counter()
    from groundswell import formats
    from groundswell.cli._print import note
    from groundswell.formats.reading import in_order
    from groundswell.rescale import METHODS, Selection, Target, checked_factor
    from groundswell.units import parse_span
    from groundswell.whole_file import check_apart, check_place

    target = Target.parse(to)
    if target.factor is not None:
        checked_factor(target.factor)
    part = METHODS.build(_with(method, by=by, jitter=jitter))
    begin_s, end_s = parse_span(span) if span is not None else (0.0, float("inf"))
    selection = Selection(begin_s, end_s, Selection.parse_filters(only or ()))
    check_place(output)
    as_ = with_turns(output, as_, turns)
    formats.FORMATS.build(formats.format_of(output, as_))
    trace = reading.trace(trace_file)
    check_apart(output, trace_file)
    run = _Run(output, as_, part, target, selection, seed, {"command": _command(context), "method": method})
    try:
        done = in_order(trace, run.written)
    except KeyboardInterrupt:
        raise StoppedError(f"interrupted; nothing was written to {output}") from None
    say_reading(trace)
    if method == "itt" and not done.talks:
        note("The trace names no conversations, so each request is one, and itt does what naive does.")
    _say(run, done, time.perf_counter() - began_s)


@dataclass(frozen=True)
class _Done:
    """What was read and what was written."""

    requests: int
    covered_s: float
    factor: float
    talks: bool
    """Whether requests belong to conversations."""
    tally: Tally


@dataclass(frozen=True)
class _Run:
    """What is to be done."""

    output: Path
    format: str | None
    method: Method
    target: Target
    selection: Selection
    seed: int
    record: dict[str, Any]

    def written(self, trace: Trace) -> _Done:
        """Write ``trace``, rescaled."""
        from groundswell import formats
        from groundswell.progress import with_progress
        from groundswell.rescale import Selected, checked_factor, rescale

        selected, tally = Selected(trace, self.selection, str(trace.path)), Tally()
        # A Parquet file has one list of clients, which is known when all rows have been read; and so is a rate.
        if self.target.factor is None or formats.format_of(self.output, self.format) == "parquet":
            with stopped_between(selected) as blocks:
                trace.learn_clients(with_progress(blocks, trace.expected_rows, "reading"))
        factor = checked_factor(self.target.factor_of(selected.requests, selected.covered_s, str(trace.path)))
        with stopped_between(selected) as blocks:
            shown = with_progress(blocks, trace.expected_rows, "rescaling")
            passing = tally.watch(rescale(shown, factor, self.method, self.seed))
            # What the first block tells of the trace, its second 0 for one, some formats write with their first row.
            first = list(islice(passing, 1))
            talks = any("conversation" in block.frame.columns for block in first)
            write_workload(chain(first, passing), self.output, self.format, self._metadata(trace, factor))
        return _Done(selected.requests, selected.covered_s, factor, talks, tally)

    def _metadata(self, trace: Trace, factor: float) -> dict[str, Any]:
        """What the file says of where it comes from."""
        kept = {name: trace.metadata[name] for name in KEPT if name in trace.metadata}
        if "start_unix_s" in kept:
            kept["start_unix_s"] += self.selection.begin_s
        return {**kept, **self.record, "factor": factor, "seed": self.seed}


def _say(run: _Run, done: _Done, took_s: float) -> None:
    """What came of it."""
    from groundswell.summary import PEAK_WINDOW_S, describe
    from groundswell.units import show_bytes, show_count, show_duration
    from groundswell.whole_file import is_stream

    stream = is_stream(run.output)
    place = sys.stderr if stream else sys.stdout  # the summary must not run into the data
    span_s = done.covered_s / done.factor if run.method.shortens else done.covered_s
    sums = done.tally.summary
    figures = sums.finish(max(span_s, sums.last_s) if sums.requests else span_s)
    print(describe(figures), file=place)
    was = f"{show_count(done.requests)} requests in {show_duration(done.covered_s)}"
    rate = f" at {show_count(done.requests / done.covered_s)} req/s" if done.covered_s > 0 else ""
    print(f"\nrescaled x{done.factor:.6g} by {run.record['method']}: from {was}{rate}", file=place)
    later = int(sums.busy_count[sums.busy * PEAK_WINDOW_S >= span_s].sum())
    if later:
        print(
            f"{later / sums.requests:.1%} of the requests come after {show_duration(span_s)}: "
            "turns of conversations that began before",
            file=place,
        )
    size = "" if stream else f", {show_bytes(run.output.stat().st_size)}"
    print(
        f"wrote {run.output}{size}: {sums.requests:,} requests in {took_s:.1f} s "
        f"({show_count(sums.requests / took_s)} requests/s)",
        file=place,
    )


def _with(method: str, **parameters: str | None) -> str:
    """The text of a method with the parameters that have options of their own."""
    given = [f"{name}={value}" for name, value in parameters.items() if value is not None]
    if not given:
        return method
    return f"{method}{',' if ':' in method else ':'}{','.join(given)}"


def _command(context: typer.Context) -> str:
    """The command without where its files are."""
    words = ["groundswell", "rescale", context.params["trace_file"].name]
    for parameter in context.command.params:
        value = context.params[str(parameter.name)]
        if parameter.name in NOT_IN_THE_RECORD or value == parameter.default or value is None:
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            words += [parameter.opts[0]] if one is True else [parameter.opts[0], str(one)]
    return shlex.join(words)
