"""Judging a run: what its latencies were and how sure that is, whether an SLO held, and whether the run is valid.

The names are loaded when they are first asked for: to read an SLO costs no statistics.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundswell.judge.figures import Judgement
    from groundswell.judge.run import judge
    from groundswell.judge.slo import SLO
    from groundswell.judge.text import describe

_HOME = {"Judgement": "figures", "SLO": "slo", "describe": "text", "judge": "run"}

__all__ = ["SLO", "Judgement", "describe", "judge"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
