"""A workload lab for LLM serving: model traffic client by client, and generate it at any size.

The public names are loaded when they are first asked for, so importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module

from groundswell._version import __version__

TYPE_CHECKING = False  # type checkers know the name; importing it from typing would take longer than all the rest
if TYPE_CHECKING:
    from typing import Any

    from groundswell.clients.client import Client, pool_of
    from groundswell.clients.join import concat
    from groundswell.clients.pool import ClientPool
    from groundswell.clients.pool_file import read_pool, write_pool
    from groundswell.clients.servegen import list_servegen, read_servegen
    from groundswell.clients.source import open_source
    from groundswell.errors import DataError, GroundswellError, OutputError, UsageError
    from groundswell.fit import fit_pool
    from groundswell.judge.figures import Judgement
    from groundswell.judge.slo import SLO
    from groundswell.population import Population, fit_population
    from groundswell.results import Results
    from groundswell.summary import Summary
    from groundswell.table import Workload

_HOME = {
    "Client": "clients.client",
    "ClientPool": "clients.pool",
    "DataError": "errors",
    "GroundswellError": "errors",
    "Judgement": "judge.figures",
    "OutputError": "errors",
    "Population": "population",
    "Results": "results",
    "SLO": "judge.slo",
    "Summary": "summary",
    "UsageError": "errors",
    "Workload": "table",
    "concat": "clients.join",
    "fit_pool": "fit",
    "fit_population": "population",
    "list_servegen": "clients.servegen",
    "open_source": "clients.source",
    "pool_of": "clients.client",
    "read_pool": "clients.pool_file",
    "read_servegen": "clients.servegen",
    "write_pool": "clients.pool_file",
}

__all__ = [
    "SLO",
    "Client",
    "ClientPool",
    "DataError",
    "GroundswellError",
    "Judgement",
    "OutputError",
    "Population",
    "Results",
    "Summary",
    "UsageError",
    "Workload",
    "__version__",
    "concat",
    "fit_pool",
    "fit_population",
    "list_servegen",
    "open_source",
    "pool_of",
    "read_pool",
    "read_servegen",
    "write_pool",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
