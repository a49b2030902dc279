"""Which part of a trace is meant: a span, and what columns must say; and at which rate."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.errors import DataError, UsageError
from groundswell.rescale import Selected, Selection, Target
from groundswell.table import Workload
from rescaling import whole
from workloads import cut, everything

KINDS = ("Conversation log", "API log")


def burstgpt_like() -> Workload:
    """Everything, sent by BurstGPT's kinds of traffic."""
    w = everything()
    kinds = pl.Series("client", [KINDS[i % 2] for i in range(len(w))], dtype=pl.Enum(KINDS))
    return Workload(w.frame.with_columns(kinds), {"client_is": "Log Type"})


def chosen(w: Workload, *filters: str, begin_s: float = 0.0, end_s: float = np.inf) -> pl.DataFrame:
    return whole(Selected([w], Selection(begin_s, end_s, Selection.parse_filters(filters))))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("model=m", pl.col("model") == "m"),
        ('client=x"y,z', pl.col("client") == 'x"y,z'),
        ("failed=no", ~pl.col("failed")),
        ("failed=TRUE", pl.col("failed")),
        ("input_tokens=700:1000", pl.col("input_tokens").is_between(700, 1000)),
        ("turn=2", pl.col("turn") == 2),
        ("turn=3:, conversation=:20", (pl.col("turn") >= 3) & (pl.col("conversation") <= 20)),
        ("model=k,client=a", (pl.col("model") == "k") & (pl.col("client") == "a")),
    ],
)
def test_rows_are_taken_by_what_their_columns_say(text: str, meant: pl.Expr) -> None:
    w = everything()
    expected = w.frame.with_columns(pl.col("client").cast(pl.String)).filter(meant)
    assert 0 < len(expected) < len(w)
    assert chosen(w, text).equals(expected)


@pytest.mark.parametrize(("value", "kind"), [("API", 1), ("api log", 1), ("conversation", 0), ("Conversation log", 0)])
def test_burstgpts_kinds_of_traffic_go_by_their_name_and_by_its_first_word(value: str, kind: int) -> None:
    for name in ("log_type", "Log Type"):
        found = chosen(burstgpt_like(), f"{name}={value},model=m")
        assert set(found["client"]) <= {KINDS[kind]}
        assert set(found["model"]) == {"m"} if kind == 0 else len(found)


@given(places=st.lists(st.integers(0, 300), max_size=4), ends=st.tuples(st.floats(0, 400), st.floats(600, 1500)))
@settings(max_examples=40)
def test_a_span_is_from_its_begin_on_and_before_its_end_and_counts_from_its_begin(
    places: list[int], ends: tuple[float, float]
) -> None:
    w = everything()
    selected = Selected(cut(w, places), Selection(*ends))
    found = whole(selected)
    inside = w.frame["arrival_s"].filter((w.frame["arrival_s"] >= ends[0]) & (w.frame["arrival_s"] < ends[1]))
    assert found["arrival_s"].to_list() == (inside - ends[0]).to_list()
    assert selected.requests == len(inside)
    assert selected.covered_s == pytest.approx(min(ends[1], w.arrival_s[-1]) - ends[0])


def test_what_a_trace_does_not_have_is_told() -> None:
    w = burstgpt_like()
    with pytest.raises(
        UsageError,
        match=r"^--filter: the trace has no 'modell'; it has client, model, failed, conversation, turn, input_tokens, "
        "output_tokens, reason_tokens, log_type$",
    ):
        chosen(w, "modell=m")
    with pytest.raises(UsageError, match=r"no request has model=GPT-5; model is m, k$"):
        chosen(w, "model=GPT-5")
    with pytest.raises(UsageError, match=r"no request has log_type=x; log_type is Conversation log, API log$"):
        chosen(w, "log_type=x")
    with pytest.raises(UsageError, match="say yes or no"):
        chosen(w, "failed=perhaps")
    with pytest.raises(UsageError, match="is no number"):
        chosen(w, "turn=two")
    with pytest.raises(UsageError, match=r"ends at \d+m\d+s, before the span begins"):
        chosen(w, begin_s=5000.0)


@pytest.mark.parametrize("text", ["model", "=m", "model=", "model=m,model=k", ""])
def test_a_filter_that_says_nothing_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="--filter"):
        Selection.parse_filters([text])


@pytest.mark.parametrize("text", ["", "x", "x0", "0", "-3", "x-1", "nan", "xnan", "inf", "1e400", "2x", "own", "max:3"])
def test_a_rate_that_cannot_be_meant_is_told(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--to '.*': .*x2\.5$"):
        Target.parse(text)


def test_a_rate_is_of_the_time_that_is_covered() -> None:
    assert Target.parse("30").factor_of(600, 60.0, "t") == pytest.approx(3.0)
    assert Target.parse("x0.5").factor_of(600, 0.0, "t") == 0.5
    with pytest.raises(DataError, match=r"^t: all its requests come at the same time"):
        Target.parse("30").factor_of(1, 0.0, "t")
