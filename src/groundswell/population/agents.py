"""Agents drawn from a population: whole sessions of tasks, calls and tools, with sub-agents and compacted contexts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import stream_key, uniforms, words
from groundswell.clients.sessions import Sessions
from groundswell.length_tables import LengthTables
from groundswell.lengths import Length, atoms, length_of
from groundswell.lengths.lognormal import LogNormal
from groundswell.lengths.templates import Templates
from groundswell.population import agent_steps as kernels
from groundswell.population.conversations import log_normal
from groundswell.population.law import Agents
from groundswell.population.words import keys

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ATOMS = 112  # of a client's table of lengths, which says what its sessions hold
_LAWS = (
    "beginning_tokens", "first_tokens", "tool_s", "tool_tokens", "human_s", "human_tokens", "output_tokens",
    "compacted_tokens", "fork_tokens", "return_tokens",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Steps:
    """Drawn sessions, and of each of their requests what it is (:mod:`groundswell.population.agent_steps`)."""

    sessions: Sessions
    kind: NDArray[np.int8]  # [N]
    compacts: NDArray[np.bool_]  # [N]


def draw_agents(
    name: str, law: Agents, n: int, seed: int, span_s: tuple[float, float], slots: int
) -> tuple[Sessions, tuple[str, ...], NDArray[np.int32], LengthTables]:
    """The sessions of agents 0 … n - 1; fields, tables' numbers [n, slots, 2] and tables of what they hold."""
    sessions = draw_steps(name, law, n, seed, span_s).sessions
    edge = sessions.edge[sessions.first]
    middle = (np.arange(_ATOMS) + 0.5) / _ATOMS
    tables = []
    for column in (sessions.input_tokens, sessions.output_tokens):
        for low, high in pairwise(edge.tolist()):
            value = np.rint(np.quantile(column[low:high], middle))
            tables.append(np.unique(value, return_counts=True))
    number = np.arange(2 * n, dtype=np.int32).reshape(2, n).T
    table = np.repeat(number[:, None, :], slots, axis=1)
    return sessions, ("input_tokens", "output_tokens"), table, LengthTables.of(tables)


def draw_steps(name: str, law: Agents, n: int, seed: int, span_s: tuple[float, float]) -> Steps:
    """Sessions of agents 0 … n - 1, spread evenly over the seconds ``span_s`` of the pool's clock.

    What agent i does depends on ``seed`` and i alone. The beginnings of prompts are the same for all seeds: they are
    the agent's, not its user's.
    """
    held = law.sessions
    key = words(keys(seed, n, "agent sessions")[:, None], np.arange(held)).ravel()
    beginning = Templates(law.beginnings, log_normal(*law.beginning_tokens), law.popularity)
    tokens, mass = atoms(beginning)
    shared = np.searchsorted(np.cumsum(mass), uniforms(key, 0)).clip(0, tokens.size - 1).astype(np.int32)
    room = tokens[shared]
    laws = np.array([getattr(law, one) for one in _LAWS], np.float64)
    tools = law.tools / (law.calls - 1.0) if law.calls > 1 else 1.0
    most = float(law.most_context_tokens)
    figures = np.array([law.tasks, tools, law.compacted, law.forks, law.fork_width, most])
    calls = LengthTables.of([atoms(_calls(mean, law.calls_cv)) for mean in (law.calls, law.fork_calls)])
    steps = np.empty(key.size, np.int64)
    walk = (key, room, laws, figures, calls.drawing, _room_for(kernels.MOST_STEPS))
    kernels.lengths_of_sessions(*walk, steps)
    edge = np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)
    total = int(edge[-1])
    think_s = np.empty(total, np.float32)
    back, kept, given, reply = (np.empty(total, np.int32) for _ in range(4))
    kind, compacts = np.empty(total, np.int8), np.empty(total, np.bool_)
    kernels.fill_sessions(*walk, edge, think_s, back, kept, given, reply, kind, compacts)
    begin_s, end_s = span_s
    place = np.arange(held) + uniforms(keys(seed, n, "agent starts")[:, None], np.arange(held))
    sessions = Sessions(
        first=held * np.arange(n + 1, dtype=np.int64),
        start_s=(begin_s + (end_s - begin_s) * place / held).ravel(),
        shared=np.repeat(shared, steps),
        edge=edge,
        think_s=think_s,
        back=back,
        kept_tokens=kept,
        input_tokens=given,
        output_tokens=reply,
        reason_tokens=np.zeros(total, np.int32),
        shared_tokens=tokens.astype(np.int32),
        shared_within=np.full(tokens.size, -1, np.int32),
        shared_key=words(stream_key(0, "population", name, "beginnings"), np.arange(tokens.size)),
    )
    return Steps(sessions, kind, compacts)


def _calls(mean: float, cv: float) -> Length:
    return LogNormal(mean, cv) if mean > 1 else length_of(1)


def _room_for(steps: int) -> tuple[NDArray[np.int8], Floats, Ints, Floats, Floats, Floats, NDArray[np.bool_]]:
    """Columns for the steps of one session."""
    kind, base, cut = np.empty(steps, np.int8), np.empty(steps, np.int64), np.empty(steps, np.bool_)
    return kind, np.empty(steps), base, np.empty(steps), np.empty(steps), np.empty(steps), cut
