"""``groundswell population``: laws that clients are drawn from."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from groundswell.cli._files import write_pool_and_say
from groundswell.cli._options import Output, Seed, Source, option
from groundswell.errors import UsageError

app = typer.Typer(help="Laws of clients: list, show, fit, draw from them.", rich_markup_mode=None)

Law = Annotated[str, typer.Argument(help="An embedded population, or the .toml file of one.", show_default=False)]


@app.command("list")
def list_() -> None:
    """List the embedded populations."""
    from groundswell.cli._print import table
    from groundswell.population import Population, embedded_names

    laws = [Population.load(name) for name in embedded_names()]
    rows = [[law.name, f"{law.fitted.clients:,}", law.source] for law in laws]
    print(table(["population", "clients", "fitted to"], rows, text=(0, 2)))


@app.command("show")
def show(name: Law) -> None:
    """Print the figures of a population."""
    from groundswell.population import Population
    from groundswell.population.text import as_toml

    print(as_toml(Population.load(name)), end="")


@app.command("fit")
def fit(
    source: Source,
    output: Output,
    name: Annotated[str | None, option("What to call it. If not given, the file's name.", "NAME")] = None,
    credit: Annotated[str | None, option("Where the pool came from and its licence, kept in the file.", "TEXT")] = None,
) -> None:
    """Fit a population to a pool; write a .toml file."""
    from groundswell.cli._print import note
    from groundswell.clients.source import open_source
    from groundswell.population import fit_population
    from groundswell.population.fit import left_out
    from groundswell.whole_file import appearing, check_apart

    if output.suffix != ".toml":
        raise UsageError(f"{output}: a population file's name ends in .toml")
    check_apart(output, source)
    pool = open_source(source)
    said = [*(["--name", name] if name else []), *(["--credit", credit] if credit else [])]
    command = shlex.join(["groundswell", "population", "fit", source, "-o", output.name, *said])
    for remark in left_out(pool):
        note(remark)
    law = fit_population(pool, name=name or output.stem, command=command, source=credit or "")
    with appearing(output) as place:
        law.save(place)
    print(f"wrote the law of {len(pool):,} clients to {output}")


@app.command("sample")
def sample(
    name: Law,
    output: Output,
    clients: Annotated[int | None, option("Draw so many. If not given: as it was fitted to.", "N", min=1)] = None,
    seed: Seed = 0,
    duration: Annotated[str, typer.Option(metavar="TIME", help="How long the pool is.")] = "1d",
    start: Annotated[str, typer.Option(metavar="TIME", help="Where on the law's clock it begins.")] = "0",
) -> None:
    """Draw clients from a population; write a .pool file."""
    from groundswell.clients.source import check_fits
    from groundswell.population import Population
    from groundswell.units import parse_duration
    from groundswell.whole_file import check_apart

    check_apart(output, name)
    law, span_s = Population.load(name), parse_duration(duration)
    check_fits(clients or law.fitted.clients, span_s, whole_sessions=law.agents is not None)
    drawn = law.sample(clients or law.fitted.clients, seed, span_s=span_s, start_s=parse_duration(start))
    write_pool_and_say(drawn, output)
