"""What the tests of grafana/ share: free ports."""

import socket

import pytest


@pytest.fixture
def free_port() -> int:
    """A port of the loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
