"""What a server can do to a request: well, and in every way badly. Used by ``fault_server.py``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from fault_request import Request, events

Behaviour = Callable[[Request], bool]
"""Answers a request; whether the connection is kept."""
BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(answer: Behaviour) -> Behaviour:
    """Have ``answer`` under its name."""
    BEHAVIOURS[answer.__name__] = answer
    return answer


@behaviour
def well(request: Request) -> bool:
    request.stream_head()
    request.events()
    request.chunk(b"")
    return True


@behaviour
def slow(request: Request) -> bool:
    """20 ms between events."""
    request.stream_head()
    request.events(0.02)
    request.chunk(b"")
    return True


@behaviour
def late(request: Request) -> bool:
    """The head comes after 0.2 s."""
    time.sleep(0.2)
    return well(request)


@behaviour
def in_one_piece(request: Request) -> bool:
    """JSON, as if no stream had been asked for."""
    message = {"role": "assistant", "content": "t" * request.tokens}
    usage = {"prompt_tokens": 1, "completion_tokens": request.tokens, "total_tokens": 1 + request.tokens}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "length"}], "usage": usage}
    request.whole("200 OK", "application/json", json.dumps(body).encode())
    return True


@behaviour
def echo(request: Request) -> bool:
    """What was sent."""
    request.whole("200 OK", "application/json", request.body)
    return True


@behaviour
def closes(request: Request) -> bool:
    """Promises to keep the connection and closes it after the reply (llama.cpp)."""
    request.stream_head("Keep-Alive: timeout=5, max=100\r\n")
    request.events()
    request.chunk(b"")
    return False


@behaviour
def says_close(request: Request) -> bool:
    request.stream_head("Connection: close\r\n")
    request.events()
    request.chunk(b"")
    return False


@behaviour
def says_close_and_stays(request: Request) -> bool:
    request.stream_head("Connection: close\r\n")
    request.events()
    request.chunk(b"")
    return True


@behaviour
def until_close(request: Request) -> bool:
    """The end of the connection is the end of the reply."""
    request.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    for data in events(request.tokens):
        request.send(data)
    return False


@behaviour
def http_1_0(request: Request) -> bool:
    request.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    for data in events(request.tokens):
        request.send(data)
    return False


@behaviour
def interim(request: Request) -> bool:
    """Two interim replies before the real one."""
    request.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    return well(request)


@behaviour
def trailers(request: Request) -> bool:
    request.stream_head()
    request.events()
    request.send(b"0\r\nX-Checksum: 1\r\nContent-Type: text/lies\r\n\r\n")
    return True


@behaviour
def more_than_asked(request: Request) -> bool:
    """A second reply, unasked, in the same bytes."""
    request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * 2)
    return True


@behaviour
def dies_when_reused(request: Request) -> bool:
    """The first reply of a connection is well; a second request resets it."""
    if request.number:
        request.reset()
        return False
    return well(request)


@behaviour
def resets_after(request: Request) -> bool:
    """A good reply that promises to keep the connection, which is then reset."""
    well(request)
    time.sleep(0.02)
    request.reset()
    return False


@behaviour
def reset(request: Request) -> bool:
    """Before any byte."""
    request.reset()
    return False


@behaviour
def hang_up(request: Request) -> bool:
    """Closes properly, before any byte."""
    return False


@behaviour
def reset_in_head(request: Request) -> bool:
    request.send(b"HTTP/1.1 200 OK\r\nContent-")
    time.sleep(0.02)
    request.reset()
    return False


@behaviour
def reset_in_stream(request: Request) -> bool:
    request.stream_head()
    for data in events(request.tokens)[:3]:
        request.chunk(data)
    time.sleep(0.02)
    request.reset()
    return False


@behaviour
def reset_until_close(request: Request) -> bool:
    """The reply would end with the connection, which is reset."""
    request.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    request.send(events(request.tokens)[0])
    time.sleep(0.02)
    request.reset()
    return False


@behaviour
def hang_up_in_stream(request: Request) -> bool:
    request.stream_head()
    for data in events(request.tokens)[:3]:
        request.chunk(data)
    return False


@behaviour
def short(request: Request) -> bool:
    """Fewer bytes than the length it gave."""
    request.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    return False


@behaviour
def stall(request: Request) -> bool:
    """No byte ever."""
    request.until_gone()
    return False


@behaviour
def stall_in_stream(request: Request) -> bool:
    request.stream_head()
    for data in events(request.tokens)[:3]:
        request.chunk(data)
    request.until_gone()
    return False


@behaviour
def stream_without_end(request: Request) -> bool:
    """Proper HTTP whose events just stop: no finish, no [DONE]."""
    request.stream_head()
    for data in events(request.tokens)[:3]:
        request.chunk(data)
    request.chunk(b"")
    return True


@behaviour
def error_in_stream(request: Request) -> bool:
    request.stream_head()
    request.chunk(events(request.tokens)[0])
    request.chunk(b'data: {"error": {"message": "out of <b>memory</b>", "code": 500}}\n\n')
    request.chunk(b"")
    return True


@behaviour
def status_429(request: Request) -> bool:
    body = b'{"error": {"message": "too many requests", "type": "rate_limit"}}'
    request.whole("429 Too Many Requests", "application/json", body, "Retry-After: 1\r\n")
    return True


@behaviour
def status_500(request: Request) -> bool:
    request.whole("500 Internal Server Error", "text/html", b"<html><body><h1>Internal</h1></body></html>")
    return True


@behaviour
def status_503(request: Request) -> bool:
    """With nothing in it."""
    request.whole("503 Service Unavailable", "text/plain", b"")
    return True


@behaviour
def status_401(request: Request) -> bool:
    request.whole("401 Unauthorized", "application/json", b'{"error": "Unauthorized"}')
    return True


@behaviour
def refused_in_its_midst(request: Request) -> bool:
    """An answer to the head alone, and closed; the body is not read."""
    request.whole("413 Content Too Large", "application/json", b'{"error": "too long"}', "Connection: close\r\n")
    return False


@behaviour
def answered_in_its_midst(request: Request) -> bool:
    """An answer to the head alone that promises to keep the connection, and then nothing: the body is not read."""
    request.whole("413 Content Too Large", "application/json", b'{"error": "too long"}')
    time.sleep(0.5)
    return False


@behaviour
def garbage(request: Request) -> bool:
    """No HTTP."""
    request.send(b"\x16\x03\x01\x02 what is this?\r\n\r\n")
    request.until_gone()
    return False


@behaviour
def garbage_in_stream(request: Request) -> bool:
    """HTTP whose chunks break off into something else."""
    request.stream_head()
    request.chunk(events(request.tokens)[0])
    request.send(b"zz\r\nno chunk\r\n")
    request.until_gone()
    return False


@behaviour
def half_json(request: Request) -> bool:
    """An event that is cut in its midst, in a stream that ends well."""
    request.stream_head()
    request.chunk(events(request.tokens)[0])
    request.chunk(b'data: {"choices": [{"index": 0, "del\n\n')
    request.chunk(b"data: [DONE]\n\n")
    request.chunk(b"")
    return True


@behaviour
def endless(request: Request) -> bool:
    """Tokens for ever."""
    request.stream_head()
    data = events(1)[1] * 16
    while True:  # until it cannot be sent
        request.chunk(data)


@behaviour
def endless_head(request: Request) -> bool:
    request.send(b"HTTP/1.1 200 OK\r\n")
    while True:  # until it cannot be sent
        request.send(b"X-Filler: %b\r\n" % (b"x" * 4096))


@behaviour
def long_line(request: Request) -> bool:
    """10 MB without a line's end."""
    request.stream_head()
    request.chunk(b'data: {"x": "')
    for _ in range(160):
        request.chunk(b"x" * 65536)
    request.chunk(b"")
    return True
