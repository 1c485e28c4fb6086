"""The mode store that a run uses, and how another process finds it."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from redis_servers import RedisServer, free_port

from control.last_mode_switch import LAST_SWITCH_FILE
from control.locks import hold_state
from control.mode_gate import ModeController
from control.mode_store import Endpoint, ModeValue
from control.mode_switch import switch_to_live, switch_to_simulation
from control.running import find_store, open_store, running_store
from errors import Fatal, Temporary
from execution.ledger import Mode
from runtime.worker.plan import WorkerPlan

ROOT = Path(__file__).resolve().parents[2]
BOT = """
import sys
from pathlib import Path
from control.mode_gate import ModeController
from control.locks import hold_state
from control.running import find_store
from control.mode_store import Endpoint
state = Path(sys.argv[1])
with hold_state(state), find_store(Endpoint("127.0.0.1", int(sys.argv[2]), 2), state) as found:
    controller = ModeController(found.store, True, True, state / "mode.json")
    print(controller.mode_decision().mode, flush=True)
    for line in sys.stdin:
        print(controller.mode_decision().mode, flush=True)
"""


@contextmanager
def bot(state_dir, port):
    """A process that holds a state folder and its mode store; returns it with its start mode."""
    with subprocess.Popen(
        [sys.executable, "-c", BOT, str(state_dir), str(port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, process.stdout.readline().strip()
        if process.poll() is None:
            process.kill()


def now(process) -> str:
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_without_redis_a_switch_reaches_the_running_bot_and_the_next(tmp_path):
    """Through the file alone: in force at the next reading, kept over kill -9, and read by the next bot."""
    port = free_port()
    nowhere = Endpoint("127.0.0.1", port, 2)
    with bot(tmp_path, port) as (process, mode):
        assert mode == "live"
        assert running_store(tmp_path).location == "file"
        switch_to_simulation(nowhere, tmp_path)
        assert now(process) == "simulation"
        switch_to_live(nowhere, tmp_path)
        assert now(process) == "live"
        switch_to_simulation(nowhere, tmp_path)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert (tmp_path / "mode_store.json").exists()
    assert running_store(tmp_path) is None, "a killed bot reads no store"
    (tmp_path / LAST_SWITCH_FILE).unlink()
    with bot(tmp_path, port) as (process, mode):
        assert mode == "simulation", "the file itself keeps it"
        process.communicate()
        assert process.returncode == 0
    assert not (tmp_path / "mode_store.json").exists()


def test_two_folders_have_two_files(tmp_path):
    """A switch in one state folder has no effect in another."""
    nowhere = Endpoint("127.0.0.1", free_port())
    with find_store(nowhere, tmp_path / "a") as first, find_store(nowhere, tmp_path / "b") as second:
        switch_to_simulation(nowhere, tmp_path / "a")
        assert first.store.read().value is ModeValue.SIMULATION
        assert second.store.read().value is ModeValue.UNSET


def test_the_configured_redis_is_taken_if_it_answers(redis_server, tmp_path):
    """With a Redis at the address of the settings, the bot uses it, reports so, and creates no file."""
    with hold_state(tmp_path), find_store(redis_server.endpoint, tmp_path) as found:
        assert found.store.location == redis_server.endpoint == running_store(tmp_path).location
        assert not (tmp_path / "mode_store").exists()


def test_a_redis_that_appears_later_is_for_the_next_bot(tmp_path):
    """The running bot keeps its file; a switch is written to both, so that the next bot finds it in Redis."""
    port = free_port()
    with bot(tmp_path, port) as (process, mode):
        assert mode == "live"
        server = RedisServer(tmp_path, port=port)
        configured = Endpoint("127.0.0.1", port, 2)
        try:
            assert now(process) == "live"
            assert len(switch_to_simulation(configured, tmp_path).stores) == 2
            assert now(process) == "simulation"
            with server.client() as client:
                client.select(2)
                assert client.get("btc_trading:simulation_mode") == b"1"
            process.communicate()
            with bot(tmp_path, port) as (_, mode):
                assert running_store(tmp_path).location == configured
                assert mode == "simulation"
        finally:
            server.stop()


def test_a_switch_without_a_bot_is_in_every_store(redis_server, tmp_path):
    """The next bot finds it with Redis and without."""
    switch_to_live(redis_server.endpoint, tmp_path)
    switch_to_simulation(redis_server.endpoint, tmp_path)
    (tmp_path / LAST_SWITCH_FILE).unlink()
    for endpoint in (redis_server.endpoint, Endpoint("127.0.0.1", free_port())):
        with find_store(endpoint, tmp_path) as found:
            assert found.store.read().value is ModeValue.SIMULATION


def test_an_unrecorded_switch_without_a_bot_has_to_reach_every_store(redis_server, tmp_path):
    """Where `mode.json` is not writable, `sim` succeeds only if each store that the next bot may use has
    it."""
    (tmp_path / f".mode.json.{os.getpid()}.tmp").mkdir()  # no temporary file can be written
    assert len(switch_to_simulation(redis_server.endpoint, tmp_path).stores) == 2
    with pytest.raises(Temporary, match=r"mode\.json cannot be written"):
        switch_to_simulation(Endpoint("127.0.0.1", free_port()), tmp_path)


@pytest.mark.parametrize("value", [None, "0"])
def test_a_switch_of_an_earlier_version_holds(value, tmp_path):
    """The switch in `mode.json` for the Redis that the bot once ran for itself holds in the file's time."""
    (tmp_path / "redis").mkdir()
    (tmp_path / "mode_store.json").write_text('{"host":"127.0.0.1","port":41234,"db":2,"own":true}')
    (tmp_path / "mode.json").write_text('{"mode":"simulation","store":"the bot\'s own Redis"}')
    nowhere = Endpoint("127.0.0.1", free_port(), 2)
    with hold_state(tmp_path), find_store(nowhere, tmp_path) as found:
        assert running_store(tmp_path).location == "file"
        if value is not None:
            found.store.path.write_text(value)
            found.store.path.chmod(0o600)
        controller = ModeController(found.store, True, True, tmp_path / "mode.json")
        assert controller.mode_decision().mode is Mode.SIMULATION
        switch_to_live(nowhere, tmp_path)
        assert controller.mode_decision().mode is Mode.LIVE


def test_a_bot_of_an_earlier_version_is_still_switched(redis_server, tmp_path):
    """While it runs its location names its own Redis in the older form; a switch is written to that one."""
    old = {"host": "127.0.0.1", "port": redis_server.endpoint.port, "db": 0, "own": True}
    with hold_state(tmp_path):
        (tmp_path / "mode_store.json").write_bytes(msgspec.json.encode(old))
        switch_to_simulation(Endpoint("127.0.0.1", free_port()), tmp_path)
    with redis_server.client() as client:
        assert client.get("btc_trading:simulation_mode") == b"1"


def test_a_worker_opens_the_store_of_its_plan(redis_server, tmp_path):
    """Both kinds of location are preserved in the plan; a plan without one has none."""
    field = next(field for field in msgspec.structs.fields(WorkerPlan) if field.name == "store")
    for text, location in (
        (b'"file"', "file"),
        (b'{"host":"h","port":1,"db":2}', Endpoint("h", 1, 2)),
    ):
        decoded = msgspec.json.decode(text, type=field.type)
        assert decoded == location
        assert open_store(decoded, tmp_path).location == location
    assert msgspec.json.decode(b"null", type=field.type) is None
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'"other"', type=field.type)


@pytest.mark.parametrize("with_redis", [False, True])
def test_a_folder_that_takes_no_file_ends_the_start(with_redis, redis_server, tmp_path):
    """Where the bot cannot write the location of its store, the start ends with the path and what to do."""
    (tmp_path / "state").write_text("")
    endpoint = redis_server.endpoint if with_redis else Endpoint("127.0.0.1", free_port())
    with pytest.raises(Fatal, match=r"cannot be.*STATE_DIR"), find_store(endpoint, tmp_path / "state"):
        pass
