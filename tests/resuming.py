"""What tests of interrupted runs need: a workload with conversations, and what has to come of it in the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from groundswell.cli import execute
from groundswell.results import Results
from groundswell.table import Workload
from replay_command import QUIET
from replaying import workload

RATE = 150.0
N = 300
"""2 s of requests."""


def talking(n: int = N) -> Workload:
    """Half of them in conversations of three turns, which think for 0.1 s."""
    conversation = [i // 30 * 5 + i % 5 if i % 10 < 5 else None for i in range(n)]
    turn = [None if c is None else 1 + conversation[:i].count(c) for i, c in enumerate(conversation)]
    think_s = [None if t is None or t == 1 else 0.1 for t in turn]
    tokens = [40 if t is None else 40 * t for t in turn]
    return workload(
        np.arange(n) / RATE, conversation=conversation, turn=turn, think_s=think_s, input_tokens=tokens, outputs=4
    )


def whole(path: Path, n: int = N) -> pl.DataFrame:
    """The results, which have each of ``n`` requests once, well."""
    frame = Results.read(path).frame
    assert frame["row"].to_list() == list(range(n))
    assert frame["error"].null_count() == n, frame["error"].value_counts()
    return frame


def until_whole(given: Path, url: str, output: Path, *more: str) -> pl.DataFrame:
    """Resume until nothing is left."""
    code = execute(["replay", str(given), "--url", url, "-o", str(output), *QUIET, "--resume", *more])
    assert code in (0, 1)  # 1: late on a busy machine
    assert not output.with_name(output.name + ".run").exists()
    return whole(output)


def one_line(said: str) -> str:
    """What was said, without the lines of the view: one line, and no trace of where in the code."""
    assert "Traceback" not in said, said
    lines = [line for line in said.splitlines() if line.startswith("groundswell: ")]
    assert len(lines) == 1, said
    return lines[0]
