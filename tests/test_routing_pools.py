"""Two pools by token budget: what goes where, and how bytes per token are learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from groundswell.errors import UsageError
from groundswell.routing import ROUTING
from groundswell.simulate.drive import Drive
from groundswell.simulate.fleet import simulate
from groundswell.simulate.live import Live
from groundswell.simulate.parts import Fleet, Pool
from groundswell.simulate.world import Asked, served_of, world_of
from groundswell.table import Workload
from routers import ENGINE, Routed, fleet_of, mixed, plain
from simulating import asking


def budgeted(prompt: list[int], output: list[int], text: str = "dual_pool:threshold=1000") -> Routed:
    """Pools of two instances each, one client; a token is exactly four bytes."""
    routed = Routed(text, asking(np.arange(len(prompt)) * 1.0, prompt, output), 2, 2)
    routed.world.requests["size_bytes"] = 4 * np.array(prompt)
    return routed


def test_a_budget_is_the_prompt_and_the_reply() -> None:
    routed = budgeted([990, 990, 10, 1, 900], [10, 11, 990, 1000, 50])
    assert (routed.picks(range(5)) >= 2).tolist() == [False, True, False, True, False]


def test_within_a_pool_the_shortest_queue_is_joined() -> None:
    routed = budgeted([100] * 4 + [2000] * 4, [10] * 8)
    routed.load([5, 4, 3, 2])
    assert routed.picks(range(8)).tolist() == [1] * 4 + [3] * 4


def test_bytes_per_token_are_learned_from_replies_that_have_ended_and_no_others() -> None:
    routed = budgeted([400] * 6, [10] * 6, "dual_pool:learning=0.25")
    q, now_s = routed.world.requests, routed.world.fleet["now_s"]
    q["size_bytes"] = 1200  # three a token
    ratio, watched = routed.state.bytes_per_token, routed.state.watched
    routed.picks([0, 1])
    assert (ratio[0], watched[0]) == (4.0, 0)
    q["done_s"][0], now_s[0] = 2.0, 1.5  # it ends with a step that is not over
    routed.picks([2])
    assert (ratio[0], watched[0]) == (4.0, 0)
    now_s[0] = 2.0
    routed.picks([3])
    assert (ratio[0], watched[0]) == (4.0 + 0.25 * (3.0 - 4.0), 3)
    q["done_s"][3], q["error"][3], now_s[0] = 3.0, 1, 3.0
    routed.picks([4])
    assert (ratio[0], watched[0]) == (3.75, 4)  # a request that failed tells nothing


def test_what_is_learned_decides() -> None:
    routed = budgeted([900, 900], [50, 50], "dual_pool:threshold=1000,learning=1")
    q = routed.world.requests
    q["size_bytes"] = 9 * 900  # 2,025 tokens of four bytes, so it seems
    assert routed.picks([0])[0] >= 2
    q["done_s"][0], routed.world.fleet["now_s"] = 1.0, 1.0
    assert routed.picks([1])[0] < 2


def test_clients_are_learned_about_apart() -> None:
    workload = asking(np.arange(4.0), [100] * 4, [10] * 4)
    client = pl.Series("client", ["a", "b", "a", "b"], dtype=pl.Enum(["a", "b"]))
    routed = Routed("dual_pool:learning=1", Workload(workload.frame.with_columns(client)), 1, 1)
    q = routed.world.requests
    q["size_bytes"] = [250, 500, 250, 500]
    routed.picks([0, 1])
    q["done_s"][:2], routed.world.fleet["now_s"] = 1.0, 1.0
    routed.picks([2, 3])
    assert routed.state.bytes_per_token.tolist() == [2.5, 5.0]


def test_a_clients_ratio_is_found_in_a_run() -> None:
    """An exponential average of values within a tenth of the truth, α = 0.1: its standard deviation is
    0.1 / √3 · √(0.1 / 1.9) of it."""
    workload, fleet = mixed(3000, 10.0), fleet_of("dual_pool")
    asked = Asked.of(workload)
    world = world_of(asked, fleet, 3)
    state: Any = fleet.router.state(served_of(asked, fleet, 3))
    Drive(world, fleet, state, lambda come: None).run()
    q = world.requests[world.requests["prompt"] > 50]
    true = float(np.mean(q["size_bytes"] / q["prompt"]))
    assert abs(true - 4.0) > 0.2  # a client that is unlike what the router begins with
    assert abs(state.bytes_per_token[0] / true - 1.0) < 5 * 0.1 / np.sqrt(3) * np.sqrt(0.1 / 1.9)


def test_a_full_pool_spills_until_the_other_is_full_too() -> None:
    routed = budgeted([100, 2000], [10, 10])
    full = ENGINE.most_running
    routed.load([full, full - 1, 0, 0])
    assert routed.picks([0])[0] == 1
    routed.load([full, full, 7, 6])
    assert routed.picks([0])[0] == 3
    routed.load([7, 6, full, full])
    assert routed.picks([1])[0] == 1
    routed.load([full, full + 1, full, full])
    assert routed.picks([0, 1]).tolist()[0] == 0


def test_a_pool_without_memory_for_one_more_is_full() -> None:
    routed = budgeted([100], [10])
    there = ENGINE.blocks * ENGINE.block_tokens
    routed.load([1, 1, 5, 5], tokens=[there - 110, there - 110, 0, 0])
    assert routed.picks([0])[0] < 2
    routed.load([1, 1, 5, 5], tokens=[there - 109, there - 109, 0, 0])
    assert routed.picks([0])[0] >= 2


def test_what_is_too_long_for_the_first_pools_memory_waits_for_the_second() -> None:
    long = ENGINE.most_context + 1
    routed = budgeted([long, 2000], [10, 10])
    routed.load(0, up=[True, True, False, False])
    assert routed.picks([0, 1])[0] == -1
    assert routed.picks([0, 1])[1] in {0, 1}
    routed.load([0, 0, 999, 999])
    assert routed.picks([0])[0] in {2, 3}


def test_one_pool_is_not_two() -> None:
    with pytest.raises(UsageError, match="this fleet has 1"):
        simulate(plain(3), Fleet((Pool(ENGINE, 3),), ROUTING.build("dual_pool")))


@pytest.mark.parametrize("text", ["threshold=0", "learning=1.5", "bytes_per_token=-4", "threshold=abc"])
def test_figures_of_two_pools_that_cannot_be_are_told_of(text: str) -> None:
    with pytest.raises(UsageError, match="dual_pool:"):
        ROUTING.build(f"dual_pool:{text}")


def test_clients_texts_have_three_to_five_bytes_a_token_and_requests_a_tenth_more_or_less() -> None:
    names = [f"c{k}" for k in range(300)]
    frame = asking(np.arange(30_000) * 0.01, np.full(30_000, 10_000), np.full(30_000, 1)).frame
    client = pl.Series("client", names * 100, dtype=pl.Enum(names))
    workload = Workload(frame.with_columns(client))
    fleet = Fleet((Pool(ENGINE, 1),))
    q = world_of(Asked.of(workload), fleet, 5).requests
    ratio = (q["size_bytes"] / q["prompt"]).reshape(100, 300)
    of_client, noise = ratio.mean(axis=0), 5 * 0.1 / np.sqrt(3 * 100)
    assert 3 * (1 - noise) < of_client.min() < 3.2
    assert 4.8 < of_client.max() < 5 * (1 + noise)
    assert abs(of_client.mean() - 4.0) < 5 * 2 / np.sqrt(12 * 300)
    assert 0.9 / (1 + noise) < (ratio / of_client).min() < (ratio / of_client).max() < 1.1 / (1 - noise)
    again, other = (world_of(Asked.of(workload), fleet, seed).requests["size_bytes"] for seed in (5, 6))
    assert (again == q["size_bytes"]).all()
    assert (other != q["size_bytes"]).any()


def test_images_are_no_text() -> None:
    items = asking([0.0, 1.0], [100, 100], [1, 1], image_tokens=[[], [900]])
    size = world_of(Asked.of(items), Fleet((Pool(ENGINE, 1),))).requests["size_bytes"]
    assert size.max() <= 100 * 5 * 1.1


def test_where_requests_are_answered_as_they_come_prompts_count_too() -> None:
    live = Live(Fleet((Pool(ENGINE, 1, "short"), Pool(ENGINE, 1, "long")), ROUTING.build("dual_pool:threshold=1000")))
    for at_s, prompt in enumerate((100, 2000, 3000, 200)):
        live.send(float(at_s), prompt, 5)
        live.until(float(at_s))
        seen = live._world.load["requests"].tolist()
        assert seen == ([1, 0] if prompt < 1000 else [0, 1])
        live.until(at_s + 0.9)
