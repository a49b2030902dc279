"""The options of verbs that send requests to a server."""

from __future__ import annotations

import json
import select
import sys
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Sending:
    """How requests are sent, as the options of a verb say (:func:`groundswell.cli._groups.with_options`)."""

    target: Target = "openai_chat"
    model: Model = None
    tokenizer: Tokenizer = None
    turns: TurnsWait = "closed"
    answers: Answers = "server"
    workers: ReplayWorkers = None
    api_key_env: KeyEnv = None
    header: Header = None
    extra_body: ExtraBody = None
    natural_lengths: NaturalLengths = False
    timeout: Timeout = "10m"
    max_open: MaxOpen = 0
    quick_ack: QuickAck = False
    event_times: EventTimes = False
    ca_file: CaFile = None
    insecure: Insecure = False
    no_probe: NoProbe = False
    no_metrics: NoMetrics = False
    audio_tokens_per_s: AudioTokens = 25.0
    yes: Yes = False

    @property
    def is_null(self) -> bool:
        """Whether nothing is sent at all."""
        return self.target.partition(":")[0] == "null"

    def options(self, url: str, seed: int) -> Options:
        """What a run takes. Raises UsageError for what cannot be meant."""
        from groundswell.replay.endpoint import Endpoint, request_head
        from groundswell.replay.options import Options, key_of
        from groundswell.replay.wire import Tls
        from groundswell.targets import TARGETS
        from groundswell.units import parse_duration

        TARGETS.build(self.target)
        headers = tuple(_header(text) for text in self.header or ())
        if not self.is_null:
            request_head(Endpoint.parse(url), "/", headers)
        key_of(self.api_key_env)
        if self.ca_file is not None and not self.ca_file.is_file():
            raise UsageError(f"--ca-file {self.ca_file}: no such file")
        timeout_s = parse_duration(self.timeout)
        if not timeout_s > 0:
            raise UsageError(f"--timeout {self.timeout}: must be above 0")
        if self.no_probe and self.model is None and not self.is_null:
            raise UsageError("--no-probe asks the server nothing: give --model, too")
        return Options(
            url,
            target=self.target,
            model=self.model,
            seed=seed,
            tokenizer=self.tokenizer,
            turns=self.turns,
            answers=self.answers,
            workers=self.workers,
            key_env=self.api_key_env,
            headers=headers,
            extra=_object(self.extra_body),
            forced=not self.natural_lengths,
            timeout_s=timeout_s,
            most_open=self.max_open,
            quick_ack=self.quick_ack,
            event_times=self.event_times,
            audio_tokens_per_s=self.audio_tokens_per_s,
            tls=Tls(str(self.ca_file) if self.ca_file is not None else None, not self.insecure),
            probe=not self.no_probe,
            metrics=not self.no_metrics,
        )

    def agreed(self, url: str, plan: Plan, requests: int | None = None) -> bool:
        """Whether so many requests (those of the plan, if not given) may be sent: many to another machine only after
        the plan was shown and somebody agreed."""
        from groundswell.replay.endpoint import Endpoint

        count = plan.requests if requests is None else requests
        if self.yes or self.is_null or count <= ASK_ABOVE or _is_here(Endpoint.parse(url).host):
            return True
        print(plan.text(), file=sys.stderr)
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(f"{count:,} requests to {url}: say --yes to send so many to another machine")
        return _agreed(f"Send {count:,} requests to {url}?")


def _agreed(question: str) -> bool:
    """Whether the answer on the terminal is yes; its end is no."""
    print(f"\n{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    # Once polars has handled signals, Ctrl-C does not end a read; it ends this.
    while not select.select([sys.stdin], [], [], 0.2)[0]:
        pass
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = (piece.strip() for piece in text.partition(":"))
    if not (colon and name):
        raise UsageError("--header: say 'NAME: VALUE'")  # what was said may be a key
    return name, value


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        fields = json.loads(text, parse_constant=_no_number)
    except ValueError as fault:
        raise UsageError(f"--extra-body: is no JSON: {fault}") from None
    if not isinstance(fields, dict):
        raise UsageError("--extra-body: must be a JSON object, such as '{\"temperature\": 0}'")
    return fields


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON's")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
