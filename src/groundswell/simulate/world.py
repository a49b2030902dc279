"""A workload and a fleet as the arrays that kernels work on."""

from __future__ import annotations

import mmap
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import stream_key, stream_keys, uniforms
from groundswell.errors import DataError, UsageError
from groundswell.routing import Served
from groundswell.simulate.named import Names
from groundswell.simulate.parts import Fleet
from groundswell.simulate.state import (
    COMING,
    END,
    FLEET,
    GAP_BUCKETS,
    INSTANCE,
    LOAD,
    NOBODY,
    NODE,
    PEAK,
    POOL,
    SLOT,
    STAGE,
    Floats,
    Ints,
    Records,
    World,
    requests_of,
)
from groundswell.simulate.turns import Turns
from groundswell.table import ITEM_COLUMNS, Workload

BYTES_PER_TOKEN = 4.0
"""How long a token's text is on average; each client's own figure varies around it (:func:`_sizes`)."""
_CLIENTS_VARY, _REQUESTS_VARY = 0.25, 0.1
_STRETCHES = 128


@dataclass(frozen=True, eq=False)
class Asked:
    """What a workload asks, [N] each."""

    arrival_s: Floats
    """As recorded."""
    prompt: Ints
    """Tokens of text, images, audio and video."""
    output: Ints
    client: NDArray[np.uint32]
    items: Ints
    """Images, audio clips and videos,"""
    item_tokens: Ints
    """and how many tokens these are."""
    names: Names
    turns: Turns
    clients: tuple[str, ...]

    @classmethod
    def of(cls, workload: Workload, turns: str = "closed") -> Asked:
        """With ``turns`` "closed" a later turn waits for the reply before it and the think time; with "open" it comes
        when it is recorded to. Raises DataError where nothing is asked."""
        if not len(workload):
            raise DataError("the workload is empty: there is nothing to simulate")
        items, item_tokens = _items(workload)
        prompt = np.maximum(workload.input_tokens + item_tokens, 1)
        output = np.maximum(workload.output_tokens, 1)
        links = Turns.of(workload)
        names = Names.of(workload, prompt).extended(links, prompt + output - 1)
        code, clients = workload.client_code, workload.clients
        links = links if turns == "closed" else Turns.none()
        return cls(workload.arrival_s, prompt, output, code, items, item_tokens, names, links, clients)

    def requests(self) -> Records:
        """The requests, not begun."""
        made = requests_of(self.arrival_s, self.prompt, self.output)
        made["client"] = self.client
        made["names"], made["names_from"] = self.names.count, self.names.begin
        made["next_turn"][self.turns.now] = self.turns.later
        made["think_s"][self.turns.later], made["waits"][self.turns.later] = self.turns.think_s, True
        return made


def world_of(asked: Asked, fleet: Fleet, seed: int = 0, stretch_s: float | None = None) -> World:
    """A fleet on which nothing runs yet, and requests that have not come. Gaps are counted by stretches of
    ``stretch_s``; if that is None, there are 128 until some time after the last arrival."""
    pools, at, slots, nodes = _instances(asked, fleet)
    count, running = at.size, max(pool.engine.most_running for pool in fleet.pools)
    requests = asked.requests()
    requests["size_bytes"] = _sizes(asked, seed)
    if fleet.priorities:
        requests["priority"] = _priorities(asked, fleet)
    front = sum(pool.instances for pool in fleet.pools if pool.role != "decode")
    if front < count:
        requests["goal"] = 1
    half = 1 << max(int(np.ceil(np.log2(max(count, 1)))), 0)
    tree = np.full(2 * half, NOBODY, np.int64)
    tree[half : half + count] = np.arange(count)
    for place in range(half - 1, 0, -1):
        tree[place] = tree[2 * place] if tree[2 * place] != NOBODY else tree[2 * place + 1]
    load = np.zeros(count, LOAD)
    load["up"] = True
    stages = _Stages.of(asked, fleet)
    others = bool(requests["waits"].any() or fleet.outages or fleet.scaling or stages.records.size or front < count)
    general = np.zeros(1, FLEET)
    general["front"], general["view_s"], general["retry_s"] = front, fleet.view_s, fleet.retry_s
    general["most_tries"] = fleet.most_tries
    general["transfer_s"], general["transfer_token_s"] = fleet.transfer.request_s, fleet.transfer.token_s
    over_s = 1.05 * float(asked.arrival_s[-1])
    stretch_s = max(over_s / _STRETCHES, 1e-3) if stretch_s is None else stretch_s
    return World(
        requests=requests,
        at=at,
        pools=pools,
        ends=np.zeros((count, running), END),
        peaks=np.zeros((count, 2 * running + 2), PEAK),
        phases=np.zeros((count, fleet.pools[0].engine.block_tokens), np.int64),
        gaps=np.zeros((max(int(np.ceil(over_s / stretch_s - 1e-9)), 1), GAP_BUCKETS), np.int64),
        stretch_s=np.array([stretch_s]),
        ids=asked.names.ids,
        slot=_sparse((count, slots), SLOT),
        nodes=_sparse((count, nodes), NODE),
        spare=_sparse((count, nodes), np.dtype(np.int64)),
        tree=tree,
        coming=np.zeros(requests.size if others else 1, COMING),
        load=load,
        seen=load.copy() if fleet.view_s else load,
        stages=stages.records,
        stage_s=stages.cost_s,
        stage_done_s=np.full(stages.cost_s.shape, np.nan),
        stage_free_s=np.zeros(max(int(stages.records["parallel"].sum()), 1)),
        fleet=general,
    )


def _sparse(shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Zeros, of which only what is touched takes memory, page by page: in huge ones, which NumPy asks for, the first
    few of each row would be megabytes."""
    pages = mmap.mmap(-1, shape[0] * shape[1] * dtype.itemsize)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with suppress(OSError):  # of a kernel that has no huge pages
            pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, dtype).reshape(shape)


def served_of(asked: Asked, fleet: Fleet, seed: int) -> Served:
    """What a router is told before anything comes."""
    ends = np.cumsum([pool.instances for pool in fleet.pools])
    pools = tuple((int(end) - pool.instances, int(end)) for end, pool in zip(ends, fleet.pools, strict=True))
    context = tuple(pool.engine.most_context for pool in fleet.pools)
    return Served(fleet.instances, pools, context, len(asked.clients), seed)


def _priorities(asked: Asked, fleet: Fleet) -> Ints:
    """[N] the priority of each request's client."""
    unknown = fleet.priorities.keys() - set(asked.clients)
    if unknown:
        raise UsageError(f"there is a priority for client {min(unknown)!r}, and the workload has none of that name")
    return np.array([fleet.priorities.get(name, 0) for name in asked.clients], np.int64)[asked.client]


def _sizes(asked: Asked, seed: int) -> Ints:
    """[N] bytes of each prompt's text, without its items. A client's texts have 3 to 5 bytes a token, as it draws them,
    and each of them up to a tenth more or less: an assumption, for routers that do not count tokens."""
    of_client = uniforms(stream_keys(seed, asked.clients, "bytes"), 0)
    of_request = uniforms(stream_key(seed, "bytes"), np.arange(asked.prompt.size))
    per_token = BYTES_PER_TOKEN * (1 + _CLIENTS_VARY * (2 * of_client - 1))[asked.client]
    per_token *= 1 + _REQUESTS_VARY * (2 * of_request - 1)
    return np.rint((asked.prompt - asked.item_tokens) * per_token).astype(np.int64)


def _instances(asked: Asked, fleet: Fleet) -> tuple[Records, Records, int, int]:
    """(pools, instances, places of the table of names, nodes)."""
    block_tokens = fleet.pools[0].engine.block_tokens
    named = asked.names.block_tokens or block_tokens
    if named % block_tokens:
        raise UsageError(
            f"the workload names blocks of {named} tokens, and the engine's have {block_tokens}: the one must be a "
            f"multiple of the other"
        )
    caching = [pool.engine.caching and asked.names.ids.size > 0 for pool in fleet.pools]
    pools = np.array([pool.engine.record(named // block_tokens) for pool in fleet.pools], POOL)
    pools["caching"] = caching
    at = np.zeros(fleet.instances, INSTANCE)
    at["pool"] = np.repeat(np.arange(len(fleet.pools)), [pool.instances for pool in fleet.pools])
    blocks = np.array([pool.engine.blocks for pool in fleet.pools])[at["pool"]]
    at["blocks"], at["free"], at["wake_s"] = blocks, blocks, np.inf
    at["running"] = True
    for name in ("partial", "first", "last", "head", "tail", "ended", "ended_last", "first_kept", "last_kept"):
        at[name] = NOBODY
    at["fresh"], at["fresh_last"] = NOBODY, NOBODY
    if not (any(caching) or pools["resuming"].any()):
        return pools, at, 1, 1
    most = int(blocks.max()) // (named // block_tokens)
    nodes = int(blocks.max()) + 1  # each is a block at least: those without a name can lie scattered among named ones
    return pools, at, 1 << int(np.ceil(np.log2(max(2 * most, 2)))), nodes


def _items(workload: Workload) -> tuple[Ints, Ints]:
    """How many images, audio clips and videos each request has, and how many tokens these are."""
    count, tokens = np.zeros(len(workload), np.int64), np.zeros(len(workload), np.int64)
    for name in ITEM_COLUMNS:
        if name in workload.frame.columns:
            column = workload.frame[name]
            count += column.list.len().fill_null(0).to_numpy().astype(np.int64)
            tokens += column.list.sum().fill_null(0).to_numpy().astype(np.int64)
    return count, tokens


@dataclass(frozen=True, eq=False)
class _Stages:
    records: Records
    cost_s: Floats

    @classmethod
    def of(cls, asked: Asked, fleet: Fleet) -> _Stages:
        """What each request's items cost in each stage."""
        records = np.zeros(len(fleet.stages), STAGE)
        if not fleet.stages:
            return cls(records, np.zeros((0, 0)))
        places = np.array([stage.parallel * fleet.instances for stage in fleet.stages])
        records["parallel"], records["begin"] = places, np.cumsum(places) - places
        cost = [
            np.where(asked.items > 0, s.request_s, 0.0) + s.item_s * asked.items + s.token_s * asked.item_tokens
            for s in fleet.stages
        ]
        return cls(records, np.column_stack(cost))
