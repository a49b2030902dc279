"""From linked requests to the recorded conversations of a pool's senders.

What a turn keeps of its base follows from the blocks they share: all that the base asked and was answered, where these
are all of the base's full blocks and the prompt is longer, else the shared blocks. Where there are no ids, or the base
has no full block, a prompt that is longer than its base keeps all of it and of its reply, as far as it is long enough;
one as long is the same again; a shorter one was cut, and keeps nothing that is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.clients.sessions import Sessions
from groundswell.fit import _tree as tree
from groundswell.fit._tree import GOES_ON, JOINS, MOST_TURNS, NODES, SHARES
from groundswell.fit.cells import Cells
from groundswell.fit.linking import Linker, beginnings
from groundswell.fit.setting import Grid
from groundswell.service import TPOT_S, TTFT_S

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Recorded:
    """The conversations, and which share of them all they are: 1 where all were kept."""

    sessions: Sessions
    share: float
    unshared: float
    """Of all blocks that had been sent before, the part that the conversations' shapes do not say so of."""

    def starts(self, grid: Grid) -> Cells:
        """The gaps between the beginnings of conversations, by sender and window."""
        order = np.argsort(self.sessions.start_s, kind="stable")
        start_s = self.sessions.start_s[order]
        sender = self.sessions.client[order].astype(np.uint32)
        return Cells.of(start_s, sender, grid.window(start_s - grid.clock_s(0.0)), self.sessions.first.size - 1)


def recorded(linker: Linker, sender: Ints, senders: int) -> Recorded | None:
    """What ``linker`` saw as conversations of so many senders; ``sender`` is that of each of its clients.

    None where nothing says how requests hang together.
    """
    steps = linker.steps
    if not linker.linked.any() or not steps.size:
        return None
    forest = _Forest.of(linker, steps)
    sender = np.where(linker.linked, sender, -1)[steps["client"][forest.first]]
    order = np.lexsort((np.arange(steps.size), forest.first, sender))
    order = order[sender[order] >= 0]
    turns = forest.in_order(order)
    begin = np.flatnonzero(turns.place == 0)
    base_at = turns.base_place
    back, kept = _kept(turns.rows, steps[np.maximum(turns.base, 0)], base_at >= 0, linker.block_tokens)
    shared, table = forest.shared(order, ~back)
    sessions = Sessions(
        first=np.append(0, np.cumsum(np.bincount(sender[order][begin], minlength=senders))).astype(np.int64),
        start_s=np.asarray(linker.grid.clock_s(turns.rows["arrival_s"][begin]), np.float64),
        shared=shared.astype(np.int32),
        edge=np.append(begin, order.size).astype(np.int64),
        think_s=_pauses(turns.rows, turns.place).astype(np.float32),
        back=np.where(back, turns.place - base_at, 0).astype(np.int32),
        kept_tokens=kept.astype(np.int32),
        **{name: turns.rows[name].astype(np.int32) for name in ("input_tokens", "output_tokens", "reason_tokens")},
        shared_tokens=table["tokens"].astype(np.int32),
        shared_within=table["within"].astype(np.int32),
        shared_key=table["key"],
    )
    known = turns.rows["known"].astype(np.int64)
    said = np.where(turns.rows["blocks"] >= 0, turns.rows["blocks"], kept // linker.block_tokens)
    said = np.where(back, said, 0).astype(np.int64)
    room = np.where(~back & (shared >= 0), np.append(table["depth"], 0)[shared], 0)
    missing = np.maximum(known - np.maximum(said, room), 0).sum()
    return Recorded(sessions, 2.0**-linker.level, float(missing / max(known.sum(), 1)))


@dataclass(frozen=True, eq=False)
class _Turns:
    rows: Any
    place: Ints
    base: Ints
    """Of each row its base among all steps, -1 for none."""
    base_place: Ints
    """The base's place in the same conversation, -1 where it is not in it."""


@dataclass(frozen=True, eq=False)
class _Forest:
    """Requests in families. ``first`` is each one's family's first request, ``base`` its base, -1 for none."""

    linker: Linker
    steps: Any
    nodes: Any
    base: Ints
    first: Ints
    shares: NDArray[np.bool_]
    """Whether a request begins with blocks that are shared between families."""

    @classmethod
    def of(cls, linker: Linker, steps: Any) -> _Forest:
        nodes = linker.nodes[: linker.used[NODES]]
        common = np.zeros(nodes.size, np.bool_)
        tree.all_common(nodes, common)
        at = _numbers(nodes["uid"], steps["known_uid"])
        late = (steps["kind"] == JOINS) & (at >= 0) & common[at]  # what was not known yet to be many's
        _part(steps, nodes, late)
        base = _numbers(steps["number"], steps["base"])
        joins = ((steps["kind"] == JOINS) & ~late) | (steps["kind"] == GOES_ON)
        first = np.empty(steps.size, np.int64)
        tree.families(base, joins & (base >= 0), first)
        anew = (steps["kind"] == GOES_ON) & (steps["blocks"] == 0) & (steps["known"] > 0)
        return cls(linker, steps, nodes, base, _cut(first), late | anew | (steps["kind"] == SHARES))

    def in_order(self, order: Ints) -> _Turns:
        """Requests in ``order``, which puts those of a family together."""
        place = _places(self.first[order])
        at = np.full(self.steps.size, -1, np.int64)
        at[order] = place
        base = self.base[order]
        inside = (base >= 0) & (self.first[base] == self.first[order]) & (place > 0)
        return _Turns(self.steps[order], place, base, np.where(inside, at[base], -1))

    def shared(self, order: Ints, anew: NDArray[np.bool_]) -> tuple[Ints, Any]:
        """Of the requests in ``order`` the number of their shared beginning, -1 for none, and a table of these: rows of
        :data:`BEGINNING`, in which ``within`` is a number, too. Those count that begin ``anew`` with what is shared.
        """
        begun = self.steps[order]
        wanted = np.unique(begun["known_uid"][self.shares[order] & anew])
        wanted = wanted[wanted > 0]
        at = _numbers(self.nodes["uid"], wanted)
        chosen = np.zeros(self.nodes.size, np.bool_)
        chosen[at[at >= 0]] = True
        live = beginnings(self.nodes, at[at >= 0], chosen)
        gone = self.linker.beginnings
        table = np.concatenate([live, gone[_numbers(gone["uid"], wanted[at < 0])]])
        table = table[np.lexsort((table["uid"], table["depth"]))]
        table["within"] = self._within(table, gone, chosen)
        leaf = _numbers(self.nodes["uid"], begun["leaf_uid"])
        deepest = np.empty(begun.size, np.int64)
        tree.deepest_shared(self.nodes, chosen, np.maximum(leaf, 0), deepest)
        uid = np.where(leaf >= 0, self.nodes["uid"][deepest], begun["known_uid"])
        return np.where(uid > 0, _numbers(table["uid"], uid), -1), table

    def _within(self, table: Any, gone: Any, chosen: NDArray[np.bool_]) -> Ints:
        """The number of the beginning that each of ``table`` lies in: of one that is not there, the next one up."""
        within = table["within"].copy()
        for _ in range(64):
            at = _numbers(table["uid"], within)
            lost = (within > 0) & (at < 0)
            if not lost.any():
                break
            live = _numbers(self.nodes["uid"], within[lost])
            up = np.empty(live.size, np.int64)
            tree.deepest_shared(self.nodes, chosen, np.maximum(live, 0), up)
            old = _numbers(gone["uid"], within[lost])
            above = np.where(old >= 0, np.append(gone["within"], 0)[old], 0)
            within[lost] = np.where(live >= 0, self.nodes["uid"][up], above)
        return np.where(within > 0, _numbers(table["uid"], within), -1)


def _part(steps: Any, nodes: Any, late: NDArray[np.bool_]) -> None:
    """Mark those, too, that brought what families share later, and joined one themselves by what came before it."""
    while True:
        wanted = np.unique(steps["known_uid"][late | (steps["kind"] == SHARES)])
        at = _numbers(nodes["uid"], wanted[wanted > 0])
        at = at[at >= 0]
        by = _numbers(steps["number"], nodes["by"][at[~nodes["later"][at]]])
        by = by[by >= 0]
        by = by[(steps["kind"][by] == JOINS) & ~late[by]]
        if not by.size:
            return
        late[by] = True


def _places(family: Ints) -> Ints:
    """The place of each request among those of its family, which follow one another."""
    begin = np.flatnonzero(np.diff(family, prepend=-1))
    return np.arange(family.size) - np.repeat(begin, np.diff(begin, append=family.size))


def _cut(first: Ints) -> Ints:
    """``first`` where families of more than ``MOST_TURNS`` are several."""
    order = np.argsort(first, kind="stable")
    place = _places(first[order])
    begin = np.flatnonzero(place % MOST_TURNS == 0)
    out = np.empty_like(first)
    out[order] = np.repeat(order[begin], np.diff(begin, append=order.size))
    return out


def _numbers(among: Any, wanted: Any) -> Ints:
    """Where each of ``wanted`` is in ``among``, -1 where it is not."""
    if not among.size:
        return np.full(wanted.size, -1, np.int64)
    order = np.argsort(among, kind="stable")
    place = order[np.minimum(np.searchsorted(among, wanted, sorter=order), among.size - 1)]
    return np.where(among[place] == wanted, place, -1)


def _kept(row: Any, base: Any, has: NDArray[np.bool_], block_tokens: int) -> tuple[NDArray[np.bool_], Ints]:
    """Whether each request begins with some of its base, and how many tokens it keeps."""
    tokens, before = row["input_tokens"].astype(np.int64), base["input_tokens"].astype(np.int64)
    context = np.minimum(before + base["output_tokens"], tokens)
    by_length = np.where(tokens > before, context, np.where(tokens == before, tokens, 0))
    blocks = row["blocks"].astype(np.int64)
    again = (tokens == before) & (blocks == row["given"]) & (blocks == base["given"])
    whole = (tokens > before) & (blocks >= before // block_tokens)
    by_blocks = np.where(again, tokens, np.where(whole, context, np.minimum(blocks * block_tokens, tokens)))
    told = (row["given"] > 0) & (base["given"] > 0) & (blocks >= 0)
    told &= (blocks > 0) | (row["known"] > 0) | (before >= block_tokens)  # a short base has no block to share
    begins = has & np.where(told, blocks > 0, by_length > 0)
    return begins, np.where(begins, np.where(told, by_blocks, by_length), 0)


def _pauses(row: Any, place: Ints) -> Floats:
    """From the reply before it to each request: as the trace says, or by the nominal speed."""
    reply_s = TTFT_S + TPOT_S * row["output_tokens"][:-1].astype(np.float64)
    gap_s = np.diff(row["arrival_s"]) - reply_s
    same = row["named"][1:] & row["named"][:-1] & (row["name"][1:] == row["name"][:-1])
    told = same & np.isfinite(row["think_s"][1:])
    out = np.zeros(place.size)
    out[1:] = np.where(told, row["think_s"][1:], gap_s)
    out[place == 0] = 0.0
    return out
