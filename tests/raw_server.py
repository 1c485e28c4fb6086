"""A loopback server that writes the bytes of a function, for as long as the client reads them."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Serve = Callable[[socket.socket], None]


class RawServer:
    """Accepts connections and lets a function write to them until the client has gone."""

    def __init__(self, serve: Serve, tls: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        """The first bytes of each request."""
        self.request_of: dict[socket.socket, bytes] = {}
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, ExitStack() as stack:
            try:
                if self._tls is not None:
                    connection = stack.enter_context(self._tls.wrap_socket(connection, server_side=True))
                self.request_of[connection] = connection.recv(65536)
                self.requests.append(self.request_of[connection])
                self._serve(connection)
            except OSError:
                self.ended.set()


def answer(body: bytes, *headers: bytes) -> Serve:
    head = HEAD + b"".join(header + b"\r\n" for header in headers)
    return lambda connection: connection.sendall(
        head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    )


def drip(first: bytes, then: bytes) -> Serve:
    def send(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            time.sleep(0.02)
            connection.sendall(then)

    return send


ENDLESS = {
    "the status line": drip(b"", b"H"),
    "the headers": drip(HEAD + b"X-Header: ", b"x"),
    "the body": drip(HEAD + b"Content-Length: 1000000\r\n\r\n", b"1"),
    "the chunks": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n1\r\n"),
    "nothing at all": lambda connection: drip(b"", b"") if connection.recv(1) else None,
}
