"""What a server did and when, for holding a client's figures against it."""

from __future__ import annotations

from array import array

import numpy as np

ROW = np.dtype(
    [
        ("arrival_ns", "<i8"),  # when the request had come; all times on the monotonic clock
        ("first_ns", "<i8"),  # when its first token was written; 0: it did not come to that
        ("last_ns", "<i8"),
        ("tokens", "<i4"),  # of the reply
        ("prompt_tokens", "<i4"),
    ]
)
"""A request, in the order they came."""
MARK = np.dtype([("at_ns", "<i8"), ("row", "<i4"), ("token", "<i4")])
"""A token written: of which row of the log, and its place in the reply; in order of time."""

MOST_ROWS = 4_000_000
MOST_MARKS = 16_000_000
"""What comes after so many is not kept."""


class Log:
    """The rows and, if ``marking``, the marks of a server. Requests are numbered on when it is cleared."""

    def __init__(self) -> None:
        self.marking = False
        self._first = 0
        self.clear(0)

    def clear(self, next_number: int) -> None:
        """Forget all; the next request to come is ``next_number``."""
        self._first = next_number
        self._times = tuple(array("q") for _ in range(3))
        self._counts = tuple(array("i") for _ in range(2))
        self._marks_ns, self._marks = array("q"), array("i")

    def begin(self, number: int, prompt_tokens: int, tokens: int, now_ns: int) -> None:
        """A request came; numbers go up by one."""
        if number - self._first < MOST_ROWS:
            for column, value in zip(self._times, (now_ns, 0, 0), strict=True):
                column.append(value)
            for column, value in zip(self._counts, (tokens, prompt_tokens), strict=True):
                column.append(value)

    def written(self, number: int, before: int, after: int, *, last: bool, now_ns: int) -> None:
        """Of a request's tokens, those from ``before`` up to ``after`` are being written."""
        row = number - self._first
        if not 0 <= row < len(self._times[0]):
            return
        if before == 0:
            self._times[1][row] = now_ns
        if last:
            self._times[2][row] = now_ns
        if self.marking and len(self._marks_ns) < MOST_MARKS:
            for token in range(before, after):
                self._marks_ns.append(now_ns)
                self._marks.extend((row, token))

    def rows(self) -> bytes:
        """The bytes of an array of :data:`ROW`."""
        found = np.zeros(len(self._times[0]), ROW)
        for name, column in zip(ROW.names or (), (*self._times, *self._counts), strict=True):
            found[name] = column
        return found.tobytes()

    def marks(self) -> bytes:
        """The bytes of an array of :data:`MARK`."""
        found = np.zeros(len(self._marks_ns), MARK)
        found["at_ns"] = self._marks_ns
        found["row"], found["token"] = np.array(self._marks, np.int32).reshape(-1, 2).T
        return found.tobytes()
