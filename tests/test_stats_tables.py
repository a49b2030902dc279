"""Sums by key and fair samples: the same however the stream is cut."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from groundswell.stats.sample import MOST, Sample
from groundswell.stats.tally import Tally
from groundswell.table import Workload


def workload(n: int, seed: int = 0) -> Workload:
    random = np.random.default_rng(seed)
    return Workload.from_columns(
        np.cumsum(random.exponential(size=n)),
        random.integers(0, 3, n).astype(np.uint32),
        ("a", "b", "c"),
        random.integers(0, 5000, n).astype(np.int32),
        random.integers(0, 500, n).astype(np.int32),
    )


def test_a_tally_knows_clients_by_name() -> None:
    a = Tally.of(pl.DataFrame({"client": pl.Series([0, 1], dtype=pl.UInt32), "n": [1, 2]}), ["client"], pl.Enum("ab"))
    b = Tally.of(pl.DataFrame({"client": pl.Series([0, 1], dtype=pl.UInt32), "n": [4, 8]}), ["client"], pl.Enum("cb"))
    both = a + b
    assert both.clients is not None
    frame = both.frame  # in no particular order
    named = {both.clients[c]: n for c, n in zip(frame["client"], frame["n"], strict=True)}
    assert named == {"a": 1, "b": 10, "c": 4}


@pytest.mark.parametrize("cut", [1, 70_000, 399_999])
def test_a_sample_does_not_depend_on_the_cut(cut: int) -> None:
    whole = workload(400_000)
    parts = Sample.of(Workload(whole.frame[:cut])) + Sample.of(Workload(whole.frame[cut:]))
    assert parts.level == Sample.of(whole).level > 0
    assert parts.frame.equals(Sample.of(whole).frame)
    assert MOST / 4 < parts.frame.height <= MOST


def test_a_sample_is_fair() -> None:
    whole = workload(400_000)
    sample = Sample.of(whole).frame
    error = whole.input_tokens.std() / np.sqrt(sample.height)
    assert abs(sample["input_tokens"].to_numpy().mean() - whole.input_tokens.mean()) < 5 * error


def test_a_small_stream_is_kept_whole() -> None:
    small = workload(1_000)
    assert Sample.of(small).whole
    assert Sample.of(small).frame["arrival_s"].equals(small.frame["arrival_s"])
