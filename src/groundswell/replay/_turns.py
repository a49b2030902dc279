"""Which turn of a conversation is its last, and how long each waits after the reply before it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from groundswell.replay._columns import Columns, Floats
from groundswell.replay.wire import ALONE, Ints
from groundswell.service import TPOT_S, TTFT_S


class Ends:
    """The last request of each conversation, of those that were added; a number or two for each conversation."""

    def __init__(self) -> None:
        self.talk = np.empty(0, np.int64)
        """The conversations seen so far, rising."""
        self.row = np.empty(0, np.int64)
        """The last row of each."""

    def add(self, row: Ints, talk: Ints) -> None:
        """More requests, which come after those before."""
        together = talk != ALONE
        if not together.all():
            row, talk = row[together], talk[together]
        order = np.argsort(talk, kind="stable")
        talk, row = talk[order], row[order]
        final = np.append(talk[1:] != talk[:-1], True)[: talk.size]
        talk, row = talk[final], row[final]
        at, known = _found(self.talk, talk)
        self.row[at[known]] = row[known]
        new = ~known
        self.talk = np.insert(self.talk, at[new], talk[new])
        self.row = np.insert(self.row, at[new], row[new])

    def bits(self, requests: int) -> NDArray[np.uint8]:
        """For each row from 0 on a bit, that says whether it is the last of its conversation."""
        last = np.zeros(requests, np.bool_)
        last[self.row] = True
        return np.packbits(last)


def last_of(blocks: Iterable[tuple[Ints, Ints]], requests: int) -> NDArray[np.uint8]:
    """The bits of :meth:`Ends.bits`, from the rows and conversations of all blocks."""
    ends = Ends()
    for row, talk in blocks:
        ends.add(row, talk)
    return ends.bits(requests)


class Open:
    """The conversations of which more is to come: when the latest request of each arrived, and its reply's length."""

    def __init__(self) -> None:
        self.talk = np.empty(0, np.int64)
        self.arrival_s = np.empty(0)
        self.output_tokens = np.empty(0, np.int32)

    def think_s(self, block: Columns, last: NDArray[np.bool_]) -> Floats:
        """How long each request waits after the reply before it: what the workload tells, else what is left of the time
        between the two after a reply at the nominal speed. nan where none is before it. ``last`` marks last turns.
        """
        together = np.flatnonzero(block.talk != ALONE)
        place = together[np.argsort(block.talk[together], kind="stable")]
        talk = block.talk[place]
        again = np.zeros(place.size, np.bool_)
        again[1:] = talk[1:] == talk[:-1]
        before_s = np.full(place.size, np.nan)
        reply_tokens = np.zeros(place.size)
        follows = np.flatnonzero(again)
        before_s[follows] = block.arrival_s[place[follows - 1]]
        reply_tokens[follows] = block.output_tokens[place[follows - 1]]
        begins = np.flatnonzero(~again)
        at, known = _found(self.talk, talk[begins])
        before_s[begins[known]] = self.arrival_s[at[known]]
        reply_tokens[begins[known]] = self.output_tokens[at[known]]
        rest_s = np.maximum(block.arrival_s[place] - (before_s + TTFT_S + TPOT_S * reply_tokens), 0.0)
        told_s = block.think_s[place]
        out = np.full(len(block.row), np.nan)
        out[place] = np.where(np.isnan(before_s) | np.isnan(told_s), rest_s, told_s)
        self._turn(block, place[np.append(~again[1:], True)[: place.size]], at[known], last)
        return out

    def _turn(self, block: Columns, latest: NDArray[np.intp], seen: Ints, last: NDArray[np.bool_]) -> None:
        """From here on the ``latest`` requests of the block's conversations count, but for those that are over."""
        stays = np.ones(self.talk.size, np.bool_)
        stays[seen] = False
        latest = latest[~last[latest]]
        talk = np.concatenate([self.talk[stays], block.talk[latest]])
        order = np.argsort(talk, kind="stable")
        self.talk = talk[order]
        self.arrival_s = np.concatenate([self.arrival_s[stays], block.arrival_s[latest]])[order]
        self.output_tokens = np.concatenate([self.output_tokens[stays], block.output_tokens[latest]])[order]


def _found(known: Ints, wanted: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Where each of ``wanted`` is, or belongs, in ``known``, which rises; and whether it is there."""
    at = np.searchsorted(known, wanted)
    there = np.zeros(wanted.size, np.bool_)
    inside = at < known.size
    there[inside] = known[at[inside]] == wanted[inside]
    return at, there
