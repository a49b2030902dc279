"""What a run would send, in figures."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from groundswell.errors import DataError
from groundswell.formats import write
from groundswell.prefix import runs_of
from groundswell.replay import _pieces
from groundswell.replay.plan import Items, survey
from groundswell.replay.source import held, opened
from groundswell.summary import Summary
from groundswell.table import Workload
from workloads import everything, random_workload, talking

DIGEST = "46c7faaea3016eba98ebd6d248cf4c75df65547e404d0606bfaeaa912ac3fbc8"
"""Of two requests, by struct and hashlib."""


@pytest.fixture(params=[False, True], ids=["whole", "pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Workloads are read whole, or in pieces of seven rows."""
    if request.param:
        monkeypatch.setattr(_pieces, "PIECE_ROWS", 7)
    return bool(request.param)


@pytest.mark.parametrize("n", [2, 3, 500])
def test_its_figures_are_those_of_the_summary(n: int, pieces: bool) -> None:
    workload = random_workload(n)
    plan, figures = survey(held(workload)), Summary.of(workload).finish()
    assert plan.requests == n
    assert plan.span_s == pytest.approx(figures.span_s)
    assert plan.mean_rate_per_s == pytest.approx(figures.mean_rate_per_s)
    assert plan.peak_rate_per_s == pytest.approx(figures.peak_rate_per_s)
    assert plan.clients == figures.active_clients
    assert plan.input_tokens == figures.tokens["input"].total
    assert plan.output_tokens == figures.tokens["output"].total
    assert plan.longest_prompt == figures.tokens["input"].most
    assert plan.longest_reply == figures.tokens["output"].most


def test_each_peak_is_that_of_its_own_busiest_ten_seconds(pieces: bool) -> None:
    workload = random_workload(400, seed=2)
    window = np.floor(workload.arrival_s / 10).astype(int)
    plan = survey(held(workload))
    assert plan.peak_rate_per_s * 10 == pytest.approx(np.bincount(window).max())
    for name, peak in (
        ("input_tokens", plan.peak_input_tokens_per_s),
        ("output_tokens", plan.peak_output_tokens_per_s),
    ):
        assert peak * 10 == pytest.approx(np.bincount(window, workload.frame[name].to_numpy()).max())


def test_totals_of_tokens_may_be_larger_than_a_column_can_hold() -> None:
    n = 3000
    workload = random_workload(n)
    large = pl.Series("input_tokens", [2_000_000] * n, dtype=pl.Int32)
    plan = survey(held(Workload(workload.frame.with_columns(large))))
    assert plan.input_tokens == 2_000_000 * n
    assert plan.peak_input_tokens_per_s == pytest.approx(2_000_000 * plan.peak_rate_per_s)


def test_conversations_and_items_are_counted(pieces: bool) -> None:
    plan = survey(held(everything()))
    assert (plan.conversations, plan.turns, plan.requests) == (60, 300, 300)
    assert plan.thinks
    assert (plan.images, plan.audio, plan.video) == (Items(150, 150, 750), Items(150, 150, 1050), Items(150, 150, 1350))
    assert plan.with_prefix == 300
    assert (plan.empty_prompts, plan.empty_replies) == (0, 0)


def test_what_stands_alone_is_no_conversation(pieces: bool) -> None:
    plan = survey(held(talking(talks=40, alone=10)))
    assert plan.conversations == 40
    assert plan.requests - plan.turns == 10
    assert plan.block_tokens == 16


def test_only_what_arrives_in_time_counts(pieces: bool) -> None:
    workload = talking()
    until_s = float(workload.arrival_s[60])
    part = Workload(workload.frame.filter(pl.col("arrival_s") < until_s), workload.metadata)
    assert survey(held(workload), until_s) == survey(held(part))
    assert survey(held(workload)).requests > survey(held(part)).requests


def test_the_digest_is_of_what_is_sent_not_of_how_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workload = talking()
    file = tmp_path / "w.parquet"
    workload.write(file)
    runs = runs_of(workload.frame["prefix_blocks"])
    in_runs = Workload(workload.frame.drop("prefix_blocks").with_columns(runs), {})
    digests = {survey(source).digest for source in (held(workload), opened(file), held(in_runs, "other"))}
    monkeypatch.setattr(_pieces, "PIECE_ROWS", 7)
    digests |= {survey(source).digest for source in (held(workload), opened(file))}
    assert len(digests) == 1
    assert len(digests.pop()) == 64


def test_the_digest_is_the_same_whatever_the_format(tmp_path: Path) -> None:
    workload = random_workload(60)
    workload = Workload(workload.frame.with_columns((pl.col("arrival_s") - workload.arrival_s[0]).round(6)))
    write([workload], tmp_path / "w.csv")
    with opened(tmp_path / "w.csv") as source:
        assert survey(source).digest == survey(held(workload)).digest


def test_the_digest_is_the_same_on_every_machine() -> None:
    """The value is of this workload and of the columns' order of bytes; it changes only with what a digest is of."""
    frame = pl.DataFrame(
        {"arrival_s": [0.0, 0.5], "client": ["a", "a"], "input_tokens": [3, 4], "output_tokens": [5, 6]},
        schema={"arrival_s": pl.Float64, "client": pl.Enum(["a"]), "input_tokens": pl.Int32, "output_tokens": pl.Int32},
    )
    assert survey(held(Workload(frame))).digest == DIGEST


@pytest.mark.parametrize(
    "column",
    [
        "arrival_s",
        "input_tokens",
        "output_tokens",
        "conversation",
        "think_s",
        "prefix_blocks",
        "image_tokens",
        "audio_tokens",
    ],
)
def test_the_digest_changes_with_what_is_sent(column: str) -> None:
    workload = everything()
    last = pl.int_range(pl.len()) == pl.len() - 1
    lists = isinstance(workload.frame.schema[column], pl.List)
    more = pl.col(column).list.concat([pl.lit(1)]).cast(workload.frame.schema[column]) if lists else pl.col(column) + 1
    other = Workload(workload.frame.with_columns(pl.when(last).then(more).otherwise(pl.col(column)).alias(column)))
    assert survey(held(other)).digest != survey(held(workload)).digest


def test_the_digest_does_not_change_with_who_sends() -> None:
    workload = everything()
    other = Workload(workload.frame.with_columns(pl.lit("a").cast(workload.frame.schema["client"]).alias("client")))
    assert survey(held(other)).digest == survey(held(workload)).digest


def test_a_single_request_has_no_rate() -> None:
    plan = survey(held(random_workload(1)))
    assert plan.requests == 1
    assert plan.span_s == 0
    assert isnan(plan.mean_rate_per_s)
    assert plan.text().count("–") == 6


def test_nothing_to_send_is_said() -> None:
    workload = random_workload(5)
    plan = survey(held(Workload(workload.frame.clear()), "quiet"))
    assert plan.requests == 0
    assert plan.text() == "nothing to send in quiet"
    assert survey(held(workload), until_s=-1.0).requests == 0


def test_values_that_could_not_be_sent_are_found_before_the_run(tmp_path: Path) -> None:
    file = tmp_path / "bad.parquet"
    frame = talking().frame.with_columns(pl.lit(-1.0).alias("think_s"))
    Workload(frame).write(file)
    with pytest.raises(DataError, match=f"{file}: column 'think_s' is negative in row 0"):
        survey(opened(file))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: random_workload(300), ["300 requests from 4 clients in", "input tokens", "output tokens"]),
        (everything, ["60, 5 requests each", "name blocks of unknown size", "cannot be sent: 150 requests"]),
        (talking, ["10 requests stand alone", "name blocks of 16 tokens"]),
    ],
)
def test_its_text_says_it_in_lines_for_a_terminal(make: Any, told: list[str]) -> None:
    text = survey(held(make())).text()
    assert all(words in text for words in told)
    assert all(len(line) <= 80 and line == line.rstrip() for line in text.splitlines())


def test_requests_of_nothing_are_told() -> None:
    workload = random_workload(20)
    nothing = pl.lit(0, pl.Int32)
    plan = survey(held(Workload(workload.frame.with_columns(nothing.alias("output_tokens")))))
    assert plan.empty_replies == 20
    assert "20 requests ask for 0 tokens" in plan.text()
