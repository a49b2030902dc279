"""What was run, against what, and how many tokens came of it. Only what is listed here is ever shown: no key is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from groundswell.judge.figures import Tokens
from groundswell.report import words
from groundswell.report.axes import YEAR_3000_S
from groundswell.report.figure import Section, Table
from groundswell.report.run import said
from groundswell.report.run.shown import Shown, teller

MOST = 160


def section(runs: Sequence[Shown]) -> Section:
    """The settings of all runs beside one another, their tokens, and the server's own counts."""
    named = len(runs) > 1
    tables = [_settings(runs), _tokens(runs)]
    tables += [_server(run, named) for run in runs if run.judgement.server]
    return Section(
        "settings",
        "What was run",
        "The settings of the run and its totals." if not named else "The settings of both runs and their totals.",
        tables=tuple(table for table in tables if table.rows),
    )


def plain_url(text: object) -> str:
    """Where a server is, without what may be secret: the user's name and password, and what follows the path.

    >>> plain_url("https://me:secret@example.com:8000/v1?key=abc#d")
    'https://example.com:8000/v1'
    """
    try:
        parts = urlsplit(str(text))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    place = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{place}{f':{port}' if port else ''}{parts.path}" if host else ""


def _date(value: object) -> str:
    if not isinstance(value, (int, float)) or not 0 < value < YEAR_3000_S:
        return ""
    return f"{datetime.fromtimestamp(value, UTC):%a %-d %b %Y, %H:%M:%S} UTC"


def _text(value: object) -> str:
    return words.short(str(value), MOST) if isinstance(value, (str, int, float)) else ""


def _seconds(value: object) -> str:
    return words.duration(float(value)) if isinstance(value, (int, float)) else ""


def _share(value: object) -> str:
    return words.share(float(value)) if isinstance(value, (int, float)) else ""


LISTED: dict[str, tuple[str, Any]] = {
    "workload": ("Workload", _text),
    "digest": ("Digest of the workload", _text),
    "requests": ("Requests", _text),
    "seed": ("Seed", _text),
    "turns": ("Later turns", _text),
    "target": ("Target", _text),
    "url": ("Address", plain_url),
    "server": ("Server", _text),
    "model": ("Model", _text),
    "fleet": ("Simulated fleet", _text),
    "router": ("Router", _text),
    "cost": ("Step times", _text),
    "instance_s": ("Time of all instances", _seconds),
    "busy_share": ("Instances busy", _share),
    "tokenizer": ("Tokenizer", _text),
    "words": ("Words of prompts", _text),
    "started_unix_s": ("Started", _date),
    "span_s": ("Requests due within", _seconds),
    "cut_s": ("Cut off at", _seconds),
    "workers": ("Workers", _text),
    "version": ("groundswell", _text),
}
"""What is shown of a run's metadata, in this order: what it is called, and how it is said."""


def said_of(run: Shown) -> dict[str, str]:
    """What is listed and known of a run."""
    given = {"version": run.results.metadata.get("version")} | dict(run.judgement.run)
    told = {label: say(given[key]) for key, (label, say) in LISTED.items() if given.get(key) is not None}
    return {label: text for label, text in told.items() if text}


def _settings(runs: Sequence[Shown]) -> Table:
    given = [said_of(run) for run in runs]
    labels = [label for label, _ in LISTED.values() if any(label in each for each in given)]
    rows = [(label, *(each.get(label, said.NONE) for each in given)) for label in labels]
    head = ("setting", *([run.name for run in runs] if len(runs) > 1 else ["value"]))
    return Table("Settings", head, rows, prose=range(1, len(runs) + 1))


def _tokens(runs: Sequence[Shown]) -> Table:
    given = [dict(_counts(run.judgement.tokens, teller(runs))) for run in runs]
    rows = [
        (label, *(each.get(label, said.NONE) for each in given)) for label in dict.fromkeys(k for g in given for k in g)
    ]
    head = ("of requests that ended well", *([run.name for run in runs] if len(runs) > 1 else ["total"]))
    return Table("Tokens", head, rows)


def _counts(tokens: Tokens, who: str) -> Iterator[tuple[str, str]]:
    yield "Requests", words.number(tokens.requests)
    yield "Input tokens of the workload", words.number(tokens.input)
    if tokens.made:
        yield "Input tokens as they were made", words.number(tokens.made)
    if tokens.prompt:
        yield f"Prompt tokens that the {who} counted", words.number(tokens.prompt)
    if tokens.cached:
        yield "of them in its cache", words.number(tokens.cached)
    yield "Output tokens asked for", words.number(tokens.asked)
    if tokens.output_counted:
        yield f"Output tokens that the {who} counted", words.number(tokens.output)
    if tokens.reason:
        yield "of them reasoning", words.number(tokens.reason)
    if tokens.prompt_compared:
        of = words.number(tokens.prompt_compared)
        yield f"Prompts that the {who} counts otherwise", f"{words.number(tokens.prompt_mismatches)} of {of}"
    if tokens.output_compared:
        of = words.number(tokens.output_compared)
        yield "Replies shorter than asked for", f"{words.number(tokens.output_shorter)} of {of}"
        yield "Replies longer than asked for", f"{words.number(tokens.output_longer)} of {of}"


def _server(run: Shown, named: bool) -> Table:
    rows = [
        (words.short(total.name, 60), words.number(total.server), words.number(total.ours))
        for total in run.judgement.server
    ]
    note = (
        "By how much the server's counters grew during the run, and what our requests say; others may have sent, too."
    )
    return Table(f"The server's counters{f': {run.name}' if named else ''}", ("counter", "server", "ours"), rows, note)
