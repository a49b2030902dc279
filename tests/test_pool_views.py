"""Views of a pool and pools joined: new pools that say the same of their clients, and leave the old ones alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from groundswell.clients.join import concat
from groundswell.clients.pool import ClientPool
from groundswell.clients.servegen import read_servegen
from groundswell.errors import UsageError
from servegen_folder import QUIET, Slots, Window, Written, write_servegen


def lengths(at: int) -> dict[str, dict[float, float]]:
    return {"input_tokens": {at: 0.5, 3 * at: 0.5}, "output_tokens": {at: 1.0}}


def steady(rate: float, cv: float) -> list[Window]:
    return [(rate, cv, "Gamma", 1.0, 1.0)] * 6


@pytest.fixture
def pool(tmp_path: Path) -> ClientPool:
    """Three clients over six windows and three slots: short and smooth, long and bursty, rates alone."""
    late: Slots = {0: {}, 1200: {}, 2400: lengths(1000)}
    clients = {
        "chunk-0": Written(steady(1.0, 0.5), {0: lengths(10), 1200: lengths(20), 2400: lengths(30)}),
        "chunk-1": Written([QUIET, *steady(2.0, 3.0)[:4], (10.0, 9.0, "Weibull", 0.5, 0.1)], late),
        "chunk-2": Written([QUIET, *steady(0.5, 1.0)[:5]]),
    }
    return read_servegen(write_servegen(tmp_path / "three", clients))


def held(pool: ClientPool) -> list[bytes]:
    """Everything in a pool's arrays."""
    columns = [getattr(pool, field.name) for field in dataclasses.fields(pool)]
    columns += [pool.lengths.first, pool.lengths.value, pool.lengths.threshold]
    return [column.tobytes() for column in columns if isinstance(column, np.ndarray)]


VIEWS: dict[str, Callable[[ClientPool], ClientPool]] = {
    "take": lambda pool: pool.take([2, 0]),
    "where": lambda pool: pool.where(lambda name: name != "chunk-1"),
    "clients": lambda pool: pool.clients(["chunk-1"]),
    "top": lambda pool: pool.top(2),
    "with_cv": lambda pool: pool.with_cv(1, 20),
    "with_length": lambda pool: pool.with_length("input_tokens", "mean", 0, 100),
    "between": lambda pool: pool.between(600, 1800),
    "scaled": lambda pool: pool.scaled(2),
    "renamed": lambda pool: pool.renamed(str.upper),
    "sample": lambda pool: pool.sample(5, 1, replace=True),
    "concat": lambda pool: concat([pool, pool.between(1200, 2400).renamed(str.upper)]),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_never_changes_what_it_came_from(pool: ClientPool, name: str) -> None:
    before, names = held(pool), pool.names
    view = VIEWS[name](pool)
    assert view is not pool
    assert held(pool) == before
    assert pool.names == names


def test_between_keeps_rates_and_lengths_where_they_were(pool: ClientPool) -> None:
    view = pool.between(1200, 3000)
    assert (view.start_s, view.end_s) == (1200, 3000)
    np.testing.assert_array_equal(view.rate_per_s, pool.rate_per_s[:, 2:5])
    for w in range(view.window_count):
        own, former = int(view.table[0, view.slot_of_window[w], 0]), int(pool.table[0, pool.slot_of_window[w + 2], 0])
        assert view.lengths.table(own)[0].tolist() == pool.lengths.table(former)[0].tolist()


def test_between_brings_the_nearest_lengths_of_a_client_that_has_none_inside(pool: ClientPool) -> None:
    view = pool.between(0, 1200)
    assert view.has_lengths.tolist() == [True, True, False]
    assert view.mean_length("input_tokens")[1] == 2000


def test_views_of_views_are_views_of_the_whole(pool: ClientPool) -> None:
    assert held(pool.between(600, 3000).between(1200, 2400)) == held(pool.between(1200, 2400))


def test_clients_are_chosen_by_their_mean_cv_weighted_by_rate(pool: ClientPool) -> None:
    mean = (4 * 2.0 * 3 + 10 * 9.0) / (4 * 2.0 + 10)
    assert pool.with_cv(mean - 0.01, mean + 0.01).names == ("chunk-1",)
    assert pool.with_cv(high=1).names == ("chunk-0", "chunk-2")


def test_clients_are_chosen_by_mean_or_largest_length(pool: ClientPool) -> None:
    assert pool.with_length("input_tokens", "max", 90, 90).names == ("chunk-0",)
    assert pool.with_length("output_tokens", "mean", 19.9, 1000).names == ("chunk-0", "chunk-1")
    assert len(pool.with_length("input_tokens", "mean", 5000)) == 0
    for field, statistic in (("reason_ratio", "mean"), ("input_tokens", "median")):
        with pytest.raises(UsageError, match="the pool's clients have no"):
            pool.with_length(field, statistic)


def test_a_client_that_is_drawn_again_gets_a_name_of_its_own(pool: ClientPool) -> None:
    twice = pool.take([0, 0, 1])
    assert twice.names == ("chunk-0", "chunk-0~1", "chunk-1")
    assert twice.take([0, 0, 1, 1]).names == ("chunk-0", "chunk-0~2", "chunk-0~1", "chunk-0~1~1")
    assert sorted(pool.sample(3, 1).names) == sorted(pool.names)
    with pytest.raises(UsageError, match="cannot draw 3 clients by rate: 1 have requests"):
        pool.between(0, 600).sample(3, 1, by_rate=True)


@pytest.mark.parametrize(
    "ask", [lambda p: p.between(3600, 7200), lambda p: p.between(9, 9), lambda p: p.top(0), lambda p: p.scaled(0)]
)
def test_a_view_that_cannot_be_meant_is_refused(pool: ClientPool, ask: Callable[[ClientPool], ClientPool]) -> None:
    with pytest.raises(UsageError):
        ask(pool)


def other(tmp_path: Path, window_s: float = 1200, windows: int = 4) -> ClientPool:
    """A reasoning client with windows of another length, and slots as long as they are."""
    slots = {s * 2400: {**lengths(7 + s), "reason_ratio": {0.5: 1.0}} for s in range(windows // 2)}
    client = Written([(1.0 + w, 2.0, "Weibull", 0.5, 0.1) for w in range(windows)], slots)
    return read_servegen(write_servegen(tmp_path / "other", {"chunk-9": client}, window_s))


def test_joined_pools_share_the_finest_grid_and_the_common_span(pool: ClientPool, tmp_path: Path) -> None:
    joined = concat([pool, other(tmp_path)])
    assert joined.names == ("chunk-0", "chunk-1", "chunk-2", "chunk-9")
    assert (joined.start_s, joined.end_s, joined.window_s, joined.slot_s) == (0, 3600, 600, 1200)
    assert joined.fields == ("input_tokens", "output_tokens", "reason_ratio")
    np.testing.assert_array_equal(joined.rate_per_s[:3], pool.rate_per_s)
    assert joined.rate_per_s[3].tolist() == [1, 1, 2, 2, 3, 3]
    assert [joined.lengths.table(d)[0][0] for d in joined.table[3, :, 0]] == [7, 7, 8]
    assert (joined.table[:3, :, 2] == -1).all()
    assert joined.families[joined.family[3, 0]] == "weibull"


def test_every_client_has_the_same_lengths_after_joining(pool: ClientPool, tmp_path: Path) -> None:
    joined = concat([other(tmp_path), pool.between(600, 3600)])
    for field in ("input_tokens", "output_tokens"):
        np.testing.assert_array_equal(joined.mean_length(field)[1:], pool.between(600, 3600).mean_length(field))


def test_pools_that_do_not_fit_are_refused_with_the_reason(pool: ClientPool, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"two pools have a client 'chunk-0'; .*pool\.renamed"):
        concat([pool, pool])
    with pytest.raises(UsageError, match="the pools share no time: they hold 0 to 1200 s, 2400 to 3600 s"):
        concat([pool.between(0, 1200), pool.between(2400, 3600).renamed(str.upper)])
    with pytest.raises(UsageError, match="the pools' windows do not fit: 800 s is not a whole number of 600 s"):
        concat([pool, other(tmp_path, window_s=800)])
    shifted = dataclasses.replace(pool.renamed(str.upper), start_s=250.0)
    with pytest.raises(UsageError, match="the pools' windows do not fit: they start at 0 s and 250 s"):
        concat([pool, shifted])
    with pytest.raises(UsageError, match="no pools to join"):
        concat([])
    assert concat([pool]) is pool
