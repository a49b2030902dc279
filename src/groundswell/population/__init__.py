"""Populations: the law that a pool's clients are drawn from; fitting one, drawing pools of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundswell.population.law import Population, embedded_names

if TYPE_CHECKING:
    from groundswell.population.fit import fit_population

__all__ = ["Population", "embedded_names", "fit_population"]


def __getattr__(name: str) -> object:
    # Fitting needs SciPy; whoever only lists populations does not wait for it.
    if name == "fit_population":
        from groundswell.population.fit import fit_population

        return fit_population
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
