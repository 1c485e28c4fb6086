"""A WSGI server with few threads: connections are limited in number and duration."""

import io
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from socket import SHUT_RDWR, socket, socketpair
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from loguru import logger

MOST_CONNECTIONS = 16
"""Maximum number of simultaneous connections, one thread each; further ones are closed at once."""
LIFETIME_S = 5.0
"""Maximum duration of a connection.

A scrape takes some milliseconds, and every response ends its connection.
"""
LOOK_EVERY_S = 0.1
"""Interval of the checks for expired connections, while there is one."""
ACCEPT_PAUSE_S = 0.1
"""Pause after a connection that could not be accepted: without descriptors the next one would fail too."""
LOG_EVERY_S = 60.0
"""Minimum time between two log records about failed requests."""

type StartResponse = Callable[[str, list[tuple[str, str]]], Any]
type Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class BoundedServer(ThreadingMixIn, WSGIServer):
    """Serves a WSGI application in its own thread.

    Parameters
    ----------
    host : str
    port : int
        0 takes any free port; `server_port` is the port in use.
    application : callable
        A WSGI application.

    Raises
    ------
    OSError
        If it cannot listen on the port.
    """

    daemon_threads = True
    # Two bots must not share a port: half of the scrapes would read the other bot.
    allow_reuse_port = False
    # Queue of connections: a burst must not delay a scrape by a lost SYN.
    request_queue_size = 64
    # `handle_request` does not wait for a connection that ended before it was accepted.
    timeout = 0

    def __init__(self, host: str, port: int, application: Application) -> None:
        self.refused = 0
        """Connections closed because too many were open."""
        self.failed = 0
        """Requests that failed in the server."""
        self._open: dict[socket, float] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._logged_s = float("-inf")
        super().__init__((host, port), _Handler)
        self._application = application
        self.set_app(self._respond)
        self._ended, self._ends = socketpair()
        """Readable when the server ends, and where that is written."""
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening; a response in progress may still be sent."""
        self._closing.set()
        if self._thread.is_alive():
            self._ends.send(b".")
            self._thread.join(1.0)
        self.server_close()
        self._ends.close()
        self._ended.close()

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._open)

    def _respond(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        try:
            return self._application(environ, start)
        except Exception as error:  # noqa: BLE001 - the error is sent to the client, not to the terminal
            self._note(error)
            return respond(start, "500 Internal Server Error", "text/plain", b"this request failed\n")

    def _run(self) -> None:
        with DefaultSelector() as selector:
            listening = selector.register(self, EVENT_READ)
            selector.register(self._ended, EVENT_READ)
            while not self._closing.is_set():
                try:
                    # Not `serve_forever`, which wakes up all the time to look for its end.
                    ready = selector.select(LOOK_EVERY_S if self._open else None)
                    if not self._closing.is_set() and any(key is listening for key, _ in ready):
                        self.handle_request()
                    self.service_actions()
                except Exception as error:  # noqa: BLE001 - one failed cycle must not end the server
                    self._note(error)
                    self._closing.wait(ACCEPT_PAUSE_S)

    # --- socketserver's hooks, called on the server's thread ---------------------------------------

    def server_bind(self) -> None:
        # HTTPServer's version looks up the name of this machine in the DNS, which would delay the start.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def get_request(self) -> tuple[socket, Any]:
        try:
            return super().get_request()
        except OSError as error:
            # The connection stays in the queue, so the next attempt would follow at once.
            self._note(error)
            self._closing.wait(ACCEPT_PAUSE_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            full = len(self._open) >= MOST_CONNECTIONS
            if not full:
                self._open[request] = time.monotonic()
        if full:
            self.refused += 1
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Close expired connections; their threads then end."""
        oldest = time.monotonic() - LIFETIME_S
        with self._lock:
            old = [request for request, began in self._open.items() if began < oldest]
        for request in old:
            _cut(request)

    def shutdown_request(self, request: Any) -> None:
        """End a connection, in any thread; the last call for each."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Called while an exception of a connection is handled; a client that disconnects is not a
        failure."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, (ConnectionError, TimeoutError)):
            self._note(error)

    def _note(self, error: Exception) -> None:
        self.failed += 1
        now_s = time.monotonic()
        if now_s - self._logged_s >= LOG_EVERY_S:
            self._logged_s = now_s
            logger.warning(f"metrics: a request failed ({self.failed} so far), the last: {error!r}")


def _cut(connection: socket) -> None:
    with suppress(OSError):  # its thread may have closed it in the meantime
        connection.shutdown(SHUT_RDWR)


def respond(
    start: StartResponse, status: str, kind: str, body: bytes, headers: Sequence[tuple[str, str]] = ()
) -> list[bytes]:
    """A complete response with its length, for a WSGI application to return."""
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *headers])
    return [body]


class _Handler(WSGIRequestHandler):
    timeout = LIFETIME_S

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are not logged."""

    def get_stderr(self) -> TextIO:
        """Stream for the tracebacks of wsgiref, which must not appear on the terminal."""
        return io.StringIO()
