"""Workloads sent to a real server, each request when it is due.

A worker process sends; it imports no more than this package's light modules, so that it starts at once and stays
small. The command's own process reads the workload ahead, hands it to the workers, and watches.

The names are loaded when they are first asked for: a worker, which imports this, needs none of them.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # type checkers know the name
if TYPE_CHECKING:
    from typing import Any

    from groundswell.replay.launch import Outcome, replay
    from groundswell.replay.options import Options
    from groundswell.replay.plan import Plan, survey
    from groundswell.replay.source import Source, held, opened

_HOME = {
    "Options": "options",
    "Outcome": "launch",
    "Plan": "plan",
    "Source": "source",
    "held": "source",
    "opened": "source",
    "replay": "launch",
    "survey": "plan",
}

__all__ = ["Options", "Outcome", "Plan", "Source", "held", "opened", "replay", "survey"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
