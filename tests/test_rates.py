"""Total rates: how they are written, and the factor on clients' own rates that each one is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from groundswell.errors import DataError, UsageError
from groundswell.rates import Bounded, Curve, Scaled, constant, parse_rate

EDGES = np.array([0.0, 600.0, 1200.0])
TOTAL = np.array([10.0, 40.0])


def test_every_way_to_write_a_rate(tmp_path: Path) -> None:
    curve = tmp_path / "curve.csv"
    curve.write_text("time_s,rate_per_s\n0,1\n600,5.5\n")
    assert parse_rate(None) == parse_rate("own") == Scaled(1.0)
    assert parse_rate(100) == parse_rate("100") == constant(100.0)
    assert parse_rate("x0.5") == Scaled(0.5)
    assert parse_rate("max:300") == Bounded(300.0)
    assert parse_rate(str(curve)) == parse_rate([(0, 1), (600, 5.5)]) == Curve((0.0, 600.0), (1.0, 5.5))
    assert parse_rate(Bounded(2.0)) == Bounded(2.0)


def test_factors_are_target_over_total() -> None:
    assert Scaled(0.5).factor(EDGES, TOTAL).left.tolist() == [0.5, 0.5]
    assert Bounded(20.0).factor(EDGES, TOTAL).left.tolist() == [1.0, 0.5]
    flat = constant(20.0).factor(EDGES, TOTAL)
    assert flat.left.tolist() == flat.right.tolist() == [2.0, 0.5]


def test_a_curve_has_a_knot_at_every_point_and_every_edge() -> None:
    factor = Curve((300.0, 900.0), (0.0, 40.0)).factor(EDGES, TOTAL)
    assert factor.knot_s.tolist() == [0.0, 300.0, 600.0, 900.0, 1200.0]
    assert factor.left.tolist() == [0.0, 0.0, 0.5, 1.0]
    assert factor.right.tolist() == [0.0, 2.0, 1.0, 1.0]
    # ∫ of a trapezoid: 0 to 300 nothing, then 2·300/2, then (0.5 + 1)/2·300, then 300
    assert factor.integral.tolist() == [0.0, 0.0, 300.0, 525.0, 825.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "above 0"),
        ("-3", "above 0"),
        ("nan", "above 0"),
        ("inf", "above 0"),
        ("x0", "above 0"),
        ("x-1", "above 0"),
        ("max:0", "above 0"),
        ("fast", "no number"),
        ("no-such.csv", "no CSV file"),
    ],
)
def test_rates_that_cannot_be_meant(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_rate(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no line"),
        ("time_s,rate_per_s\n", "holds no line"),
        ("0,1\n5\n", r"curve\.csv:2: expected 'time_s,rate_per_s', found '5'"),
        ("0,1\n5,x\n", r"curve\.csv:2"),
        ("0,1\n0,2\n", "must rise"),
        ("0,-1\n", "must not be negative"),
        ("0,nan\n", "finite"),
    ],
)
def test_a_broken_curve_is_refused_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "curve.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        parse_rate(str(path))


def test_a_curve_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_bytes(b"\xef\xbb\xbf0,2\r\n60,4\r\n")
    assert parse_rate(str(path)) == Curve((0.0, 60.0), (2.0, 4.0))


@pytest.mark.parametrize("points", [[], [(0,)], [(0, 1), (0, 2)], [(0, 0)]])
def test_points_that_are_no_curve(points: list[tuple[float, ...]]) -> None:
    with pytest.raises(UsageError):
        parse_rate(points)  # type: ignore[arg-type]
