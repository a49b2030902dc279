"""Objectives as people write them."""

from __future__ import annotations

import pytest

from groundswell.errors import UsageError
from groundswell.judge.slo import METRICS, SLO, Clause


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("ttft:p99<2s", Clause("ttft", 0.99, 2.0)),
        ("ttft:p99<2", Clause("ttft", 0.99, 2.0)),
        ("tpot:p50<100ms", Clause("tpot", 0.5, 0.1)),
        (" E2E : P99.9 <= 1.5M ", Clause("e2e", 0.999, 90.0, inclusive=True)),
        ("tbt:mean<.05", Clause("itl", None, 0.05)),
        ("itl:max<1s", Clause("itl", 1.0, 1.0)),
        ("queue:p0<1ms", Clause("lag", 0.0, 0.001)),
        ("ttfa:p100<5e-1s", Clause("ttfa", 1.0, 0.5)),
        ("e2el:p99.99<1s", Clause("e2e", 0.9999, 1.0)),
    ],
)
def test_a_clause_is_read(text: str, clause: Clause) -> None:
    assert Clause.parse(text) == clause
    assert Clause.parse(str(clause)) == clause


def test_an_slo_is_its_clauses_and_reads_back() -> None:
    slo = SLO.parse("ttft:p99<2s, tpot:p99<0.1s,ttft:p50<300ms")
    assert [clause.metric for clause in slo.clauses] == ["ttft", "tpot", "ttft"]
    assert str(slo) == "ttft:p99<2s,tpot:p99<100ms,ttft:p50<300ms"
    assert SLO.parse(str(slo)) == slo


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["the SLO is empty", "ttft:p99<2s"]),
        ("ttft:p99<2s,", ["a comma without a clause", "ttft:p99<2s,tpot:p99<0.1s"]),
        ("ttft<2s", ["'ttft<2s'", "METRIC:STATISTIC<BOUND"]),
        ("ttft:p99>2s", ["METRIC:STATISTIC<BOUND"]),
        ("ttft:p99=2s", ["METRIC:STATISTIC<BOUND"]),
        ("ttft:p99<2s<3s", ["METRIC:STATISTIC<BOUND"]),
        ("speed:p99<2s", ["no metric 'speed'", *METRICS, "tbt (itl)"]),
        ("ttft:p101<2s", ["'p101'", "p0 to p100", "mean and max"]),
        ("ttft:median<2s", ["'median'", "p0 to p100", "mean and max"]),
        ("ttft:p99<2h", ["'2h'", "500ms, 2s, 1m"]),
        ("ttft:p99<0s", ["'0s'", "above 0"]),
        ("ttft:p99<-1s", ["'-1s'", "above 0"]),
        ("ttft:p99<inf", ["'inf'", "above 0"]),
        ("ttft:p99<1e999", ["'1e999'", "above 0"]),
        ("ttft:p99<2s,ttft:p99.0<3s", ["ttft:p99 twice"]),
    ],
)
def test_what_is_no_slo_is_told_in_one_line(text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        SLO.parse(text)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
