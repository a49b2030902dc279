"""A server whose replies come from simulated engines, in real time."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import time
from collections.abc import Callable

import uvloop

from groundswell.progress import telling_of_compiling
from groundswell.replay.clock import now_ns
from groundswell.serve.body import Model
from groundswell.serve.engine_pace import EnginePace
from groundswell.serve.server import Server
from groundswell.simulate.live import Live, warm_up
from groundswell.simulate.parts import Fleet


def serve_fleet(fleet: Fleet, model: str, host: str, port: int, seed: int, ready: Callable[[int, int], None]) -> int:
    """Answer OpenAI's API on ``host`` and ``port`` (0: any that is free) as ``fleet`` would, until SIGINT or SIGTERM;
    how many requests came. ``ready`` is told the port, and the longest context, when requests are answered.

    Raises UsageError where it cannot listen, and for a fleet that changes while it runs.
    """
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    with telling_of_compiling():
        warm_up(fleet)
    return uvloop.run(_serve(fleet, model, host, port, seed, ready))


async def _serve(fleet: Fleet, model: str, host: str, port: int, seed: int, ready: Callable[[int, int], None]) -> int:
    loop = asyncio.get_running_loop()
    live = Live(fleet, seed)
    pace = EnginePace(live, now_ns())
    told = Model(model, live.most_context, live.block_tokens, any_name=False)
    server = Server(loop, pace, host, port, model=told, metrics=pace.metrics, unix_s=time.time)
    end = asyncio.Event()
    for kind in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(kind, end.set)
    ready(server.port, live.most_context)
    gc.freeze()  # what is here stays: the collector need not look at it while times are kept
    await end.wait()
    server.close()
    return server.requests
