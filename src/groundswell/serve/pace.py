"""When the tokens of replies come: what the server asks whatever stands in for an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as it decides how long its reply takes."""

    prompt_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()
    """Ids of the blocks of the prompt and the reply behind it, if the server was to name them: equal ids are equal
    tokens behind equal tokens."""


class Pace(Protocol):
    """An engine's times. All are nanoseconds of the monotonic clock; a reply goes by a number that it is given."""

    def begin(self, reply: int, asked: Asked, now_ns: int) -> None:
        """A request came."""

    def give_up(self, reply: int) -> None:
        """Nobody waits for the rest of a reply."""

    def next_ns(self) -> int | None:
        """When the next tokens come if no request does; None: none will."""

    def tokens(self, now_ns: int) -> Sequence[tuple[int, int]]:
        """Which replies have got tokens since the last call and until now, and how many. One may be named twice."""


class Fixed:
    """The first token ``ttft_ns`` after the request, the next ones ``gap_ns`` apart, however many replies are open.

    Token k is due at the request's time + ttft + k gap, so that a late one does not delay those after it. With a gap
    of 0 all come at once. Both figures may be changed, for the requests to come.

    >>> pace = Fixed(ttft_ns=100, gap_ns=10)
    >>> pace.begin(7, Asked(prompt_tokens=5, output_tokens=3), now_ns=1000)
    >>> pace.next_ns(), pace.tokens(1099), pace.tokens(1112), pace.next_ns()
    (1100, [], [(7, 1), (7, 1)], 1120)
    """

    def __init__(self, ttft_ns: int, gap_ns: int) -> None:
        self.ttft_ns, self.gap_ns = ttft_ns, gap_ns
        self._due: list[tuple[int, int, int, int]] = []  # a heap: time, reply, tokens left, gap
        self._open: set[int] = set()

    def begin(self, reply: int, asked: Asked, now_ns: int) -> None:
        """A request came."""
        self._open.add(reply)
        heappush(self._due, (now_ns + self.ttft_ns, reply, asked.output_tokens, self.gap_ns))

    def give_up(self, reply: int) -> None:
        """Nobody waits for the rest of a reply."""
        self._open.discard(reply)

    def next_ns(self) -> int | None:
        """When the next token is due."""
        return self._due[0][0] if self._due else None

    def tokens(self, now_ns: int) -> list[tuple[int, int]]:
        """Replies and numbers of tokens, in order of the time they were due."""
        come = []
        while self._due and self._due[0][0] <= now_ns:
            at_ns, reply, left, gap_ns = heappop(self._due)
            if reply not in self._open:
                continue
            count = 1 if gap_ns else left
            come.append((reply, count))
            if left > count:
                heappush(self._due, (at_ns + gap_ns, reply, left - count, gap_ns))
            else:
                self._open.remove(reply)
        return come
