"""``groundswell run``: from clients to a page on how a server served them, in one command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundswell.cli import _options as take
from groundswell.cli import _server as ask
from groundswell.cli._groups import with_options
from groundswell.cli.replay import code_of, judged, slo_of
from groundswell.errors import UsageError

if TYPE_CHECKING:
    from groundswell.judge.figures import Judgement
    from groundswell.results import Results

WORKLOAD, RESULTS, PAGE = "workload.parquet", "results.parquet", "report.html"


@with_options()
def run(
    *,
    source: take.Source,
    url: ask.Url,
    rate: Annotated[
        str,
        take.option(
            "Requests a second of all clients together: a number, x0.5 (times the clients' own), or a CSV file of "
            "time_s,rate_per_s.",
            "RATE",
        ),
    ],
    output: Annotated[
        Path,
        take.option(
            f"The folder for {WORKLOAD}, {RESULTS} and {PAGE}; made if it is not there.", "FOLDER", "--output", "-o"
        ),
    ],
    duration: Annotated[str, typer.Option(metavar="TIME", help="How long requests arrive.")] = "5m",
    slo: ask.Slo = None,
    clients: take.Clients = None,
    start: take.Start = None,
    max_context: take.MaxContext = None,
    seed: take.Seed = 0,
    sending: ask.Sending,
) -> int:
    """Generate a workload, send it to a server, judge what came of it, and write a page on that.

    The same as generate, replay and report, one after the other; each can be run again with the files of this one. A
    folder that holds a run already is left as it is.
    """
    from groundswell.cli._print import note
    from groundswell.replay.launch import replay
    from groundswell.replay.plan import survey
    from groundswell.replay.source import opened
    from groundswell.whole_file import check_apart

    bounds, options = slo_of(slo), sending.options(url, seed)
    _check_free(output, url)
    workload, results, page = output / WORKLOAD, output / RESULTS, output / PAGE
    for written in (workload, page):
        check_apart(written, source, rate, sending.tokenizer, sending.ca_file)
    _generate(source, workload, rate, duration, clients, start, seed, max_context)
    with opened(workload) as asked:
        plan = survey(asked)
        print(f"{plan.text()}\n", flush=True)
        if not sending.agreed(url, plan):
            return 1
        outcome = replay(asked, plan, options, results, say=note)
    found, judgement = judged(outcome, bounds, _again(output, url))
    _draw(found, judgement, page)
    return code_of(outcome, judgement)


def _check_free(folder: Path, url: str) -> None:
    """Raises UsageError where the folder cannot be used, or holds a run: whole or not, it is not written over."""
    from groundswell.replay.folder import Folder
    from groundswell.whole_file import check_folder, check_place

    check_folder(folder)
    if not folder.is_dir():
        check_place(folder)
        return
    results = folder / RESULTS
    begun = Folder(results).path
    if begun.exists():
        raise UsageError(
            f"{folder}: holds a run that was interrupted; go on with it: {_again(folder, url)}; or remove {begun}"
        )
    if results.exists():
        raise UsageError(f"{folder}: holds a run already; name another folder, or remove {results}")


def _again(folder: Path, url: str) -> str:
    """What goes on with a run that was interrupted."""
    return f"groundswell replay {folder / WORKLOAD} --url {url} -o {folder / RESULTS} --resume, with the same options"


def _generate(
    source: str,
    path: Path,
    rate: str,
    duration: str,
    clients: int | None,
    start: str | None,
    seed: int,
    max_context: int | None,
) -> None:
    """The workload's file, as ``generate`` with the same words writes it."""
    from groundswell import formats
    from groundswell.clients.source import open_source
    from groundswell.compose import Talking, compose
    from groundswell.progress import with_progress
    from groundswell.service import TPOT_S, TTFT_S
    from groundswell.units import parse_duration

    span_s, start_s = parse_duration(duration), parse_duration(start) if start is not None else None
    if not span_s > 0:
        raise UsageError(f"--duration {duration}: must be above 0")
    pool = open_source(source, clients=clients, seed=seed, span_s=span_s, start_s=start_s or 0.0)
    talking = Talking(TTFT_S, TPOT_S, max_context)
    composition = compose(pool, rate, span_s, seed, start_s=start_s, talking=talking)
    path.parent.mkdir(exist_ok=True)
    shown = with_progress(composition, composition.expected_requests, "generating")
    if not formats.write(shown, path, metadata=composition.metadata):
        path.unlink()
        raise UsageError(f"no request arrives in {duration}: say a higher --rate or a longer --duration")
    print(f"wrote {path}", file=sys.stderr)


def _draw(results: Results, judgement: Judgement, page: Path) -> None:
    from groundswell.report.run import Shown, write_html

    write_html([Shown(page.parent.resolve().name, results, judgement)], page)
    print(f"wrote {page}")
