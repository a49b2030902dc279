"""Conversations as they were recorded: what each turn asked, was answered and began with, in columns.

A client whose conversations are known has them here, for generation to take whole: a conversation that begins at some
time has the shape of one that the client began at about that time. So whatever hangs together in a conversation (its
length and its first prompt, one reply and the next, when a context is cut) hangs together in what is generated.
Lengths, pauses and what was sent again are kept, never a prompt and none of its ids.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import UsageError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_TURNS = 32_767
"""More turns than this a conversation cannot have: a workload's column of turns holds no more."""

_COUNTS = ("back", "kept_tokens", "input_tokens", "output_tokens", "reason_tokens")
_STEPS = ("think_s", "shared", *_COUNTS)


@dataclass(frozen=True, eq=False)
class Sessions:
    """M conversations of C clients, N requests in all, and K shared beginnings of prompts.

    Conversations ``first[c]`` up to ``first[c + 1]`` are client c's, in order of ``start_s``; requests ``edge[m]`` up
    to ``edge[m + 1]`` are conversation m's, in order of arrival. Each arrives ``think_s`` after the reply to the one
    before it ended (by the nominal speed where the trace does not say; below 0 if it did not wait), and its prompt
    begins with the first ``kept_tokens`` of what the request ``back`` before it in the conversation sent and was
    answered; where ``back`` is 0, with nothing of the conversation.

    ``shared[m]`` is the number of the shared beginning of the conversation's prompts, -1 for none. Beginning k has
    ``shared_tokens[k]`` tokens, of which the first are those of beginning ``shared_within[k]``, if that is not -1; two
    are the same where their ``shared_key`` is.
    """

    first: Ints  # [C + 1]
    start_s: Floats  # [M], on the pool's clock
    edge: Ints  # [M + 1]
    shared: NDArray[np.int32]  # [N]
    think_s: NDArray[np.float32]  # [N]; 0 in a conversation's first request
    back: NDArray[np.int32]  # [N]
    kept_tokens: NDArray[np.int32]  # [N]
    input_tokens: NDArray[np.int32]  # [N]
    output_tokens: NDArray[np.int32]  # [N]
    reason_tokens: NDArray[np.int32]  # [N]
    shared_tokens: NDArray[np.int32]  # [K]
    shared_within: NDArray[np.int32]  # [K]
    shared_key: NDArray[np.uint64]  # [K]

    def __post_init__(self) -> None:
        """Refuse columns that do not fit together."""
        for right, what in (
            (_rises(self.first, self.start_s.size), "the clients' conversations do not follow one another"),
            (_rises(self.edge, self.think_s.size) and not (np.diff(self.edge) < 1).any(), "one has no requests"),
            (self.edge.size == self.start_s.size + 1, "columns differ in length"),
            (int(np.diff(self.edge).max(initial=0)) <= MOST_TURNS, f"one has more than {MOST_TURNS:,} requests"),
            (all(getattr(self, name).shape == self.think_s.shape for name in _STEPS), "columns differ in length"),
            (np.isfinite(self.start_s).all() and np.isfinite(self.think_s).all(), "a time is not finite"),
            (self._in_order(), "a client's conversations are not in order of time"),
            (_between(self.shared, -1, self.shared_tokens.size), "a shared beginning is not there"),
            (bool((self.shared_within < np.arange(self.shared_tokens.size)).all()), "a shared beginning is in itself"),
            (self.shared_tokens.shape == self.shared_within.shape == self.shared_key.shape, "columns differ in length"),
            (self.back.size == 0 or bool((self.back <= self.place).all()), "a request begins with one of another"),
            (all((getattr(self, name) >= 0).all() for name in _COUNTS), "a number is negative"),
        ):
            if not right:
                raise UsageError(f"sessions do not fit together: {what}")

    def __len__(self) -> int:
        return self.start_s.size

    @property
    def requests(self) -> int:
        """N."""
        return self.think_s.size

    @property
    def place(self) -> Ints:
        """Every request's place in its conversation, from 0 on, shape [N]."""
        return np.arange(self.requests) - np.repeat(self.edge[:-1], np.diff(self.edge))

    @property
    def client(self) -> Ints:
        """Every conversation's client, shape [M]."""
        return np.repeat(np.arange(self.first.size - 1), np.diff(self.first))

    @classmethod
    def none(cls, clients: int) -> Sessions:
        """No conversation of so many clients."""
        nothing: dict[str, Any] = {
            field.name: np.empty(0, _TYPES[field.name]) for field in dataclasses.fields(cls) if field.name in _TYPES
        }
        return cls(first=np.zeros(clients + 1, np.int64), edge=np.zeros(1, np.int64), **nothing)

    def take(self, which: Ints) -> Sessions:
        """The conversations of clients number ``which``, in that order."""
        count = np.diff(self.first)[which]
        first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        talk = np.repeat(self.first[which] - first[:-1], count) + np.arange(first[-1])
        requests = np.diff(self.edge)[talk]
        edge = np.concatenate([[0], np.cumsum(requests)]).astype(np.int64)
        step = np.repeat(self.edge[talk] - edge[:-1], requests) + np.arange(edge[-1])
        taken = {name: getattr(self, name)[step] for name in _STEPS}
        return dataclasses.replace(self, first=first, start_s=self.start_s[talk], edge=edge, **taken)

    @classmethod
    def concat(cls, parts: Sequence[Sessions]) -> Sessions:
        """The clients of all parts, one after the other, with the conversations of each."""
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("start_s", *_STEPS, "shared_tokens", "shared_within", "shared_key")
        }
        before = np.cumsum([0, *(part.shared_tokens.size for part in parts)])
        for name in ("shared", "shared_within"):
            numbers = [getattr(part, name) for part in parts]
            columns[name] = np.concatenate(
                [np.where(one >= 0, one + add, -1) for one, add in zip(numbers, before, strict=False)]
            ).astype(np.int32)
        return cls(
            first=_chained([part.first for part in parts]), edge=_chained([part.edge for part in parts]), **columns
        )

    def _in_order(self) -> bool:
        step = np.diff(self.start_s)
        inside = np.ones(step.size, np.bool_)
        border = self.first[1:-1]
        inside[border[(border > 0) & (border <= step.size)] - 1] = False
        return not (step[inside] < 0).any()


_TYPES: dict[str, Any] = {
    "start_s": np.float64,
    "think_s": np.float32,
    **dict.fromkeys(("shared", *_COUNTS), np.int32),
    "shared_tokens": np.int32,
    "shared_within": np.int32,
    "shared_key": np.uint64,
}


def _rises(edge: Ints, to: int) -> bool:
    return edge.size > 0 and edge[0] == 0 and edge[-1] == to and not (np.diff(edge) < 0).any()


def _between(numbers: NDArray[Any], low: int, below: int) -> bool:
    return bool(((numbers >= low) & (numbers < below)).all())


def _chained(edges: Sequence[Ints]) -> Ints:
    """Edges of parts as edges of the whole."""
    ends = np.cumsum([0, *(edge[-1] for edge in edges)])
    return np.concatenate([[0], *(edge[1:] + add for edge, add in zip(edges, ends, strict=False))]).astype(np.int64)
