"""A request as ``fault_server.py`` has it, and the pieces of an answer."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

MOST_TOKENS = 256


@dataclass
class Request:
    """One request, and the connection to answer it on."""

    connection: socket.socket
    number: int
    """Of the requests on this connection, from 0."""
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def tokens(self) -> int:
        """How many tokens are asked for."""
        try:
            asked = json.loads(self.body or b"{}").get("max_tokens", 4)
        except ValueError:
            asked = 4
        return min(int(asked), MOST_TOKENS)

    def send(self, data: bytes) -> None:
        """Write ``data``, on its own."""
        self.connection.sendall(data)

    def whole(self, status: str, kind: str, body: bytes, more: str = "") -> None:
        """A reply in one piece."""
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        self.send(head.encode() + body)

    def stream_head(self, more: str = "") -> None:
        """The head of a stream in chunks."""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n{more}\r\n"
        self.send(head.encode())

    def chunk(self, data: bytes) -> None:
        """One chunk; an empty one ends the stream."""
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def events(self, gap_s: float = 0.0) -> None:
        """All events of a good reply, a chunk each."""
        for data in events(self.tokens, len(self.body)):
            self.chunk(data)
            if gap_s:
                time.sleep(gap_s)

    def reset(self) -> None:
        """Cut the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def until_gone(self) -> None:
        """Wait for the client to close."""
        with contextlib.suppress(OSError):
            while self.connection.recv(2**16):
                pass


def events(tokens: int, prompt_tokens: int = 1) -> list[bytes]:
    """The events of a good reply: role, ``tokens`` of content, finish, usage, and the end."""

    def event(choices: list[dict[str, Any]], **more: object) -> bytes:
        body = {"id": "c", "object": "chat.completion.chunk", "model": "faulty", "choices": choices} | more
        return b"data: %b\n\n" % json.dumps(body).encode()

    def choice(delta: dict[str, str], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "finish_reason": finish}]

    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens, "total_tokens": prompt_tokens + tokens}
    return [
        event(choice({"role": "assistant", "content": ""})),
        *(event(choice({"content": f" t{i}"})) for i in range(tokens)),
        event(choice({}, "length")),
        event([], usage=usage),
        b"data: [DONE]\n\n",
    ]
