"""A request from its sending to its end, and the record of that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from groundswell.replay.journal import ERROR, RETRIED
from groundswell.replay.sse import Events, TooLargeError
from groundswell.replay.transport import Call
from groundswell.targets import ANSWER, REASONING, ProtocolError

if TYPE_CHECKING:
    from groundswell.replay.maker import Made
    from groundswell.replay.rows import Row
    from groundswell.replay.sender import Sender
    from groundswell.replay.talk import Talk

_TOKEN = REASONING | ANSWER
_SUCCESS = range(200, 300)
_MOST_REFUSAL = 2**16  # bytes of a refusal that are kept
_MOST_WHOLE = 2**24  # of a reply that is one JSON document


class Sent(Call):
    """One request of the workload. Times are in nanoseconds of the monotonic clock, and 0 for what has not happened."""

    __slots__ = (
        "_answer_ns", "_body", "_content_type", "_events", "_first_ns", "_gap_ns", "_head_ns", "_latest_ns", "_reply",
        "_seen", "_sender", "_sent_ns", "_status", "_times", "_words", "due_ns", "ended_ns", "error", "flags",
        "has_ended", "made", "row", "talk",
    )  # fmt: skip

    def __init__(self, sender: Sender, row: Row, talk: Talk | None, due_ns: int, made: Made) -> None:
        super().__init__(made.payload)
        self._sender, self.row, self.talk, self.due_ns, self.made = sender, row, talk, due_ns, made
        self._reply = sender.target.reply()
        self._reply.keep = bool(made.pieces)
        self._events = Events()
        self._body = bytearray()
        self._times: list[float] | None = [] if sender.setup.event_times else None
        self._sent_ns = self._head_ns = self._first_ns = self._answer_ns = self._latest_ns = self.ended_ns = 0
        self._gap_ns, self._seen, self._status, self._content_type = -1, 0, 0, ""
        self.flags, self.error, self._words, self.has_ended = made.flags, 0, "", False

    def on_sent(self, at_ns: int) -> None:
        """It is on its way."""
        self._sent_ns = at_ns

    def on_status(self, status: int, content_type: str, at_ns: int) -> None:
        """The reply's head is here."""
        self._status, self._content_type, self._head_ns = status, content_type, at_ns

    def on_data(self, chunk: bytes, at_ns: int) -> None:
        """A piece of the reply is here, and came at ``at_ns``."""
        if self.has_ended:
            return
        if self._status not in _SUCCESS or "json" in self._content_type:
            most = _MOST_WHOLE if self._status in _SUCCESS else _MOST_REFUSAL
            if len(self._body) < most:
                self._body += chunk
            return
        seen = kinds = 0
        event = self._reply.event
        try:
            for data in self._events.feed(chunk):
                kind = event(data)
                if kind & _TOKEN:
                    seen += 1
                    kinds |= kind
        except (ProtocolError, TooLargeError) as fault:
            self._tokens(seen, kinds, at_ns)
            kind_of_fault = "protocol" if isinstance(fault, ProtocolError) else "too large"
            self._sender.give_up(self, kind_of_fault, str(fault))
            return
        if seen:
            self._tokens(seen, kinds, at_ns)
        self._sender.send_due(at_ns)

    def _tokens(self, seen: int, kinds: int, at_ns: int) -> None:
        """So many events with tokens came at once."""
        if not seen:
            return
        if not self._first_ns:
            self._first_ns = at_ns
        else:
            gap_ns = at_ns - self._latest_ns
            self._sender.journal.add_gap(gap_ns * 1e-9)
            if gap_ns > self._gap_ns:
                self._gap_ns = gap_ns
        if seen > 1:
            self._sender.journal.add_no_gaps(seen - 1)
            self._gap_ns = max(self._gap_ns, 0)
        if kinds & ANSWER and not self._answer_ns:
            self._answer_ns = at_ns
        self._latest_ns = at_ns
        self._seen += seen
        if self._times is not None:
            self._times += [(at_ns - self._sender.start_ns) * 1e-9] * seen

    def on_end(self, at_ns: int) -> None:
        """The reply is here."""
        if self.has_ended:
            return
        reply = self._reply
        try:
            if self._status not in _SUCCESS:
                self._fail("status", reply.refusal(self._status, self._sender.hidden.out_of(bytes(self._body))))
            elif "json" in self._content_type:
                self._last(reply.whole(bytes(self._body)), at_ns)
            elif (rest := self._events.close()) is not None:
                self._last(reply.event(rest), at_ns)
        except ProtocolError as fault:
            self._fail("protocol", str(fault))
        if not self.error:
            if reply.error is not None:
                self._fail("server", reply.error)
            elif not reply.ended:
                self._fail("cut off", "the stream has no end")
        self._close(at_ns)

    def _last(self, kind: int, at_ns: int) -> None:
        if kind & _TOKEN:
            self._tokens(1, kind, at_ns)

    def on_failed(self, kind: str, words: str, at_ns: int) -> None:
        """It came to nothing."""
        if not self.has_ended:
            self._fail(kind, words)
            self._close(at_ns)

    def _fail(self, kind: str, words: str) -> None:
        self.error, self._words = ERROR[kind], self._sender.hidden.out_of_text(words)

    def prompt_tokens(self) -> int:
        """How long the prompt was, as the server counts, or else as it was meant."""
        return self._reply.prompt_tokens if self._reply.prompt_tokens >= 0 else self.made.tokens

    def tokens_now(self) -> int:
        """How long the conversation is now, in the same way."""
        answer = self._reply.output_tokens
        return self.prompt_tokens() + (answer if answer >= 0 else self._seen)

    def answer_piece(self) -> bytes | None:
        """The answer as a message for the next turn; None if there is none to carry."""
        if self.error or not self.made.pieces:
            return None
        return self._sender.bodies.answer("".join(self._reply.text))

    def _close(self, at_ns: int) -> None:
        self.has_ended = True
        sender, reply, start_ns = self._sender, self._reply, self._sender.start_ns
        self.ended_ns = at_ns - start_ns
        if self.retried:
            self.flags |= RETRIED

        def since_start(ns: int) -> float:
            return (ns - start_ns) * 1e-9 if ns else math.nan

        sender.journal.add(
            (
                self.row.row,
                self.due_ns * 1e-9,
                since_start(self._sent_ns),
                since_start(self._head_ns),
                since_start(self._first_ns),
                since_start(self._answer_ns),
                self.ended_ns * 1e-9,
                self.made.tokens,
                reply.prompt_tokens,
                reply.output_tokens,
                reply.reason_tokens,
                reply.cached_tokens,
                self._seen,
                self._gap_ns * 1e-9 if self._gap_ns >= 0 else math.nan,
                self._status,
                self.error,
                self.flags,
                sender.journal.add_words(self._words) if self._words else -1,
                len(self._times or ()),
                self.made.digest,
            ),
            self._times,
        )
        sender.ended(self)


def never_sent(row: Row, due_ns: int, flags: int) -> tuple[Any, ...]:
    """The record of a request that was due and did not go."""
    nan = math.nan
    times = (due_ns * 1e-9, nan, nan, nan, nan, nan)
    return (row.row, *times, *(-1,) * 5, 0, nan, 0, ERROR["unsent"], flags, -1, 0, bytes(16))
