"""Agents of a population: their sessions hang together, and come out as published agents were seen.

Statistics are over 60 clients of 200 sessions with a fixed seed; clients are independent, so the standard error of a
figure is the spread of the clients' own figures over the root of 60. The margin is five of them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy import stats

from groundswell.clients import ClientPool
from groundswell.clients.pool_file import read_pool, write_pool
from groundswell.clients.sessions import Sessions
from groundswell.compose import compose
from groundswell.errors import DataError
from groundswell.population import Population
from groundswell.population.agent_steps import FIRST, RETURN, SUB_FIRST, SUB_TOOL, TASK, TOOL
from groundswell.population.agents import Steps, draw_steps
from groundswell.population.law import Agents
from groundswell.population.text import as_toml
from groundswell.service import TPOT_S, TTFT_S

LAW = Population.load("agent")
assert LAW.agents is not None
AGENTS: Agents = LAW.agents
CLIENTS = 60
COLUMNS = ("start_s", "shared", "edge", "think_s", "back", "kept_tokens", "input_tokens", "output_tokens")


def drawn(n: int = CLIENTS, seed: int = 1, **changes: Any) -> Steps:
    return draw_steps("agent", msgspec.structs.replace(AGENTS, **changes), n, seed, (0.0, 86_400.0))


@pytest.fixture(scope="module")
def steps() -> Steps:
    return drawn()


def arrival_s(sessions: Sessions) -> Any:
    """When every request arrives after its session's begin, at the nominal speed."""
    wait = sessions.think_s.astype(np.float64)
    wait[1:] += TTFT_S + TPOT_S * sessions.output_tokens[:-1]
    wait[sessions.edge[:-1]] = 0.0
    running = np.cumsum(wait)
    return running - np.repeat(running[sessions.edge[:-1]], np.diff(sessions.edge))


def base_of(sessions: Sessions) -> Any:
    return np.arange(sessions.requests) - sessions.back


def room_of(sessions: Sessions) -> Any:
    return sessions.shared_tokens[sessions.shared]


# What was published.


def of_clients(steps: Steps, figure: Callable[[Any], float]) -> tuple[float, float]:
    """A figure of all requests, by their numbers, and five of its standard errors."""
    edge = steps.sessions.edge[steps.sessions.first]
    each = np.array([figure(np.arange(low, high)) for low, high in pairwise(edge.tolist())])
    return figure(np.arange(steps.sessions.requests)), 5 * float(each.std(ddof=1)) / np.sqrt(CLIENTS)


def hits(steps: Steps, of: Any) -> float:
    """Tokens of prompts that an earlier prompt of the session, or the shared beginning, has."""
    sessions = steps.sessions
    given = sessions.input_tokens.astype(np.float64)
    again = np.minimum(sessions.kept_tokens, given[base_of(sessions)])
    kept = np.maximum(np.where(sessions.back > 0, again, 0), room_of(sessions))
    return float(np.minimum(kept, given)[of].sum() / given[of].sum())


def quantile(steps: Steps, column: str, q: float, kind: int | None = None) -> Callable[[Any], float]:
    values = getattr(steps.sessions, column)
    alone = steps.sessions.back == 1
    return lambda of: float(
        np.quantile(values[of] if kind is None else values[of][alone[of] & (steps.kind[of] == kind)], q)
    )


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("input p50", 124_000, 132_000),
        ("output p50", 250, 250),
        ("calls of a task", 8.8, 8.8),
        ("tool pause p50", 0.2, 0.3),
        ("tool pause p90", 10, 14),
        ("prefix hits", 0.957, 0.957),
        ("share of steps that compact", 0.008, 0.008),
    ],
)
def test_agents_are_as_they_were_seen(name: str, low: float, high: float, steps: Steps) -> None:
    """Coding agents of TraceLab (arXiv 2606.30560); compactions as in the sessions of kv-cache-tester."""

    def calls(of: Any) -> float:
        kind = steps.kind[of]
        return float((~np.isin(kind, (SUB_FIRST, SUB_TOOL))).sum() / np.isin(kind, (FIRST, TASK)).sum())

    figures: dict[str, Callable[[Any], float]] = {
        "input p50": quantile(steps, "input_tokens", 0.5),
        "output p50": quantile(steps, "output_tokens", 0.5),
        "calls of a task": calls,
        "tool pause p50": quantile(steps, "think_s", 0.5, TOOL),
        "tool pause p90": quantile(steps, "think_s", 0.9, TOOL),
        "prefix hits": lambda of: hits(steps, of),
        "share of steps that compact": lambda of: float(steps.compacts[of].mean()),
    }
    found, margin = of_clients(steps, figures[name])
    assert low - margin <= found <= high + margin


# What is stated comes out.


def test_pauses_and_replies_have_the_stated_laws(steps: Steps) -> None:
    sessions, alone = steps.sessions, steps.sessions.back == 1
    for values, (median, spread, most) in (
        (sessions.think_s[(steps.kind == TOOL) & alone], AGENTS.tool_s),
        (sessions.think_s[(steps.kind == TASK) & alone], AGENTS.human_s),
        (sessions.output_tokens, AGENTS.output_tokens),
    ):
        law = stats.lognorm(spread, scale=median)
        for q in (0.1, 0.5, 0.9, 0.99):
            at = law.ppf(q)
            if at < most:
                assert (values <= at).mean() == pytest.approx(q, abs=5 * np.sqrt(q * (1 - q) / values.size) + 0.005)
        assert values.max() <= most


def test_tasks_and_their_tools_are_as_many_as_stated() -> None:
    """With room enough no context is compacted, and every step adds what its tools give."""
    steps = drawn(40, most_context_tokens=2**24, compacted=0.0, forks=0.0, tool_tokens=(300.0, 0.5, 1e5))
    sessions = steps.sessions
    tasks = np.add.reduceat(np.isin(steps.kind, (FIRST, TASK)), sessions.edge[:-1])
    error = np.sqrt(AGENTS.tasks * (AGENTS.tasks - 1) / len(sessions))  # of a geometric number
    assert tasks.mean() == pytest.approx(AGENTS.tasks, abs=5 * error)
    added = (sessions.input_tokens - sessions.kept_tokens)[steps.kind == TOOL]
    a_call = 300 * np.exp(0.125)
    at_once = AGENTS.tools / (AGENTS.calls - 1)
    assert added.mean() == pytest.approx(at_once * a_call, abs=5 * added.std() / np.sqrt(added.size) + 0.5)
    assert not steps.compacts.any()
    assert set(np.unique(steps.kind)) == {FIRST, TASK, TOOL}


def test_sub_agents_are_as_many_as_stated() -> None:
    steps = drawn(40, forks=0.05)
    kind, sessions = steps.kind, steps.sessions
    returns = (kind == RETURN).sum()
    may = np.isin(kind, (TOOL, RETURN)).sum()  # every step that does not end its task has one of these behind it
    assert returns / may == pytest.approx(0.05, abs=5 * np.sqrt(0.05 * 0.95 / may))
    each = (kind == SUB_FIRST).sum() / returns
    assert each == pytest.approx(AGENTS.fork_width, abs=5 * np.sqrt(0.75 / returns))
    calls = np.isin(kind, (SUB_FIRST, SUB_TOOL)).sum() / (kind == SUB_FIRST).sum()
    spread = AGENTS.calls_cv * AGENTS.fork_calls
    assert calls == pytest.approx(AGENTS.fork_calls, abs=5 * spread / np.sqrt((kind == SUB_FIRST).sum()))
    assert (sessions.think_s[1:] < 0).any()  # they run beside one another


# What hangs together.


def test_the_first_client_is_the_same_however_many_there_are() -> None:
    few, many = drawn(3).sessions, drawn(30).sessions
    part = many.take(np.arange(3))
    for column in COLUMNS:
        assert np.array_equal(getattr(few, column), getattr(part, column)), column
    assert not np.array_equal(drawn(3, seed=2).sessions.edge, few.edge)


def test_all_agents_begin_with_the_same_prompts_whatever_the_seed() -> None:
    one, other = drawn(3).sessions, drawn(3, seed=2).sessions
    assert np.array_equal(one.shared_key, other.shared_key)
    assert np.array_equal(one.shared_tokens, other.shared_tokens)
    assert np.unique(one.shared_tokens).size == AGENTS.beginnings
    assert np.median(one.shared_tokens) == pytest.approx(AGENTS.beginning_tokens[0], rel=0.01)


def test_a_step_keeps_its_context_or_the_beginning(steps: Steps) -> None:
    sessions, kind = steps.sessions, steps.kind
    base, room = base_of(sessions), room_of(sessions)
    context = sessions.input_tokens[base] + sessions.output_tokens[base]
    grows = np.isin(kind, (TASK, TOOL, RETURN, SUB_TOOL)) & ~steps.compacts
    assert (sessions.kept_tokens[grows] == context[grows]).all()
    assert (sessions.input_tokens[grows] > context[grows]).all()
    begins = (kind == SUB_FIRST) | steps.compacts
    assert (sessions.kept_tokens[begins] == room[begins]).all()
    assert (sessions.back[kind == FIRST] == 0).all()
    assert (sessions.kept_tokens[kind == FIRST] == 0).all()
    assert (sessions.back[kind != FIRST] > 0).all()
    assert (sessions.input_tokens > room).all()
    assert sessions.input_tokens.max() <= AGENTS.most_context_tokens


def test_a_parent_goes_on_from_its_own_last_step_when_its_sub_agents_are_done(steps: Steps) -> None:
    sessions, kind = steps.sessions, steps.kind
    at_s, base = arrival_s(sessions), base_of(sessions)
    done_s = at_s + TTFT_S + TPOT_S * sessions.output_tokens
    later = kind != FIRST
    assert (at_s[later] - done_s[base[later]] > -0.05).all()  # nobody goes on before the reply has ended
    returns = np.flatnonzero(kind == RETURN)
    assert returns.size > 100
    for i in returns[:200]:
        between = np.arange(base[i] + 1, i)
        assert np.isin(kind[between], (SUB_FIRST, SUB_TOOL)).all()
        assert not np.isin(kind[base[i]], (SUB_FIRST, SUB_TOOL))
        assert at_s[i] == pytest.approx(done_s[between].max(), abs=0.05)
        first = between[kind[between] == SUB_FIRST]
        assert (base[first] == base[i]).all()


def test_sessions_are_spread_over_the_pool(steps: Steps) -> None:
    pool = LAW.sample(4, 1, span_s=7200, start_s=3600)
    assert pool.sessions is not None
    start_s = pool.sessions.start_s.reshape(4, -1)
    assert (np.diff(start_s, axis=1) > 0).all()
    assert start_s.min() >= 3600
    assert start_s.max() <= 10_800
    assert np.array_equal(pool.sessions.input_tokens, steps.sessions.take(np.arange(4)).input_tokens)


# The pool.


def test_a_pool_of_agents_says_what_its_sessions_hold(steps: Steps, tmp_path: Any) -> None:
    pool = LAW.sample(10, 1, span_s=3600)
    assert pool.converses.all()
    assert pool.has_lengths.all()
    assert pool.origin["prefix_block_tokens"] == AGENTS.block_tokens
    edge = steps.sessions.edge[steps.sessions.first]
    for field, column in (
        ("input_tokens", steps.sessions.input_tokens),
        ("output_tokens", steps.sessions.output_tokens),
    ):
        means = [column[low:high].mean() for low, high in pairwise(edge[:11].tolist())]
        assert pool.mean_length(field) == pytest.approx(means, rel=0.03)
    write_pool(pool, tmp_path / "agents.pool")
    again = read_pool(tmp_path / "agents.pool")
    assert isinstance(again, ClientPool)
    assert again.sessions is not None
    assert np.array_equal(again.sessions.think_s, pool.sessions.think_s)  # type: ignore[union-attr]


def test_agents_are_generated_as_conversations() -> None:
    pool = LAW.sample(30, 1, span_s=1800)
    workload = compose(pool, 10.0, 1800.0, seed=2).collect()
    frame = workload.frame
    assert {"conversation", "turn", "think_s", "prefix_runs"} <= set(frame.columns)
    assert frame["conversation"].null_count() == 0
    assert frame["input_tokens"].max() <= AGENTS.most_context_tokens  # type: ignore[operator]
    assert set(frame["output_tokens"].unique()) <= set(pool.sessions.output_tokens.tolist())  # type: ignore[union-attr]


# The file.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("calls = 8.8", "calls = 0.5"), r">= 1.0 - at `\$.agents.calls`"),
        (("tool_s = [0.25,", "tool_s = [-0.25,"), "agents.tool_s is a median above 0"),
        (("tool_s = [0.25, 3.02, 600.0]", "tool_s = [0.25, 3.02]"), r"at `\$.agents.tool_s`"),
        (("tool_s = [0.25, 3.02, 600.0]", "tool_s = [0.25, 3.02, 0.1]"), "agents.tool_s is a median above 0"),
        (("tools = 10.8", "tools = 3.0"), "agents.tools is at least 7.8"),
        (("first_tokens = [105000.0,", "first_tokens = [100.0,"), "agents.first_tokens has a median above"),
        (("most_context_tokens = 262144", "most_context_tokens = 15000"), "below most_context_tokens"),
        (("sessions = 200", "sessions = 0"), r">= 1 - at `\$.agents.sessions`"),
        (("forks", "fork"), "fork"),
    ],
)
def test_a_broken_figure_is_told_by_name(change: tuple[str, str], said: str, tmp_path: Any) -> None:
    head, agents = as_toml(LAW).split("\n[agents]\n")
    assert change[0] in agents
    (tmp_path / "broken.toml").write_text(head + "\n[agents]\n" + agents.replace(*change), "utf-8")
    with pytest.raises(DataError, match=said) as caught:
        Population.load(tmp_path / "broken.toml")
    assert "\n" not in str(caught.value)


def test_agents_have_no_lengths_beside_their_sessions() -> None:
    other = Population.load("reasoning")
    with pytest.raises(ValueError, match="has no lengths"):
        msgspec.structs.replace(LAW, lengths=other.lengths)
    with pytest.raises(ValueError, match="has no field 'input_tokens'"):
        msgspec.structs.replace(LAW, agents=None)


def test_the_file_is_what_its_law_writes() -> None:
    from groundswell.population.law import DATA

    assert as_toml(LAW) == (DATA / "agent.toml").read_text("utf-8")
    assert isinstance(AGENTS, Agents)
    assert "2606.30560" in AGENTS.source
    assert "agent_sessions.py" in AGENTS.source
