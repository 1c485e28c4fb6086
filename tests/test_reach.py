"""A late answer of Polymarket is asked for again at the start; what fails at once is not repeated."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import runner
from config import Settings
from errors import Fatal


@contextmanager
def venue(late: int, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A server whose first answers never come; its address, and the paths that were requested."""
    requested: list[str] = []
    end = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested.append(self.path)
            if len(requested) <= late:
                end.wait(30)
                return
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requested
    finally:
        end.set()
        server.shutdown()
        thread.join()
        server.server_close()


def reach(url: str) -> None:
    runner._require_polymarket(Settings(clob_url=url))


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(runner, "REACH_TIMEOUT_S", 0.3)


def test_a_late_answer_is_asked_for_again() -> None:
    """The third request is answered: the bot starts."""
    with venue(late=2) as (url, requested):
        reach(url)
    assert requested == ["/time"] * 3


def test_three_late_answers_end_the_start() -> None:
    """The error names the address and what happened."""
    with (
        venue(late=9) as (url, requested),
        pytest.raises(Fatal, match=rf"cannot be reached at {url} \(ReadTimeout\)"),
    ):
        reach(url)
    assert requested == ["/time"] * 3


def test_a_refusal_is_not_repeated() -> None:
    """An error of the server is reported at once."""
    with (
        venue(late=0, status=503) as (url, requested),
        pytest.raises(Fatal, match=r"\(HTTPStatusError\)"),
    ):
        reach(url)
    assert requested == ["/time"]
