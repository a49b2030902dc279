"""What holds in a simulated fleet at any time, and when everything has ended."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from groundswell.simulate.state import NOBODY, World


def run_of(world: World, first: Any, link: str = "behind") -> list[int]:
    """Requests, or with another link nodes, one behind the other."""
    run: list[int] = []
    while first != NOBODY:
        run.append(int(first))
        first = world.requests[first][link]
    return run


def _heap(world: World, root: Any) -> list[int]:
    heap = []
    for r in run_of(world, root):
        heap += [r, *_heap(world, world.requests[r]["child"])]
    return heap


def rows_of(world: World, i: int) -> dict[str, list[int]]:
    """Who is where on an instance."""
    at = world.at[i]
    rows = {name: run_of(world, at[first]) for name, first in _ROWS.items()}
    fcfs = world.pools[at["pool"]]["policy"] == 0
    return rows | {"waiting": run_of(world, at["head"]) if fcfs else _heap(world, at["head"])}


_ROWS = {"running": "first", "ended": "ended", "fresh": "fresh"}


def check(world: World) -> None:
    """What holds at any time: nobody is lost or in two rows, and every block is held, kept or free."""
    q = world.requests
    coming = world.coming["who"][: world.fleet["coming"][0]].tolist()
    everywhere = list(coming)
    for i in range(len(world.at)):
        rows = rows_of(world, i)
        _check_counts(world, i, rows)
        _check_memory(world, i, rows["running"])
        there = [r for row in rows.values() for r in row]
        assert world.load["requests"][i] == len(there)
        assert world.load["tokens"][i] == (q["prompt"] + q["output"])[there].sum()
        everywhere += there
    assert len(set(everywhere)) == len(everywhere), "a request is in two places"
    ended = ~np.isnan(q["done_s"])
    ended[everywhere] = False
    waits = np.zeros(q.size, np.bool_)  # for its recorded time, or for the turn before it
    waits[world.fleet["next"][0] :] = True
    waits[q["waits"]] = False
    before = np.flatnonzero(q["next_turn"] != NOBODY)
    waits[q["next_turn"][before[~ended[before]]]] = True
    somewhere = ended | waits
    somewhere[everywhere] = True
    assert somewhere.all(), "a request is lost"


def _check_counts(world: World, i: int, rows: dict[str, list[int]]) -> None:
    at, q = world.at[i], world.requests
    assert (at["active"], at["waiting"]) == (len(rows["running"]), len(rows["waiting"]))
    assert run_of(world, at["last"], "ahead") == rows["running"][::-1]
    assert at["waiting_tokens"] == q["prompt"][rows["waiting"]].sum()
    decoding = decoding_on(world, i)
    assert world.phases[i].sum() == len(decoding)
    assert at["context"] == sum(_in_memory(world, i, r) for r in decoding)
    reading = [r for r in rows["running"] if r not in decoding]
    assert reading == ([] if at["partial"] == NOBODY else [at["partial"]])


def decoding_on(world: World, i: int) -> set[int]:
    """Who is past its prompt."""
    return set(world.ends["who"][i, : world.at["decoding"][i]].tolist())


def _in_memory(world: World, i: int, r: int) -> int:
    q = world.requests[r]
    decodes = r in decoding_on(world, i)
    return int(q["prompt"] + world.at["tick"][i] - q["joined"] - 1 if decodes else q["computed"])


def _check_memory(world: World, i: int, running: list[int]) -> None:
    at, q, nodes = world.at[i], world.requests, world.nodes[i]
    how = world.pools[at["pool"]]
    users: dict[int, int] = {}
    unnamed = 0
    for r in running:
        node, named = int(q["tip"][r]), int(q["named"][r])
        unnamed += -(-_in_memory(world, i, r) // int(how["block_tokens"])) - named * int(how["name_blocks"])
        while node != NOBODY:
            users[node] = users.get(node, 0) + 1
            size, begin = int(nodes["size"][node]), int(nodes["names_from"][node])
            mine = int(q["names_from"][r]) + named - size
            assert np.array_equal(world.ids[begin : begin + size], world.ids[mine : mine + size])
            named -= size
            node = int(nodes["parent"][node])
        assert named == 0
    assert all(nodes["users"][node] == count for node, count in users.items())
    held = sum(int(nodes["size"][node] * nodes["unit"][node]) for node in users)
    assert held + unnamed + at["free"] + at["kept"] == at["blocks"]
    kept, node = 0, int(at["first_kept"])
    while node != NOBODY:
        assert nodes["users"][node] == 0
        kept += int(nodes["size"][node] * nodes["unit"][node])
        node = int(nodes["behind"][node])
    assert kept == at["kept"]


def check_end(world: World) -> None:
    """What holds when everything has ended."""
    check(world)
    q, at = world.requests, world.at
    assert not np.isnan(q["done_s"]).any()
    assert not world.fleet["coming"][0]
    assert (at["free"] + at["kept"] == at["blocks"]).all()
    for name in ("active", "waiting", "waiting_tokens", "decoding", "context", "planned"):
        assert not at[name].any(), name
    for name in ("requests", "tokens", "prefill_tokens"):
        assert not world.load[name].any(), name
    well = q[q["error"] == 0]
    for before, after in pairwise(("arrival_s", "ready_s", "admitted_s", "first_s", "done_s")):
        assert (well[before] <= well[after]).all(), after
    assert (well["admitted_s"] < well["first_s"]).all()
    assert np.array_equal(well["first_s"] == well["done_s"], well["output"] == 1)
