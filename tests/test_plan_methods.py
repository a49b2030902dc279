"""What each method sends to learn whether so many instances are enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from groundswell.clients.source import open_source
from groundswell.plan.methods import EVERY, METHODS
from groundswell.plan.methods.one_of import SHARES, units
from groundswell.plan.methods.scaled import DRAWS
from groundswell.plan.source import PoolTraffic
from groundswell.plan.windows import Part
from groundswell.table import Workload
from planning import bursty, whole


def part_of(workload: Workload) -> Part:
    return whole(workload).parts()[0][0]


def talks(workload: Workload, each: int) -> Workload:
    """Requests of conversations that go on side by side, ``each`` turns long; one in ten is alone."""
    row = np.arange(len(workload))
    talk = pl.Series("conversation", row // (5 * each) * 5 + row % 5)
    alone = pl.Series(row % 10 == 9)
    column = pl.select(pl.when(alone).then(None).otherwise(talk)).to_series().alias("conversation")
    return Workload(workload.frame.with_columns(column))


def test_every_method_is_told_of_in_its_order() -> None:
    assert sorted(EVERY) == list(METHODS.names())


def test_direct_sends_the_workload_as_it_is() -> None:
    part = part_of(bursty(1))
    sent = METHODS["direct"]().sends(part, 0, None)(7)
    assert sent.workloads == (part.workload,)
    assert (sent.instances, sent.begin_s, sent.end_s) == (7, part.begin_s, part.end_s)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_one_of_n_takes_every_nth_request(n: int) -> None:
    part = part_of(bursty(1))
    sent = METHODS["one_of"]().sends(part, 0, None)(n)
    assert sent.instances == 1
    assert len(sent.workloads) == min(n, SHARES)
    for k, share in enumerate(sent.workloads):
        assert share.frame.equals(part.workload.frame.gather_every(n, k))


def test_conversations_go_to_one_instance_as_a_whole() -> None:
    workload = talks(bursty(2), each=4)
    unit = units(workload)
    talk = workload.frame["conversation"].to_numpy()
    for number in np.unique(talk[~np.isnan(talk)])[:50]:
        assert np.unique(unit[talk == number]).size == 1
    first = np.unique(unit, return_index=True)[1]
    assert (np.diff(first) > 0).all()  # numbered by when they begin
    alone = np.isnan(talk)
    assert np.unique(unit[alone]).size == alone.sum()
    sent = METHODS["one_of"]().sends(part_of(workload), 0, None)(3)
    there = [set(share.frame["conversation"].drop_nulls()) for share in sent.workloads]
    assert not there[0] & there[1] | there[0] & there[2] | there[1] & there[2]
    assert sum(len(share) for share in sent.workloads) == len(workload)


def test_scaled_clients_are_the_same_requests_with_longer_gaps() -> None:
    part = part_of(bursty(3))
    sent = METHODS["scaled"]().sends(part, 0, None)(5)
    (made,) = sent.workloads
    assert made.frame.drop("arrival_s").equals(part.workload.frame.drop("arrival_s"))
    assert made.arrival_s == pytest.approx(5 * part.workload.arrival_s)
    assert (sent.instances, sent.begin_s, sent.end_s) == (1, 5 * part.begin_s, 5 * part.end_s)


def test_turns_of_a_scaled_conversation_are_no_further_apart() -> None:
    part = part_of(talks(bursty(3), each=4))
    (made,) = METHODS["scaled"]().sends(part, 0, None)(5).workloads

    def spans(workload: Workload) -> pl.DataFrame:
        at_s = pl.col("arrival_s")
        own = workload.frame.filter(pl.col("conversation").is_not_null())
        return own.group_by("conversation").agg(at_s.max() - at_s.min()).sort("conversation")

    assert spans(made)["arrival_s"].to_numpy() == pytest.approx(spans(part.workload)["arrival_s"].to_numpy())


def test_naive_has_the_rate_and_the_lengths_and_no_clients() -> None:
    part = part_of(bursty(4))
    (made,) = METHODS["naive"]().sends(part, 0, None)(4).workloads
    assert len(made) == len(part.workload)
    assert made.arrival_s[-1] == pytest.approx(4 * part.span_s, rel=0.01)
    assert made.clients == ("naive",)
    pairs = set(zip(part.workload.input_tokens.tolist(), part.workload.output_tokens.tolist(), strict=True))
    assert set(zip(made.input_tokens.tolist(), made.output_tokens.tolist(), strict=True)) <= pairs


def test_clients_of_a_source_are_drawn_at_a_share_of_their_rate() -> None:
    """Of 20 clients at 40 req/s for 200 s, a fifth for the second hundred seconds: 800 requests a draw. Counts are
    measured, so each client's is within 1 of its share."""
    pool = open_source("chat-small", clients=20, span_s=200.0)
    source = PoolTraffic(pool, "40", 200.0, 0.0)
    drawn = source.drawn(0.2, 100.0, 200.0, 3)
    assert abs(len(drawn) - 800) < 5 * np.sqrt(800 * 10)
    assert 0.0 <= drawn.arrival_s[0] <= drawn.arrival_s[-1] < 100.0
    part = part_of(source.composed(0).collect())
    sent = METHODS["scaled"]().sends(part, 0, source.drawn)(10)
    assert len(sent.workloads) == DRAWS
    assert (sent.begin_s, sent.end_s) == (part.begin_s, part.end_s)
    assert len({made.arrival_s[0] for made in sent.workloads}) == DRAWS


def test_a_part_of_a_curve_is_drawn_as_it_is_then(tmp_path: Path) -> None:
    """A rate that rises from 0 to 100 req/s over 200 s is 25 req/s, then 75 req/s on average over its halves."""
    pool = open_source("chat-small", clients=30, span_s=200.0)
    curve = tmp_path / "curve.csv"
    curve.write_text("time_s,rate_per_s\n0,0.001\n200,100\n")
    source = PoolTraffic(pool, str(curve), 200.0, 0.0)
    early, late = source.drawn(1.0, 0.0, 100.0, 0), source.drawn(1.0, 100.0, 200.0, 0)
    assert len(early) == pytest.approx(2_500, rel=0.25)
    assert len(late) == pytest.approx(7_500, rel=0.25)
