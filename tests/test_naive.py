"""The baseline has what it should have of a workload, and nothing of its clients."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from groundswell.clients import ClientPool
from groundswell.compose import compose
from groundswell.errors import UsageError
from groundswell.naive import naive
from groundswell.table import Workload
from pools import recorded_pool


def unlike_clients() -> ClientPool:
    """A steady client with short prompts and a bursty one with long prompts, over three windows."""
    pool = recorded_pool(
        [[20.0, 30.0, 25.0], [5.0, 10.0, 0.5]],
        [[0.9] * 3, [6.0] * 3],
        lengths=[([100], [1]), ([50], [1]), ([4000], [1]), ([7], [1])],
    )
    pool.table[1, 0] = [2, 3]
    return pool


def windows(workload: Workload) -> list[pl.DataFrame]:
    number = (workload.frame["arrival_s"] // 600).cast(pl.Int64)
    return [workload.frame.filter(number == k) for k in range(3)]


def cv(frame: pl.DataFrame) -> float:
    gaps = np.diff(frame["arrival_s"].to_numpy())
    return float(gaps.std() / gaps.mean())


def correlation(frame: pl.DataFrame) -> float:
    """Of the requests in 3 s with their mean input."""
    bins = frame.group_by((pl.col("arrival_s") // 3).alias("bin")).agg(pl.len().alias("n"), pl.mean("input_tokens"))
    return float(np.corrcoef(bins["n"].to_numpy(), bins["input_tokens"].to_numpy())[0, 1])


def test_gamma_keeps_counts_cv_and_rows_of_each_window_but_not_their_dependence() -> None:
    made = compose(unlike_clients(), seed=1)
    baseline = Workload.concat(list(naive(made, made.duration_s, seed=2)))
    for true, false in zip(windows(made.collect()), windows(baseline), strict=True):
        assert true.height == false.height
        assert cv(false) == pytest.approx(cv(true), rel=0.05)
        rows = set(false.select("input_tokens", "output_tokens").unique().rows())
        assert rows <= {(100, 50), (4000, 7)}
        share = float((true["input_tokens"].to_numpy() == 4000).mean())
        error = np.sqrt(share * (1 - share) / true.height)
        assert abs(float((false["input_tokens"].to_numpy() == 4000).mean()) - share) < 5 * error
    assert correlation(windows(made.collect())[1]) > 0.5
    assert abs(correlation(windows(baseline)[1])) < 5 / np.sqrt(200)


def test_poisson_keeps_the_rate_alone() -> None:
    made = compose(unlike_clients(), seed=1)
    runs = [Workload.concat(list(naive(made, made.duration_s, seed, "poisson"))) for seed in range(20)]
    expected = made.expected_requests
    assert abs(np.mean([len(run) for run in runs]) - expected) < 5 * np.sqrt(expected / 20)
    assert abs(cv(windows(runs[0])[0]) - 1) < 5 / np.sqrt(15_000)
    assert len({len(run) for run in runs}) > 1


@pytest.mark.parametrize("kind", ["gamma", "poisson"])
def test_the_same_seed_gives_the_same_rows_however_the_original_is_cut(kind: str) -> None:
    pool = unlike_clients()
    one = Workload.concat(list(naive(compose(pool, seed=1), 1800.0, 3, kind)))
    two = Workload.concat(list(naive(compose(pool, seed=1, block_rows=900), 1800.0, 3, kind)))
    assert one.frame.equals(two.frame)
    assert one.clients == ("naive",)
    assert (np.diff(one.arrival_s) >= 0).all()
    assert one.arrival_s[-1] < 1800.0


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="gamma, poisson"):
        next(naive([], 600.0, 0, "weibull"))
