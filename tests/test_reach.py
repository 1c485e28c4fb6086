"""A late answer of Polymarket is asked for again at the start; what fails at once is not repeated."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from canned_server import Answer, CannedServer

import runner
from config import Settings
from errors import Fatal


@contextmanager
def venue(late: int, status: int = 200) -> Iterator[CannedServer]:
    """A server whose first answers do not come in time."""
    end = threading.Event()
    with CannedServer() as server:

        def answer(body: bytes) -> Answer:
            if len(server.asked) <= late:
                end.wait(30)
            return status, {}

        server.answers["GET", "/time"] = answer
        try:
            yield server
        finally:
            end.set()


def reach(url: str) -> None:
    runner._require_polymarket(Settings(clob_url=url))


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(runner, "REACH_TIMEOUT_S", 0.3)


def test_a_late_answer_is_asked_for_again() -> None:
    """The third request is answered: the bot starts."""
    with venue(late=2) as server:
        reach(server.url)
    assert server.paths() == ["/time"] * 3


def test_three_late_answers_end_the_start() -> None:
    """The error names the address and what happened."""
    with (
        venue(late=9) as server,
        pytest.raises(Fatal, match=rf"cannot be reached at {server.url} \(ReadTimeout\)"),
    ):
        reach(server.url)
    assert server.paths() == ["/time"] * 3


def test_a_refusal_is_not_repeated() -> None:
    """An error of the server is reported at once."""
    with (
        venue(late=0, status=503) as server,
        pytest.raises(Fatal, match=r"\(HTTPStatusError\)"),
    ):
        reach(server.url)
    assert server.paths() == ["/time"]
