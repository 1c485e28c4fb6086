"""A real Redis for each test process, empty for each test."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from redis_servers import RedisServer

from control import mode_file, mode_store


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis_server(shared_redis, monkeypatch):
    """A running, empty Redis, which is not taken for lost because the machine is busy.

    The time limits are tested with `own_redis` and with servers that do not answer.
    """
    monkeypatch.setattr(mode_store, "TIMEOUT_S", 20.0)
    for module in (mode_store, mode_file):
        monkeypatch.setattr(module, "BOUND_S", 30.0)
    with shared_redis.client() as client:
        client.flushall()
    return shared_redis


@pytest.fixture
def own_redis(tmp_path):
    """A Redis that the test may freeze and kill."""
    server = RedisServer(tmp_path)
    yield server
    server.thaw()
    server.stop()
