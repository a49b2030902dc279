from __future__ import annotations

from pathlib import Path

import pytest

from groundswell.errors import UsageError
from groundswell.replay.transport import Endpoint, request, request_head, tls_context
from groundswell.replay.wire import Tls


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "header", "path"),
    [
        ("http://localhost:8000", "localhost", 8000, False, "localhost:8000", ""),
        ("http://localhost:8000/", "localhost", 8000, False, "localhost:8000", ""),
        ("http://Example.COM/v1", "example.com", 80, False, "example.com", ""),
        ("https://h/", "h", 443, True, "h", ""),
        ("https://h:8443/a/b/v1/", "h", 8443, True, "h:8443", "/a/b"),
        ("http://h:80", "h", 80, False, "h", ""),
        ("https://h:80", "h", 80, True, "h:80", ""),
        ("http://[::1]:9/x", "::1", 9, False, "[::1]:9", "/x"),
        ("http://bücher.example", "xn--bcher-kva.example", 80, False, "xn--bcher-kva.example", ""),
        ("http://h/a%20b/ü", "h", 80, False, "h", "/a%20b/%C3%BC"),
    ],
)
def test_a_url_says_where_and_under_which_path(
    url: str, host: str, port: int, tls: bool, header: str, path: str
) -> None:
    assert Endpoint.parse(url) == Endpoint(host, port, tls, header, path)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:8000", "http://HOST:PORT"),
        ("ftp://h", "http://HOST:PORT"),
        ("http://", "http://HOST:PORT"),
        ("", "http://HOST:PORT"),
        ("http://h:99999", "no URL"),
        ("http://h:x", "no URL"),
        ("http://[::1", "no URL"),
        ("http://a b", "space"),
        ("http://h\r\nX: y", "control character"),
        ("http://h/?key=1", "query"),
        ("http://h/#a", "fragment"),
        ("http://" + "a" * 70 + ".example", "no host's name"),
    ],
)
def test_what_is_no_url_of_a_server_is_said_in_one_line(url: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        Endpoint.parse(url)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("url", ["http://me:secret@h", "https://secret@h/x", "http://me:secret@h:99999"])
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as error:
        Endpoint.parse(url)
    assert "secret" not in str(error.value)


def test_a_request_has_its_head_its_length_and_its_body() -> None:
    head = request_head(Endpoint.parse("http://h:1/base"), "/v1/x", [("Authorization", "Bearer k"), ("X-A", " b ")])
    lines = request(head, b"{}").split(b"\r\n")
    assert lines[0] == b"POST /base/v1/x HTTP/1.1"
    assert lines[1] == b"Host: h:1"
    assert lines[2].startswith(b"User-Agent: groundswell/")
    assert lines[3:] == [b"Authorization: Bearer k", b"X-A: b", b"Content-Length: 2", b"", b"{}"]


def test_of_headers_that_may_stand_once_the_first_counts() -> None:
    head = request_head(
        Endpoint.parse("http://h"), "/", [("accept", "a"), ("Accept", "b"), ("HOST", "other"), ("A", "1"), ("A", "2")]
    )
    assert head.lower().count(b"accept:") == 1
    assert b"Accept: a\r\n" in head
    assert b"Host: other\r\n" in head
    assert b"A: 1\r\nA: 2\r\n" in head


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X A", "b"),
        ("", "b"),
        ("X\r\nY", "b"),
        ("X", "a\r\nB: c"),
        ("X", "a\nb"),
        ("X", "\x00"),
        ("X", "日本"),
        ("Content-Length", "1"),
        ("transfer-encoding", "chunked"),
        ("Accept-Encoding", "gzip"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError) as error:
        request_head(Endpoint.parse("http://h"), "/", [(name, value)])
    assert "\n" not in str(error.value)
    if len(value) > 1:
        assert value not in str(error.value)  # it may be a key


def test_a_file_of_certificates_that_is_none_is_said(tmp_path: Path) -> None:
    nothing = tmp_path / "ca.pem"
    with pytest.raises(UsageError, match=r"ca\.pem: No such file"):
        tls_context(Tls(ca_file=str(nothing)))
    nothing.write_text("no certificate\n", encoding="utf-8")
    with pytest.raises(UsageError, match="PEM"):
        tls_context(Tls(ca_file=str(nothing)))
