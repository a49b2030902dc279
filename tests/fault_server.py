"""A server of streamed chat that misbehaves as it is asked to, on loopback, for tests of whatever talks to servers.

What it can do is in ``faults.py``, by name::

    with FaultServer() as server:
        server.url                               # behaves as server.behaviour says: "well"
        server.url_of("reset_in_stream")         # the same server; the path chooses. So does the header X-Fault
        server.script.extend(["reset", "well"])  # what the next requests get, before all else
        server.seen["well"], server.accepted, server.requests, server.last
        server.stop(), server.start()            # refuses in between; the same port again
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections import Counter, deque
from io import BufferedReader
from types import TracebackType

from fault_request import Request
from faults import BEHAVIOURS

LONGEST_S = 60.0
"""No connection waits longer for its client."""
MOST_CONNECTIONS = 1024
_MOST_BODY = 2**26


class FaultServer:
    """The server, with a thread for each connection, while the ``with`` block lasts."""

    def __init__(self, default: str = "well", *, certificate: tuple[str, str] | None = None) -> None:
        self.behaviour = default
        self.script: deque[str] = deque()
        self.seen: Counter[str] = Counter()
        """How many requests were answered in each way."""
        self.accepted = self.requests = 0
        self.last: deque[Request] = deque(maxlen=64)
        self.port = 0
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._listening: threading.Thread | None = None
        self._connections: dict[threading.Thread, socket.socket] = {}

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}"

    def url_of(self, name: str) -> str:
        """With a path that chooses what the server does."""
        assert name in BEHAVIOURS, f"{name}: there are {', '.join(BEHAVIOURS)}"
        return f"{self.url}/{name}"

    @property
    def open(self) -> int:
        """Connections that are up."""
        return len(self._connections)

    def __enter__(self) -> FaultServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, on the port it had before."""
        if self._listener is None:
            listener = socket.create_server(("127.0.0.1", self.port), backlog=MOST_CONNECTIONS)
            listener.settimeout(0.05)  # where closing it wakes nobody
            self.port = listener.getsockname()[1]
            self._listener = listener
            self._listening = threading.Thread(target=self._listen, args=(listener,), daemon=True)
            self._listening.start()

    def stop(self) -> None:
        """Refuse connections, and close those that are open."""
        listener, self._listener = self._listener, None
        if listener is not None and self._listening is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            self._listening.join()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Close those that are open; new ones are taken."""
        with self._lock:
            open_ = dict(self._connections)
        for connection in open_.values():
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # of TLS too, without a farewell
        for thread in open_:
            thread.join()

    def _listen(self, listener: socket.socket) -> None:
        with listener:
            while listener is self._listener:
                try:
                    connection = listener.accept()[0]
                except OSError:  # nobody yet, or it is closed
                    continue
                self.accepted += 1
                if len(self._connections) >= MOST_CONNECTIONS:
                    connection.close()
                    continue
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                with self._lock:
                    self._connections[thread] = connection
                    thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(LONGEST_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with contextlib.suppress(OSError):  # a client that goes is no fault of a test
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
                    with self._lock:
                        self._connections[threading.current_thread()] = connection
                with connection.makefile("rb") as reader:
                    if reader.peek(1)[:1].isalpha():
                        self._answer_all(connection, reader)
                    else:  # TLS, say
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        finally:
            with self._lock:
                connection.close()
                del self._connections[threading.current_thread()]

    def _answer_all(self, connection: socket.socket, reader: BufferedReader) -> None:
        number = 0
        while True:
            lines = []
            while (line := reader.readline(2**16)) != b"\r\n":
                if not line:
                    return
                lines.append(line.decode("latin-1"))
            path = lines[0].split(" ")[1]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            name = self._chosen(path, headers)
            length = min(int(headers.get("content-length", "0")), _MOST_BODY)
            body = b"" if name.endswith("_in_its_midst") else reader.read(length)
            request = Request(connection, number, path, headers, body)
            self.requests += 1
            self.seen[name] += 1
            self.last.append(request)
            if not BEHAVIOURS[name](request):
                return
            number += 1

    def _chosen(self, path: str, headers: dict[str, str]) -> str:
        if self.script:
            return self.script.popleft()
        first = path.split("/")[1]
        return headers.get("x-fault", first if first in BEHAVIOURS else self.behaviour)
