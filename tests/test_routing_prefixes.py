"""Routers that know what is in an instance's memory."""

from __future__ import annotations

import numpy as np
import pytest

from groundswell.errors import UsageError
from groundswell.routing import ROUTING
from groundswell.simulate.drive import Drive
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Fleet, Pool
from groundswell.simulate.world import Asked, world_of
from routers import ENGINE, Routed
from simulating import asking


def knowing(router: str, instances: int = 4) -> tuple[Routed, int]:
    """An instance has read a prompt of 200 tokens whose first 160 are blocks 1 to 10, and all have ended; row 1 has the
    same blocks, row 2 others. And which instance that is."""
    blocks = [list(range(1, 11)), list(range(1, 11)), list(range(21, 31))]
    workload = asking([0.0, 100.0, 100.0], [200] * 3, [5] * 3, blocks)
    fleet = Fleet((Pool(ENGINE, instances),), ROUTING.build(router))
    asked = Asked.of(workload)
    routed = Routed(router, workload, instances)
    routed.world = world_of(asked, fleet)
    routed.world.requests["arrival_s"][1:] = 1e9
    drive = Drive(routed.world, fleet, routed.state, lambda come: None, lambda world, at_s: at_s > 50)
    drive.run()
    routed.load(0)
    return routed, int(routed.world.requests["instance"][0])


def test_a_prompt_goes_to_where_most_of_it_is() -> None:
    routed, there = knowing("prefix_affine:bound=99")
    assert set(routed.picks([1] * 8)) == {there}
    assert set(routed.picks([2] * 8)) == {0, 1, 2, 3}  # nowhere, so each in turn


def test_of_those_that_have_as_much_of_a_prompt_the_shortest_is_taken() -> None:
    routed, there = knowing("prefix_affine:bound=99")
    routed.load(np.where(np.arange(4) == (there + 1) % 4, 0, 2))
    assert set(routed.picks([2] * 4)) == {(there + 1) % 4}
    assert set(routed.picks([1] * 4)) == {there}


@pytest.mark.parametrize(
    ("bound", "most"),
    # with this request 11 are in flight on 4 instances, 2.75 on each: one may have ⌈bound · 2.75⌉ of them
    [(1.0, 3), (1.25, 4), (2.0, 6), (3.5, 10)],
)
def test_an_instance_that_is_too_full_is_passed_over_for_all_that_it_has(bound: float, most: int) -> None:
    routed, there = knowing(f"prefix_affine:bound={bound}")
    for mine in range(11):
        rest = np.array([0, (10 - mine) // 2, 10 - mine - (10 - mine) // 2])
        routed.load(np.insert(rest, there, mine))
        assert (routed.picks([1])[0] == there) == (mine + 1 <= most)


@pytest.mark.parametrize("bound", ["0.9", "abc", "nan"])
def test_a_bound_below_the_mean_cannot_be_kept(bound: str) -> None:
    with pytest.raises(UsageError, match="bound must be a number"):
        ROUTING.build(f"prefix_affine:bound={bound}")


def test_lmetric_multiplies_new_tokens_and_the_batch() -> None:
    routed, there = knowing("lmetric", 2)
    mine = np.arange(2) == there

    def picked(row: int, requests: tuple[int, int], prefill_tokens: tuple[int, int] = (0, 0)) -> bool:
        """Whether it goes to where its blocks are; loads are of that one and the other."""
        routed.load(np.where(mine, *requests), 0, np.where(mine, *prefill_tokens))
        return bool(routed.picks([row])[0] == there)

    # row 1 would read 40 tokens where its blocks are and 200 elsewhere, row 2 reads 200 everywhere
    assert picked(1, (3, 0))  # 40 · 4 < 200 · 1
    assert not picked(1, (5, 0))  # 40 · 6 > 200 · 1
    assert not picked(1, (4, 0))  # 40 · 5 = 200 · 1, and the other has fewer in flight,
    assert not picked(1, (4, 0))  # whoever's turn it is
    assert not picked(1, (3, 0), (11, 0))  # (40 + 11) · 4 > 200 · 1
    assert picked(2, (0, 1), (100, 0))  # (200 + 100) · 1 < 200 · 2
    assert not picked(2, (0, 1), (201, 0))


def test_turns_of_a_conversation_find_what_the_earlier_ones_left() -> None:
    """Eight conversations in turn, each prompt the whole of the one before and more, on four idle instances."""
    talks, turns = 8, 6
    rows = [(turn, talk) for turn in range(turns) for talk in range(talks)]
    blocks = [[1000 * talk + k for k in range(10 * (turn + 1))] for turn, talk in rows]
    prompt = [160 * (turn + 1) + 1 for turn, _ in rows]
    workload = asking(np.arange(len(rows)) * 10.0, prompt, [3] * len(rows), blocks)
    found = {}
    for name in ("prefix_affine", "lmetric", "jsq"):
        frame = simulate(workload, Fleet((Pool(ENGINE, 3),), ROUTING.build(name))).frame
        found[name] = int(frame["cached_tokens"].sum())
    most = sum(160 * turn for turn, _ in rows)
    assert found["prefix_affine"] == found["lmetric"] == most
    assert found["jsq"] < most
