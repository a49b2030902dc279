"""``groundswell generate``: from clients to a workload in a file."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import typer

from groundswell.cli import _options as take
from groundswell.cli._files import with_turns, write_workload
from groundswell.cli._stop import StoppedError, stopped_between
from groundswell.errors import UsageError
from groundswell.service import TPOT_S, TTFT_S

if TYPE_CHECKING:
    from groundswell.table import Workload

DURATION_OF_A_LAW_S = 600.0
LATEST_S = 1e10  # some three centuries
NOT_IN_THE_RECORD = ("source", "output", "workers")  # neither changes what is generated


def generate(
    context: typer.Context,
    source: take.Source,
    output: take.Output,
    clients: take.Clients = None,
    rate: take.Rate = "own",
    duration: take.Duration = None,
    start: take.Start = None,
    seed: take.Seed = 0,
    counts: take.Counts = None,
    joint: take.Joint = "independent",
    naive: take.Naive = None,
    activity: take.Activity = "on",
    weibull: take.Weibull = "cv",
    no_dataset: take.NoDataset = "drop",
    ttft: take.Ttft = TTFT_S,
    tpot: take.Tpot = TPOT_S,
    max_context: take.MaxContext = None,
    block_tokens: take.BlockTokens = None,
    workers: take.Workers = None,
    to: take.To = None,
    turns: take.Turns = None,
) -> None:
    """Generate a workload, client by client, into a file.

    Ends with a summary of what was written.
    """
    began_s = time.perf_counter()
    from groundswell.cli._print import note
    from groundswell.clients.source import is_law, open_source
    from groundswell.compose import Talking, compose
    from groundswell.naive import naive as shuffled
    from groundswell.progress import with_progress
    from groundswell.summary import describe
    from groundswell.units import parse_duration, show_bytes, show_count, show_duration
    from groundswell.whole_file import check_apart, is_stream

    duration_s = None if duration is None else parse_duration(duration)
    start_s = None if start is None else parse_duration(start)
    for what, given_s in (("duration", duration_s), ("start", start_s)):
        if given_s is not None and given_s > LATEST_S:
            raise UsageError(f"{what} {given_s:g} s: must be at most {LATEST_S:g} s")
    check_apart(output, source, rate)
    to = with_turns(output, to, turns)
    if is_law(source):
        duration_s = DURATION_OF_A_LAW_S if duration_s is None else duration_s
        start_s = start_s or 0.0
    pool = open_source(source, clients=clients, seed=seed, span_s=duration_s, start_s=start_s or 0.0)
    if start_s is not None and start_s >= pool.end_s:
        held = f"{show_duration(pool.start_s)} to {show_duration(pool.end_s)}"
        raise UsageError(f"start {start}: is behind the end of {source}, which covers {held}")
    composition = compose(
        pool,
        rate,
        duration_s,
        seed,
        start_s=start_s,
        counts=counts,
        joint=joint,
        activity=activity == "on",
        weibull=weibull,
        no_dataset=no_dataset,
        talking=Talking(ttft, tpot, max_context, block_tokens),
        workers=workers,
    )
    blocks: Iterable[Workload] = composition
    if naive is not None:
        blocks = shuffled(composition, composition.duration_s, seed, kind=naive)
    metadata = {**composition.metadata, "command": _command(context)}
    tally = Tally()
    opened_s = time.perf_counter()
    try:
        with stopped_between(tally.watch(blocks)) as watched:
            shown = with_progress(watched, composition.expected_requests, "generating")
            rows = write_workload(shown, output, to, metadata)
    except KeyboardInterrupt:
        raise StoppedError(f"interrupted; nothing was written to {output}") from None
    took_s = time.perf_counter() - opened_s
    for remark in composition.notes:
        note(remark)
    # the summary must not run into the data
    place = sys.stderr if is_stream(output) else sys.stdout
    size = "" if is_stream(output) else f", {show_bytes(output.stat().st_size)}"
    print(describe(tally.summary.finish(composition.duration_s)), file=place)
    print(
        f"\nwrote {output}{size}: {opened_s - began_s:.1f} s to open the clients, "
        f"{took_s:.1f} s to generate and write ({show_count(rows / took_s)} requests/s)",
        file=place,
    )


class Tally:
    """Sums up the blocks that pass."""

    def __init__(self) -> None:
        from groundswell.summary import Summary

        self.summary = Summary()

    def watch(self, blocks: Iterable[Workload]) -> Iterator[Workload]:
        """``blocks``, unchanged."""
        for block in blocks:
            self.summary = self.summary + type(self.summary).of(block)
            yield block


def _command(context: typer.Context) -> str:
    """The command without what cannot change its result, so that the same result carries the same record."""
    words = ["groundswell", "generate", str(context.params["source"])]
    for parameter in context.command.params:
        value = context.params[str(parameter.name)]
        if parameter.name not in NOT_IN_THE_RECORD and value != parameter.default:
            words += [parameter.opts[0], str(value)]
    return shlex.join(words)
