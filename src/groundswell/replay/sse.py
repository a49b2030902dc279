"""Server-sent events out of bytes that arrive in any pieces, without any input or output.

The format is that of the HTML standard, section 9.2 "Server-sent events": lines end in LF, CR or CRLF, a blank line
ends an event, and an event's data are its ``data`` lines. What servers of models send is almost always ``data: {…}``
and a blank line, some of them at a time: that is cut with one split, and only what is not so goes line by line.

Errors that are told outside ``data`` come out as the data ``{"error": …}``: Dynamo has an event ``error`` whose message
is a comment, and llama.cpp had a field ``error`` until 2025.
"""

from __future__ import annotations

import json

from groundswell.errors import GroundswellError

MOST_BYTES = 8 * 2**20
"""No event is larger, unless one says so."""

_CR = ord("\r")
_MARK = b"\xef\xbb\xbf"  # the byte order mark that may begin a stream


class TooLargeError(GroundswellError):
    """A stream's line or event has no end; what parsed it is of no further use."""


class Events:
    """The data of a stream's events.

    >>> events = Events()
    >>> events.feed(b'data: {"a": 1}\\n\\n: ping\\n\\ndata: [DO'), events.feed(b"NE]\\n\\n")
    ([b'{"a": 1}'], [b'[DONE]'])

    An event larger than ``most_bytes`` raises :class:`TooLargeError` once so much of it has come.
    """

    __slots__ = (
        "_after_cr",
        "_begun",
        "_fault",
        "_held",
        "_held_bytes",
        "_lines",
        "_lines_bytes",
        "_said",
        "most_bytes",
    )

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._begun = False  # whether the stream's first three bytes, which may be a mark, are behind us
        self._after_cr = False  # whether a line feed would belong to the line end before it
        self._held: list[bytes] = []  # pieces of a line without its end
        self._held_bytes = 0
        self._lines: list[bytes] = []  # the data of an event without its end
        self._lines_bytes = 0
        self._fault = False  # whether that event is called an error
        self._said: list[bytes] = []  # its comments

    def feed(self, data: bytes) -> list[bytes]:
        """The data of each event that ``data`` completes, in order; lines of one event are joined by LF."""
        if not self._begun or self._after_cr or _CR in data:
            data = self._plain(data)
        if self._held:
            if b"\n" not in data:
                self._hold(data)
                return []
            self._held.append(data)
            data = b"".join(self._held)
            self._held.clear()
            self._held_bytes = 0
        if data.startswith(b"data: ") and not self._lines and not self._fault:
            end = data.rfind(b"\n\n")
            events = data[6:end].split(b"\n\ndata: ")
            # No line ends but those between events and after the last: then each is one line of data.
            if end > 0 and data.count(b"\n") == 2 * len(events):
                if end + 2 < len(data):
                    self._hold(data[end + 2 :])
                return events
        return self._by_line(data) if data else []

    def close(self) -> bytes | None:
        """The data of the event that the stream's end cut short, or None: some servers leave the last line end out."""
        line = b"".join(self._held)
        self._held = []
        if line.startswith(b"data"):
            self._by_line(line + b"\n")
        lines, self._lines = self._lines, []
        return b"\n".join(lines) if lines else None

    def _plain(self, data: bytes) -> bytes:
        """``data`` without a mark in front and with LF for every line end."""
        if not self._begun:
            data = b"".join([*self._held, data])
            self._held, self._held_bytes = [], 0
            if len(data) < len(_MARK) and _MARK.startswith(data):
                self._hold(data)
                return b""
            self._begun = True
            data = data.removeprefix(_MARK)
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _by_line(self, data: bytes) -> list[bytes]:
        """As :meth:`feed`, of lines of any kind."""
        lines = data.split(b"\n")
        rest = lines.pop()
        events: list[bytes] = []
        for line in lines:
            if not line:
                self._dispatch(events)
            elif line.startswith(b"data:"):
                self._keep(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line == b"data":
                self._keep(b"")
            elif line.startswith(b"error: {"):
                self._keep(b'{"error":' + line[7:] + b"}")
            elif line in (b"event: error", b"event:error"):
                self._fault = True
            elif self._fault and line.startswith(b":"):
                self._said.append(line[1:].strip())
                self._lines_bytes += len(line)
        self._hold(rest)
        return events

    def _keep(self, line: bytes) -> None:
        self._lines.append(line)
        self._lines_bytes += len(line) + 1

    def _dispatch(self, events: list[bytes]) -> None:
        if self._lines:
            events.append(b"\n".join(self._lines))
        elif self._fault:
            said = b" ".join(self._said).decode("utf-8", "replace")
            events.append(json.dumps({"error": said}).encode())
        self._lines, self._lines_bytes = [], 0
        self._fault, self._said = False, []

    def _hold(self, rest: bytes) -> None:
        if rest:
            self._held.append(rest)
            self._held_bytes += len(rest)
        if self._held_bytes + self._lines_bytes > self.most_bytes:
            raise TooLargeError(f"an event of the stream has more than {self.most_bytes:,} bytes and no end")
