"""Fixtures of the tests of the deployment: free ports."""

import socket

import pytest


@pytest.fixture
def free_port() -> int:
    """A closed port of the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
