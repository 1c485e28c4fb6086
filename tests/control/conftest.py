"""A real Redis for each test process, empty for each test."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from redis_servers import RedisServer


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis_server(shared_redis):
    """A running, empty Redis."""
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
