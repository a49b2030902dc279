"""A server whose times are known: ``python -m groundswell.serve.mock --ttft-ms 200 --gap-ms 20`` prints its port.

What it did is at ``/_log`` and ``/_marks`` (:mod:`groundswell.serve.log`); :mod:`groundswell.serve.control` starts it
and asks it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import signal
import stat
import sys
from collections.abc import Sequence

import uvloop

from groundswell.errors import GroundswellError
from groundswell.serve.body import MOST_TOKENS, Model
from groundswell.serve.pace import Fixed
from groundswell.serve.reply import failure, page
from groundswell.serve.server import Server

_BYTES = "application/octet-stream"


def add_control(server: Server, pace: Fixed) -> None:
    """Let whoever measures ask a server what it did, and change how it answers.

    ``/_set/TTFT_NS/GAP_NS/TOKENS/MARKS`` is for requests to come; ``/_clear`` forgets what was logged.
    """

    def set_to(figures: Sequence[str]) -> bytes:
        if len(figures) != 4 or not all(figure.isdecimal() for figure in figures):
            return failure("400 Bad Request", "/_set takes /TTFT_NS/GAP_NS/TOKENS/MARKS, all whole numbers")
        pace.ttft_ns, pace.gap_ns, server.fixed_tokens, marks = map(int, figures)
        server.log.marking = marks > 0
        return page("200 OK", "text/plain", b"set\n")

    def clear(_: Sequence[str]) -> bytes:
        server.log.clear(server.requests)
        return page("200 OK", "text/plain", b"cleared\n")

    server.pages |= {
        "_set": set_to,
        "_clear": clear,
        "_log": lambda _: page("200 OK", _BYTES, server.log.rows()),
        "_marks": lambda _: page("200 OK", _BYTES, server.log.marks()),
    }


async def serve(options: argparse.Namespace) -> None:
    """Serve until told to end, or until whoever holds the other end of standard input has gone."""
    loop = asyncio.get_running_loop()
    pace = Fixed(round(options.ttft_ms * 1e6), round(options.gap_ms * 1e6))
    server = Server(loop, pace, options.host, options.port, model=Model(options.model), fixed_tokens=options.tokens)
    server.log.marking = options.marks
    add_control(server, pace)
    end = asyncio.Event()
    for kind in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(kind, end.set)
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        loop.add_reader(0, lambda: None if os.read(0, 4096) else end.set())
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    gc.freeze()  # what is here stays: the collector need not look at it while times are kept
    await end.wait()
    server.close()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("groundswell.serve.mock", description="A server whose times are known.")
    parser.add_argument("--host", default="127.0.0.1", help="where it listens (127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="0 is any that is free (0)")
    parser.add_argument("--ttft-ms", type=_at_least_0, default=200.0, help="from a request to its first token (200)")
    parser.add_argument("--gap-ms", type=_at_least_0, default=20.0, help="from a token to the next (20)")
    parser.add_argument("--tokens", type=_tokens, default=0, help="of each reply; 0 is what each request asks for (0)")
    parser.add_argument("--model", default="mock", help="the name of its model (mock)")
    parser.add_argument("--marks", action="store_true", help="keep the time of every token")
    return parser.parse_args(arguments)


def _at_least_0(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no time of 0 or more")
    return value


def _tokens(text: str) -> int:
    value = int(text)
    if not 0 <= value <= MOST_TOKENS:
        raise argparse.ArgumentTypeError(f"{text} is not 0 to {MOST_TOKENS}")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mock; its exit code."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    try:
        uvloop.run(serve(_options(arguments)))
    except GroundswellError as fault:
        sys.stderr.write(f"groundswell: {fault}\n")
        return fault.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
