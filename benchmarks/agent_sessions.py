"""What recorded coding agents do, and what agents drawn from the population `agent` do, as Markdown tables.

python benchmarks/agent_sessions.py [--clients 100] [--seed 1]

The first table reads the Claude Code sessions that WEKA publishes with kv-cache-tester (Apache-2.0), as the file of the
population cites them: a step is after a person where the one before it did not stop for a tool, and compacts where its
prompt is less than nine tenths of the one before. The second sets what is drawn beside what is published or was
recorded. A prefix hit is a token of a prompt in an earlier prompt of its session, or in the beginning that all share.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import data_folder, machine, table
from groundswell.population import Population
from groundswell.population.agent_steps import FIRST, SUB_FIRST, SUB_TOOL, TASK, TOOL
from groundswell.population.agents import Steps, draw_steps

Floats = NDArray[np.float64]

TRACELAB = "TraceLab (arXiv 2606.30560)"
SHRUNK = 0.9


@dataclass
class Recorded:
    """What the sessions of a folder hold."""

    input_tokens: list[int] = field(default_factory=list)
    output_tokens: list[int] = field(default_factory=list)
    first_tokens: list[int] = field(default_factory=list)
    longest_tokens: list[int] = field(default_factory=list)
    human_s: list[float] = field(default_factory=list)
    tool_s: list[float] = field(default_factory=list)
    human_tokens: list[int] = field(default_factory=list)
    tool_tokens: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    beginnings: list[tuple[int, int]] = field(default_factory=list)
    hit_tokens: int = 0
    compacted: int = 0
    later: int = 0

    def add(self, session: dict[str, Any]) -> None:
        """One session more."""
        requests, size = session["requests"], session["block_size"]
        self.beginnings.append((session["tool_tokens"], session["system_tokens"]))
        self.first_tokens.append(requests[0]["in"])
        self.longest_tokens.append(max(one["in"] for one in requests))
        seen: set[int] = set()
        calls = 0
        before: dict[str, Any] | None = None
        for one in requests:
            known = next((i for i, block in enumerate(one["hash_ids"]) if block not in seen), len(one["hash_ids"]))
            self.hit_tokens += min(known * size, one["in"])
            seen.update(one["hash_ids"])
            self.input_tokens.append(one["in"])
            self.output_tokens.append(one["out"])
            if before is not None and self._follows(before, one):
                self.calls.append(calls)
                calls = 0
            calls += 1
            before = one
        self.calls.append(calls)

    def _follows(self, before: dict[str, Any], one: dict[str, Any]) -> bool:
        """Count a later step; whether a person came before it."""
        human = bool(before["stop"] != "tool_use")
        self.later += 1
        if "think_time" in one:
            (self.human_s if human else self.tool_s).append(one["think_time"])
        if one["in"] < SHRUNK * before["in"]:
            self.compacted += 1
        else:
            (self.human_tokens if human else self.tool_tokens).append(one["in"] - before["in"] - before["out"])
        return human


def recorded(folder: Path) -> Recorded:
    """All sessions under ``folder``."""
    out = Recorded()
    for path in sorted(folder.glob("*.json")):
        out.add(json.loads(path.read_text("utf-8")))
    return out


def spread(values: Any) -> str:
    """Median, 90 % quantile, mean, and the standard deviation of the log."""
    value = np.asarray(values, np.float64)
    log = np.log(np.maximum(value, 1.0))
    return f"{np.median(value):.4g} | {np.quantile(value, 0.9):.4g} | {value.mean():.4g} | {log.std():.3g}"


def show_recorded(found: Recorded) -> None:
    """Print what was recorded."""
    sessions, requests = len(found.first_tokens), len(found.input_tokens)
    print(f"### {sessions} recorded sessions, {requests:,} model calls\n")
    print("| | p50 | p90 | mean | sd of log |\n|---|---:|---:|---:|---:|")
    for name, values in (
        ("input, tokens", found.input_tokens),
        ("output, tokens", found.output_tokens),
        ("first prompt of a session, tokens", found.first_tokens),
        ("longest prompt of a session, tokens", found.longest_tokens),
        ("system prompt and tools, tokens", [sum(pair) for pair in found.beginnings]),
        ("pause after a person, s", found.human_s),
        ("pause after a tool, s", found.tool_s),
        ("added after a person, tokens", found.human_tokens),
        ("added after a tool, tokens", found.tool_tokens),
        ("calls of a task", found.calls),
    ):
        print(f"| {name} | {spread(values)} |")
    calls = np.asarray(found.calls, np.float64)
    print()
    table(
        ["", "recorded"],
        [
            ("model calls of a session", requests / sessions),
            ("tasks of a session", calls.size / sessions),
            ("CV of a task's calls", float(calls.std() / calls.mean())),
            ("beginnings (system prompt and tools) that differ", len(set(found.beginnings))),
            ("share of steps that compact", found.compacted / found.later),
            ("prefix hits", found.hit_tokens / sum(found.input_tokens)),
        ],
    )


def hits(steps: Steps) -> float:
    """The share of prompts' tokens that an earlier prompt of the session, or the shared beginning, has."""
    sessions = steps.sessions
    given = sessions.input_tokens.astype(np.float64)
    base = np.arange(given.size) - sessions.back
    kept = np.where(sessions.back > 0, np.minimum(sessions.kept_tokens, np.minimum(given, given[base])), 0.0)
    shared = sessions.shared_tokens[sessions.shared]
    return float(np.maximum(kept, np.minimum(shared, given)).sum() / given.sum())


def show_drawn(steps: Steps, found: Recorded | None) -> None:
    """Print what is drawn beside what is stated."""
    sessions, kind = steps.sessions, steps.kind
    own = ~np.isin(kind, (SUB_FIRST, SUB_TOOL))
    tasks = int(np.isin(kind, (FIRST, TASK)).sum())
    waited = sessions.back == 1
    tool_s = sessions.think_s[(kind == TOOL) & waited]
    human_s = sessions.think_s[(kind == TASK) & waited]
    human = f"{np.median(found.human_s):.4g}" if found else ""
    compacted = f"{found.compacted / found.later:.4g}" if found else ""
    print(f"### {len(sessions):,} drawn sessions, {sessions.requests:,} model calls\n")
    print(f"| | drawn | {TRACELAB} | recorded sessions |\n|---|---:|---:|---:|")
    for name, drawn, published, seen in (
        ("input p50, tokens", float(np.median(sessions.input_tokens)), "124–132 K", ""),
        ("output p50, tokens", float(np.median(sessions.output_tokens)), "250", ""),
        ("model calls of a task", own.sum() / tasks, "8.8", ""),
        ("tool pause p50, s", float(np.quantile(tool_s, 0.5)), "0.2–0.3", ""),
        ("tool pause p90, s", float(np.quantile(tool_s, 0.9)), "10–14", ""),
        ("prefix hits", hits(steps), "0.957", ""),
        ("pause after a person p50, s", float(np.median(human_s)), "", human),
        ("share of steps that compact", float(steps.compacts.mean()), "", compacted),
        ("model calls of a session", sessions.requests / len(sessions), "", ""),
        ("share of steps of sub-agents", float(1.0 - own.mean()), "", ""),
    ):
        print(f"| {name} | {drawn:.4g} | {published} | {seen} |")
    print()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = data_folder() / "weka" / "traces"
    found = recorded(folder) if folder.is_dir() else None
    print(f"{machine()}\n")
    if found:
        show_recorded(found)
    law = Population.load("agent").agents
    assert law is not None
    show_drawn(draw_steps("agent", law, options.clients, options.seed, (0.0, 86_400.0)), found)


if __name__ == "__main__":
    main()
