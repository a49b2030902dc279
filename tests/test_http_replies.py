from __future__ import annotations

import pytest

from groundswell.replay._http import BrokenReplyError, Replies

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nDate: x\r\nCONTENT-type: Text/Event-Stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
    b"6\r\ndata: \r\n4;why=not\r\none\n\r\n1\r\n\n\r\n0\r\nTrailer: 1\r\n\r\n"
)
SIZED = b'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 5\r\nContent-Type: application/json\r\n\r\n{"a"}'
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Type: text/lies\r\nLink: x\r\n\r\n"


def heard(pieces: list[bytes]) -> tuple[int, str, bytes, bool, bool]:
    """Status, content type, body, whether it is complete and whether the connection is kept."""
    replies = Replies()
    body = b""
    for piece in pieces:
        replies.feed(piece)
        body += replies.take()
    found = (replies.status, replies.content_type, body, replies.complete, replies.keeps)
    replies.close()
    return found


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (CHUNKED, (200, "text/event-stream; charset=utf-8", b"data: one\n\n", True, True)),
        (SIZED, (429, "application/json", b'{"a"}', True, True)),
        (EMPTY, (204, "", b"", True, True)),
        (INTERIM + SIZED, (429, "application/json", b'{"a"}', True, True)),
        (INTERIM + CHUNKED, (200, "text/event-stream; charset=utf-8", b"data: one\n\n", True, True)),
        (SIZED.replace(b"/1.1", b"/1.0"), (429, "application/json", b'{"a"}', True, False)),
        (
            SIZED.replace(b"/1.1", b"/1.0").replace(b"Content-L", b"Connection: keep-alive\r\nContent-L"),
            (429, "application/json", b'{"a"}', True, True),
        ),
        (
            SIZED.replace(b"Content-L", b"Connection: close\r\nContent-L"),
            (429, "application/json", b'{"a"}', True, False),
        ),
    ],
    ids=["chunked", "sized", "empty", "interim", "interim chunked", "1.0", "1.0 kept", "close"],
)
def test_a_reply_is_the_same_wherever_its_bytes_are_cut(
    reply: bytes, expected: tuple[int, str, bytes, bool, bool]
) -> None:
    assert heard([reply]) == expected
    assert heard([reply[i : i + 1] for i in range(len(reply))]) == expected
    for cut in range(1, len(reply)):
        assert heard([reply[:cut], reply[cut:]]) == expected, cut


def test_replies_follow_each_other_on_one_connection() -> None:
    replies = Replies()
    for reply, status in ((CHUNKED, 200), (SIZED, 429), (EMPTY, 204), (CHUNKED, 200)):
        replies.feed(memoryview(reply))
        replies.take()
        assert (replies.status, replies.complete, replies.keeps) == (status, True, True)
        replies.next()
        assert (replies.status, replies.complete, replies.has_head, replies.content_type) == (0, False, False, "")


@pytest.mark.parametrize("first", [SIZED, EMPTY, CHUNKED])
@pytest.mark.parametrize("rest", [SIZED, CHUNKED, b"garbage", b"HTTP/1.1 2"])
def test_what_comes_after_a_reply_is_not_part_of_it(first: bytes, rest: bytes) -> None:
    replies = Replies()
    replies.feed(first + rest)
    assert replies.take() == heard([first])[2]
    assert replies.status == heard([first])[0]
    assert replies.complete
    if rest != b"HTTP/1.1 2":  # which the next feed will show
        assert not replies.keeps


@pytest.mark.parametrize(
    ("head", "until_close"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", False),
    ],
)
def test_a_body_without_a_length_lasts_until_the_connection_closes(head: bytes, until_close: bool) -> None:
    replies = Replies()
    replies.feed(head)
    assert replies.until_close == until_close
    assert not replies.complete


@pytest.mark.parametrize(
    "bad",
    [
        b"\x16\x03\x01",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nabc",
    ],
)
def test_what_is_no_http_is_said_in_one_line(bad: bytes) -> None:
    with pytest.raises(BrokenReplyError, match=r"^[^\n]+$"):
        heard([bad])


def test_what_came_before_a_fault_counts() -> None:
    replies = Replies()
    with pytest.raises(BrokenReplyError):
        replies.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz")
    assert (replies.has_head, replies.status, replies.take(), replies.complete) == (True, 200, b"ok", False)
