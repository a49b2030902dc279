"""Durations, spans and ranges as people write them, and figures as people read them."""

from __future__ import annotations

import math

import pytest

from groundswell.errors import UsageError
from groundswell.units import parse_duration, parse_range, parse_span, show_bytes, show_count, show_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600.0),
        ("6h", 21_600.0),
        ("14d", 1_209_600.0),
        ("1d12h", 129_600.0),
        ("1h 30m", 5_400.0),
        ("1.5h", 5_400.0),
        (".5s", 0.5),
        ("250ms", 0.25),
        ("2w", 1_209_600.0),
        ("90", 90.0),
        ("1e3", 1_000.0),
        ("0", 0.0),
    ],
)
def test_a_duration_is_a_number_of_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("text", ["", "m", "10x", "ten", "-5", "-5m", "nan", "inf", "10m!", "5 minutes", "1,5h", "m10"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="10m"):
        parse_duration(text)


def test_the_examples_of_a_duration_have_milliseconds() -> None:
    with pytest.raises(UsageError, match="like 5ms, 90s"):
        parse_duration("5 milliseconds")


def test_a_span_may_leave_out_either_end() -> None:
    assert parse_span("1d:2d") == (86_400.0, 172_800.0)
    assert parse_span(":6h") == (0.0, 21_600.0)
    assert parse_span("6h:") == (21_600.0, math.inf)


@pytest.mark.parametrize("text", ["2d:1d", "1d:1d", ":", "1d", "1:2:3", "a:b"])
def test_an_empty_or_malformed_span_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_span(text)


def test_a_range_includes_both_its_ends() -> None:
    assert parse_range("3:3") == (3.0, 3.0)
    assert parse_range("100:2000") == (100.0, 2000.0)
    assert parse_range("1.5:") == (1.5, math.inf)


@pytest.mark.parametrize("text", ["3:1", ":", "5", "nan:1", "a:b", "1:2:3"])
def test_an_empty_or_malformed_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_range(text)


@pytest.mark.parametrize("seconds", [0.25, 1, 59, 60, 600, 3_600, 5_400, 86_400, 129_600, 1_209_600])
def test_a_duration_that_is_shown_can_be_read_again(seconds: float) -> None:
    assert parse_duration(show_duration(seconds)) == seconds


def test_figures_are_shown_short() -> None:
    assert [show_count(n) for n in (0, 7, 9_999, 10_000, 1_500_000, 2.5e9)] == [
        "0",
        "7",
        "9,999",
        "10 k",
        "1.5 M",
        "2.5 G",
    ]
    assert [show_bytes(n) for n in (12, 4_200, 18_300_000, 3e9)] == ["12 B", "4.2 kB", "18.3 MB", "3 GB"]
    assert show_duration(math.inf) == "forever"
