"""The compiled loop that walks through agents' sessions, task by task and call by call."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import compiled, uniform_of, word_at
from groundswell.length_tables import draw
from groundswell.service import TPOT_S, TTFT_S

FIRST, TASK, TOOL, SUB_FIRST, SUB_TOOL, RETURN = range(6)
"""Kinds of step: a session's first; after a person, a tool; a sub-agent's first and later ones; after sub-agents."""

(
    BEGINNING, FIRST_TOKENS, TOOL_S, TOOL_TOKENS, HUMAN_S, HUMAN_TOKENS, OUTPUT, COMPACTED, FORK_TOKENS, RETURN_TOKENS,
) = range(10)  # fmt: skip
"""Rows of the laws."""

TASKS, TOOLS, COMPACT_SHARE, FORK_SHARE, WIDTH, MOST = range(6)
"""Figures that are no laws."""

CALLS, SUB_CALLS = 0, 1
"""Tables of numbers of calls."""

MOST_STEPS = 32_000
_LEAST_PROMPT = 16.0


@compiled
def _uniform(key: Any, state: Any) -> Any:
    state[0] += 1
    return uniform_of(word_at(key, state[0]))


@compiled
def _drawn(key: Any, state: Any, law: Any) -> Any:
    """A log-normal number: median, spread of the log, most (Box and Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log(_uniform(key, state)))
    normal = radius * np.cos(2.0 * np.pi * _uniform(key, state))
    return min(law[0] * np.exp(law[1] * normal), law[2])


@compiled
def _tokens(key: Any, state: Any, law: Any) -> Any:
    return max(np.floor(_drawn(key, state, law) + 0.5), 1.0)


@compiled
def _geometric(key: Any, state: Any, mean: Any) -> Any:
    """1, 2, … with the given mean."""
    u = _uniform(key, state)
    if mean <= 1.0:
        return 1
    return 1 + int(np.log(u) / np.log(1.0 - 1.0 / mean))


@compiled
def _from_table(key: Any, state: Any, d: Any, tables: Any) -> Any:
    first, value, threshold, guide_first, guide = tables
    state[0] += 1
    return int(draw(word_at(key, state[0]) >> np.uint64(32), d, first, value, threshold, guide_first, guide))


@compiled
def _put(
    session: Any, n: Any, kind: Any, at_s: Any, base: Any, kept: Any, given: Any, reply: Any, cut: Any
) -> None:  # fmt: skip
    step_kind, time, of, keeps, length, out, compacts = session
    step_kind[n], time[n], of[n], keeps[n], length[n], out[n], compacts[n] = kind, at_s, base, kept, given, reply, cut


@compiled
def _next_prompt(key: Any, state: Any, context: Any, added: Any, room: Any, laws: Any, figures: Any) -> Any:
    """The next prompt, how much of the context it begins with, and whether it was compacted."""
    most = figures[MOST]
    by_chance = _uniform(key, state) < figures[COMPACT_SHARE]
    if not by_chance and context + added <= most:
        return context + added, context, False
    left = min(room + _tokens(key, state, laws[COMPACTED]), max(np.floor(context / 2.0), room + 1.0))
    return min(left + added, most), room, True


@compiled
def _session(key: Any, room: Any, laws: Any, figures: Any, tables: Any, session: Any) -> Any:
    """Walk through one session: its steps in the order in which they are decided, and how many they are."""
    state = np.zeros(1, np.int64)
    n, t, last, context = 0, 0.0, 0, 0.0
    limit = session[0].size
    for _task in range(_geometric(key, state, figures[TASKS])):
        calls = _from_table(key, state, CALLS, tables)
        forked = False
        for call in range(calls):
            if n >= limit:
                return n
            cut, kept = False, 0.0
            if n == 0:
                kind = FIRST
                own = max(_tokens(key, state, laws[FIRST_TOKENS]) - room, _LEAST_PROMPT)
                given = min(room + own, figures[MOST])
            else:
                if forked:
                    kind, added = RETURN, _tokens(key, state, laws[RETURN_TOKENS])
                elif call == 0:
                    kind, added = TASK, _tokens(key, state, laws[HUMAN_TOKENS])
                    t += _drawn(key, state, laws[HUMAN_S])
                else:
                    kind, added = TOOL, 0.0
                    for _ in range(_geometric(key, state, figures[TOOLS])):
                        added += _tokens(key, state, laws[TOOL_TOKENS])
                    t += _drawn(key, state, laws[TOOL_S])
                given, kept, cut = _next_prompt(key, state, context, added, room, laws, figures)
            reply = _tokens(key, state, laws[OUTPUT])
            _put(session, n, kind, t, last, kept, given, reply, cut)
            last, context = n, given + reply
            n += 1
            t += TTFT_S + TPOT_S * reply
            forked = call < calls - 1 and _uniform(key, state) < figures[FORK_SHARE]
            if forked:
                begin, done = t, t
                for _ in range(_geometric(key, state, figures[WIDTH])):
                    n, t = _sub_agent(key, state, begin, last, room, laws, figures, tables, session, n)
                    done = max(done, t)
                t = done
    return n


@compiled
def _sub_agent(
    key: Any, state: Any, t: Any, parent: Any, room: Any, laws: Any, figures: Any, tables: Any, session: Any, n: Any
) -> Any:  # fmt: skip
    """The steps of one sub-agent that begins at ``t``: how many steps the session has then, and when it is done."""
    base, context, kept, cut = parent, 0.0, room, False
    given = min(room + _tokens(key, state, laws[FORK_TOKENS]), figures[MOST])
    for call in range(_from_table(key, state, SUB_CALLS, tables)):
        if n >= session[0].size:
            return n, t
        if call > 0:
            added = 0.0
            for _ in range(_geometric(key, state, figures[TOOLS])):
                added += _tokens(key, state, laws[TOOL_TOKENS])
            t += _drawn(key, state, laws[TOOL_S])
            given, kept, cut = _next_prompt(key, state, context, added, room, laws, figures)
        reply = _tokens(key, state, laws[OUTPUT])
        _put(session, n, SUB_FIRST if call == 0 else SUB_TOOL, t, base, kept, given, reply, cut)
        base, context = n, given + reply
        n += 1
        t += TTFT_S + TPOT_S * reply
    return n, t


@compiled
def lengths_of_sessions(key: Any, room: Any, laws: Any, figures: Any, tables: Any, session: Any, steps: Any) -> None:
    """How many steps each session has; ``session`` is room for the longest."""
    for m in range(key.size):
        steps[m] = _session(key[m], room[m], laws, figures, tables, session)


@compiled
def fill_sessions(
    key: Any, room: Any, laws: Any, figures: Any, tables: Any, session: Any, edge: Any,
    think_s: Any, back: Any, kept_tokens: Any, input_tokens: Any, output_tokens: Any, kinds: Any, compacts: Any,
) -> None:  # fmt: skip
    """Put every session's steps, in order of arrival, behind ``edge[m]``."""
    step_kind, time, of, keeps, length, out, cut = session
    place = np.empty(step_kind.size, np.int64)
    for m in range(key.size):
        n = _session(key[m], room[m], laws, figures, tables, session)
        order = np.argsort(time[:n], kind="mergesort")
        for i in range(n):
            place[order[i]] = i
        due = 0.0
        for i in range(n):
            s, to = order[i], edge[m] + i
            think_s[to] = time[s] - due if i > 0 else 0.0
            due = time[s] + TTFT_S + TPOT_S * out[s]
            back[to] = i - place[of[s]]
            kept_tokens[to], input_tokens[to], output_tokens[to] = keeps[s], length[s], out[s]
            kinds[to], compacts[to] = step_kind[s], cut[s]
