"""The options of the verbs: the same one reads the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import groundswell
from groundswell.family import part_names

FORMATS = part_names(Path(str(groundswell.__file__)).parent / "formats")


def option(what: str, metavar: str | None = None, *names: str, **more: Any) -> Any:
    """An option whose help says itself what happens without it."""
    return typer.Option(*names, help=what, metavar=metavar, show_default=False, **more)


Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        show_default=False,
        help="Where the clients come from: an embedded population, a .toml file of a population or of clients, "
        "a .pool file, or one of ServeGen's data folders.",
    ),
]
Output = Annotated[Path, option("The file to write.", "FILE", "--output", "-o")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="The same seed gives the same result.")]

Clients = Annotated[
    int | None,
    option(
        "Draw so many clients: from a population any number (if not given, as many as it was fitted to); "
        "from a pool at random, each at most once (if not given, all).",
        "N",
    ),
]
Rate = Annotated[
    str,
    typer.Option(
        metavar="RATE",
        help="Requests a second of all clients together: a number, x0.5 (times the clients' own), max:300 (a bound), "
        "a CSV file of time_s,rate_per_s (linear between), or own.",
    ),
]
Duration = Annotated[
    str | None,
    option(
        "How long, such as 10m, 6h or 14d. If not given: a pool to the end of what it covers, a law for 10m.", "TIME"
    ),
]
Start = Annotated[
    str | None,
    option(
        "Where on the clients' clock to begin, such as 9h or 2d9h. If not given: where what a pool covers begins, "
        "a law's midnight.",
        "TIME",
    ),
]
Counts = Annotated[
    Literal["measured", "renewal"] | None,
    option(
        "measured: each window gets the count that its rate says. renewal: counts vary as the process does. "
        "If not given: measured for recorded clients, renewal for stated ones."
    ),
]
Joint = Annotated[
    str,
    typer.Option(
        metavar="HOW", help="How the lengths of a request hang together: independent, rank:RHO, or comonotone."
    ),
]
Naive = Annotated[
    Literal["gamma", "poisson"] | None,
    option(
        "Write the baseline instead: one process of the same rate, of the same CV in each window (gamma) or of CV 1 "
        "(poisson), with lengths shuffled over all clients."
    ),
]
Activity = Annotated[
    Literal["on", "off"],
    typer.Option(help="off: spread arrivals over a whole window even where its gaps say a part was active."),
]
Weibull = Annotated[
    Literal["cv", "recorded"],
    typer.Option(help="Where the shape of Weibull windows comes from: their CV, or the recorded parameters."),
]
NoDataset = Annotated[
    Literal["drop", "borrow"],
    typer.Option(help="Clients without lengths are dropped, or borrow the others' lengths, weighted by rate."),
]
Ttft = Annotated[
    float,
    option(
        "Nominal speed of the service, which places the turns of conversations: from a request to the first token, s.",
        "S",
        min=0.0,
    ),
]
Tpot = Annotated[float, option("And for each token of a reply, s.", "S", min=0.0)]
MaxContext = Annotated[
    int | None,
    option("Longest prompt of a conversation; what is oldest behind its shared beginning is dropped.", "TOKENS", min=1),
]
BlockTokens = Annotated[
    int | None,
    option(
        "Size of the prefix blocks that say which prompts share their beginnings, where clients converse or share any; "
        "0 for none. If not given: that of the trace that the pool was fitted to, or 16.",
        "TOKENS",
        min=0,
    ),
]
Workers = Annotated[int | None, option("Threads. If not given: one a core.", "N", min=1)]
TraceFile = Annotated[
    Path,
    typer.Argument(
        metavar="TRACE",
        show_default=False,
        help="The file of a trace: any format that groundswell reads (docs/formats.md), or a table whose columns "
        "--map names.",
    ),
]
From = Annotated[
    str | None,
    option(
        "The trace's format, such as azure or mooncake:block_tokens=16. If not given, its content decides.",
        "FORMAT",
        "--format",
        "--from",
    ),
]
Map = Annotated[
    list[str] | None,
    option(
        "Where a column of a workload is, in a table of any format: arrival=TIMESTAMP, client=user, "
        "input_tokens=usage.prompt_tokens and so on, each said once. Columns that have our names need not be said.",
        "OURS=THEIRS",
        "--map",
    ),
]
TimeUnit = Annotated[
    Literal["s", "ms", "us", "ns"] | None,
    option("What arrivals that are numbers count. If not given: seconds, or Unix time in what its size says."),
]
TableBlockTokens = Annotated[
    int | None,
    option(
        "How many tokens each id of a table's prefix blocks stands for, such as 64. If not given, the first rows tell, "
        "where prompts have all their blocks.",
        "N",
        min=1,
    ),
]
ClientBy = Annotated[
    str | None,
    option("Take another column for the client, such as model, or several: 'Model+Log Type'.", "COLUMN"),
]
BadRows = Annotated[
    Literal["stop", "skip"],
    typer.Option(help="A row that cannot be meant ends the reading, or is left out and counted."),
]
Dequantise = Annotated[
    bool,
    typer.Option("--dequantise", help="Spread the rows of a coarse clock's tick over it at random."),
]
Json = Annotated[bool, typer.Option("--json", help="Print every figure as JSON instead.")]
HtmlPage = Annotated[Path | None, option("Write one page that a browser opens without a network.", "FILE", "--html")]
FiguresFolder = Annotated[
    Path | None, option("Write each figure as SVG, PNG and PDF into this folder.", "FOLDER", "--figures")
]
Turns = Annotated[
    Literal["delta", "cumulative"] | None,
    option(
        "What a row of a conversation holds, for the formats that can have either: what is new in a turn, or the whole "
        "prompt. The same as --to FORMAT:turns=…",
        "delta|cumulative",
    ),
]
To = Annotated[
    str | None,
    option(f"One of {', '.join(FORMATS)}. If not given, the file's ending decides.", "FORMAT"),
]
