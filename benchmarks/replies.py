"""What it costs to read a streamed reply: events out of bytes, and what each of them brought.

    python benchmarks/replies.py

Chunks are vLLM's for one token, about 230 bytes each. Processor time, and the least of many short rounds, so that
other work on the machine counts little.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from common import machine, table
from groundswell.replay.sse import Events
from groundswell.targets import TARGETS, Settings

ROUNDS, CALLS = 200, 200
HEAD = {"id": "chatcmpl-0123456789abcdef0123456789abcdef", "object": "chat.completion.chunk", "created": 1795295623}


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, "token_ids": None}
    return json.dumps(HEAD | {"model": "tiny", "choices": [choice]}, separators=(",", ":")).encode()


def usage() -> bytes:
    counts = {"prompt_tokens": 64, "total_tokens": 80, "completion_tokens": 16}
    return json.dumps(HEAD | {"model": "tiny", "choices": [], "usage": counts}, separators=(",", ":")).encode()


def microseconds(call: Callable[[], object]) -> float:
    """Of one call."""
    least = float("inf")
    for _ in range(ROUNDS):
        begin = time.thread_time_ns()
        for _ in range(CALLS):
            call()
        least = min(least, (time.thread_time_ns() - begin) / CALLS / 1000)
    return least


def stream(*events: bytes, end: bytes = b"\n", field: bytes = b"data: ") -> bytes:
    return b"".join(field + event + end + end for event in events)


def main() -> None:
    token, role = chunk({"content": " word"}), chunk({"role": "assistant", "content": ""})
    target = TARGETS.build("openai_chat")
    events, reply, bodies = Events(), target.reply(), target.bodies(Settings("tiny"))
    events.feed(stream(token))
    sixteen = stream(*[token] * 16)
    whole = stream(role, *[token] * 15, chunk({"content": " end"}, "length"), usage(), b"[DONE]")
    prompt = b"word " * 64

    def read() -> None:
        fresh, read_to = Events(), target.reply()
        for event in fresh.feed(whole):
            read_to.event(event)

    rows: list[tuple[str, Callable[[], object]]] = [
        ("a chunk of one event, cut", lambda: events.feed(stream_of_one)),
        ("a chunk of 16 events, cut", lambda: events.feed(sixteen)),
        ("the same, begun in the midst of an event", lambda: events.feed(midst)),
        ("the same with CRLF", lambda: events.feed(crlf)),
        ("the same without a space after the colon", lambda: events.feed(tight)),
        ("an event of one token, read", lambda: reply.event(token)),
        ("an event of one token of an odd type, read", lambda: reply.event(odd)),
        ("a reply of 16 tokens (19 events) in one chunk, cut and read", read),
        ("a body of one message of 64 words, made", lambda: bodies.body([bodies.message(prompt)], 16)),
    ]
    stream_of_one, crlf = stream(token), stream(*[token] * 16, end=b"\r\n")
    midst, tight = sixteen[100:] + sixteen[:100], stream(*[token] * 16, field=b"data:")
    odd = token.replace(b'"index":0', b'"index":"0"')
    print(f"{len(token)} bytes an event; {machine()}\n")
    table(["work", "µs"], [(name, microseconds(call)) for name, call in rows])


if __name__ == "__main__":
    main()
