"""``groundswell pool``: look at clients, import them, cut them down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundswell.cli._files import write_frame, write_pool_and_say
from groundswell.cli._options import Output, Source, option
from groundswell.errors import UsageError

app = typer.Typer(help="Pools of clients: look at, import, cut down.", rich_markup_mode=None)


@app.command("show")
def show(
    source: Source,
    top: Annotated[int, typer.Option(metavar="K", min=0, help="How many clients to list, the busiest first.")] = 10,
) -> None:
    """Say what a pool holds.

    Clients, span, rates, fields and their lengths, who lacks lengths. For a repository of ServeGen's, the pools in it.
    """
    from groundswell.cli._pool_text import describe, describe_repository
    from groundswell.clients.servegen import list_servegen
    from groundswell.clients.source import open_source

    folder = Path(source).expanduser()
    held = list_servegen(folder) if folder.is_dir() else []
    if held and held != [folder]:
        print(describe_repository(folder, held))
    else:
        print(describe(open_source(source), top))


@app.command("import")
def import_(source: Source, output: Output) -> None:
    """Write a pool as one compact .pool file.

    It opens many times faster than a folder.
    """
    from groundswell.clients.source import open_source
    from groundswell.whole_file import check_apart

    check_apart(output, source)
    write_pool_and_say(open_source(source), output)


@app.command("filter")
def filter_(
    source: Source,
    output: Output,
    span: Annotated[str | None, option("Keep this time, such as 1d:2d, on the pool's clock.", "START:END")] = None,
    client: Annotated[list[str] | None, option("Keep this client; may be repeated.", "NAME")] = None,
    cv: Annotated[str | None, option("Keep clients whose rate-weighted CV lies in LOW:HIGH.", "LOW:HIGH")] = None,
    mean_input: Annotated[str | None, option("Keep clients whose mean input is so many tokens.", "LOW:HIGH")] = None,
    max_input: Annotated[str | None, option("Keep clients whose longest input is so many tokens.", "LOW:HIGH")] = None,
    mean_output: Annotated[str | None, option("Keep clients whose mean output is so many tokens.", "LOW:HIGH")] = None,
    max_output: Annotated[
        str | None, option("Keep clients whose longest output is so many tokens.", "LOW:HIGH")
    ] = None,
    top: Annotated[int | None, option("Keep the K busiest of what is left.", "K")] = None,
    scale: Annotated[float | None, option("Multiply every rate.", "FACTOR")] = None,
) -> None:
    """Write the part of a pool that passes every filter.

    Ranges include both ends, and either end may be left out.
    """
    from groundswell.clients.source import open_source
    from groundswell.clients.views import within
    from groundswell.units import parse_range, parse_span
    from groundswell.whole_file import check_apart

    check_apart(output, source)
    pool = open_source(source)
    if span is not None:
        pool = pool.between(*parse_span(span))
    if client:
        pool = pool.clients(client)
    ranges = {
        "cv": cv,
        "mean_input_tokens": mean_input,
        "max_input_tokens": max_input,
        "mean_output_tokens": mean_output,
        "max_output_tokens": max_output,
    }
    pool = within(pool, {trait: parse_range(text) for trait, text in ranges.items() if text is not None})
    if not len(pool):
        raise UsageError(f"no client of {source} passes these filters, so there is nothing to write")
    if top is not None:
        pool = pool.top(top)
    if scale is not None:
        pool = pool.scaled(scale)
    write_pool_and_say(pool, output)


@app.command("cdf")
def cdf(
    source: Source,
    output: Annotated[
        Path | None,
        option("Write the whole curves to this .csv or .parquet file.", "FILE", "--output", "-o"),
    ] = None,
) -> None:
    """Print how rates, CVs and lengths are distributed.

    Over clients and windows, weighted by rate: the rate, the CV, and each field's mean, p50, p95 and p99.
    """
    from groundswell.cli._pool_text import quantiles
    from groundswell.clients.cdf import rate_weighted_cdfs
    from groundswell.clients.source import open_source
    from groundswell.whole_file import check_apart

    if output is not None:
        check_apart(output, source)
    curves = rate_weighted_cdfs(open_source(source))
    if output is None:
        print(quantiles(curves))
        return
    write_frame(curves, output)
    print(f"wrote {len(curves):,} points to {output}")
