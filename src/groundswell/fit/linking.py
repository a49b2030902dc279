"""Which requests of a trace belong together: a pass over its blocks, in order, with bounded memory.

Requests of one *family* hang together: turns of a conversation that the trace names, or prompts that begin with what
the same others began with. Every request has a *base*, the earlier one of its family whose prompt it begins with:

- Where the trace names conversations, these are the families. The base is the request of the conversation that shares
  most blocks with it or, without ids of blocks, the one before.
- Other requests join the family of the request that last sent the deepest block of theirs that is known.
- A row of blocks that has been followed in many ways is nobody's: a system prompt, a template, a document that many
  ask about. No family is joined through it; one that begins with it says so, and shares it with the others.
- The first prompts of two conversations that the trace names, or of two clients, share their blocks in the same way,
  however few they are. A conversation that goes on from another one's later turns is one with it.

What is remembered are the latest :data:`MOST_IDS` different blocks and :data:`MOST_NODES` rows of them, and as many
conversations; what is kept of the requests are those of whole families, chosen by a hash, up to :data:`MOST_STEPS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.fit import _tree as tree
from groundswell.fit._tree import IDS, NODE, NODES, TALK, TALKS
from groundswell.prefix import expanded, flat
from groundswell.stats.tally import joined
from groundswell.table import Workload

MOST_IDS = 2**24
MOST_NODES = 2**20
MOST_TALKS = 2**20
MOST_STEPS = 2**20
USUAL_BLOCK = 16
"""Tokens of a block where neither ids nor the trace say how many."""

STEP = np.dtype(
    [
        ("number", np.int64), ("base", np.int64), ("known_uid", np.int64), ("leaf_uid", np.int64), ("word", np.uint64),
        ("name", np.int64), ("arrival_s", np.float64), ("think_s", np.float64), ("client", np.uint32),
        ("blocks", np.int32), ("known", np.int32), ("given", np.int32), ("input_tokens", np.int32),
        ("output_tokens", np.int32), ("reason_tokens", np.int32), ("kind", np.int8), ("named", np.bool_),
    ]
)  # fmt: skip
"""A request as :func:`groundswell.fit._tree.link` linked it; ``given`` is how many blocks of its prompt have ids."""

BEGINNING = np.dtype(
    [("uid", np.int64), ("within", np.int64), ("depth", np.int64), ("tokens", np.int64), ("key", np.uint64)]
)
"""A node at which families began; ``within`` is the uid of the one before it on its path, 0 for none."""


class Linker:
    """Takes the blocks of a trace in their order and keeps what its families are made of.

    ``block_tokens`` is the size of the blocks that have ids. ``bytes`` are bounded; :attr:`steps` are the requests of
    the families whose word begins with ``level`` zero bits.
    """

    def __init__(self, block_tokens: int = USUAL_BLOCK) -> None:
        self.block_tokens = block_tokens
        self.requests = 0
        self.level = 0
        self.clients = pl.Series("client", [], dtype=pl.String)
        self.linked = np.empty(0, np.bool_)  # [clients]: whether anything says how their requests hang together
        self.has_ids = False
        self.nodes = np.zeros(1024, NODE)
        self.ids = np.empty(4096, np.int64)
        self.index = np.full(2048, -1, np.int32)
        self.talks = np.zeros(1024, TALK)
        self.used = np.array([1, 0, 1, 0], np.int64)
        self.forgotten: list[Any] = []
        self._parts: list[Any] = []
        self._held = 0

    def watch(self, blocks: Iterable[Workload]) -> Iterator[Workload]:
        """``blocks`` as they are, each taken in on its way."""
        for block in blocks:
            for part in expanded([block]):
                self.add(part)
            yield block

    def add(self, block: Workload) -> None:
        """Take in the next block. One without conversations and ids costs next to nothing."""
        frame = block.frame
        names, ids = "conversation" in frame.columns, "prefix_blocks" in frame.columns
        if not len(block):
            return
        size = block.metadata.get("prefix_block_tokens")
        if ids and not self.has_ids and isinstance(size, int) and size > 0:
            self.block_tokens = size
        code = self._codes(block)
        if not (names or ids):
            self.requests += len(block)
            return
        count, prompts = flat(frame["prefix_blocks"]) if ids else (np.zeros(len(block), np.int64), _NOTHING)
        named = frame["conversation"].is_not_null().to_numpy() if names else np.zeros(len(block), np.bool_)
        name = frame["conversation"].fill_null(0).to_numpy() if names else np.zeros(len(block), np.int64)
        self.has_ids |= bool(count.any())
        self.linked[np.unique(code[named | (count > 0)])] = True
        self._keep(self._steps(block, code, named, name, count, prompts))
        self.requests += len(block)

    @property
    def steps(self) -> Any:
        """The requests that are kept, in order of time: rows of :data:`STEP`."""
        return np.concatenate(self._parts) if self._parts else np.empty(0, STEP)

    @property
    def beginnings(self) -> Any:
        """The beginnings that are forgotten: rows of :data:`BEGINNING`, by uid."""
        rows = np.concatenate([np.empty(0, BEGINNING), *self.forgotten])
        return rows[np.argsort(rows["uid"], kind="stable")]

    def _codes(self, block: Workload) -> NDArray[np.uint32]:
        names = block.frame.schema["client"]
        assert isinstance(names, pl.Enum)  # noqa: S101 (a Workload's schema)
        self.clients, place = joined(self.clients, names.categories)
        more = self.clients.len() - self.linked.size
        self.linked = np.pad(self.linked, (0, more))
        code = block.client_code
        return code if place is None else place.to_numpy()[code].astype(np.uint32)

    def _steps(self, block: Workload, code: Any, named: Any, name: Any, count: Any, prompts: Any) -> Any:
        n = len(block)
        ends, at_s = np.cumsum(count), np.ascontiguousarray(block.arrival_s)
        kind, word = np.empty(n, np.int8), np.empty(n, np.uint64)
        base, blocks, known, known_uid, leaf_uid = (np.empty(n, np.int64) for _ in range(5))
        done = 0
        while True:
            done = tree.link(
                np.ascontiguousarray(prompts), ends, at_s, block.input_tokens, code, named, name, self.block_tokens,
                self.requests, done, self.nodes, self.ids, self.index, self.talks, self.used,
                kind, word, base, blocks, known, known_uid, leaf_uid,
            )  # fmt: skip
            if done == n:
                break
            self._make_room(int(count[done]))
        out = np.empty(n, STEP)
        out["number"] = self.requests + np.arange(n)
        for key, column in (
            ("base", base), ("known_uid", known_uid), ("leaf_uid", leaf_uid), ("word", word), ("name", name),
            ("arrival_s", at_s), ("client", code), ("blocks", blocks), ("known", known), ("given", count),
            ("input_tokens", block.input_tokens), ("output_tokens", block.output_tokens), ("kind", kind),
            ("named", named),
        ):  # fmt: skip
            out[key] = column
        for key, missing in (("think_s", np.nan), ("reason_tokens", 0)):
            out[key] = block.frame[key].fill_null(missing).to_numpy() if key in block.frame.columns else missing
        return out

    def _keep(self, steps: Any) -> None:
        """Add requests to those that are kept, and keep fewer families if these are too many."""
        self._parts.append(_chosen(steps, self.level))
        self._held += self._parts[-1].size
        while self._held > MOST_STEPS:
            self.level += 1
            self._parts = [_chosen(self.steps, self.level)]
            self._held = self._parts[0].size
        if len(self._parts) > _MOST_PARTS:
            self._parts = [self.steps]

    def _make_room(self, prompt: int) -> None:
        """Room for some more blocks, nodes and conversations: by growing or, past the bounds, by forgetting."""
        nodes, ids, _, talks = (int(x) for x in self.used)
        if 2 * (nodes + 2) > MOST_NODES or 2 * (ids + prompt) > max(MOST_IDS, 4 * prompt):
            self._forget()
            nodes, ids, _, talks = (int(x) for x in self.used)
        if 2 * (talks + 1) > self.talks.size:
            self._move_talks()
        if nodes + 2 > self.nodes.size // 2:
            self.nodes = np.concatenate([self.nodes, np.zeros(self.nodes.size, NODE)])
        if ids + prompt > self.ids.size // 2:
            self.ids = np.concatenate([self.ids, np.empty(self.ids.size + 2 * prompt, np.int64)])
        if 2 * self.nodes.size > self.index.size:
            self.index = np.full(2 * self.nodes.size, -1, np.int32)
            tree.reindexed(self.index, self.nodes, self.ids, nodes)

    def _forget(self) -> None:
        """Forget the half of the blocks that nobody has sent for longest."""
        count = int(self.used[NODES])
        nodes = self.nodes[:count]
        # the newest nodes that have half of all ids, and half of all nodes at most; parents are as new as children
        order = np.argsort(-nodes["seen_s"], kind="stable")
        within = np.cumsum(nodes["size"][order]) <= self.used[IDS] // 2
        within[count // 2 :] = False
        since_s = nodes["seen_s"][order[max(int(within.sum()) - 1, 0)]]
        stay = nodes["seen_s"] > since_s
        stay[0] = True
        self.forgotten.append(_begun(nodes, ~stay & nodes["shared"]))
        number = np.where(stay, np.cumsum(stay) - 1, -1)
        kept, ids = np.zeros_like(self.nodes), np.empty_like(self.ids)
        self.used[IDS] = tree.kept_nodes(nodes, self.ids, number, kept, ids)
        self.used[NODES] = int(stay.sum())
        self.nodes, self.ids = kept, ids
        self.index[:] = -1
        tree.reindexed(self.index, self.nodes, self.ids, int(self.used[NODES]))
        self.talks["leaf"] = np.maximum(number[self.talks["leaf"]], 0)

    def _move_talks(self) -> None:
        """Conversations to a larger table or, past the bound, the half of them that spoke last to one as large."""
        talks = self.talks[self.talks["word"] != 0]
        if talks.size > MOST_TALKS // 2:
            talks = talks[np.argsort(talks["seen_s"], kind="stable")[talks.size // 2 :]]
        self.talks = np.zeros(min(2 * self.talks.size, 2 * MOST_TALKS), TALK)
        self.used[TALKS] = talks.size
        tree.put_talks(self.talks, talks)


_NOTHING = np.empty(0, np.int64)
_MOST_PARTS = 64


def _chosen(steps: Any, level: int) -> Any:
    """The requests of families whose word begins with ``level`` zero bits."""
    return steps[steps["word"] < np.uint64(2 ** (64 - level))] if level else steps


def _begun(nodes: Any, chosen: Any) -> Any:
    """The beginnings that nodes marked by ``chosen`` are, within others at which families began."""
    at = np.flatnonzero(chosen)
    return beginnings(nodes, at, nodes["shared"])


def beginnings(nodes: Any, at: Any, among: Any) -> Any:
    """Nodes ``at`` as rows of :data:`BEGINNING`, each within the deepest before it that ``among`` marks."""
    out = np.empty(at.size, BEGINNING)
    above = np.empty(at.size, np.int64)
    tree.deepest_shared(nodes, among, nodes["parent"][at], above)
    out["uid"], out["within"] = nodes["uid"][at], nodes["uid"][above]
    out["depth"], out["tokens"], out["key"] = nodes["depth"][at], nodes["tokens"][at], nodes["key"][at]
    return out
