"""When a live order is possible: every sequence of switches, outages and restarts against a real Redis."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from redis_servers import Relay, free_port

from control.last_mode_switch import LAST_SWITCH_FILE, LastModeSwitch, LastModeSwitchFile
from control.locks import hold_state
from control.mode_file import FileModeStore
from control.mode_gate import ModeController
from control.mode_store import Endpoint, RedisModeStore
from control.mode_switch import switch_to_live, switch_to_simulation
from control.running import find_store
from errors import Temporary
from execution.ledger import Mode


def controller(server, folder, *, flag=True, armed=True):
    return ModeController(RedisModeStore(server.endpoint), flag, armed, folder / LAST_SWITCH_FILE)


def block(folder) -> Path:
    """Make every write of the memory file fail, also for root; returns the path to remove to end it."""
    draft = folder / f".{LAST_SWITCH_FILE}.{os.getpid()}.tmp"
    draft.mkdir()
    return draft


def test_a_switch_to_simulation_outlives_the_stores_data(redis_server, tmp_path):
    """A Redis that comes back empty does not undo a switch, in this process or in the next."""
    running = controller(redis_server, tmp_path)
    assert running.mode_decision().mode is Mode.LIVE
    redis_server.set("1")
    assert running.mode_decision().mode is Mode.SIMULATION
    redis_server.set(None)
    assert running.mode_decision().mode is Mode.SIMULATION
    assert controller(redis_server, tmp_path).mode_decision().mode is Mode.SIMULATION
    redis_server.set("0")
    assert controller(redis_server, tmp_path).mode_decision().mode is Mode.LIVE
    redis_server.set(None)
    assert controller(redis_server, tmp_path).mode_decision().mode is Mode.LIVE


def test_the_start_writes_nothing_into_the_store(redis_server, tmp_path):
    """Whatever a bot is started with, it leaves the store's value unchanged."""
    with redis_server.client() as client:
        for value in (None, "1", "0", "garbage"):
            redis_server.set(value)
            for flag, armed in ((False, False), (True, False), (True, True)):
                controller(redis_server, tmp_path, flag=flag, armed=armed).mode_decision()
                kept = client.get("btc_trading:simulation_mode")
                assert kept == (None if value is None else value.encode())


@pytest.mark.parametrize(("flag", "armed"), [(False, False), (False, True), (True, False)])
def test_a_process_that_may_not_be_live_refuses_with_its_reason(flag, armed, redis_server, tmp_path):
    """A process without --live, or not armed, trades on paper whatever the store contains, and gives the
    reason."""
    redis_server.set("0")
    mode_decision = controller(redis_server, tmp_path, flag=flag, armed=armed).mode_decision()
    assert mode_decision.mode is Mode.SIMULATION
    assert mode_decision.refuses
    assert "refused" in mode_decision.why
    assert ("--live" if not flag else "not armed") in mode_decision.why
    assert not (tmp_path / LAST_SWITCH_FILE).exists()


def test_without_a_store_nothing_is_live(tmp_path):
    """A bot without a mode store trades on paper."""
    mode_decision = ModeController(None, True, True, tmp_path / LAST_SWITCH_FILE).mode_decision()
    assert mode_decision.mode is Mode.SIMULATION
    assert "no mode store" in mode_decision.why


def test_who_cannot_note_a_switch_is_not_live(redis_server, tmp_path):
    """In a folder that is not writable live is refused, because a later switch could not be stored."""
    blocked = block(tmp_path)
    mode_decision = controller(redis_server, tmp_path).mode_decision()
    assert mode_decision.mode is Mode.SIMULATION
    assert "could not be recorded" in mode_decision.why
    blocked.rmdir()
    assert controller(redis_server, tmp_path).mode_decision().mode is Mode.LIVE


def test_a_switch_that_cannot_be_noted_holds_in_the_process(redis_server, tmp_path):
    """On a full disk a switch holds at once, also when the store loses it, and is stored later."""
    running = controller(redis_server, tmp_path)
    assert running.mode_decision().mode is Mode.LIVE
    blocked = block(tmp_path)
    redis_server.set("1")
    assert running.mode_decision().mode is Mode.SIMULATION
    redis_server.set(None)
    assert running.mode_decision().mode is Mode.SIMULATION
    assert controller(redis_server, tmp_path).mode_decision().mode is Mode.SIMULATION, (
        "the next one cannot note either"
    )
    blocked.rmdir()
    assert running.mode_decision().mode is Mode.SIMULATION
    assert controller(redis_server, tmp_path).mode_decision().mode is Mode.SIMULATION


@pytest.mark.parametrize("content", [b"", b"garbage", b'"live"', b'{"mode":"LIVE"}', b"\xff" * 100])
def test_a_damaged_memory_is_simulation(content, redis_server, tmp_path):
    """An unreadable last switch counts as simulation."""
    (tmp_path / LAST_SWITCH_FILE).write_bytes(content)
    for value in (None, "0"):
        redis_server.set(value)
        assert controller(redis_server, tmp_path).mode_decision().mode is Mode.SIMULATION


def test_a_store_that_was_away_does_not_undo_a_switch(redis_server, tmp_path):
    """A switch that an earlier version gave to its own Redis holds against another store's older `0`."""
    LastModeSwitchFile(tmp_path / LAST_SWITCH_FILE).save(
        LastModeSwitch(Mode.SIMULATION, "the bot's own Redis")
    )
    redis_server.set("0")
    running = controller(redis_server, tmp_path)
    mode_decision = running.mode_decision()
    assert mode_decision.mode is Mode.SIMULATION
    assert "redis_control.py live" in mode_decision.why
    switch_to_live(redis_server.endpoint, tmp_path)
    assert running.mode_decision().mode is Mode.LIVE


def test_a_switch_between_reading_and_noting_is_not_written_over(redis_server, tmp_path):
    """Going live, the store is read again before the note is written: a switch in between wins, also
    later."""
    redis_server.set("1")
    running = controller(redis_server, tmp_path)
    running.mode_decision()
    redis_server.set("0")
    save = running._memory.save

    def note_late(last_switch):
        if last_switch.mode is Mode.LIVE:
            redis_server.set("1")
        save(last_switch)

    running._memory.save = note_late
    assert running.mode_decision().mode is Mode.SIMULATION
    redis_server.set(None)
    assert running.mode_decision().mode is Mode.SIMULATION
    assert controller(redis_server, tmp_path).mode_decision().mode is Mode.SIMULATION


VALUES = st.sampled_from(["0", "0", "1", None, "", "live", b"\x00"])


class Days(RuleBasedStateMachine):
    """Sequences of switches by operators and other programs, outages, lost data, full disks and restarts.

    `last_switch` is the mode that the last valid switch asked for; `stranded` is true if that was simulation
    and it did not reach the store. The mode is evaluated after every step, as the bot does once a second.
    """

    server = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mode"))
        self.open()
        self.value: str | bytes | None = None
        self.put(None)
        self.last_switch = self.noted = None
        self.stranded = self.noted_stranded = False
        self.blocked: Path | None = None
        self.running = ExitStack()

    def open(self):
        """A Redis behind a relay that can be cut; `place` is the Redis of the settings."""
        self.relay = Relay(self.server.endpoint)
        self.place: Endpoint = self.relay.endpoint
        self.store = RedisModeStore(self.place)

    def put(self, value):
        self.server.set(value)

    @property
    def away(self):
        return self.relay.cut

    @away.setter
    def away(self, away):
        self.relay.cut = away

    def close(self):
        self.relay.__exit__()

    @initialize(flag=st.sampled_from([True, True, True, False]), armed=st.sampled_from([True, True, False]))
    def start(self, flag, armed):
        self.flag, self.armed = flag, armed
        self.running.enter_context(hold_state(self.folder))
        found = self.running.enter_context(find_store(self.place, self.folder))
        assert found.store.name == self.store.name
        self._start()

    def _start(self):
        self.controller = ModeController(self.store, self.flag, self.armed, self.folder / LAST_SWITCH_FILE)
        self.proven = False

    @rule(value=VALUES)
    def another_process_writes(self, value):
        if not self.away:  # the bot cannot follow what it cannot read
            self.put(value)
            self.value = value

    @rule()
    def the_store_loses_its_data(self):
        self.put(None)
        self.value = None

    @rule(value=VALUES)
    def the_store_comes_back_with_something_else(self, value):
        if self.away:
            self.put(value)
            self.value, self.away = value, False

    @rule()
    def the_store_goes_away(self):
        self.away = True

    @rule()
    def the_store_is_back(self):
        self.away = False

    @rule()
    def the_operator_switches_to_simulation(self):
        try:
            switch_to_simulation(self.place, self.folder)
        except Temporary:
            assert self.blocked, "only a blocked folder and an absent store may fail together"
            assert self.away
            return
        self.last_switch, self.stranded = Mode.SIMULATION, self.away
        if not self.away:
            self.value = "1"

    @rule()
    def the_operator_switches_to_live(self):
        try:
            switch_to_live(self.place, self.folder)
        except Temporary:
            assert self.blocked or self.away
            if not self.away:
                self.value = "0"
            return
        self.last_switch, self.stranded, self.value = Mode.LIVE, False, "0"

    @rule(blocked=st.booleans())
    def the_disk(self, blocked):
        if blocked and self.blocked is None:
            self.blocked = block(self.folder)
        elif not blocked and self.blocked is not None:
            self.blocked.rmdir()
            self.blocked = None

    @rule()
    def a_restart(self):
        self._start()
        if self.blocked:  # what could not be stored is lost with the process, and keeps the next from live
            self.last_switch, self.stranded = self.noted, self.noted_stranded

    @invariant()
    def live_needs_everything(self):
        if not hasattr(self, "controller"):
            return
        mode_decision = self.controller.mode_decision()
        live = mode_decision.mode is Mode.LIVE and mode_decision.allows_orders
        held = self.last_switch is Mode.SIMULATION
        may = self.flag and self.armed and not self.away and self._is_live(held)
        assert not live or may, mode_decision
        if self.blocked:
            assert not live or self.proven, "live where a switch could not be noted"
        else:
            assert live == may, mode_decision
        if held and self.away:
            assert mode_decision.mode is Mode.SIMULATION, "a switch holds while the store is away"
        self._learn(live)

    def _is_live(self, held):
        return (self.value == "0" and not (held and self.stranded)) or (self.value is None and not held)

    def _learn(self, live):
        if not self.away:
            if self.value not in (None, "0"):
                self.last_switch, self.stranded = Mode.SIMULATION, False
            elif live:
                self.last_switch = Mode.LIVE
        if not self.blocked:
            self.noted, self.noted_stranded = self.last_switch, self.stranded
            self.proven = self.proven or live

    def teardown(self):
        self.running.close()
        self.close()
        shutil.rmtree(self.folder)


class FileDays(Days):
    """The same with the mode file; it is away while something else has the name of its folder."""

    def open(self):
        self.place = Endpoint("127.0.0.1", free_port())
        self.store = FileModeStore(self.folder)
        self.store.prepare()
        self.aside = self.store.folder.with_name("aside")

    def put(self, value):
        folder = self.aside if self.away else self.store.folder
        path = folder / self.store.path.name
        if value is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(value if isinstance(value, bytes) else value.encode())
            path.chmod(0o600)

    @property
    def away(self):
        return self.aside.exists()

    @away.setter
    def away(self, away):
        if away and not self.away:
            self.store.folder.rename(self.aside)
            self.store.folder.touch()
        elif self.away and not away:
            self.store.folder.unlink()
            self.aside.rename(self.store.folder)

    def close(self):
        pass


@pytest.mark.parametrize("days", [Days, FileDays])
@pytest.mark.parametrize(
    "examples", [15, pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_a_live_order_needs_the_flag_the_arming_and_live_in_the_store(days, examples, redis_server):
    """Live orders need --live, the arming, and a store that answers and was not last set to simulation."""
    days.server = redis_server
    run_state_machine_as_test(
        days,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
