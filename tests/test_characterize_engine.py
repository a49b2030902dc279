"""A whole characterization: the same however the trace is cut, and verdicts that follow from the figures."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from groundswell.characterize.as_json import as_json
from groundswell.characterize.engine import TOPICS, Characterization, characterize, read_as
from groundswell.characterize.setting import Setting, informed
from groundswell.characterize.text import describe
from groundswell.errors import DataError
from groundswell.table import Workload
from groundswell.warm import everything as with_everything


def trace(gaps_s: NDArray[np.float64], **columns: object) -> Workload:
    n = len(gaps_s)
    random = np.random.default_rng(n)
    base = Workload.from_columns(
        np.cumsum(gaps_s),
        np.zeros(n, np.uint32),
        ("all",),
        random.lognormal(6, 1, n).astype(np.int32),
        random.exponential(200, n).astype(np.int32),
    )
    return Workload(base.frame.with_columns(**columns)) if columns else base  # type: ignore[arg-type]


def verdicts(*blocks: Workload) -> dict[str, str]:
    return {finding.key: finding.verdict for finding in characterize(blocks).findings}


def poisson(n: int = 8_000) -> NDArray[np.float64]:
    return np.random.default_rng(1).exponential(0.2, n)


@pytest.fixture(scope="module")
def everything() -> Characterization:
    return characterize([with_everything()])


def test_every_topic_speaks_of_a_trace_that_has_everything(everything: Characterization) -> None:
    assert all(getattr(everything, topic) is not None for topic in TOPICS)
    assert [f.key for f in everything.findings] == [f"S{i}" for i in range(1, 12)] + [f"B{i}" for i in range(1, 6)]


def test_the_cut_of_a_trace_does_not_matter(everything: Characterization) -> None:
    whole, cuts = with_everything(), (0, 1, 2, 400, 999, 1_000)
    parts = characterize([Workload(whole.frame[a:b]) for a, b in pairwise(cuts)], workers=3)
    for one, other in zip(everything.findings, parts.findings, strict=True):
        assert (one.key, one.verdict, one.figure) == (other.key, other.verdict, other.figure)


def test_json_holds_every_topic_and_no_nan(everything: Characterization) -> None:
    text = as_json(everything).decode()
    assert "NaN" not in text
    figures = json.loads(text)
    assert set(TOPICS) <= figures.keys()
    assert figures["arrivals"]["requests"] == 1_000
    assert len(figures["findings"]) == 16


@pytest.mark.parametrize("width", [80, 100, 130])
def test_a_screen_of_text(everything: Characterization, width: int) -> None:
    lines = describe(everything, width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= {80: 64, 100: 48, 130: 40}[width]


def test_skipped_rows_are_in_the_text_and_in_json(everything: Characterization) -> None:
    read = read_as(everything, 1_000, 3, ("A note.",))
    assert "skipped: 3 of the rows" in describe(read)
    assert json.loads(as_json(read))["source"]["skipped"] == 3


def test_a_poisson_trace_is_not_bursty_and_says_nothing_of_clients() -> None:
    found = verdicts(trace(poisson()))
    assert found["S1"] != "holds"
    assert {found[key] for key in ("S5", "S6", "S7", "S8", "S9", "S10", "S11", "B2", "B5")} == {"cannot be said"}
    assert found["S4"] == "holds"
    assert found["B1"] == "holds"


def test_a_trace_steadier_than_poisson_is_not_bursty() -> None:
    gaps = np.random.default_rng(2).gamma(4.0, 0.05, 8_000)
    assert verdicts(trace(gaps))["S1"] == "does not hold"


def test_a_gamma_trace_is_bursty() -> None:
    gaps = np.random.default_rng(2).gamma(0.25, 0.8, 8_000)
    assert verdicts(trace(gaps))["S1"] == "holds"


def test_a_clock_in_ticks_leaves_burstiness_unsaid() -> None:
    workload = trace(poisson())
    ticked = Workload(workload.frame.with_columns(arrival_s=(pl.col("arrival_s") / 3).floor() * 3))
    found = verdicts(ticked)
    assert (found["S1"], found["B1"]) == ("cannot be said", "cannot be said")


def test_clients_of_like_rates_are_not_skewed() -> None:
    names = pl.Enum([f"c{i}" for i in range(20)])
    skewed = 20 * np.random.default_rng(4).random(8_000) ** 6
    even = np.arange(8_000) % 20
    for who, verdict in ((even, "does not hold"), (skewed.astype(int), "holds")):
        client = pl.Series([names.categories[int(i)] for i in who], dtype=names)
        assert verdicts(trace(poisson(), client=client))["S5"] == verdict


def test_failures_in_busy_minutes_are_told() -> None:
    random = np.random.default_rng(5)
    with_bursts = np.concatenate([random.exponential(0.5, 600), random.exponential(0.05, 1_200)] * 12)
    failing = np.concatenate([random.random(600) < 0.01, random.random(1_200) < 0.2] * 12)
    assert verdicts(trace(with_bursts, failed=failing))["B5"] == "holds"


def test_nothing_at_all() -> None:
    with pytest.raises(DataError, match="no requests"):
        characterize([])


def test_the_trace_says_when_midnight_was() -> None:
    assert informed(Setting(), {"start_unix_s": 86_400 * 3 + 600.0}).midnight_s == 600.0
    assert informed(Setting(midnight_s=5.0), {"start_unix_s": 600.0}).midnight_s == 5.0
    assert informed(Setting(), {}).midnight_s is None
    assert informed(Setting(), {"prefix_block_tokens": 16}).block_tokens == 16
