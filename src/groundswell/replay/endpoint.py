"""Where requests go: the address in a URL, the head of a request to it, and how its certificate is verified."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from groundswell._version import __version__
from groundswell.errors import UsageError
from groundswell.replay.wire import Tls

_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_OURS = frozenset({"connection", "content-length", "transfer-encoding", "accept-encoding", "upgrade", "expect"})
_ONCE = frozenset({"host", "content-type", "accept", "authorization", "user-agent"})


@dataclass(frozen=True)
class Endpoint:
    """A server: where it listens, and under which path."""

    host: str
    port: int
    tls: bool
    host_header: str
    base_path: str
    """In front of every path: empty, or begins with ``/`` and does not end with one."""

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """The server of an ``http`` or ``https`` URL. Its path is what is in front of ``/v1``, which may be there too.

        Raises UsageError for what is no such URL, and for one with a user or a password in it, which would be seen.

        >>> Endpoint.parse("http://localhost:8000/v1/")
        Endpoint(host='localhost', port=8000, tls=False, host_header='localhost:8000', base_path='')
        >>> Endpoint.parse("https://[::1]/models/a").base_path
        '/models/a'
        """
        if re.search(r"[\x00-\x20\x7f]", url):
            raise UsageError(f"the URL {url!r} has a space or a control character in it")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"{_shown(url)!r} is no URL: {error}") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise UsageError(f"{_shown(url)!r} is no URL of a server: say http://HOST:PORT or https://HOST")
        if "@" in parts.netloc:
            raise UsageError(
                f"a URL with a user or password in it is not taken: name a key with --api-key-env ({_shown(url)})"
            )
        if parts.query or parts.fragment:
            raise UsageError(f"{url!r} has a query or a fragment: the URL is that of the server, http://HOST:PORT/PATH")
        tls = parts.scheme == "https"
        host = _ascii(parts.hostname)
        name = f"[{host}]" if ":" in host else host
        usual = port is None or port == _PORTS[parts.scheme]
        path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._").removesuffix("/v1")
        return cls(host, _PORTS[parts.scheme] if port is None else port, tls, name if usual else f"{name}:{port}", path)


def _shown(url: str) -> str:
    """``url`` without what may be a password."""
    return re.sub(r"//[^/]*@", "//…@", url)


def _ascii(host: str) -> str:
    try:
        return host if ":" in host else host.encode("idna").decode()  # an address of IPv6, or a name
    except UnicodeError as error:
        raise UsageError(f"{host!r} is no host's name: {error}") from None


def request_head(endpoint: Endpoint, path: str, headers: Iterable[tuple[str, str]] = (), method: str = "POST") -> bytes:
    """A request up to its ``Content-Length``, which :func:`request` or the caller appends.

    ``path`` begins with ``/``. Raises UsageError for a header that cannot be sent, and for those that are ours to set.

    >>> request_head(Endpoint.parse("http://h:1"), "/x", [("User-Agent", "me"), ("A", "b")], "GET")
    b'GET /x HTTP/1.1\\r\\nHost: h:1\\r\\nUser-Agent: me\\r\\nA: b\\r\\n'
    """
    said: dict[str, str] = {}
    lines: list[str] = []
    for name, value in headers:
        _check_header(name, value)
        if name.lower() in _ONCE:
            said.setdefault(name.lower(), value)
        else:
            lines.append(f"{name}: {value.strip()}\r\n")
    said = {"host": endpoint.host_header, "user-agent": f"groundswell/{__version__}"} | said
    first = "".join(f"{name.title()}: {value.strip()}\r\n" for name, value in said.items())
    return f"{method} {endpoint.base_path}{path} HTTP/1.1\r\n{first}{''.join(lines)}".encode("latin-1")


def request(head: bytes, body: bytes = b"") -> bytes:
    """A whole request, from what :func:`request_head` gave."""
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def _check_header(name: str, value: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise UsageError(f"{name!r} is no header's name: it has letters, digits and -")
    if name.lower() in _OURS:
        raise UsageError(f"the header {name} is ours to set, as it says how requests and replies are framed")
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value) or not _is_latin(value):
        raise UsageError(f"the header {name} has a character in it that cannot be sent")  # its value may be secret


def _is_latin(text: str) -> bool:
    return all(ord(letter) < 256 for letter in text)


def tls_context(tls: Tls) -> ssl.SSLContext:
    """How certificates are verified: against ``tls.ca_file``, or what the system trusts; or not at all where asked.

    Raises UsageError where the file cannot be read, or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except ssl.SSLError:
        raise UsageError(f"{tls.ca_file} holds no certificate in PEM: it starts -----BEGIN CERTIFICATE-----") from None
    except OSError as error:
        raise UsageError(f"{tls.ca_file}: {error.strerror}") from None
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION  # so that writing never has to wait for something to read
    return context
