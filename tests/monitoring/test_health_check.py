"""The health check of a container: exit codes and output."""

import socket

import pytest
from canned_server import CannedServer

from monitoring import health_check


@pytest.fixture
def server():
    with CannedServer() as server:
        yield server


def test_a_healthy_bot(server, capsys):
    """The answer is printed, and the exit code is 0."""
    server.answers["GET", "/health"] = (200, {"status": "ok", "reasons": []})
    assert health_check.main([f"{server.url}/health"]) == 0
    assert capsys.readouterr().out == '{"status": "ok", "reasons": []}\n'


def test_a_bot_that_may_not_trade(server, capsys):
    """An answer 503 is exit code 1, with the reasons, which `docker inspect` then shows."""
    server.answers["GET", "/health"] = (503, {"status": "failing", "reasons": ["halted: upgrade"]})
    assert health_check.main([f"{server.url}/health"]) == 1
    assert capsys.readouterr().out == '{"status": "failing", "reasons": ["halted: upgrade"]}\n'


def test_no_answer(capsys):
    """A closed port is exit code 1 with the address; it is not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/health"
    assert health_check.main([url]) == 1
    assert capsys.readouterr().out.startswith(f"{url} does not answer: ")


def test_a_proxy_of_the_environment_is_not_used(server, monkeypatch):
    """Docker passes the proxies of its configuration to containers; the bot is not behind them."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.answers["GET", "/health"] = (200, {})
    assert health_check.main([f"{server.url}/health"]) == 0


def test_the_default_is_the_bots_default_port(monkeypatch):
    """Without an address the check uses the one that a bot with default settings answers at."""
    asked = []
    monkeypatch.setattr(health_check, "_answer", lambda url: (asked.append(url) is None, ""))
    assert health_check.main([]) == 0
    assert asked == ["http://127.0.0.1:8000/health"]
