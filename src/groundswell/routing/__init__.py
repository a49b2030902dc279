"""Routers: which of a fleet's instances a request goes to, one file each.

A router is a dataclass of what can be said of it, whose :meth:`~Router.state` gives what it keeps while a fleet runs: a
tuple of arrays of a type of its own. :func:`picks` tells compiled code how a router with such a state picks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from numba import types
from numba.extending import overload

from groundswell.family import Family


@dataclass(frozen=True)
class Served:
    """What is to be routed."""

    instances: int
    """Over all pools."""
    pools: tuple[tuple[int, int], ...]
    """The first instance of each pool and the one behind its last."""
    most_context: tuple[int, ...]
    """For how many tokens there is memory on an instance of each pool."""
    clients: int
    seed: int


class Router(Protocol):
    """How instances are picked."""

    def state(self, served: Served) -> NamedTuple:
        """What it keeps while a fleet runs: arrays, in a tuple of a type of its own."""


ROUTING: Family[Router] = Family("routing", "groundswell.routing")


def choose(router: Any, w: Any, r: Any, begin: Any, end: Any) -> Any:
    """In compiled code: which of the instances from ``begin`` on and before ``end`` request ``r`` goes to, or -1 where
    none is up. Of an instance, ``w.seen`` tells what the router knows (:mod:`groundswell.simulate.state`)."""
    raise NotImplementedError("routers pick in compiled code only")


def picks(kind: type[NamedTuple]) -> Callable[[Any], Any]:
    """A decorator: the function is how routers whose state is a ``kind`` pick. It takes what :func:`choose` takes."""
    # To numba, tuples whose classes have the same name are of one type: without this, one router picks as another does.
    kind.__name__ = f"{kind.__module__}.{kind.__qualname__}"

    def keep(pick: Any) -> Any:
        @overload(choose, inline="never")
        def _of(router: Any, w: Any, r: Any, begin: Any, end: Any) -> Any:
            mine = isinstance(router, types.NamedTuple | types.NamedUniTuple) and router.instance_class is kind
            return pick if mine else None

        return pick

    return keep
