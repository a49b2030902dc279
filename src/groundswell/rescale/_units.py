"""What is kept, left out or copied as a whole: clients, conversations or requests, each with a random word."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import stream_key, stream_keys, words
from groundswell.errors import UsageError
from groundswell.formats.reading.roster import EVERYONE
from groundswell.table import Workload

Words = NDArray[np.uint64]
KINDS = ("client", "conversation", "request")
CHOICE = 0
"""The place in a unit's stream of the number that decides whether it is chosen; copy k has the place k."""

TRAFFIC = ("Log Type", "type", "service", "model")
"""What a client may be that is no sender but a kind of traffic: too few to choose among, unless one asks for it."""


class Units:
    """The units of blocks that are given in order of time, each once.

    ``kind`` is one of :data:`KINDS`, or ``auto``, which the first block decides: conversations where the trace names
    them, else clients, else requests.
    """

    def __init__(self, kind: str, seed: int) -> None:
        self.kind = kind
        self.seed = seed
        self.rows = 0
        self.clients: tuple[str, ...] = ()
        self.client_words = np.empty(0, np.uint64)

    def words(self, block: Workload) -> Words:
        """The word of each request's unit: a function of the seed and the unit's name, or of a request's number.

        Raises UsageError where the trace has no such units.
        """
        self.kind = _kind(self.kind, block)
        number = np.arange(self.rows, self.rows + len(block))
        self.rows += len(block)
        if self.kind == "client":
            return self._of_clients(block)
        alone = words(stream_key(self.seed, "rescale", "request"), number)
        if self.kind == "request":
            return alone
        talk = block.frame["conversation"]
        named = words(stream_key(self.seed, "rescale", "conversation"), talk.fill_null(0).to_numpy().view(np.uint64))
        return np.where(talk.is_null().to_numpy(), alone, named)

    def _of_clients(self, block: Workload) -> Words:
        names = block.clients
        if len(names) > len(self.clients):
            new = stream_keys(self.seed, names[len(self.clients) :], "rescale", "client")
            self.client_words = np.concatenate([self.client_words, new])
            self.clients = names
        return self.client_words[block.client_code]


def _kind(asked: str, block: Workload) -> str:
    talks, one = "conversation" in block.frame.columns, tuple(block.clients) in ((), (EVERYONE,))
    if asked == "conversation" and not talks:
        raise UsageError("thin: the trace names no conversations; choose by client or request")
    if asked == "client" and one:
        raise UsageError("thin: the trace names no clients; choose by conversation or request")
    if asked != "auto":
        return asked
    if talks:
        return "conversation"
    return "request" if one or block.metadata.get("client_is") in TRAFFIC else "client"


class Names:
    """Names of clients' copies, of which there are ``each``, the client among them: copy 2 of ``a`` is ``a#2``.

    Clients that come to be known later leave the numbers of the others as they are.
    """

    def __init__(self, each: int) -> None:
        self.each = each
        self.known: tuple[str, ...] = ()
        self.all = pl.Series("client", [], dtype=pl.Enum([]))

    def column(self, block: Workload, k: int) -> pl.Series:
        """The ``client`` column of the copies ``k``, from 0, of the requests of a block.

        Raises UsageError for a name that is that of another's copy.
        """
        if block.clients != self.known:
            self._learn(block.clients)
        return self.all.gather(pl.Series(block.client_code.astype(np.uint32) * self.each + k))

    def _learn(self, clients: tuple[str, ...]) -> None:
        every = [f"{name}#{k}" if k > 1 else name for name in clients for k in range(1, self.each + 1)]
        if len(set(every)) < len(every):
            theirs = set(every) - set(clients)
            twice = next((name for name in clients if every.count(name) > 1), sorted(theirs)[0])
            raise UsageError(f"client {twice!r} of the trace has the name of another's copy; rename it")
        self.known, self.all = clients, pl.Series("client", every, dtype=pl.Enum(every))
