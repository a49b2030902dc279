"""From a workload and a URL to results: what a replay is, start to end."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswell.errors import GroundswellError, OutputError
from groundswell.replay.asked_to_stop import AskedToStop
from groundswell.replay.collect import Missing, digest_of, write_results
from groundswell.replay.endpoint import Endpoint
from groundswell.replay.folder import Folder
from groundswell.replay.learned import Learned, learn
from groundswell.replay.limits import left_out
from groundswell.replay.options import Options, key_of
from groundswell.replay.plan import Plan
from groundswell.replay.records import Journals
from groundswell.replay.run import LEAD_S, TALK_LEAD_S, Ended, Run
from groundswell.replay.schedule import Schedule
from groundswell.replay.scrape import Scraper
from groundswell.replay.source import Source
from groundswell.replay.transport import tls_context
from groundswell.replay.view import View
from groundswell.replay.wire import Setup
from groundswell.units import show_duration

REQUESTS_PER_WORKER, EVENTS_PER_WORKER = 3000, 40_000
"""A second, at the peak: what one worker is given, and no more workers are started than there are cores."""

LONGEST_WAIT_S = 10.0
"""A workload whose first request comes later begins with that one."""


@dataclass(frozen=True)
class Outcome:
    """What became of a run, beside its results."""

    results: Path
    ended: Ended
    remaining: int
    """Requests that were not due yet when it was interrupted."""
    folder: Path | None
    """Where ``--resume`` goes on; None where nothing is left to do."""


def replay(
    source: Source,
    plan: Plan,
    options: Options,
    output: Path,
    *,
    resume: bool = False,
    learned: Learned | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Send a workload to a server, each request when it is due, and write the results.

    What a person should know beforehand goes to ``say``; what an earlier run ``learned`` need not be learned again.
    Raises UsageError for what cannot be meant, and GroundswellError where the server cannot be reached at all or the
    results cannot be written.
    """
    folder = Folder(output)
    if begin_of(plan):
        say(f"the first request arrives after {show_duration(plan.first_s)}: the run begins with it")
    learned = learned or learn(plan, options, say)
    for text in left_out(source, plan, learned.probed.context_tokens):
        say(text)
    job = _Job(source, plan, options, learned, output, folder)
    with AskedToStop() as stop, folder:
        cut_s, done = 0.0, np.empty(0, np.int64)
        if resume:
            cut_s, done = folder.again(job.asked), Journals(folder.path).ended_rows()
        else:
            folder.begin(job.asked)
        try:
            ended, scraper = _go(job, cut_s, done, stop)
            _check_something_came(folder, ended)
        except (GroundswellError, KeyboardInterrupt):
            if not folder.has_records:
                folder.remove()  # nothing was sent: there is nothing to go on with
            raise
        outcome = _settled(job, ended, scraper)
        if stop.times and not ended.interrupted:  # while the results were written
            raise KeyboardInterrupt
    return outcome


@dataclass(frozen=True, eq=False)
class _Job:
    """What is sent, how, with what was learned of the server, and where it is written down."""

    source: Source
    plan: Plan
    options: Options
    learned: Learned
    output: Path
    folder: Folder

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What decides what is sent; a run that is resumed must have the same."""
        plan, options = self.plan, self.options
        return {
            "url": options.url,
            "target": options.target,
            "model": self.learned.probed.model,
            "seed": options.seed,
            "turns": options.turns,
            "answers": options.answers,
            "forced": options.forced,
            "extra": hashlib.sha256(json.dumps(options.extra, sort_keys=True).encode()).hexdigest()[:16],
            "requests": plan.requests,
            "span_s": plan.last_s - begin_of(plan),
            "workload": plan.digest,
            "words": hashlib.sha256(self.learned.words.table).hexdigest()[:16],
        }


def _check_something_came(folder: Folder, ended: Ended) -> None:
    if not folder.has_records:
        if ended.failures:
            raise GroundswellError(ended.failures[0])
        if ended.interrupted:
            raise KeyboardInterrupt


def _go(job: _Job, cut_s: float, done: NDArray[np.int64], stop: AskedToStop) -> tuple[Ended, Scraper | None]:
    """Send what is not ``done``, from ``cut_s`` on."""
    plan, options = job.plan, job.options
    count = options.workers or workers_for(plan)
    skip = np.zeros(plan.requests, np.bool_)
    skip[done] = True
    schedule = Schedule(job.source, count, options.turns, skip=skip)
    setups = _setups(job, count, cut_s)
    scraper = _scraper(options)
    view = View(plan, scraper, title=f"{job.source.name} to {options.url}", done=done.size)
    talks = options.turns == "closed" and plan.conversations > 0
    if scraper is not None:
        scraper.start()
    try:
        lead_s = TALK_LEAD_S if talks else LEAD_S
        run = Run(schedule, setups, job.folder, view, scraper, lead_s, stop, begin_of(plan), cut_s)
        return run.go(), scraper
    finally:
        if scraper is not None and stop.times < 2:  # a server that stands still would be waited for
            scraper.stop()


def begin_of(plan: Plan) -> float:
    """When a run begins, on the workload's clock: with a piece cut out of a longer one nobody waits for its begin."""
    return plan.first_s if plan.first_s > LONGEST_WAIT_S else 0.0


def workers_for(plan: Plan) -> int:
    """How many workers the peak of a workload asks for."""
    # A peak is a mean over some seconds, of which a short workload does not fill one; a single instant has neither.
    rate_per_s = np.nanmax([plan.peak_rate_per_s, plan.mean_rate_per_s, 0.0])
    events_per_s = np.nanmax([plan.peak_output_tokens_per_s, plan.per_s(plan.output_tokens), 0.0])
    wanted = max(rate_per_s / REQUESTS_PER_WORKER, events_per_s / EVENTS_PER_WORKER)
    return max(min(int(np.ceil(wanted)), os.cpu_count() or 1), 1)


def _setups(job: _Job, count: int, cut_s: float) -> list[Setup]:
    plan, options, words, probed = job.plan, job.options, job.learned.words, job.learned.probed
    first = job.folder.next_worker()
    return [
        Setup(
            worker=first + i,
            journal=str(job.folder.path),
            url=options.url,
            target=options.target,
            model=probed.model,
            seed=options.seed,
            block_tokens=plan.block_tokens or 0,
            words=msgspec.msgpack.encode(words),
            key_env=options.key_env,
            headers=options.headers,
            extra=options.extra,
            forced=options.forced,
            usage=probed.usage,
            answers=options.answers,
            first_overhead=probed.first_overhead,
            turn_overhead=probed.turn_overhead,
            audio_tokens_per_s=options.audio_tokens_per_s,
            timeout_s=options.timeout_s,
            most_open=-(-options.most_open // count),
            warm_connections=min(int(np.nan_to_num(plan.peak_rate_per_s / count)) + 2, 64),
            begin_s=begin_of(plan),
            from_s=cut_s,
            quick_ack=options.quick_ack,
            event_times=options.event_times,
            tls=options.tls,
        )
        for i in range(count)
    ]


def _scraper(options: Options) -> Scraper | None:
    if not options.metrics or options.target.partition(":")[0] == "null":
        return None
    context: ssl.SSLContext | None = tls_context(options.tls) if Endpoint.parse(options.url).tls else None
    key = key_of(options.key_env)
    authorization = [("Authorization", f"Bearer {key}")] if key else []
    return Scraper(options.url, [*options.headers, *authorization], context)


def _settled(job: _Job, ended: Ended, scraper: Scraper | None) -> Outcome:
    """The results of what was written down; the folder goes when nothing is left to do."""
    folder, output = job.folder, job.output
    whole = not (ended.interrupted or ended.failures)
    if not whole:
        with suppress(OutputError):  # the journals say nearly the same
            folder.note(job.asked, ended.cut_s)
    journals = Journals(folder.path)
    remaining = 0 if whole else job.plan.requests - journals.ended_rows().size
    digest = digest_of(journals) if whole else None
    metadata = {"run": _said_of(job, ended, remaining, digest), "gaps": journals.gaps()}
    if scraper is not None:
        metadata |= {"series": scraper.series(), "totals": scraper.totals(), "rounding": scraper.rounding()}
    # What has no record is still to be sent where the run was broken off, but for that which a dead worker had.
    missing = Missing(
        "worker lost" if ended.lost else "unsent",
        inf if whole else ended.cut_s if ended.lost else -inf,
        begin_of(job.plan),
    )
    try:
        write_results(journals, job.source.named(), output, metadata, missing, job.options.event_times)
    except OutputError as fault:
        why = f"the run was broken off: {ended.failures[0]}" if ended.failures else str(fault)
        raise OutputError(f"{why}; what was recorded is in {folder.path}, and --resume goes on from there") from None
    if ended.failures:
        raise GroundswellError(
            f"the run was broken off: {ended.failures[0]}; what was recorded until then is in {output}, "
            f"and --resume goes on from there"
        )
    if whole:
        folder.remove()
    return Outcome(output, ended, remaining, None if whole else folder.path)


def _said_of(job: _Job, ended: Ended, remaining: int, digest: str | None) -> dict[str, Any]:
    """What the results say was run, and how it ended."""
    probed = job.learned.probed
    return {
        **job.asked,
        "server": probed.server,
        "version": probed.version,
        "context_tokens": probed.context_tokens,
        "quick_ack": job.options.quick_ack,
        "started_unix_s": ended.started_unix_s,
        "end_s": ended.end_s,
        "cut_s": ended.cut_s,
        "interrupted": ended.interrupted,
        "remaining": remaining,
        "workers_lost": ended.lost,
        "digest": digest,
    }
