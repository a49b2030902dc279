"""A fleet that answers as requests come is the fleet that is simulated."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from groundswell.errors import UsageError
from groundswell.replay.clock import now_ns
from groundswell.routing import ROUTING
from groundswell.serve.body import BodyError, Model, asked_of, body_of
from groundswell.serve.engine_pace import EnginePace
from groundswell.serve.pace import Asked
from groundswell.serve.server import Server
from groundswell.simulate import live as live_module
from groundswell.simulate.fleet import simulate
from groundswell.simulate.live import Live
from groundswell.simulate.parts import Engine, Fleet, Outage, Pool, StepCost, Transfer
from groundswell.table import BLOCK_SIZE_KEY, Workload
from replaying import run

COST = StepCost(12e-3, 20e-6, 40e-6, 96, 0.0, 66e-9, 2.6e-9)
Blocks = Sequence[Sequence[int]]


def engine(blocks: int = 20_000, **more: Any) -> Engine:
    return Engine(COST, blocks, **more)


FLEETS = {
    "much memory": Fleet((Pool(engine(), 3),)),
    "little memory": Fleet((Pool(engine(300), 2),)),
    "shortest first": Fleet((Pool(engine(400, policy="shortest", watermark=0.02, most_running=16), 2),)),
    "without a cache": Fleet((Pool(engine(300, caching=False), 2),), ROUTING.build("round_robin")),
    "decided ahead": Fleet((Pool(engine(ahead=True), 3),)),
    "as newer engines": Fleet((Pool(engine(300, ahead=True, whole_prompts=True, resuming=True), 2),)),
    "an old view": Fleet((Pool(engine(), 3),), view_s=0.2),
    "prompts apart": Fleet(
        (Pool(engine(4000), 2, role="prefill"), Pool(engine(4000), 2, role="decode")), transfer=Transfer(0.01, 1e-5)
    ),
}


class Traffic:
    """Requests by chance, a third of which begin with one of a few beginnings."""

    def __init__(self, n: int, rate_per_s: float, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.arrival_s = np.cumsum(random.exponential(1 / rate_per_s, n))
        self.prompt = np.clip(random.lognormal(5, 1.2, n), 1, 3000).astype(np.int32)
        self.output = np.clip(random.lognormal(3.5, 1, n), 1, 400).astype(np.int32)
        begins = random.integers(0, 30, n)
        self.blocks: list[list[int]] = [
            [int(begin) * 1000 + k if begin < 10 and k < 8 else 10**6 + 10**4 * i + k for k in range(int(size))]
            for i, (begin, size) in enumerate(zip(begins, self.prompt // 16, strict=True))
        ]

    def __len__(self) -> int:
        return len(self.prompt)

    @property
    def workload(self) -> Workload:
        client = np.zeros(len(self), np.uint32)
        base = Workload.from_columns(self.arrival_s, client, ("c",), self.prompt, self.output)
        blocks = pl.Series("prefix_blocks", self.blocks, dtype=pl.List(pl.Int64))
        return Workload(base.frame.with_columns(blocks), {BLOCK_SIZE_KEY: 16})


def sent(live: Live, traffic: Traffic) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """When the first and the last token of each request came, and how many did; time passes as it is told to."""
    n = len(traffic)
    first_s, last_s, made = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, np.int64)
    row: dict[int, int] = {}
    next_row = 0
    while True:
        at_s = live.next_s()
        if next_row < n and traffic.arrival_s[next_row] <= at_s:
            prompt, output = int(traffic.prompt[next_row]), int(traffic.output[next_row])
            slot = live.send(float(traffic.arrival_s[next_row]), prompt, output, traffic.blocks[next_row])
            assert slot not in row, "two requests have one slot"
            row[slot] = next_row
            next_row += 1
            continue
        if at_s == np.inf:
            assert not row
            return first_s, last_s, made
        for slot, count, is_over in live.until(at_s):
            who = row[slot]
            assert count == 1, "tokens come one by one, each at the end of its step"
            if made[who] == 0:
                first_s[who] = at_s
            last_s[who] = at_s
            made[who] += 1
            if is_over:
                del row[slot]


@pytest.mark.parametrize("name", FLEETS)
def test_tokens_come_when_the_simulation_says(name: str) -> None:
    traffic = Traffic(600, 25.0, seed=1)
    results = simulate(traffic.workload, FLEETS[name])
    live = Live(FLEETS[name])
    first_s, last_s, made = sent(live, traffic)
    assert made.tolist() == traffic.output.tolist()
    np.testing.assert_allclose(first_s, results.floats("first_token_s"), rtol=0, atol=1e-9)
    np.testing.assert_allclose(last_s, results.floats("done_s"), rtol=0, atol=1e-9)
    found = live.figures()
    assert (found.running, found.waiting, found.kv_used) == (0, 0, 0.0)
    assert found.preemptions == results.frame["preempted"].sum()
    assert found.prefix_hits == results.frame["cached_tokens"].sum()
    assert found.preemptions > 0 or name not in ("little memory", "without a cache", "as newer engines")
    assert (found.prefix_hits > 0) == (name != "without a cache")


def test_looking_seldom_gives_the_same_tokens_in_lumps() -> None:
    traffic, fleet = Traffic(200, 25.0, seed=2), FLEETS["little memory"]
    done_s = simulate(Workload(traffic.workload.frame.drop("prefix_blocks")), fleet).floats("done_s")
    live, made = Live(fleet), np.zeros(200, np.int64)
    row: dict[int, int] = {}
    over_s = np.zeros(200)
    for at_s in np.arange(0.0, done_s.max() + 1.0, 0.4):
        for slot, count, is_over in live.until(float(at_s)):
            made[row[slot]] += count
            over_s[row[slot]] = at_s if is_over else 0.0
        for i in np.flatnonzero((traffic.arrival_s > at_s) & (traffic.arrival_s <= at_s + 0.4)):
            slot = live.send(float(traffic.arrival_s[i]), int(traffic.prompt[i]), int(traffic.output[i]), [])
            row[slot] = int(i)
    assert made.tolist() == traffic.output.tolist()
    assert np.all((over_s >= done_s) & (over_s < done_s + 0.4 + 1e-9))


@pytest.mark.parametrize("name", FLEETS)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_whoever_gives_up_leaves_nothing_behind_and_the_others_end(name: str, share: float) -> None:
    traffic, random = Traffic(500, 40.0, seed=3), np.random.default_rng(4)
    leaves, patience_s = random.random(500) < share, random.exponential(1.0, 500)
    live, made, gone = Live(FLEETS[name]), np.zeros(500, np.int64), np.zeros(500, np.bool_)
    row: dict[int, int] = {}
    to_leave: list[tuple[float, int, int]] = []

    def go_on(at_s: float) -> None:
        for slot, count, is_over in live.until(at_s):
            made[row[slot]] += count
            if is_over:
                del row[slot]

    next_row = 0
    while True:
        at_s = live.next_s()
        comes_s = traffic.arrival_s[next_row] if next_row < 500 else np.inf
        if to_leave and to_leave[0][0] <= min(at_s, comes_s):
            leave_s, slot, who = heappop(to_leave)
            go_on(leave_s)
            if row.get(slot) == who:
                live.give_up(slot)
                gone[row.pop(slot)] = True
        elif at_s == comes_s == np.inf:
            break
        elif comes_s <= at_s:
            i, next_row = next_row, next_row + 1
            slot = live.send(float(comes_s), int(traffic.prompt[i]), int(traffic.output[i]), traffic.blocks[i])
            row[slot] = i
            if leaves[i]:
                heappush(to_leave, (float(comes_s + patience_s[i]), slot, i))
        else:
            go_on(at_s)
    assert not row
    assert gone.sum() > 500 * share * 0.2
    assert made[~gone].tolist() == traffic.output[~gone].tolist()
    assert np.all(made[gone] < traffic.output[gone])
    found, world = live.figures(), live._world
    assert (found.running, found.waiting, found.kv_used) == (0, 0, 0.0)
    assert not world.load["requests"].any()
    assert not world.load["tokens"].any()
    assert not world.load["prefill_tokens"].any()
    assert not world.at["waiting_tokens"].any()
    assert not world.at["context"].any()


def test_more_can_be_open_than_there_was_room_for_at_first() -> None:
    fleet = Fleet((Pool(engine(most_running=64), 1),))
    traffic = Traffic(900, 2000.0, seed=5)
    first_s, last_s, made = sent(Live(fleet), traffic)
    results = simulate(traffic.workload, fleet)
    np.testing.assert_allclose(first_s, results.floats("first_token_s"), rtol=0, atol=1e-9)
    np.testing.assert_allclose(last_s, results.floats("done_s"), rtol=0, atol=1e-9)
    assert made.sum() == traffic.output.sum()


@pytest.mark.parametrize("name", ["much memory", "little memory", "as newer engines"])
def test_names_are_tidied_where_there_is_no_room_for_more(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_NAMES", 64)
    traffic = Traffic(600, 25.0, seed=6)
    live = Live(FLEETS[name])
    first_s, last_s, _ = sent(live, traffic)
    results = simulate(traffic.workload, FLEETS[name])
    np.testing.assert_allclose(first_s, results.floats("first_token_s"), rtol=0, atol=1e-9)
    np.testing.assert_allclose(last_s, results.floats("done_s"), rtol=0, atol=1e-9)
    assert live.figures().prefix_hits == results.frame["cached_tokens"].sum()
    if name != "much memory":  # 600 blocks are kept at most, and what is open
        assert live._world.ids.size < sum(map(len, traffic.blocks)) / 2


def test_a_fleet_that_changes_cannot_answer() -> None:
    with pytest.raises(UsageError, match="neither outages nor an autoscaler"):
        Live(Fleet((Pool(engine(), 1),), outages=(Outage(1.0, 0, 1.0),)))


# The ids of blocks


def blocks(prompt: str, reply: int, size: int = 4) -> tuple[int, ...]:
    body = body_of(json.dumps({"prompt": prompt, "max_tokens": reply}).encode(), chat=False)
    return asked_of(body, model=Model(block_tokens=size)).blocks


def test_equal_ids_are_equal_words_behind_equal_words() -> None:
    first, same, other = blocks("a b c d e f g h", 1), blocks("a b c d e f g x", 1), blocks("x b c d e f g h", 1)
    assert len(first) == len(same) == len(other) == 2
    assert first[0] == same[0]
    assert first[1] != same[1]
    assert not set(first) & set(other)
    assert all(0 <= number < 2**63 for number in first)


def test_a_reply_has_the_ids_that_the_next_turn_brings() -> None:
    first = blocks("a b c d e", 8)  # 12 tokens stay in memory: the last one of a reply is never read
    assert len(first) == 3
    assert blocks("a b c d e" + " word" * 8 + " and on and on", 1)[:3] == first


def test_what_is_too_long_is_refused() -> None:
    body = body_of(b'{"prompt": "a b c", "max_tokens": 8}', chat=False)
    assert asked_of(body, model=Model(most_context=11)) == Asked(3, 8)
    with pytest.raises(BodyError, match="longest context is 10 tokens; 3 of a prompt and 8 of a reply"):
        asked_of(body, model=Model(most_context=10))


# Over a network


@contextmanager
def serving(fleet: Fleet) -> Iterator[tuple[Server, str]]:
    """A server in a thread of its own, and where it is."""
    loop, live = asyncio.new_event_loop(), Live(fleet)
    live.until(0.0)
    pace = EnginePace(live, now_ns())
    model = Model("m", live.most_context, live.block_tokens)
    server = Server(loop, pace, "127.0.0.1", 0, model=model, metrics=pace.metrics)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.port}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def got(server: Server, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    link.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body).encode())
    reply = link.getresponse()
    read = reply.status, reply.read().decode()
    link.close()
    return read


def metrics(server: Server) -> dict[str, float]:
    lines = [line.split() for line in got(server, "/metrics")[1].splitlines() if not line.startswith("#")]
    return {name.split("{")[0].removeprefix("vllm:"): float(value) for name, value in lines}


def test_a_conversation_finds_its_beginning_in_memory_and_metrics_tell() -> None:
    with serving(Fleet((Pool(engine(), 1),))) as (server, _):
        said = [{"role": "user", "content": "a b " * 32}]
        status, reply = got(server, "/v1/chat/completions", {"messages": said, "max_tokens": 32})
        answer = json.loads(reply)["choices"][0]["message"]
        assert (status, answer["content"].split()) == (200, ["word"] * 32)
        said += [answer, {"role": "user", "content": "and then"}]
        assert got(server, "/v1/chat/completions", {"messages": said, "max_tokens": 4})[0] == 200
        found = metrics(server)
        models = json.loads(got(server, "/v1/models")[1])["data"]
        refused = got(server, "/v1/completions", {"prompt": "x", "max_tokens": 20_000 * 16})
    assert found["prefix_cache_queries_total"] == 64 + 98
    assert found["prefix_cache_hits_total"] == 80  # the prompt's four blocks, and of the reply's 32 tokens the first 16
    assert found["request_success_total"] == 2
    assert found["num_requests_running"] == found["num_requests_waiting"] == found["num_preemptions_total"] == 0
    assert found["kv_cache_usage_perc"] == 0
    assert models[0]["max_model_len"] == 20_000 * 16
    assert refused[0] == 400
    assert "longest context" in refused[1]


def test_a_replay_reports_what_is_simulated(tmp_path: Path) -> None:
    """With the arrivals that the server saw, so that only what is between its clock and a client's report is left: at
    the median less than 10 ms of 60 until the first token and of 500 until the end. Alone it is less than 1; as others
    share the machine, once of four times is enough."""
    assert any(_off(tmp_path / str(attempt)) < 0.010 for attempt in range(4))


def _off(folder: Path) -> float:
    """How far from the simulation a replay is at the median, until the first token or until the end."""
    folder.mkdir()
    random = np.random.default_rng(6)
    arrival_s = np.cumsum(random.exponential(1 / 10, 40))
    prompt = np.clip(random.lognormal(6, 1, 40), 16, 3000).astype(np.int32)
    output = random.integers(10, 40, 40).astype(np.int32)
    workload = Workload.from_columns(arrival_s, np.zeros(40, np.uint32), ("c",), prompt, output)
    fleet = Fleet((Pool(engine(caching=False), 1),))
    with serving(fleet) as (server, url):
        results, _ = run(workload, url, folder)
        log = np.frombuffer(server.log.rows(), dtype=[("ns", "<i8", 3), ("count", "<i4", 2)])
    assert not results.failed.any()
    order = np.argsort(results.floats("sent_s"), kind="stable")
    came_s = np.sort(log["ns"][:, 0] - log["ns"][:, 0].min()) * 1e-9
    again = Workload.from_columns(came_s, np.zeros(40, np.uint32), ("c",), prompt[order], output[order])
    said = simulate(again, fleet)
    off = []
    for name in ("first_token_s", "done_s"):
        true_s = said.floats(name) - said.floats("due_s")
        seen_s = (results.floats(name) - results.floats("sent_s"))[order]
        off.append(float(np.median(np.abs(seen_s - true_s))))
    return max(off)
