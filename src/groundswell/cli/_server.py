"""The options of verbs that send requests to a server."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import groundswell
from groundswell.cli._options import option
from groundswell.errors import UsageError
from groundswell.family import part_names

if TYPE_CHECKING:
    from groundswell.replay.options import Options
    from groundswell.replay.plan import Plan

TARGETS = part_names(Path(str(groundswell.__file__)).parent / "targets")
ASK_ABOVE = 10_000
"""Of more requests to a server that is not on this machine the plan is shown first, and it is asked."""

Url = Annotated[
    str, option("Where the server is, such as http://localhost:8000; a path in front of /v1 belongs to it.", "URL")
]
Target = Annotated[str, typer.Option(metavar="TARGET", help=f"The API that is spoken: one of {', '.join(TARGETS)}.")]
Model = Annotated[str | None, option("The model to ask for. If not given, the server's own, if it has one.", "NAME")]
Tokenizer = Annotated[
    str | None,
    option(
        "The model's tokenizer, a folder, a tokenizer.json or a hub's name, so that prompts have exactly as many "
        "tokens as the workload says. If not given: common words, checked against what the server counts.",
        "NAME",
    ),
]
TurnsWait = Annotated[
    Literal["closed", "open"],
    typer.Option(
        help="closed: a turn of a conversation waits for the reply before it and the think time. open: each goes out "
        "at its recorded time."
    ),
]
Answers = Annotated[
    Literal["server", "synthetic"],
    typer.Option(
        help="What later turns carry: the server's own answers, or made ones, in a prompt that is the same in every "
        "run."
    ),
]
ReplayWorkers = Annotated[int | None, option("Processes. If not given: as many as the peak asks for.", "N", min=1)]
KeyEnv = Annotated[
    str | None, option("The name of the environment's variable that holds the API key.", "NAME", "--api-key-env")
]
Header = Annotated[list[str] | None, option("A header to send with each request.", "'NAME: VALUE'", "--header")]
ExtraBody = Annotated[
    str | None,
    option("Fields for every body as JSON, such as '{\"temperature\": 0}'; one that is null is left out.", "JSON"),
]
NaturalLengths = Annotated[
    bool,
    typer.Option(
        "--natural-lengths", help="Let the model end its replies; the workload's lengths are then their most."
    ),
]
Timeout = Annotated[str, typer.Option(metavar="TIME", help="A reply that has not ended by then has failed.")]
MaxOpen = Annotated[
    int, typer.Option(metavar="N", min=0, help="Most requests open at a time, 0 for any number; the held are counted.")
]
QuickAck = Annotated[
    bool,
    typer.Option(
        "--quick-ack", help="Acknowledge what the server sends at once, for servers that wait for that (Linux)."
    ),
]
EventTimes = Annotated[bool, typer.Option("--event-times", help="Keep the time of each event of each reply.")]
CaFile = Annotated[Path | None, option("Verify the server's certificate against this file.", "FILE")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Do not verify the server's certificate.")]
NoProbe = Annotated[bool, typer.Option("--no-probe", help="Do not try the server with small requests first.")]
NoMetrics = Annotated[bool, typer.Option("--no-metrics", help="Do not read the server's own metrics.")]
AudioTokens = Annotated[
    float, typer.Option(metavar="N", min=0.1, help="How many tokens the model makes of a second of audio.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before many requests go to another machine.")]
Slo = Annotated[str | None, option("What the latencies should keep, such as 'ttft:p99<2s,tpot:p99<0.1s'.", "SLO")]


def options_of(
    url: str,
    target: str,
    model: str | None,
    seed: int,
    tokenizer: str | None,
    turns_wait: Literal["closed", "open"],
    answers: Literal["server", "synthetic"],
    workers: int | None,
    key_env: str | None,
    header: Sequence[str] | None,
    extra_body: str | None,
    natural_lengths: bool,
    timeout: str,
    max_open: int,
    quick_ack: bool,
    event_times: bool,
    ca_file: Path | None,
    insecure: bool,
    no_probe: bool,
    no_metrics: bool,
    audio_tokens_per_s: float,
) -> Options:
    """How a workload is to be sent. Raises UsageError for what cannot be meant."""
    from groundswell.replay.endpoint import Endpoint
    from groundswell.replay.options import Options, key_of
    from groundswell.replay.wire import Tls
    from groundswell.targets import TARGETS
    from groundswell.units import parse_duration

    TARGETS.build(target)
    if target.partition(":")[0] != "null":
        Endpoint.parse(url)
    key_of(key_env)
    if ca_file is not None and not ca_file.is_file():
        raise UsageError(f"--ca-file {ca_file}: no such file")
    return Options(
        url,
        target,
        model,
        seed,
        tokenizer,
        turns_wait,
        answers,
        workers,
        key_env,
        tuple(_header(text) for text in header or ()),
        _object(extra_body),
        not natural_lengths,
        parse_duration(timeout),
        max_open,
        quick_ack,
        event_times,
        audio_tokens_per_s,
        Tls(str(ca_file) if ca_file is not None else None, not insecure),
        not no_probe,
        not no_metrics,
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = (piece.strip() for piece in text.partition(":"))
    if not (colon and name) or any(mark in text for mark in "\r\n"):
        raise UsageError(f"--header {name or text!r}: say 'NAME: VALUE'")
    return name, value


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        fields = json.loads(text)
    except ValueError as fault:
        raise UsageError(f"--extra-body: is no JSON: {fault}") from None
    if not isinstance(fields, dict):
        raise UsageError("--extra-body: must be a JSON object, such as '{\"temperature\": 0}'")
    return fields


def agreed(url: str, plan: Plan, yes: bool) -> bool:
    """Whether the requests may be sent: many to another machine only after the plan was shown and somebody agreed."""
    from groundswell.replay.endpoint import Endpoint

    if yes or plan.requests <= ASK_ABOVE or _is_here(Endpoint.parse(url).host):
        return True
    print(plan.text(), file=sys.stderr)
    if not (sys.stdin.isatty() and os.isatty(sys.stderr.fileno())):
        raise UsageError(f"{plan.requests:,} requests to {url}: say --yes to send so many to another machine")
    return typer.confirm(f"\nSend {plan.requests:,} requests to {url}?", default=False, err=True)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
