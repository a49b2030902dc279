"""Rate-weighted curves: exact at their points, and right on the public pools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from groundswell.clients.cdf import POINTS, curve_quantiles, rate_weighted_cdfs
from groundswell.clients.pool import ClientPool
from groundswell.clients.servegen import read_servegen
from pools import recorded_pool


def curve(pool: ClientPool, quantity: str) -> pl.DataFrame:
    return rate_weighted_cdfs(pool).filter(pl.col("quantity") == quantity)


def test_a_cell_counts_by_its_requests() -> None:
    pool = recorded_pool([[1.0, 3.0], [0.0, 6.0]], cv=[[0.5, 2.0], [9.0, 1.0]])
    assert curve(pool, "rate_per_s").rows() == [("rate_per_s", 1, 0.1), ("rate_per_s", 3, 0.4), ("rate_per_s", 6, 1.0)]
    assert curve(pool, "cv")["value"].to_list() == [0.5, 1.0, 2.0]
    assert curve(pool, "cv")["cdf"].to_list() == pytest.approx([0.1, 0.7, 1.0])
    assert curve(pool, "input_tokens.p50")["value"].to_list() == [100]
    assert curve(pool, "input_tokens.p99")["value"].to_list() == [400]
    assert curve(pool, "input_tokens.mean")["value"].to_list() == pytest.approx([190], rel=1e-6)


def test_a_curve_is_exact_at_its_points_and_has_few() -> None:
    rng = np.random.default_rng(1)
    rate, cv = rng.exponential(size=(40, 50)), np.round(rng.gamma(2, size=(40, 50)), 1) + 0.1
    pool = recorded_pool(rate, cv=cv)
    points = curve(pool, "cv")
    assert len(points) <= POINTS
    for value, share in points.select("value", "cdf").iter_rows():
        assert share == pytest.approx(rate[pool.cv <= np.float32(value)].sum() / rate.sum(), rel=1e-12)
    quantiles = curve_quantiles(rate_weighted_cdfs(pool), [0.25, 0.995])
    for name, level in (("p25", 0.25), ("p99.5", 0.995)):
        value = quantiles.filter(pl.col("quantity") == "cv")[name].item()
        assert rate[pool.cv <= np.float32(value)].sum() >= level * rate.sum()
        assert rate[pool.cv < np.float32(value)].sum() < level * rate.sum()


def test_a_pool_without_requests_or_lengths_has_no_curve_of_them() -> None:
    quiet = recorded_pool([[0.0, 0.0]])
    assert rate_weighted_cdfs(quiet).is_empty()
    assert curve_quantiles(rate_weighted_cdfs(quiet)).is_empty()


@pytest.mark.parametrize(
    ("name", "p10", "p50", "p90"),
    [
        ("language/m-large", 0.94, 1.19, 6.2),
        ("language/m-small", 1.07, 1.22, 7.0),
        ("reason/deepseek-r1", 0.74, 1.02, 5.6),
        ("multimodal/mm-image", 0.81, 1.01, 4.9),
    ],
)
def test_the_public_pools_burstiness_is_what_is_known_of_it(
    public_data: Path, name: str, p10: float, p50: float, p90: float
) -> None:
    pool = read_servegen(public_data / "servegen" / "data" / name)
    row = curve_quantiles(rate_weighted_cdfs(pool), [0.1, 0.5, 0.9]).row(1)
    assert row[0] == "cv"
    assert row[1:] == pytest.approx((p10, p50, p90), rel=0.01)
