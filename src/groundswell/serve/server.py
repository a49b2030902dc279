"""The server: requests to its pace, the pace's tokens to their replies."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from groundswell.errors import UsageError
from groundswell.replay.clock import Alarm, now_ns
from groundswell.serve.body import BodyError, Model, asked_of, body_of
from groundswell.serve.connection import Connection, Request
from groundswell.serve.log import Log
from groundswell.serve.pace import Asked, Pace
from groundswell.serve.reply import CREATED, Dialect, Reply, failure, page

Page = Callable[[Sequence[str]], bytes]
"""The reply to a request for ``/NAME/one/two``, given ``("one", "two")``."""

Metric = tuple[str, float]
"""Whether it is a gauge or a counter, and its value."""

_PATHS = {"/v1/chat/completions": True, "/v1/completions": False}
"""Whether what is asked for there is a chat."""
_WAIT_FOR_FILES_S = 0.1


@dataclass(slots=True)
class _Reply:
    """A reply that is not yet whole."""

    connection: Connection
    said: Reply
    asked: Asked
    stream: bool
    usage: bool
    keep: bool
    made: int = 0


class Server:
    """Answers on ``host`` and ``port`` (0: any that is free) as ``pace`` says, as long as its loop runs.

    ``fixed_tokens``: what all replies have; 0 is as many as each asks for. ``pages`` are what it knows by GET, and may
    be added to, as may ``metrics``, under the names that vLLM has; ``unix_s`` is the time that replies say they were
    made. Raises UsageError where it cannot listen.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pace: Pace,
        host: str,
        port: int,
        *,
        model: Model = Model(),  # noqa: B008 (it is frozen)
        fixed_tokens: int = 0,
        metrics: Callable[[], Mapping[str, Metric]] = dict,
        unix_s: Callable[[], float] = lambda: CREATED,
    ) -> None:
        self.fixed_tokens = fixed_tokens
        self.log = Log()
        self.pages: dict[str, Page] = {
            "health": lambda _: page("200 OK", "text/plain", b""),
            "v1": self._models,
            "metrics": self._metrics,
        }
        self._loop, self._pace, self._model, self._more_metrics = loop, pace, model, metrics
        self._unix_s, self._since = unix_s, int(unix_s())
        self._dialects = {chat: Dialect(model.name, chat=chat) for chat in (True, False)}
        self._open: dict[int, _Reply] = {}
        self._number_of: dict[Connection, int] = {}
        self._connections: set[Connection] = set()
        self.requests = 0
        """How many came; also the number of the next one's reply."""
        self._ended = self._prompt_tokens = self._made_tokens = self._running = 0
        self._alarm = Alarm(loop, self._step)
        self._listener = _listener(host, port)
        self.port: int = self._listener.getsockname()[1]
        loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Hang up on everyone, and listen no more."""
        self._alarm.close()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for connection in list(self._connections):
            connection.close()

    def _accept(self) -> None:
        for _ in range(64):
            try:
                link, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:  # no more files, which only those who hang up can mend
                self._loop.remove_reader(self._listener)
                self._loop.call_later(_WAIT_FOR_FILES_S, self._listen_again)
                return
            self._connections.add(Connection(self._loop, link, self._begin, self._gone))

    def _listen_again(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _gone(self, connection: Connection) -> None:
        self._connections.discard(connection)
        number = self._number_of.pop(connection, None)
        if number is not None:
            self._running -= self._open.pop(number).made > 0
            self._pace.give_up(number)

    def _begin(self, connection: Connection, request: Request) -> None:
        chat = _PATHS.get(request.path)
        if chat is None:
            connection.end(self._page(request), keep=request.keep)
        elif request.method != "POST":
            connection.end(failure("405 Method Not Allowed", f"{request.path} takes POST"), keep=request.keep)
        else:
            try:
                body = body_of(request.body, chat=chat)
                asked = asked_of(body, self.fixed_tokens, self._model)
            except BodyError as fault:
                connection.end(failure(fault.status, str(fault), fault.param, fault.kind), keep=request.keep)
                return
            usage = body.stream_options is not None and body.stream_options.include_usage
            said = self._dialects[chat].reply(self.requests, int(self._unix_s()))
            reply = _Reply(connection, said, asked, body.stream, usage, request.keep)
            number = self._number_of[connection] = self.requests
            self.requests += 1
            self._open[number] = reply
            self.log.begin(number, asked.prompt_tokens, asked.output_tokens, request.arrival_ns)
            self._pace.begin(number, asked, request.arrival_ns)
            self._set_alarm()

    def _page(self, request: Request) -> bytes:
        name, *rest = request.path.strip("/").split("/")
        if name not in self.pages:
            return failure("404 Not Found", f"no {request.path} here")
        if request.method != "GET":
            return failure("405 Method Not Allowed", f"{request.path} takes GET")
        return self.pages[name](rest)

    def _set_alarm(self) -> None:
        at_ns = self._pace.next_ns()
        if at_ns is not None:
            self._alarm.set(at_ns)

    def _step(self) -> None:
        """Write the tokens that have come."""
        for number, count in self._pace.tokens(now_ns()):
            reply = self._open.get(number)
            if reply is not None:  # else its client hung up just now
                self._write(number, reply, count)
        self._set_alarm()

    def _write(self, number: int, reply: _Reply, count: int) -> None:
        before, reply.made = reply.made, reply.made + count
        last = reply.made >= reply.asked.output_tokens
        self._running += (before == 0) - last
        data = reply.said.token * count if reply.stream else b""
        if reply.stream and before == 0:
            data = reply.said.opening() + data
        if last:
            del self._open[number], self._number_of[reply.connection]
            self._ended += 1
            self._prompt_tokens += reply.asked.prompt_tokens
            self._made_tokens += reply.asked.output_tokens
            data += reply.said.ending(reply.asked, usage=reply.usage) if reply.stream else reply.said.whole(reply.asked)
        if data:
            # A reply in one piece is seen at its end only, and that is when its first token is.
            first = before if reply.stream else 0
            self.log.written(number, first, reply.made, last=last, now_ns=now_ns())
        if last:
            reply.connection.end(data, keep=reply.keep)
        elif data:
            reply.connection.write(data)

    def _models(self, rest: Sequence[str]) -> bytes:
        model: dict[str, object] = {"id": self._model.name, "object": "model", "created": self._since}
        model["owned_by"] = "groundswell"
        if self._model.most_context:
            model["max_model_len"] = self._model.most_context
        if rest == ["models"]:
            return page("200 OK", "application/json", json.dumps({"object": "list", "data": [model]}).encode())
        return failure("404 Not Found", f"no /v1/{'/'.join(rest)} here")

    def _metrics(self, _: Sequence[str]) -> bytes:
        """Prometheus's text, under the names that vLLM has for these figures."""
        figures: dict[str, Metric] = {
            "num_requests_running": ("gauge", self._running),
            "num_requests_waiting": ("gauge", len(self._open) - self._running),
            "prompt_tokens_total": ("counter", self._prompt_tokens),
            "generation_tokens_total": ("counter", self._made_tokens),
            "request_success_total": ("counter", self._ended),
        }
        label = f'{{model_name="{self._model.name}"}}'
        told = (figures | dict(self._more_metrics())).items()
        lines = [f"# TYPE vllm:{name} {kind}\nvllm:{name}{label} {value}\n" for name, (kind, value) in told]
        return page("200 OK", "text/plain; version=0.0.4; charset=utf-8", "".join(lines).encode())


def _listener(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((host, port), backlog=4096)
    except (OSError, OverflowError) as fault:
        raise UsageError(f"cannot listen on {host}:{port}: {fault}") from fault
    listener.setblocking(False)
    return listener
