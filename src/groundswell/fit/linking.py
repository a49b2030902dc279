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
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.fit import _tree as tree
from groundswell.fit._tree import BEGINS, IDS, NODE, NODES, SHARES, TALK, TALKS
from groundswell.fit.cells import Cells
from groundswell.fit.setting import Grid
from groundswell.prefix import flat, ids_of
from groundswell.stats.tally import joined
from groundswell.table import BLOCK_SIZE_KEY, Workload

Ints = NDArray[np.int64]

MOST_IDS = 2**24
MOST_NODES = 2**20
MOST_TALKS = 2**20
MOST_STEPS = 2**20
AT_ONCE = 2**22
"""As many ids of a block of the trace are looked at together."""
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

    ``block_tokens`` is the size of the blocks that have ids. :attr:`steps` are the requests of the families whose word
    begins with ``level`` zero bits; :attr:`starts` are the gaps between the first requests of all families.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.block_tokens = USUAL_BLOCK
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
        self._starts: tuple[Cells, ...] = ()

    def watch(self, blocks: Iterable[Workload]) -> Iterator[Workload]:
        """``blocks`` as they are, each taken in on its way."""
        for block in blocks:
            self.add(block)
            yield block

    def add(self, block: Workload) -> None:
        """Take in the next block. One without conversations and ids costs next to nothing."""
        if not len(block):
            return
        frame = block.frame
        size = block.metadata.get(BLOCK_SIZE_KEY)
        if not self.has_ids and isinstance(size, int) and size > 0:
            self.block_tokens = size
        code = self._codes(block)
        names = "conversation" in frame.columns
        if not (names or "prefix_blocks" in frame.columns or "prefix_runs" in frame.columns):
            self.requests += len(block)
            return
        named = frame["conversation"].is_not_null().to_numpy() if names else np.zeros(len(block), np.bool_)
        name = frame["conversation"].fill_null(0).to_numpy() if names else np.zeros(len(block), np.int64)
        for low, high, count, prompts in _prompts(frame):
            part, some = slice(low, high), Workload(frame.slice(low, high - low), block.metadata)
            self.has_ids |= bool(count.any())
            self.linked[np.unique(code[part][named[part] | (count > 0)])] = True
            steps = self._steps(some, code[part], named[part], name[part], count, prompts)
            self._begin(steps[(steps["kind"] == BEGINS) | (steps["kind"] == SHARES)])
            self._keep(steps)
            self.requests += high - low

    @property
    def steps(self) -> Any:
        """The requests that are kept, in order of time: rows of :data:`STEP`."""
        return np.concatenate(self._parts) if self._parts else np.empty(0, STEP)

    @property
    def starts(self) -> Cells:
        """The gaps between the beginnings of families, by client and window."""
        return Cells.joined(self._starts) if self._starts else Cells()

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
        at_s = block.arrival_s
        given = [_read_only(x) for x in (prompts, np.cumsum(count), at_s, block.input_tokens, code, named, name)]
        kind, word = np.empty(n, np.int8), np.empty(n, np.uint64)
        base, blocks, known, known_uid, leaf_uid = (np.empty(n, np.int64) for _ in range(5))
        done = 0
        while True:
            done = tree.link(
                *given, self.block_tokens, self.requests, done, self.nodes, self.ids, self.index, self.talks, self.used,
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

    def _begin(self, first: Any) -> None:
        at_s = np.ascontiguousarray(first["arrival_s"])
        code = np.ascontiguousarray(first["client"])
        self._starts = (*self._starts, Cells.of(at_s, code, self.grid.window(at_s), self.linked.size))
        if sum(map(len, self._starts[1:])) > len(self._starts[0]) + _SLACK:
            self._starts = (Cells.joined(self._starts),)

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
        if 2 * (int(self.used[TALKS]) + 1) > self.talks.size:
            self._move_talks()
        for array, which, more, most in ((self.nodes, NODES, 2, MOST_NODES), (self.ids, IDS, prompt, MOST_IDS)):
            if int(self.used[which]) + more > array.size and 2 * array.size > most:
                self._forget()
        if int(self.used[NODES]) + 2 > self.nodes.size:
            self.nodes = np.concatenate([self.nodes, np.zeros(self.nodes.size, NODE)])
            self.index = np.full(2 * self.nodes.size, -1, np.int32)
            tree.reindexed(self.index, self.nodes, self.ids, int(self.used[NODES]))
        if int(self.used[IDS]) + prompt > self.ids.size:
            self.ids = np.concatenate([self.ids, np.empty(max(self.ids.size, prompt), np.int64)])

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
        for name in ("leaf", "first_leaf"):
            self.talks[name] = np.maximum(number[self.talks[name]], 0)

    def _move_talks(self) -> None:
        """Conversations to a larger table or, past the bound, the half of them that spoke last to one as large."""
        talks = self.talks[self.talks["word"] != 0]
        if talks.size > MOST_TALKS // 2:
            talks = talks[np.argsort(talks["seen_s"], kind="stable")[talks.size // 2 :]]
        self.talks = np.zeros(min(2 * self.talks.size, 2 * MOST_TALKS), TALK)
        self.used[TALKS] = talks.size
        tree.put_talks(self.talks, talks)


def _prompts(frame: pl.DataFrame) -> Iterator[tuple[int, int, Ints, Ints]]:
    """Rows ``low`` to ``high`` of a block, how many blocks with ids each prompt has, and these ids in a row."""
    if "prefix_runs" not in frame.columns:
        nothing = np.zeros(frame.height, np.int64), np.empty(0, np.int64)
        yield 0, frame.height, *(flat(frame["prefix_blocks"]) if "prefix_blocks" in frame.columns else nothing)
        return
    runs = frame["prefix_runs"]
    part = (runs.list.gather_every(2, 1).list.sum().fill_null(0).cum_sum() // AT_ONCE).to_numpy()
    edges = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), frame.height]
    for low, high in pairwise(edges):
        yield low, high, *ids_of(runs.slice(low, high - low))


_MOST_PARTS = 64
_SLACK = 2**17


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


def _read_only(values: Any) -> Any:
    """The same for a kernel that is compiled once: whether an array may be written to is a part of its type."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view
