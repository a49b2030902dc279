"""Whether a server still works on what it was sent before: the next trial would pay for it."""

from __future__ import annotations

import threading

from groundswell.replay import clock
from groundswell.replay.endpoint import Endpoint, tls_context
from groundswell.replay.options import Options, key_of
from groundswell.replay.scrape import Scraper

MOST_S = 60.0
"""A server is waited for no longer."""
PAUSE_S = 1.0
"""The least that is waited, also where a server does not say how much it has to do."""
_PERIOD_S = 0.25
_TIMEOUT_S = 5.0


def wait_until_idle(options: Options, most_s: float = MOST_S, pause_s: float = PAUSE_S) -> bool:
    """Wait until the server's metrics say that it has nothing to do; whether they did.

    A server without metrics is given ``pause_s``. One that others use, too, may never be idle.
    """
    pause = threading.Event()
    if not options.metrics or options.target.partition(":")[0] == "null":
        pause.wait(pause_s)
        return False
    context = tls_context(options.tls) if Endpoint.parse(options.url).tls else None
    key = key_of(options.key_env)
    authorization = [("Authorization", f"Bearer {key}")] if key else []
    scraper = Scraper(
        options.url, [*options.headers, *authorization], context, period_s=_PERIOD_S, timeout_s=_TIMEOUT_S
    )
    until_ns = clock.now_ns() + int(most_s * 1e9)
    scraper.start(pause_s)
    try:
        pause.wait(pause_s)
        while clock.now_ns() < until_ns:
            latest = scraper.latest()
            if not latest.keys() & {"running", "waiting"}:
                return False
            if latest.get("running", 0.0) + latest.get("waiting", 0.0) == 0.0:
                return True
            pause.wait(_PERIOD_S)
        return False
    finally:
        scraper.stop()
