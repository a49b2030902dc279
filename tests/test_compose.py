"""What composing promises, whatever the pool."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from groundswell.arrivals import ARRIVALS
from groundswell.clients import ClientPool
from groundswell.compose import compose, parts
from groundswell.errors import UsageError
from groundswell.rates import Bounded, Curve
from groundswell.table import Workload
from pools import recorded_pool


def senders(workload: Workload) -> np.ndarray:
    return workload.frame["client"].to_physical().to_numpy()


def same(a: Workload, b: Workload) -> bool:
    return a.frame.equals(b.frame)


def mixed_pool() -> ClientPool:
    """Six clients over five windows: big and rare, smooth and bursty, one that is off at times."""
    rates = np.array([[50, 60, 40, 55, 50], [9, 0, 12, 0, 7], [3, 3, 3, 3, 3], [0.01] * 5, [1, 2, 4, 2, 1], [0.3] * 5])
    cv = np.array([[1.1], [3.0], [0.5], [1.0], [5.0], [2.0]]) * np.ones((1, 5))
    return recorded_pool(rates, cv)


@pytest.mark.parametrize("counts", ["measured", "renewal"])
@pytest.mark.parametrize("rate", [None, 40.0, Curve((0.0, 900.0, 3000.0), (5.0, 90.0, 0.0))])
def test_the_cut_into_blocks_and_the_number_of_workers_change_nothing(counts: str, rate: object) -> None:
    pool = mixed_pool()
    whole = compose(pool, rate, seed=3, counts=counts).collect()  # type: ignore[arg-type]
    for block_rows, workers in ((701, 1), (4_000, 3), (20_000, 2)):
        cut = compose(pool, rate, seed=3, counts=counts, block_rows=block_rows, workers=workers)  # type: ignore[arg-type]
        assert same(whole, cut.collect())


@pytest.mark.parametrize("held_rows", [0, 500, 20_000])
@pytest.mark.parametrize("cv", [0.3, 1.2, 8.0, 142.0])
def test_windows_made_in_parts_are_those_made_whole(monkeypatch: pytest.MonkeyPatch, held_rows: int, cv: float) -> None:
    # full windows, and stretches of a third and of a hundredth of the window
    rates = np.array([[12.0, 30.0], [5.0, 0.0], [8.0, 9.0], [0.5, 0.7]])
    parameters = np.array([[np.nan], [200 / 3000], [6 / 4800], [np.nan]]) * np.ones((1, 2))
    pool = dataclasses.replace(
        recorded_pool(rates, cv),
        first_parameter=np.full((4, 2), cv**-2, np.float32),
        second_parameter=(parameters * cv**2).astype(np.float32),
    )
    whole = compose(pool, seed=7).collect()
    monkeypatch.setattr(parts, "_HELD_ROWS", held_rows)
    for block_rows in (90, 777, 3000):
        assert same(whole, compose(pool, seed=7, block_rows=block_rows).collect())


def test_arrivals_are_sorted_and_within_the_run() -> None:
    w = compose(mixed_pool(), 80.0, 1234.5, seed=9, start_s=321.0).collect()
    assert (np.diff(w.arrival_s) >= 0).all()
    assert w.arrival_s[0] >= 0
    assert w.arrival_s[-1] < 1234.5


@pytest.mark.parametrize("counts", ["measured", "renewal"])
def test_adding_a_client_leaves_the_others_requests_alone(counts: str) -> None:
    pool = mixed_pool()
    few = pool.take([0, 2, 3])
    more = compose(pool, seed=5, counts=counts).collect().frame
    alone = compose(few, seed=5, counts=counts).collect().frame
    for name in few.names:
        mine = [f.filter(f["client"].cast(str) == name).drop("client") for f in (more, alone)]
        assert mine[0].equals(mine[1])


def test_seeds_differ() -> None:
    pool = mixed_pool()
    assert not same(compose(pool, seed=1).collect(), compose(pool, seed=2).collect())


def test_measured_counts_are_within_one_of_their_share() -> None:
    pool = mixed_pool()
    w = compose(pool, 33.0, seed=4).collect()
    share = pool.rate_per_s / pool.total_rate_per_s * 33.0 * 600
    counts = np.stack([np.bincount(senders(w)[w.arrival_s // 600 == k], minlength=6) for k in range(5)], axis=1)
    assert (np.abs(counts - share) < 1).all()


def test_no_rare_client_is_lost_or_rounded_up() -> None:
    # 400 clients that expect 0.3 requests: a binomial total, 5 standard errors over 20 seeds
    pool = recorded_pool(np.full((400, 1), 0.3 / 600))
    totals = [len(compose(pool, seed=s).collect().frame) for s in range(20)]
    assert abs(np.mean(totals) - 120) < 5 * np.sqrt(400 * 0.3 * 0.7 / 20)


def test_a_hundred_clients_at_one_request_an_hour_send_33_in_twenty_minutes() -> None:
    pool = recorded_pool(np.full((100, 2), 1 / 3600), 2.0, stated=True)
    totals = [len(compose(pool, seed=s).collect().frame) for s in range(60)]
    assert abs(np.mean(totals) - 100 / 3) < 5 * np.std(totals) / np.sqrt(60)


@pytest.mark.parametrize("target", [0.5, 1.0, 20.0, 700.0])
def test_the_total_rate_is_what_was_asked(target: float) -> None:
    pool = mixed_pool()
    totals = [sum(b.frame.height for b in compose(pool, target, seed=s)) for s in range(20)]
    assert abs(np.mean(totals) / (target * 3000) - 1) < 0.01


@pytest.mark.parametrize("counts", ["measured", "renewal"])
def test_a_curve_is_followed_within_windows(counts: str) -> None:
    pool = recorded_pool(np.full((40, 2), 5.0), 1.0, "poisson")
    w = compose(pool, Curve((0.0, 1200.0), (0.0, 400.0)), seed=2, counts=counts).collect()
    # the cumulative rate is quadratic; Kolmogorov-Smirnov at odds of one in a million
    distance = stats.kstest(w.arrival_s / 1200, lambda x: x**2).statistic
    assert distance < 2.7 / np.sqrt(w.frame.height)
    assert abs(w.frame.height - 240_000) < 5 * np.sqrt(240_000)


def test_a_bound_cuts_only_what_is_above_it() -> None:
    pool = mixed_pool()
    w = compose(pool, Bounded(60.0), seed=1).collect()
    per_window = np.bincount((w.arrival_s // 600).astype(int), minlength=5) / 600
    assert np.allclose(per_window, np.minimum(pool.total_rate_per_s, 60.0), atol=6 / 600)


@pytest.mark.parametrize(
    ("family", "cv"), [("gamma", 0.4), ("gamma", 1.5), ("gamma", 3.0), ("weibull", 0.6), ("weibull", 2.0)]
)
@pytest.mark.parametrize("counts", ["measured", "renewal"])
def test_streams_have_the_cv_that_was_asked(family: str, cv: float, counts: str) -> None:
    # 60 windows of 6,000 requests: the mean of the windows' CVs within 3 %
    pool = recorded_pool(np.full((1, 60), 10.0), cv, family)
    w = compose(pool, seed=6, counts=counts).collect()
    windows = np.split(w.arrival_s, np.searchsorted(w.arrival_s, 600.0 * np.arange(1, 60)))
    cvs = [np.diff(x).std() / np.diff(x).mean() for x in windows]
    assert abs(np.mean(cvs) / cv - 1) < 0.03


@pytest.mark.parametrize("name", ["poisson", "gamma", "weibull", "onoff", "deterministic"])
def test_free_clients_have_their_process_gap_for_gap(name: str) -> None:
    # one client of a constant rate over many windows is one process, not a new one in each
    process = ARRIVALS.build(name)
    first, second = process.parameters()
    pool = recorded_pool(np.full((1, 200), 0.05), process.cv, name, stated=True, parameters=(first, second))
    gaps = np.concatenate([np.diff(compose(pool, seed=s).collect().arrival_s) for s in range(12)]) * 0.05
    assert abs(gaps.mean() - 1) < max(5 * gaps.std() / np.sqrt(gaps.size), 0.001) + 0.02 * process.cv
    if name == "poisson":
        assert stats.kstest(gaps, "expon").statistic < 2.7 / np.sqrt(gaps.size)
    if name == "deterministic":
        assert np.allclose(gaps, 1.0, atol=1e-6)


def test_windows_of_partial_activity_are_one_stretch() -> None:
    # 200 requests with a mean gap of 0.5 s: 100 s of activity in 600
    rate, cv = 200 / 600, 1.2
    pool = recorded_pool(np.full((30, 1), rate), cv, parameters=(cv**-2, 0.5 * cv**2))
    w = compose(pool, seed=8).collect()
    code = senders(w)
    spans = np.array([np.ptp(w.arrival_s[code == c]) for c in range(30)])
    starts = np.array([w.arrival_s[code == c].min() for c in range(30)])
    assert (spans <= 100.0 + 1e-6).all()
    assert (spans > 80.0).all()
    assert starts.std() > 60  # uniform on 0…500 has 144
    spread = compose(pool, seed=8, activity=False).collect()
    assert np.ptp(spread.arrival_s[senders(spread) == 0]) > 500


def two_field_pool(n: float = 40_000) -> ClientPool:
    values = np.arange(1, 501)
    return recorded_pool([[n / 600]], 1.0, lengths=[(values, 1.0 / values), (values, np.ones(500))])


def spearman(workload: Workload) -> float:
    return float(stats.spearmanr(workload.input_tokens, workload.output_tokens).statistic)


def test_input_and_output_are_joint_as_asked() -> None:
    pool = two_field_pool()
    error = 5 / np.sqrt(40_000)
    assert abs(spearman(compose(pool, seed=1).collect())) < error
    assert spearman(compose(pool, seed=1, joint="comonotone").collect()) > 0.99
    for rho in (-0.6, 0.3, 0.8):
        assert abs(spearman(compose(pool, seed=1, joint=f"rank:{rho}").collect()) - rho) < error + 0.01


@pytest.mark.parametrize("joint", ["independent", "comonotone", "rank:0.5"])
def test_marginals_are_the_clients_own_in_any_dependence(joint: str) -> None:
    pool = two_field_pool()
    w = compose(pool, seed=2, joint=joint).collect()
    for field, d in (("input_tokens", 0), ("output_tokens", 1)):
        values, p = pool.lengths.table(d)
        counts = np.bincount(w.frame[field].to_numpy(), minlength=501)[1:]
        assert np.abs(np.cumsum(counts) / counts.sum() - np.cumsum(p)).max() < 2.7 / np.sqrt(40_000)
        assert abs((counts * values).sum() / counts.sum() / (values * p).sum() - 1) < 0.05


def test_reasoning_is_a_part_of_the_output() -> None:
    pool = dataclasses.replace(
        recorded_pool([[30.0]], lengths=[([100], [1]), ([1000, 3000], [0.5, 0.5]), ([0.25, 0.9], [0.4, 0.6])]),
        fields=("input_tokens", "output_tokens", "reason_ratio"),
        table=np.array([[[0, 1, 2]]], np.int32),
    )
    w = compose(pool, seed=1).collect()
    ratio = w.frame["reason_tokens"].to_numpy() / w.output_tokens
    assert set(np.round(ratio, 4).tolist()) == {0.25, 0.9}
    assert abs((ratio > 0.5).mean() - 0.6) < 5 * np.sqrt(0.24 / 18_000)


def test_items_have_their_counts_and_sizes_and_stay_with_their_request() -> None:
    tables = [([50], [1]), ([10], [1]), ([0, 1, 4], [0.2, 0.5, 0.3]), ([256, 1024], [0.75, 0.25])]
    pool = dataclasses.replace(
        recorded_pool([[20.0], [5.0]], lengths=tables),
        fields=("input_tokens", "output_tokens", "image_count", "image_tokens"),
        table=np.array([[[0, 1, 2, 3]], [[0, 1, -1, -1]]], np.int32),
    )
    whole = compose(pool, seed=1).collect()
    sizes = whole.frame["image_tokens"]
    first = whole.frame["client"].to_physical() == 0
    assert sizes.filter(~first).list.len().sum() == 0
    n = int(first.sum())
    counts = np.bincount(sizes.filter(first).list.len().to_numpy(), minlength=5) / n
    assert np.abs(counts - [0.2, 0.5, 0, 0, 0.3]).max() < 5 * np.sqrt(0.25 / n)
    flat = sizes.explode().drop_nulls().to_numpy()
    assert abs((flat == 256).mean() - 0.75) < 5 * np.sqrt(0.19 / flat.size)
    assert same(whole, compose(pool, seed=1, block_rows=500).collect())


def pool_with_one_without_lengths() -> ClientPool:
    tables = [([10], [1]), ([1], [1]), ([1000], [1]), ([100], [1])]
    pool = recorded_pool([[30.0], [10.0], [20.0]], lengths=tables)
    return dataclasses.replace(pool, table=np.array([[[0, 1]], [[2, 3]], [[-1, -1]]], np.int32))


def test_clients_without_lengths_are_left_out_with_a_note() -> None:
    made = compose(pool_with_one_without_lengths(), seed=1)
    assert made.clients == ("client-0", "client-1")
    assert "33.3% of the rate" in made.notes[0]


def test_borrowed_lengths_are_other_clients_rows_by_their_rate() -> None:
    w = compose(pool_with_one_without_lengths(), seed=1, no_dataset="borrow").collect()
    mine = senders(w) == 2
    assert abs((w.input_tokens[mine] == 10).mean() - 0.75) < 5 * np.sqrt(0.19 / mine.sum())
    assert ((w.input_tokens[mine] == 10) == (w.output_tokens[mine] == 1)).all()


def test_gaps_of_a_pool_are_filled_for_a_target_and_kept_for_its_own_rate() -> None:
    pool = recorded_pool([[5.0, 0.0, 0.0, 10.0]])
    filled = compose(pool, 5.0, seed=1)
    assert abs(filled.collect().frame.height - 12_000) <= 4
    assert "2 of 4 windows" in filled.notes[0]
    own = compose(pool, seed=1).collect()
    assert not ((own.arrival_s > 600) & (own.arrival_s < 1800)).any()


@settings(max_examples=60, deadline=None)
@given(
    cv=st.sampled_from([0.0, 0.01, 1.0, 12.0, 142.0]),
    family=st.sampled_from(["gamma", "weibull"]),
    n=st.integers(1, 40),
    counts=st.sampled_from(["measured", "renewal"]),
)
def test_extreme_cvs_give_sorted_arrivals_in_the_window(cv: float, family: str, n: int, counts: str) -> None:
    pool = recorded_pool([[n / 600]], cv, family)
    w = compose(pool, seed=n, counts=counts).collect()
    assert counts == "renewal" or w.frame.height == n
    assert np.isfinite(w.arrival_s).all()
    assert ((w.arrival_s >= 0) & (w.arrival_s < 600)).all()
    assert (np.diff(w.arrival_s) >= 0).all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"rate": -1.0}, "above 0"),
        ({"rate": 0.0}, "above 0"),
        ({"rate": float("nan")}, "above 0"),
        ({"rate": "fast"}, "'fast'"),
        ({"rate": 1e30}, "at most 1e"),
        ({"duration_s": 0.0}, "duration"),
        ({"duration_s": 1e9}, "covers 0 s to 3000 s"),
        ({"start_s": -5.0}, "leaves the pool"),
        ({"joint": "rank:2"}, "rank:<rho>"),
        ({"counts": "exact"}, "measured, renewal"),
        ({"no_dataset": "ignore"}, "drop, borrow"),
        ({"workers": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text.replace("(", r"\(")) as caught:
        compose(mixed_pool(), **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
