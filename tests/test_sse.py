"""Server-sent events: the HTML standard's format, in whatever pieces it comes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groundswell.replay.sse import Events, TooLargeError
from reply_streams import STREAMS

MARK = b"\xef\xbb\xbf"


def events_of(pieces: Iterable[bytes]) -> tuple[list[bytes], bytes | None]:
    events = Events()
    found = [event for piece in pieces for event in events.feed(piece)]
    return found, events.close()


def reference(stream: bytes) -> tuple[list[bytes], bytes | None]:
    """The standard's algorithm over a whole stream, line by line, with the two ways to tell an error outside data."""
    lines = re.split(rb"\r\n|\r|\n", stream.removeprefix(MARK))
    # A stream may end in half a mark, which is no line yet.
    rest = b"" if stream and MARK.startswith(stream) else lines[-1]
    found: list[bytes] = []
    data: list[bytes] = []
    comments: list[bytes] = []
    fault = False

    def take(line: bytes) -> None:
        nonlocal fault
        name, colon, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif line.startswith(b"error: {"):
            data.append(b'{"error":' + value + b"}")
        elif line in (b"event: error", b"event:error"):
            fault = True
        elif not name and colon and fault:
            comments.append(line[1:].strip())

    for line in lines[:-1]:
        if line:
            take(line)
            continue
        if data:
            found.append(b"\n".join(data))
        elif fault:
            found.append(b'{"error": "' + b" ".join(comments) + b'"}')
        data, comments, fault = [], [], False
    if rest.startswith(b"data"):
        take(rest)
    return found, b"\n".join(data) if data else None


NAMED = [
    b"data: ",
    b"data: {}",
    b"data:x",
    b"data:  y",
    b"data: \xc3\xa9",
    b"data: " + b"a" * 40,
    b"data",
    b"datax",
    b" data: no",
]
OTHERS = [b"", b"", b"", b": ping", b":", b"id: 3", b"event: error", b"event: message", b"error: {}", b"retry: 10"]
LINES = st.sampled_from([*NAMED, *OTHERS])
ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Streams of lines that mean something, or of bytes that nearly do."""
    if draw(st.booleans()):
        return bytes(draw(st.lists(st.sampled_from(b"data: \r\n\xef\xbb\xbfx"), max_size=60)))
    begin = draw(st.sampled_from([b"", b"", MARK, MARK[:2]]))
    lines = draw(st.lists(st.tuples(LINES, ENDS), max_size=20))
    return begin + b"".join(line + end for line, end in lines) + draw(LINES)


@given(stream=streams(), cuts=st.lists(st.integers(0, 1000), max_size=6), ends=st.sets(st.integers(0, 20)))
@example(stream=b"data: a\n\n\ndata: b\n\n", cuts=[], ends=set())
@example(stream=b"data: \n\ndata: \n\n", cuts=[], ends=set())
@example(stream=b"data: a\r\r\n\r\n", cuts=[9], ends=set())
@example(stream=b"data: a\ndata: b\n\n", cuts=[8], ends=set())
@example(stream=b"event: error\ndata: x\n\n: ping\n\n", cuts=[13, 22], ends=set())
@settings(max_examples=1500, deadline=None)
def test_events_are_those_of_the_standard_however_the_stream_is_cut(
    stream: bytes, cuts: list[int], ends: set[int]
) -> None:
    after_lines = [found.end() for i, found in enumerate(re.finditer(rb"[\r\n]", stream)) if i in ends]
    edges = [0, *sorted([*after_lines, *(cut % (len(stream) + 1) for cut in cuts)]), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    assert events_of(pieces) == reference(stream)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("begin", [b"", MARK], ids=["bare", "mark"])
def test_a_stream_may_be_cut_at_every_byte(begin: bytes, end: bytes) -> None:
    lines = [
        b'data: {"a": 1}',
        b"",
        b": ping",
        b"",
        b"event: x",
        b"data:b",
        b"data",
        b"data:  c",
        b"id: 1",
        b"",
        b"data: [DONE]",
        b"",
    ]
    stream = begin + b"".join(line + end for line in lines)
    expected = [b'{"a": 1}', b"b\n\n c", b"[DONE]"]
    for cut in range(len(stream) + 1):
        assert events_of([stream[:cut], stream[cut:]]) == (expected, None), cut
    assert events_of([stream[i : i + 1] for i in range(len(stream))]) == (expected, None)


@pytest.mark.parametrize("name", STREAMS)
def test_servers_streams_may_be_cut_at_every_byte(name: str) -> None:
    stream = STREAMS[name].data
    whole = events_of([stream])
    assert len(whole[0]) == len(STREAMS[name].brings)
    for cut in range(len(stream) + 1):
        assert events_of([stream[:cut], stream[cut:]]) == whole, cut
    assert events_of([stream[i : i + 1] for i in range(len(stream))]) == whole


def test_events_are_given_as_soon_as_they_are_whole() -> None:
    events = Events()
    assert events.feed(b"data: 1\n") == []
    assert events.feed(b"\n") == [b"1"]
    assert events.feed(b"data: 2\r\n\r") == [b"2"]  # the line feed to come belongs to it
    assert events.feed(b"\ndata: 3\n\ndata: 4") == [b"3"]
    assert events.feed(b"2\n\n") == [b"42"]


def test_the_end_of_a_stream_may_stand_for_the_last_line_end() -> None:
    assert events_of([b"data: 1\n\ndata: [DONE]"]) == ([b"1"], b"[DONE]")
    assert events_of([b"data: 1\n\ndata: [DONE]\n"]) == ([b"1"], b"[DONE]")
    assert events_of([b"data: 1\n\n: ping"]) == ([b"1"], None)
    assert events_of([b"data: 1\n\n"]) == ([b"1"], None)
    assert events_of([]) == ([], None)


@pytest.mark.parametrize("line", [b"data: " + b"x" * 50, b": " + b"x" * 50, b"x" * 60], ids=["data", "comment", "junk"])
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_line_without_an_end_is_given_up(line: bytes, piece: int) -> None:
    events = Events(most_bytes=40)
    assert events.feed(b"data: fine\n\n") == [b"fine"]
    pieces = [line[i : i + piece] for i in range(0, len(line), piece)]
    with pytest.raises(TooLargeError, match="more than 40 bytes"):
        list(map(events.feed, pieces))


@pytest.mark.parametrize("line", [b"data: x\n", b"data\n", b"event: error\n: x\n"])
def test_an_event_without_an_end_is_given_up(line: bytes) -> None:
    events = Events(most_bytes=1000)
    with pytest.raises(TooLargeError):
        list(map(events.feed, [line] * 1001))


@pytest.mark.parametrize(
    "line", [b": ping\n", b": ping\n\n", b"data: x\n\n", b"data:x\n\n", b"id: 7\r\n\r\n", b"\n", b"junk\n"]
)
@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_what_is_behind_us_counts_no_more(line: bytes, piece: int) -> None:
    events = Events(most_bytes=20)
    for _ in range(1000):
        for i in range(0, len(line), piece):
            events.feed(line[i : i + piece])


def test_an_event_of_many_pieces_is_whole() -> None:
    long = b"y" * 100_000
    pieces = [b"data: ", *(long[i : i + 999] for i in range(0, len(long), 999)), b"\n\n"]
    assert events_of(pieces) == ([long], None)
