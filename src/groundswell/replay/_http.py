"""HTTP/1.1 as it comes back: replies out of the bytes of one connection, no I/O."""

from __future__ import annotations

import httptools

MOST_HEAD_BYTES = 2**16
MOST_REPLY_BYTES = 2**28


class BrokenReplyError(Exception):
    """What came is no HTTP."""


class Replies:
    """The replies on one connection, one after the other, as their bytes are fed (RFC 9112).

    All that is called for each chunk of a body is a list's ``append``; what came is looked at once for each
    :meth:`feed`. Interim replies (1xx) are passed over.
    """

    __slots__ = (
        "_body", "_ended_at", "_headers", "_interim", "_parser", "complete", "content_type", "has_head", "keeps",
        "on_body", "on_header", "status", "until_close",
    )  # fmt: skip

    def __init__(self) -> None:
        self._body: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self.on_body = self._body.append
        self.on_header = self._headers.__setitem__
        self._parser = httptools.HttpResponseParser(self)
        self.next()

    def next(self) -> None:
        """Begin with the next reply."""
        self.status = 0
        self.content_type = ""
        self.has_head = self.complete = self.keeps = self.until_close = self._interim = False
        self._ended_at = 0
        self._body.clear()
        self._headers.clear()

    def close(self) -> None:
        """Let go of the parser, which holds on to us: then both are freed at once. Nothing may be fed any more."""
        del self._parser

    def feed(self, data: bytes | memoryview) -> None:
        """Take what came. Raises :class:`BrokenReplyError` where that is no HTTP; what came before the fault counts."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise BrokenReplyError("the server switched to another protocol") from None
        except httptools.HttpParserError as error:
            if not self.complete:
                raise BrokenReplyError(f"no HTTP: {error}") from None
            self.keeps = False

    def take(self) -> bytes:
        """What has come of the body since the last call."""
        body = self._body
        if self.complete and len(body) > self._ended_at:  # bytes after the reply's end
            del body[self._ended_at :]
        data = body[0] if len(body) == 1 else b"".join(body)
        body.clear()
        return data

    def _header(self, small: bytes, usual: bytes) -> bytes:
        """A header's value, empty where there is none; the two spellings that servers use are quick."""
        headers = self._headers
        value = headers.get(small) or headers.get(usual)
        if value is None:
            value = next((value for name, value in headers.items() if name.lower() == small), b"")
        return value

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        if self.complete:
            self.keeps = False  # a second reply, which nobody asked for
            return
        self.status = self._parser.get_status_code()
        self._interim = 100 <= self.status < 200
        if self._interim:
            self._headers.clear()
            return
        self.has_head = True
        self.content_type = self._header(b"content-type", b"Content-Type").decode("latin-1").lower()
        encoding = self._header(b"transfer-encoding", b"Transfer-Encoding")
        if encoding:
            self.until_close = not encoding.lower().rstrip().endswith(b"chunked")
        else:
            self.until_close = not self._header(b"content-length", b"Content-Length")

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self._interim or self.complete:
            self._interim = False
            return
        self.complete = True
        self._ended_at = len(self._body)
        self.keeps = self._parser.should_keep_alive()
