"""The Redis that the bot runs for itself: found, kept, and gone with its owner."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis_servers import alive, free_port, until

import control.embedded
from control.embedded import WHEREABOUTS, EmbeddedRedis, find_store, running_endpoint
from control.locks import hold_state
from control.store import Endpoint, ModeStore, Says
from errors import Fatal, Temporary
from execution.ledger import Mode

ROOT = Path(__file__).resolve().parents[2]
OWNER = """
import sys
from pathlib import Path
from control.embedded import find_store
from control.locks import hold_state
from control.store import Endpoint
state = Path(sys.argv[1])
with hold_state(state), find_store(Endpoint("127.0.0.1", int(sys.argv[2]), 2), state) as found:
    print(found.store.read().says, flush=True)
    sys.stdin.read()
"""


@contextmanager
def owner(state_dir):
    """A process that runs a Redis of its own, because none is where it looks; says what it read."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(state_dir), str(free_port())],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, process.stdout.readline().strip()
        if process.poll() is None:
            process.kill()


def pid_of(endpoint) -> int:
    with redis.Redis(port=endpoint.port, protocol=2) as client:
        return client.info("server")["process_id"]


def test_it_outlives_nobody_and_its_data_outlive_everybody(tmp_path):
    """After kill -9 of the bot its Redis ends too, and the next bot's says what was last written."""
    with owner(tmp_path) as (process, says):
        assert says == "unset"
        endpoint = running_endpoint(tmp_path)
        assert endpoint.own
        ModeStore(endpoint).write(Mode.SIMULATION)
        server = pid_of(endpoint)
        assert alive(server)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        until(lambda: not alive(server))
    assert (tmp_path / WHEREABOUTS).exists()
    assert running_endpoint(tmp_path) is None, "what a killed bot left behind is nobody's address"
    with owner(tmp_path) as (process, says):
        assert says == "simulation"
        server = pid_of(running_endpoint(tmp_path))
        process.communicate()
        assert process.returncode == 0
        until(lambda: not alive(server))
    assert not (tmp_path / WHEREABOUTS).exists()


def test_two_bots_on_two_folders_have_two(tmp_path):
    """Each state folder has a Redis of its own; a word to one is none to the other."""
    first, second = EmbeddedRedis(tmp_path / "a", 2), EmbeddedRedis(tmp_path / "b", 2)
    try:
        ModeStore(first.endpoint).write(Mode.SIMULATION)
        assert ModeStore(first.endpoint).read().says is Says.SIMULATION
        assert ModeStore(second.endpoint).read().says is Says.UNSET
    finally:
        first.stop()
        second.stop()


def test_two_on_one_folder_are_refused(tmp_path, monkeypatch):
    """A second Redis on the same data is refused: the run goes on without a store, and says why."""
    monkeypatch.setattr(control.embedded, "LOCK_LIMIT_S", 0.1)
    server = EmbeddedRedis(tmp_path)
    try:
        with pytest.raises(Temporary, match="another bot runs a Redis on"):
            EmbeddedRedis(tmp_path)
        with find_store(Endpoint("127.0.0.1", free_port()), tmp_path) as found:
            assert found.store is None
            assert "another bot runs a Redis on" in found.words
    finally:
        server.stop()


def test_the_configured_one_is_taken_if_it_answers(redis_server, tmp_path):
    """With a Redis where the settings say, no other is started, and the running bot says which it asks."""
    with hold_state(tmp_path), find_store(redis_server.endpoint, tmp_path) as found:
        assert found.endpoint == redis_server.endpoint == running_endpoint(tmp_path)
        assert not (tmp_path / "redis").exists()


@pytest.mark.parametrize("binary", ["missing", "broken"])
def test_without_a_redis_program_there_is_no_store(binary, tmp_path, monkeypatch):
    """Without a program, or with one that does not start, the run has no store, which means simulation."""
    (tmp_path / "bin").mkdir()
    if binary == "broken":
        program = tmp_path / "bin" / "redis-server"
        program.write_text("#!/bin/sh\nexit 3\n")
        program.chmod(0o755)
    monkeypatch.setattr(control.embedded.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin" if binary == "broken" else str(tmp_path / "bin"))
    with find_store(Endpoint("127.0.0.1", free_port()), tmp_path / "state") as found:
        assert found.store is None
        assert ("no Redis program" if binary == "missing" else "did not start") in found.words


def test_a_folder_that_takes_no_file_ends_the_start(redis_server, tmp_path):
    """Where the bot cannot leave word which store it asks, the start ends with the path and what to do."""
    (tmp_path / "state").write_text("")
    with (
        pytest.raises(Fatal, match=r"cannot be written.*STATE_DIR"),
        find_store(redis_server.endpoint, tmp_path / "state"),
    ):
        pass
