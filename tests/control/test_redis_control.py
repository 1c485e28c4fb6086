"""The operator's commands: their output, their effects, and their exit codes."""

import io
import os
import time
from contextlib import ExitStack
from types import SimpleNamespace

import msgspec
import pytest
from redis_servers import Pretender, RedisServer, Relay, free_port

import redis_control
from control.halt_file import HALT_FILE
from control.last_mode_switch import LAST_SWITCH_FILE, LastModeSwitch, LastModeSwitchFile
from control.locks import hold_state
from control.mode_gate import ModeController
from control.mode_store import Endpoint, ModeValue, RedisModeStore
from control.mode_switch import switch_to_simulation
from control.running import find_store
from events import WorkerStatus
from execution.ledger import Mode
from monitoring.status_file import STATUS_FILE


class Operator:
    """A user at a terminal, with settings of their own."""

    def __init__(self, folder, monkeypatch, capsys):
        self.state, self._patch, self._capsys = folder / "state", monkeypatch, capsys
        monkeypatch.setenv("STATE_DIR", str(self.state))
        monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
        monkeypatch.setenv("REDIS_DB", "0")
        monkeypatch.setenv("COLUMNS", "200")

    def redis(self, port):
        self._patch.setenv("REDIS_PORT", str(port))

    def run(self, *arguments, typed=""):
        """Run a command; returns its exit code and the whole screen."""
        self._patch.setattr("sys.stdin", io.StringIO(typed))
        try:
            code = redis_control.main(arguments)
        except SystemExit as left:
            code = left.code
        shown = self._capsys.readouterr()
        assert "Traceback" not in shown.out + shown.err
        return code, shown.out + shown.err


@pytest.fixture
def operator(tmp_path, monkeypatch, capsys, redis_server):
    operator = Operator(tmp_path, monkeypatch, capsys)
    operator.redis(redis_server.endpoint.port)
    return operator


def running_bot(stack, operator, endpoint):
    """The locks and files of a running bot; returns its armed mode controller."""
    stack.enter_context(hold_state(operator.state))
    found = stack.enter_context(find_store(endpoint, operator.state))
    return ModeController(found.store, True, True, operator.state / LAST_SWITCH_FILE)


@pytest.mark.parametrize(
    ("arguments", "typed", "code", "expected", "shown"),
    [
        (("sim",), "", 0, ModeValue.SIMULATION, "The mode is now SIMULATION"),
        (("simulation",), "", 0, ModeValue.SIMULATION, "The mode is now SIMULATION"),
        (("on",), "", 0, ModeValue.SIMULATION, "The mode is now SIMULATION"),
        (("live",), "yes\n", 0, ModeValue.LIVE, "The mode is now LIVE"),
        (("off",), "YES\n", 0, ModeValue.LIVE, "REAL MONEY"),
        (("live", "--yes"), "", 0, ModeValue.LIVE, "The mode is now LIVE"),
        (("live",), "y\n", 1, ModeValue.UNSET, "Nothing was changed"),
        (("live",), "", 1, ModeValue.UNSET, "Nothing was changed"),
        (("status",), "", 0, ModeValue.UNSET, "none runs on"),
        (("check",), "", 0, ModeValue.UNSET, "as started"),
        ((), "1\n", 0, ModeValue.SIMULATION, "The mode is now SIMULATION"),
        ((), "2\nyes\n", 0, ModeValue.LIVE, "The mode is now LIVE"),
        ((), "3\n", 0, ModeValue.UNSET, "mode store"),
        ((), "9\n", 0, ModeValue.UNSET, "anything else quits"),
        ((), "", 0, ModeValue.UNSET, "anything else quits"),
        (("paper",), "", 2, ModeValue.UNSET, "invalid choice: 'paper'"),
        (("sim", "now"), "", 2, ModeValue.UNSET, "now goes with halt only"),
        (("sim", "--yes"), "", 2, ModeValue.UNSET, "--yes goes with live and off only"),
        (("live", "--book", "live"), "", 2, ModeValue.UNSET, "--book goes with halt and resume only"),
    ],
)
def test_each_command(arguments, typed, code, expected, shown, operator, redis_server):
    """Each command and each line of the menu has its effect, reports it, and exits with its code."""
    got, screen = operator.run(*arguments, typed=typed)
    assert got == code, screen
    assert shown in screen
    assert RedisModeStore(redis_server.endpoint).read().value is expected


def test_a_wrong_setting_is_exit_code_2(operator, monkeypatch):
    """A setting out of range ends with its name, before any input or write."""
    monkeypatch.setenv("REDIS_PORT", "70000")
    code, screen = operator.run("sim")
    assert code == 2
    assert "REDIS_PORT is '70000'" in screen


def test_a_running_bot_obeys_and_the_screen_shows_what_follows(operator, redis_server):
    """The statements about the running bot are true, and the next start finds the switch again."""
    with ExitStack() as stack:
        bot = running_bot(stack, operator, redis_server.endpoint)
        assert bot.mode_decision().mode is Mode.LIVE
        assert "opens no live position from now on" in operator.run("sim")[1]
        assert bot.mode_decision().mode is Mode.SIMULATION
        _, screen = operator.run("status")
        assert "used by the running bot" in screen
        assert "unknown: no heartbeat from it" in screen
        assert "SIMULATION: a bot with --live, armed" in screen
        assert "at its next market" in operator.run("live", "--yes")[1]
        assert bot.mode_decision().mode is Mode.LIVE
        operator.run("sim")
    redis_server.set(None)
    with ExitStack() as stack:
        assert running_bot(stack, operator, redis_server.endpoint).mode_decision().mode is Mode.SIMULATION


@pytest.mark.parametrize(
    ("profile", "mode", "line"),
    [
        ("mixed", "simulation", "no real money: SIMULATION, profile mixed"),
        ("rehearsal-mixed", "simulation", "no real money: SIMULATION, profile rehearsal-mixed"),
        ("live", "live", "REAL MONEY, profile live"),
    ],
)
def test_status_begins_with_the_running_bot(operator, redis_server, profile, mode, line):
    """What the running bot's orders use comes before what another bot would do."""
    status = WorkerStatus(
        ts_ns=time.time_ns(),
        profile=profile,
        mode=mode,
        armed=False,
        halted=None,
        allows_orders=True,
        mode_detail="",
    )
    folder = operator.state / profile
    folder.mkdir(parents=True)
    (folder / STATUS_FILE).write_bytes(msgspec.json.encode(status))
    with ExitStack() as stack:
        running_bot(stack, operator, redis_server.endpoint)
        lines = operator.run("status")[1].splitlines()
    assert lines[0].startswith("bot ")
    assert lines[1].split("  ", 1)[1].strip() == line


def test_an_emergency_switch_works_while_the_store_is_away(operator, redis_server):
    """`sim` holds also when the store is away, and the older `0` in it after its return undoes nothing."""
    redis_server.set("0")
    with Relay(redis_server.endpoint) as relay, ExitStack() as stack:
        operator.redis(relay.endpoint.port)
        bot = running_bot(stack, operator, relay.endpoint)
        assert bot.mode_decision().allows_orders
        relay.cut = True
        assert operator.run("live", "--yes")[0] == 1
        code, screen = operator.run("sim")
        assert code == 0
        assert f"stored in the file {operator.state / 'mode_store' / 'simulation_mode'}." in screen
        assert "simulation cannot be written" in screen
        assert bot.mode_decision().mode is Mode.SIMULATION
        relay.cut = False
        assert bot.mode_decision().mode is Mode.SIMULATION
        assert "live: a bot" not in operator.run("status")[1].lower().replace("simulation", "")
        assert operator.run("live", "--yes")[0] == 0
        assert bot.mode_decision().mode is Mode.LIVE


@pytest.mark.parametrize("command", ["sim", "halt"])
def test_a_command_ends_after_the_order_that_was_already_past_its_check(
    command, operator, redis_server, monkeypatch
):
    """With a bot it waits a quarter of a second once the switch or halt is in force; without one, never."""
    waits = []

    def wait(seconds):
        in_force = RedisModeStore(redis_server.endpoint).read().value is ModeValue.SIMULATION
        waits.append(
            (seconds, in_force if command == "sim" else (operator.state / "live" / HALT_FILE).exists())
        )

    monkeypatch.setattr("redis_control.time", SimpleNamespace(sleep=wait))
    assert operator.run(command)[0] == 0
    assert waits == []
    operator.run("live", "--yes")
    operator.run("resume")
    with ExitStack() as stack:
        running_bot(stack, operator, redis_server.endpoint)
        assert operator.run(command)[0] == 0
    assert waits == [(0.25, True)]


def test_the_state_folder_is_read_before_any_store(tmp_path):
    """A slow store does not delay a switch to simulation: the bot's folder has it already."""
    memory, seen = LastModeSwitchFile(tmp_path / LAST_SWITCH_FILE), []
    with Pretender(lambda connection: seen.append(memory.load())) as slow:
        switch_to_simulation(slow.endpoint, tmp_path)
    assert seen[0] == LastModeSwitch(Mode.SIMULATION)


def test_a_switch_without_any_bot_is_found_by_the_next(operator, tmp_path):
    """With neither Redis nor bot a switch goes into the mode file, and is read by the next bot."""
    port = free_port()
    operator.redis(port)
    assert "simulation_mode (for the next bot): no mode is set" in operator.run("status")[1]
    assert not (operator.state / "mode_store").exists(), "looking makes nothing"
    assert operator.run("sim")[0] == 0
    assert (
        "simulation_mode (for the next bot): the mode store is set to simulation" in operator.run("status")[1]
    )
    with ExitStack() as stack:
        bot = running_bot(stack, operator, Endpoint("127.0.0.1", port))
        assert bot.mode_decision().mode is Mode.SIMULATION
    server = RedisServer(tmp_path, port=port)
    try:
        server.set("0")
        with ExitStack() as stack:
            assert running_bot(stack, operator, server.endpoint).mode_decision().mode is Mode.SIMULATION
        assert operator.run("live", "--yes")[0] == 0
        with ExitStack() as stack:
            assert running_bot(stack, operator, server.endpoint).mode_decision().mode is Mode.LIVE
    finally:
        server.stop()


def test_status_shows_a_hostile_value_as_it_is(operator, redis_server):
    """A value full of markup and control characters is shown, has no effect, and means simulation."""
    redis_server.set(b"[red]0[/red]\x1b[2J[/nonsense]")
    code, screen = operator.run("status")
    assert code == 0
    assert "[red]0[/red]\\x1b[2J" in screen
    assert "SIMULATION: a bot with --live, armed" in screen


def test_halt_and_resume(operator):
    """A halt applies to each existing profile, real money's always, or to the named one; resume removes
    it."""
    recorded = operator.state / "recorded"
    recorded.mkdir(parents=True)
    (recorded / "ledger.sqlite").write_bytes(b"")
    code, screen = operator.run("halt", "the", "[b]fan[/b]", "is", "loud")
    assert code == 0
    assert "live is halted: the [b]fan[/b] is loud (since" in screen
    assert (recorded / HALT_FILE).exists()
    assert (operator.state / "live" / HALT_FILE).exists()
    assert "recorded: the [b]fan[/b] is loud" in operator.run("status")[1]
    code, screen = operator.run("resume", "--book", "recorded")
    assert "recorded may trade again; the halt was: the [b]fan[/b]" in screen
    assert (operator.state / "live" / HALT_FILE).exists()
    assert "live may trade again" in operator.run("resume")[1]
    assert "Nothing was halted" in operator.run("resume")[1]
    code, screen = operator.run("halt", "--book", "nowhere")
    assert code == 2
    assert "no profile 'nowhere'" in screen
    assert "live, recorded" in screen


def test_a_halt_that_one_book_refuses_still_reaches_the_others(operator):
    """A folder that is not writable is named with exit code 1, after every other profile was halted."""
    (operator.state / "live" / f".{HALT_FILE}.{os.getpid()}.tmp").mkdir(parents=True)
    book = operator.state / "recorded"
    book.mkdir()
    (book / "ledger.sqlite").write_bytes(b"")
    code, screen = operator.run("halt")
    assert code == 1
    assert "Stop the bot" in screen
    assert (book / HALT_FILE).exists()
