"""A loopback HTTP server that gives prepared answers and records its requests."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = tuple[int, Any]
"""Status and body: bytes unchanged, anything else as JSON."""


class CannedServer:
    """Answers by method and path without query; `default` is the answer to all other requests.

    A prepared answer may be a function of the request's body.
    """

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Answer | Callable[[bytes], Answer]] = {}
        self.default: Answer = (404, {"error": "not prepared"})
        self.asked: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def paths(self, method: str = "GET") -> list[str]:
        """The paths requested with a method, without their queries."""
        return [path.partition("?")[0] for verb, path, _ in self.asked if verb == method]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                server.asked.append((self.command, self.path, body))
                server.headers.append(dict(self.headers))
                found = server.answers.get((self.command, self.path.partition("?")[0]), server.default)
                status, content = found(body) if callable(found) else found
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _answer

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test's output clean."""

        return Handler
