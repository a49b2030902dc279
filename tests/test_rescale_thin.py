"""Samples and copies of clients, conversations and requests: how many, who they are, what they share, and when."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.errors import UsageError
from groundswell.prefix import runs_of
from groundswell.rescale import rescale
from groundswell.rescale.thin import Thin
from groundswell.table import Workload
from rescaling import gaps_within, starts, talks, whole
from workloads import cut, random_workload

SEEDS = 200
_SHAPED = ["client", "input_tokens", "output_tokens", "turn", "think_s"]


def requests_of(w: Workload, by: str) -> np.ndarray:
    """How many requests each unit has."""
    if by == "request":
        return np.ones(len(w))
    if by == "client":
        return w.frame.group_by("client").len()["len"].to_numpy().astype(float)
    named = w.frame.drop_nulls("conversation").group_by("conversation").len()["len"].to_numpy().astype(float)
    return np.concatenate([named, np.ones(w.frame["conversation"].null_count())])


@pytest.mark.parametrize("by", ["client", "conversation", "request"])
@pytest.mark.parametrize("factor", [0.3, 1.6, 3.0])
def test_the_expected_number_of_requests_is_the_factors(by: str, factor: float) -> None:
    w = talks(300, clients=40)
    part = factor % 1.0
    seeds = SEEDS if part else 10  # a whole factor leaves nothing to chance
    found = [sum(map(len, rescale([w], factor, f"thin:by={by}", seed))) for seed in range(seeds)]
    # Units are chosen on their own, with the chance that is the factor's fraction: the variance is a sum of squares.
    error = np.sqrt(part * (1.0 - part) * (requests_of(w, by) ** 2).sum() / seeds)
    assert abs(np.mean(found) - factor * len(w)) <= 5.0 * error + 1e-9


@pytest.mark.parametrize("by", ["client", "conversation"])
def test_units_are_kept_or_left_out_as_a_whole(by: str) -> None:
    w = talks(300, clients=40)
    kept = whole(rescale(cut(w, [90, 400]), 0.4, f"thin:by={by}", 3))
    column = by
    names = w.frame.with_columns(pl.col("client").cast(pl.String))
    chosen = names.filter(pl.col(column).is_in(kept[column].drop_nulls().unique().implode()))
    assert kept.drop_nulls(column).equals(chosen)
    assert 0 < len(kept) < len(w)


def test_what_a_small_factor_keeps_a_larger_one_keeps_too() -> None:
    w = talks(300)
    few, more = (whole(rescale([w], factor, "thin", 5)) for factor in (0.2, 0.6))
    assert few.join(more, on=few.columns, how="anti", nulls_equal=True).height == 0
    assert len(few) < len(more)


def test_the_sample_is_another_with_another_seed() -> None:
    w = talks(300)
    assert not whole(rescale([w], 0.5, "thin", 1)).equals(whole(rescale([w], 0.5, "thin", 2)))


@pytest.mark.parametrize("jitter", ["0", "30s", "5m", "7h"])
def test_each_stretch_has_so_many_times_the_conversations(jitter: str) -> None:
    w = talks(800)
    method = Thin(jitter=jitter)
    after = whole(rescale(cut(w, range(0, 4000, 150)), 3.0, method, 1))
    length_s = method.jitter_s or 1e-3
    last_s = w.arrival_s[-1]
    before, now = (np.floor(starts(frame) / length_s) for frame in (w.frame, after))
    assert np.array_equal(np.sort(np.repeat(before, 3)), now)
    assert starts(after)[0] >= 0.0
    assert starts(after)[-1] <= last_s


def test_copies_that_are_not_moved_come_at_the_same_instants() -> None:
    w = talks(300)
    after = whole(rescale(cut(w, [99]), 2.0, "thin:jitter=0"))
    assert after["arrival_s"].to_numpy() == pytest.approx(np.repeat(w.arrival_s, 2))


@pytest.mark.parametrize("jitter", ["0", "5m"])
def test_a_copy_is_a_conversation_of_its_own_that_goes_on_as_the_original(jitter: str) -> None:
    w = talks(300)
    after = whole(rescale(cut(w, [50, 700]), 2.0, f"thin:jitter={jitter}"))
    original = pl.col("conversation").is_in(w.frame["conversation"].drop_nulls().unique().implode())
    ours, copies = (gaps_within(after.filter(which)) for which in (original, ~original))
    assert ours.height == copies.height == gaps_within(w.frame).height
    assert ours["conversation"].n_unique() == copies["conversation"].n_unique()
    key = [*_SHAPED, pl.col("gap_s").round(6)]
    shape, copied = (frame.select(key).sort(pl.all()) for frame in (ours, copies))
    assert copied.equals(shape)


def test_a_copied_client_has_a_name_of_its_own_and_copied_conversations_keep_their_sender() -> None:
    w = talks(200, clients=3)
    clients = whole(rescale([w], 2.0, "thin:by=client"))["client"].unique().sort().to_list()
    assert clients == sorted(name + mark for name in w.clients for mark in ("", "#2"))
    assert set(whole(rescale([w], 2.0, "thin"))["client"].unique()) == set(w.clients)


def hits(frame: pl.DataFrame) -> tuple[int, int]:
    """How many blocks are sent, and how many of them were sent before by anyone."""
    ids = frame["prefix_blocks"].explode()
    return ids.len(), ids.len() - ids.n_unique()


@pytest.mark.parametrize("by", ["client", "conversation"])
def test_an_endless_cache_has_the_traces_hit_rate(by: str) -> None:
    w = talks(400)
    sent, hit = hits(w.frame)
    assert hits(whole(rescale(cut(w, [30, 31, 600]), 3.0, f"thin:by={by}"))) == (3 * sent, 3 * hit)


def test_what_others_had_brought_in_stays_shared_and_what_is_ones_own_is_new() -> None:
    w = talks(300, clients=1)
    after = whole(rescale([w], 2.0, "thin"))
    shared = after["prefix_blocks"].list.first()
    # All conversations begin with the client's two blocks, but for the copy of the one that brought them in.
    assert shared.n_unique() == 2
    longest = int(w.frame.group_by("conversation").len()["len"].to_numpy().max())
    assert (shared == 0).sum() >= after.height - 2 * longest
    own = after.explode("prefix_blocks").filter(pl.col("conversation").is_not_null())
    talks_of = own.filter(~pl.col("prefix_blocks").is_in([0, 1])).group_by("prefix_blocks")
    assert set(talks_of.agg(pl.col("conversation").n_unique())["conversation"]) == {1}


def test_runs_of_blocks_are_copied_as_their_ids_are() -> None:
    w = talks(200)
    runs = Workload(w.frame.drop("prefix_blocks").with_columns(runs_of(w.frame["prefix_blocks"])))
    by_blocks, by_runs = (whole(rescale([given], 2.5, "thin")) for given in (w, runs))
    assert by_blocks.drop("prefix_blocks").equals(by_runs.drop("prefix_runs"))
    assert runs_of(by_blocks["prefix_blocks"]).equals(by_runs["prefix_runs"])


def test_copies_of_requests_belong_to_no_conversation() -> None:
    w = talks(200)
    after = whole(rescale([w], 2.0, "thin:by=request"))
    assert after["turn"].null_count() - w.frame["turn"].null_count() == len(w)
    assert after["conversation"].drop_nulls().sort().equals(w.frame["conversation"].drop_nulls().sort())


@given(
    places=st.lists(st.integers(0, 500), max_size=5),
    factor=st.floats(0.1, 4.0),
    by=st.sampled_from(["client", "conversation", "request"]),
    jitter=st.sampled_from(["0", "10s", "5m", "3h"]),
)
@settings(max_examples=60)
def test_where_blocks_are_cut_changes_no_row(places: list[int], factor: float, by: str, jitter: str) -> None:
    w = talks(150)
    method = f"thin:by={by},jitter={jitter}"
    once, pieces = (whole(rescale(blocks, factor, method, 1)) for blocks in ([w], cut(w, places)))
    order = ["arrival_s", "output_tokens", "input_tokens", "conversation"]
    assert pieces.sort(order, nulls_last=True).equals(once.sort(order, nulls_last=True))


def test_what_is_chosen_among_follows_from_the_trace() -> None:
    plain = random_workload(300)
    kept = whole(rescale([plain], 0.5, "thin", 3))
    assert kept.equals(whole(rescale([plain], 0.5, "thin:by=client", 3)))
    kinds = Workload(plain.frame, {"client_is": "Log Type"})
    assert whole(rescale([kinds], 0.5, "thin", 3)).equals(whole(rescale([plain], 0.5, "thin:by=request", 3)))
    assert whole(rescale([talks(50)], 0.5, "thin")).equals(whole(rescale([talks(50)], 0.5, "thin:by=conversation")))


def test_what_cannot_be_chosen_among_is_told() -> None:
    with pytest.raises(UsageError, match="names no conversations"):
        list(rescale([random_workload(5)], 0.5, "thin:by=conversation"))
    alone = random_workload(5).frame.with_columns(pl.Series("client", ["all"] * 5, dtype=pl.Enum(["all"])))
    with pytest.raises(UsageError, match="names no clients"):
        list(rescale([Workload(alone)], 0.5, "thin:by=client"))
    with pytest.raises(UsageError, match=r"^thin: by must be client, conversation, request or auto, not 'x'$"):
        rescale([random_workload(5)], 0.5, "thin:by=x")
    for jitter in ("-1", "nan", "soon"):
        with pytest.raises(UsageError, match="duration"):
            rescale([random_workload(5)], 2.0, f"thin:jitter={jitter}")


def test_a_client_that_has_the_name_of_a_copy_is_told() -> None:
    frame = random_workload(4).frame.with_columns(
        pl.Series("client", ["a", "a#2", "a", "b"], dtype=pl.Enum(["a", "a#2", "b"]))
    )
    with pytest.raises(UsageError, match="client 'a#2' of the trace has the name of another's copy"):
        list(rescale([Workload(frame)], 2.0, "thin:by=client"))
