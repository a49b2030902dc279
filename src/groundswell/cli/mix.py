"""``groundswell mix``: several workloads, or several pools, as one, each with its share of the requests."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundswell.cli import _options as take
from groundswell.cli._files import with_turns, write_workload
from groundswell.cli._reading import Reading
from groundswell.cli._stop import StoppedError, stopped_between
from groundswell.cli._traces import say_reading
from groundswell.cli.generate import DURATION_OF_A_LAW_S, Tally
from groundswell.errors import UsageError

if TYPE_CHECKING:
    from groundswell.formats.reading import Trace
    from groundswell.rescale.thin import Thin

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE:SHARE...",
        show_default=False,
        help="Traces, or pools and laws of clients (.pool, .toml, a ServeGen folder, an embedded population), each "
        "with its share of the requests, such as a.parquet:0.7 b.parquet:0.3. Shares are weights.",
    ),
]
Total = Annotated[
    float | None,
    take.option("Requests a second of all together. If not given, the sources' own rates added up.", "RATE", "--rate"),
]
By = Annotated[
    str,
    typer.Option(
        help="Of traces, what is left out or comes again as a whole: client, conversation or request; auto is "
        "conversations where a trace names them, else clients, else requests."
    ),
]
Jitter = Annotated[
    str, typer.Option(metavar="TIME", help="What comes again is moved at random within stretches of this length.")
]
Duration = Annotated[
    str | None,
    take.option("Of pools and laws, how long; laws for 10m, pools as long as all of them, if not given.", "TIME"),
]


def mix(
    sources: Sources,
    output: take.Output,
    rate: Total = None,
    by: By = "auto",
    jitter: Jitter = "5m",
    duration: Duration = None,
    seed: take.Seed = 0,
    to: take.To = None,
    turns: take.Turns = None,
) -> None:
    """Mix workloads, or pools of clients, into one workload.

    It covers the shortest time that a source covers. Ends with a summary of what was written.
    """
    from groundswell import formats
    from groundswell.rescale.thin import Thin
    from groundswell.units import parse_duration
    from groundswell.whole_file import check_apart, check_place

    check_place(output)
    to = with_turns(output, to, turns)
    formats.FORMATS.build(formats.format_of(output, to))
    thin = Thin(by=by, jitter=jitter)
    parts = _parts(sources)
    check_apart(output, *(path for path, _ in parts))
    record = {"command": _command(parts, rate, by, jitter, duration, seed)}
    pools = [_is_pool(path) for path, _ in parts]
    try:
        if all(pools):
            _mix_pools(parts, output, rate, None if duration is None else parse_duration(duration), seed, to, record)
        elif any(pools):
            raise UsageError(
                f"{parts[pools.index(True)][0]} is of clients and {parts[pools.index(False)][0]} a trace; generate a "
                "workload from the one, or fit the other, first"
            )
        else:
            if duration is not None:
                raise UsageError("traces are as long as they are; --duration is for pools and laws")
            _mix_traces(parts, output, rate, thin, seed, to, record)
    except KeyboardInterrupt:
        raise StoppedError(f"interrupted; nothing was written to {output}") from None


def _parts(texts: Sequence[str]) -> list[tuple[str, float]]:
    """Sources and their shares."""
    parts = []
    for text in texts:
        path, colon, share = text.rpartition(":")
        try:
            parts.append((path, float(share)))
        except ValueError:
            colon = ""
        if not (colon and path):
            raise UsageError(f"{text}: say SOURCE:SHARE, such as {text.rstrip(':')}:0.7")
    if len(parts) < 2:
        raise UsageError("a mixture is of two sources or more")
    return parts


def _is_pool(text: str) -> bool:
    """Whether a source is of clients, not a trace."""
    from groundswell.clients.servegen import list_servegen
    from groundswell.population import embedded_names

    path = Path(text).expanduser()
    if path.is_dir():
        return bool(list_servegen(path))
    return path.suffix in (".pool", ".toml") or (not path.exists() and text in embedded_names())


def _names(paths: Sequence[str]) -> list[str]:
    """What sources are called: their files' names without endings, numbered where two have the same."""
    stems = [Path(path).stem or path for path in paths]
    return [f"{stem}-{stems[: i + 1].count(stem)}" if stems.count(stem) > 1 else stem for i, stem in enumerate(stems)]


def _mix_traces(
    parts: Sequence[tuple[str, float]],
    output: Path,
    rate: float | None,
    thin: Thin,
    seed: int,
    to: str | None,
    record: dict[str, Any],
) -> None:
    from groundswell.cli._print import note
    from groundswell.formats.reading import in_order
    from groundswell.mix import Mixture, Part
    from groundswell.mix import mix as mixed
    from groundswell.progress import with_progress

    began_s = time.perf_counter()
    names = _names([path for path, _ in parts])
    traces = [Reading().trace(Path(path)) for path, _ in parts]

    def write(done: Sequence[Trace]) -> tuple[Mixture, Tally]:
        if len(done) < len(traces):
            return in_order(traces[len(done)], lambda found: write([*done, found]))
        whole = [Part(name, trace, share) for name, trace, (_, share) in zip(names, done, parts, strict=True)]
        mixture, tally = mixed(whole, rate, thin=thin, seed=seed), Tally()
        with stopped_between(tally.watch(mixture)) as blocks:
            shown = with_progress(blocks, mixture.expected_requests, "mixing")
            write_workload(shown, output, to, _all_metadata(mixture.metadata, traces, record))
        return mixture, tally

    mixture, tally = write([])
    for trace in traces:
        say_reading(trace)
    for remark in mixture.notes:
        note(remark)
    sources = [(name, factor) for name, factor in zip(names, mixture.factors, strict=True)]
    _say(output, tally, mixture.span_s, sources, time.perf_counter() - began_s)


def _all_metadata(own: dict[str, Any], traces: Sequence[Trace], record: dict[str, Any]) -> dict[str, Any]:
    """What the file says of where it comes from."""
    from groundswell.table import BLOCK_SIZE_KEY

    sizes = {trace.metadata[BLOCK_SIZE_KEY] for trace in traces if BLOCK_SIZE_KEY in trace.metadata}
    return {**own, **({BLOCK_SIZE_KEY: sizes.pop()} if len(sizes) == 1 else {}), **record}


def _mix_pools(
    parts: Sequence[tuple[str, float]],
    output: Path,
    rate: float | None,
    duration_s: float | None,
    seed: int,
    to: str | None,
    record: dict[str, Any],
) -> None:
    from groundswell.cli._print import note
    from groundswell.clients.source import is_law, open_source
    from groundswell.compose import compose
    from groundswell.mix import mix_pools
    from groundswell.progress import with_progress

    began_s = time.perf_counter()
    names = _names([path for path, _ in parts])
    laws = [is_law(path) for path, _ in parts]
    recorded = [open_source(path, seed=seed) for (path, _), law in zip(parts, laws, strict=True) if not law]
    # Laws have no span of their own: they cover that of the others, or so long as one asks for.
    start_s = max((pool.covered_s[0] for pool in recorded), default=0.0)
    end_s = min((pool.covered_s[1] for pool in recorded), default=start_s + (duration_s or DURATION_OF_A_LAW_S))
    opened = iter(recorded)
    pools = [
        open_source(path, seed=seed, span_s=end_s - start_s, start_s=start_s) if law else next(opened)
        for (path, _), law in zip(parts, laws, strict=True)
    ]
    joined, factors = mix_pools(
        [(name, pool, share) for name, pool, (_, share) in zip(names, pools, parts, strict=True)], rate
    )
    composition = compose(joined, duration_s=duration_s, seed=seed)
    tally = Tally()
    with stopped_between(tally.watch(composition)) as blocks:
        shown = with_progress(blocks, composition.expected_requests, "mixing")
        write_workload(shown, output, to, {**composition.metadata, **record})
    for remark in composition.notes:
        note(remark)
    _say(output, tally, composition.duration_s, list(zip(names, factors, strict=True)), time.perf_counter() - began_s)


def _say(output: Path, tally: Tally, span_s: float, sources: Sequence[tuple[str, float]], took_s: float) -> None:
    """What came of it."""
    from groundswell.summary import describe
    from groundswell.units import show_bytes, show_count
    from groundswell.whole_file import is_stream

    stream = is_stream(output)
    place = sys.stderr if stream else sys.stdout  # the summary must not run into the data
    sums = tally.summary
    figures = sums.finish(max(span_s, sums.last_s) if sums.requests else span_s)
    print(describe(figures), file=place)
    rates = ", ".join(f"{name} x{factor:.4g}" for name, factor in sources)
    size = "" if stream else f", {show_bytes(output.stat().st_size)}"
    print(f"\nrates: {rates}", file=place)
    print(
        f"wrote {output}{size}: {sums.requests:,} requests in {took_s:.1f} s "
        f"({show_count(sums.requests / took_s)} requests/s)",
        file=place,
    )


def _command(
    parts: Sequence[tuple[str, float]], rate: float | None, by: str, jitter: str, duration: str | None, seed: int
) -> str:
    """The command without where its files are."""
    words = ["groundswell", "mix", *(f"{Path(path).name}:{share:g}" for path, share in parts)]
    given = {"--rate": rate, "--by": None if by == "auto" else by, "--jitter": None if jitter == "5m" else jitter}
    given |= {"--duration": duration, "--seed": seed or None}
    for name, value in given.items():
        words += [] if value is None else [name, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)
