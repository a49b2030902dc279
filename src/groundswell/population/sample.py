"""Drawing a pool of clients from a population."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from groundswell.clients.pool import ClientPool
from groundswell.errors import UsageError
from groundswell.population.agents import draw_agents
from groundswell.population.conversations import with_conversations
from groundswell.population.deal import deal, ranked_rates
from groundswell.population.draw_lengths import draw_lengths
from groundswell.population.law import Population
from groundswell.population.rhythm import bursts, rates
from groundswell.population.strata import stratum_of

_FAMILIES = ("gamma", "weibull")


def sample(population: Population, n: int, seed: int, span_s: float, start_s: float) -> ClientPool:
    """See :meth:`groundswell.population.law.Population.sample`."""
    if n < 1:
        raise UsageError(f"cannot draw {n} clients from {population.name}; at least 1")
    if not (math.isfinite(span_s) and span_s > 0):
        raise UsageError(f"a pool's span is a number of seconds above 0, not {span_s}")
    if not (math.isfinite(start_s) and start_s >= 0):
        raise UsageError(f"a pool starts at a number of seconds of at least 0, not {start_s}")
    window_s, slot_s = population.fitted.window_s, population.fitted.slot_s
    first, count = _cells(start_s, span_s, window_s)
    first_slot, slots = _cells(first * window_s, count * window_s, slot_s)
    client = deal(population, n, seed)
    mean = ranked_rates(population, n)
    busiest = np.array(population.activity.busiest)[stratum_of(population.strata.first_rank, n)]
    client["activity"] = np.minimum(np.maximum(client["activity"], mean / busiest), 1.0)
    rate = rates(population, client, mean, seed, first, count)
    cv, weibull = bursts(population, client, rate, seed, first)
    fields, sessions = population.fields, None
    origin: dict[str, Any] = {"population": population.name, "clients": n, "seed": seed}
    if population.agents:
        covered_s = (first * window_s, (first + count) * window_s)
        sessions, fields, table, lengths = draw_agents(population.name, population.agents, n, seed, covered_s, slots)
        origin["prefix_block_tokens"] = population.agents.block_tokens
    else:
        table, lengths = draw_lengths(population, client, seed, first_slot, slots)
    if population.conversations:
        fields, table, lengths = with_conversations(population.conversations, fields, table, lengths, seed)
    unknown = np.broadcast_to(np.float32(np.nan), rate.shape)
    return ClientPool(
        names=tuple(f"{population.name}-{i + 1}" for i in range(n)),
        rate_per_s=rate,
        cv=cv,
        family=weibull.astype(np.uint8),
        first_parameter=unknown,
        second_parameter=unknown,
        families=_FAMILIES,
        stated=np.ones(n, np.bool_),
        fields=fields,
        table=table,
        lengths=lengths,
        start_s=first * window_s,
        window_s=window_s,
        slot_s=slot_s,
        origin=origin,
        sessions=sessions,
    )


def _cells(start_s: float, span_s: float, cell_s: float) -> tuple[int, int]:
    """The number of the first cell that overlaps a span, and how many do."""
    first = math.floor(start_s / cell_s + 1e-9)
    return first, max(math.ceil((start_s + span_s) / cell_s - 1e-9) - first, 1)
