"""A workload at another rate: its own structure, and the same requests for the same rate."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from groundswell.errors import UsageError
from groundswell.replay.source import held
from groundswell.search.load import Load
from groundswell.table import Workload
from replaying import workload


def bursty(n: int = 4000, rate_per_s: float = 10.0) -> Workload:
    """Requests in bursts, twice as many a second in the second half of the time."""
    random = np.random.default_rng(5)
    gaps = random.gamma(0.2, 5 / rate_per_s, n) / np.repeat([1.0, 2.0], [n // 3, n - n // 3])
    return workload(30.0 + np.cumsum(gaps), outputs=7)


def of_clients(clients: int = 200, each: int = 40) -> Workload:
    """As many requests of each client, every second one followed by a second turn, with prefix blocks."""
    random = np.random.default_rng(7)
    n = clients * each
    begin_s = np.sort(random.uniform(0, 400, n // 2))
    who = random.integers(clients, size=n // 2)
    names = [f"c{i}" for i in range(clients)]
    frame = pl.DataFrame(
        {
            "arrival_s": np.concatenate([begin_s, begin_s + 5.0]),
            "client": [names[i] for i in np.tile(who, 2)],
            "input_tokens": np.repeat([40, 80], n // 2),
            "output_tokens": np.full(n, 8),
            "conversation": np.tile(np.arange(n // 2), 2),
            "turn": np.repeat([1, 2], n // 2),
            "think_s": pl.Series([None] * (n // 2) + [4.0] * (n // 2), dtype=pl.Float64),
            "prefix_blocks": [[i, i + 100_000][:k] for k in (1, 2) for i in range(n // 2)],
        },
        schema_overrides={
            "client": pl.Enum(names),
            "input_tokens": pl.Int32(),
            "output_tokens": pl.Int32(),
            "turn": pl.Int16(),
        },
    )
    return Workload(frame.sort("arrival_s"))


def test_the_rate_of_what_is_sent_is_the_one_that_is_asked_for() -> None:
    load = Load(held(bursty()), "rates")
    for rate_per_s, span_s in ((2.0, 60.0), (10.0, 60.0), (50.0, 60.0), (33.3, 15.0)):
        made = load.at(rate_per_s, span_s)
        assert len(made) == pytest.approx(rate_per_s * span_s, rel=0.01, abs=2)
        assert made.arrival_s[0] >= 0
        assert made.arrival_s[-1] < span_s


def test_a_higher_rate_is_the_same_rows_nearer_together() -> None:
    given = bursty()
    load = Load(held(given), "rates")
    slow, fast = load.at(5.0, 60.0), load.at(20.0, 60.0)
    own = given.arrival_s - given.arrival_s[0]
    for made in (slow, fast):
        shrunk = own[1 : len(made)] / made.arrival_s[1:]
        assert np.allclose(shrunk, shrunk[0])
    assert load.at(5.0, 60.0).frame.equals(slow.frame)
    longer = load.at(5.0, 120.0)
    assert len(longer) == pytest.approx(2 * len(slow), rel=0.02)


def test_conversations_begin_faster_and_go_on_as_they_did() -> None:
    load = Load(held(of_clients()), "rates")
    made = load.at(4 * load.rate_per_s, 60.0)
    assert len(made) == pytest.approx(4 * load.rate_per_s * 60, rel=0.02)
    begins = made.frame.filter(pl.col("turn") == 1)
    later = made.frame.filter(pl.col("turn") == 2).join(begins, on="conversation", suffix="_of_first")
    assert later.height > 0.8 * begins.height
    assert np.allclose((later["arrival_s"] - later["arrival_s_of_first"]).to_numpy(), 5.0)
    assert later["prefix_blocks"].list.first().equals(later["prefix_blocks_of_first"].list.first(), check_names=False)
    assert set(made.frame.columns) == set(of_clients().frame.columns)


def test_a_rate_below_the_workloads_own_has_its_later_turns_too() -> None:
    load = Load(held(of_clients()), "rates")
    made = load.at(0.1 * load.rate_per_s, 120.0)
    assert made.frame["turn"].to_list().count(2) > 0.4 * len(made)
    assert len(made) == pytest.approx(0.1 * load.rate_per_s * 120, rel=0.05)


def test_fewer_clients_send_as_they_did_and_are_part_of_more_clients() -> None:
    """200 clients, a fifth and two fifths of them: 20 of 200 is one standard error of the smaller sample's rate of
    about 14 %, of which five are allowed."""
    given = of_clients()
    load = Load(held(given), "clients", seed=3)
    few, more = load.at(0.2 * load.rate_per_s, 60.0), load.at(0.4 * load.rate_per_s, 60.0)
    named = [set(made.frame["client"].cast(pl.String).unique()) for made in (few, more)]
    assert named[0] < named[1]
    assert len(few) == pytest.approx(0.2 * load.rate_per_s * 60, rel=5 * 0.14)
    first = given.frame.filter(pl.col("arrival_s") - given.arrival_s[0] < 60.0)
    same = first.filter(pl.col("client").cast(pl.String).is_in(list(named[0])))
    assert np.allclose(few.arrival_s, same["arrival_s"].to_numpy() - given.arrival_s[0])
    assert load.at(0.2 * load.rate_per_s, 60.0).frame.equals(few.frame)


def test_more_clients_than_there_are_are_copies() -> None:
    load = Load(held(of_clients()), "clients")
    made = load.at(3 * load.rate_per_s, 60.0)
    assert len(made) == pytest.approx(3 * load.rate_per_s * 60, rel=0.05)
    assert made.frame["client"].cast(pl.String).str.contains("#").any()
    second = made.frame.filter(pl.col("turn") == 2)
    assert set(second["prefix_blocks"].list.len()) == {2}


def test_how_far_a_workload_reaches() -> None:
    given = bursty()
    rates, clients = Load(held(given), "rates"), Load(held(given), "clients")
    assert rates.lasts_s(rates.rate_per_s) == pytest.approx(rates.span_s)
    assert rates.most_per_s(60.0) * 60.0 == pytest.approx(len(given))
    assert rates.lasts_s(rates.most_per_s(60.0)) == pytest.approx(60.0)
    assert clients.lasts_s(1e4) == clients.span_s
    with pytest.raises(UsageError, match=r"lasts .*, and a trial 1h; make --trial shorter"):
        clients.most_per_s(3600.0)


@pytest.mark.parametrize(
    ("given", "scale", "words"),
    [
        (workload(np.arange(50.0)), "rates", "has 50 requests; a search takes 100 or more"),
        (workload(np.zeros(200)), "rates", "all requests are due at one time"),
        (workload(np.arange(200.0)), "turns", "must be rates or clients"),
    ],
)
def test_workloads_that_cannot_be_searched_with_are_refused(given: Workload, scale: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Load(held(given), scale)  # type: ignore[arg-type]
