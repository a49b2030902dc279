"""Runs against real servers: workloads that they can keep, and what must hold of every one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from groundswell.replay.launch import replay
from groundswell.replay.options import Options
from groundswell.replay.plan import survey
from groundswell.replay.source import held
from groundswell.results import Results
from groundswell.table import Workload
from real_servers import Server
from replaying import workload

BLOCK_TOKENS = 16


class Sent(NamedTuple):
    """What came of a run, and what was said before it."""

    results: Results
    said: list[str]

    def ints(self, name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        """A column that has no gaps."""
        column = self.results.frame[name]
        assert column.null_count() == 0, f"{name} is missing in {column.null_count()} rows"
        return column.cast(pl.Int64).to_numpy()


def sent(given: Workload, server: Server | str, folder: Path, **options: Any) -> Sent:
    """A workload, sent as a person would who gives the URL and the tokenizer and nothing else, but for ``options``."""
    source, said = held(given), list[str]()
    if isinstance(server, Server):
        options = {"tokenizer": str(server.folder)} | options
    asked = Options(server if isinstance(server, str) else server.url, **options)
    outcome = replay(source, survey(source), asked, folder / "results.parquet", say=said.append)
    return Sent(Results.read(outcome.results), said)


def mixed(seed: int, requests: int = 60, span_s: float = 1.2, longest: int = 300) -> Workload:
    """Requests of all lengths, at random times."""
    rng = np.random.default_rng(seed)
    arrival_s = np.sort(rng.uniform(0, span_s, requests))
    outputs = pl.Series("output_tokens", rng.integers(1, 24, requests), dtype=pl.Int32)
    given = workload(arrival_s, input_tokens=rng.integers(24, longest, requests))
    return Workload(given.frame.with_columns(outputs), dict(given.metadata))


def talking(conversations: int = 10, turns: int = 4, first: int = 100, more: int = 70) -> Workload:
    """Conversations whose prompts grow by as much with every turn, 50 ms to think in between."""
    rows = [
        (talk * 0.08 + 0.25 * turn, talk, turn + 1, 0.05 if turn else None, first + more * turn)
        for talk in range(conversations)
        for turn in range(turns)
    ]
    arrival_s, talk, turn, think_s, inputs = zip(*sorted(rows), strict=True)
    columns: dict[str, Any] = {"conversation": talk, "turn": turn, "think_s": think_s, "input_tokens": inputs}
    return workload(arrival_s, outputs=16, **columns)


def sharing(groups: int, each: int, shared: int, own: int, gap_s: float, first_block: int = 0) -> Workload:
    """Requests one after the other, each of which begins with the blocks of its group, and goes on with its own."""
    blocks, number = [], first_block + groups * shared
    for i in range(groups * each):
        begin = first_block + i % groups * shared
        blocks.append([*range(begin, begin + shared), *range(number, number + own)])
        number += own
    given = workload(gap_s * np.arange(groups * each), inputs=(shared + own) * BLOCK_TOKENS, prefix_blocks=blocks)
    given.metadata["prefix_block_tokens"] = BLOCK_TOKENS
    return given


def assert_exact(run: Sent, totals: Sequence[str] = ("prompt_tokens", "output_tokens")) -> None:
    """All went well; the server counts each prompt and each reply as the workload does, and in all what we count."""
    frame = run.results.frame
    assert frame["error"].null_count() == len(run.results), frame["error"].value_counts().to_dicts()
    for name, wanted in (("made_tokens", "input_tokens"), ("prompt_tokens", "input_tokens")):
        assert (run.ints(name) == run.ints(wanted)).all(), f"{name} is not {wanted}"
    assert (run.ints("output_tokens") == run.ints("asked_tokens")).all()
    assert_totals(run, totals)


def assert_totals(run: Sent, totals: Sequence[str] = ("prompt_tokens", "output_tokens")) -> None:
    """The server's own counters grew by what all replies say."""
    for name in totals:
        assert run.results.totals[name] == run.ints(name).sum(), name
