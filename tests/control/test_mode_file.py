"""The mode store without Redis: a file that only this user writes, read like the key in Redis."""

import os
import stat
import subprocess
import sys
import threading
from itertools import product
from pathlib import Path

import pytest
from redis_servers import free_port

import control.mode_file
from config import Settings
from control.mode_file import FileModeStore
from control.mode_gate import ModeController
from control.mode_store import Endpoint, ModeValue
from control.mode_switch import switch_to_live, switch_to_simulation
from errors import Fatal, Temporary
from execution.ledger import Mode
from runtime.session import close_files

ROOT = Path(__file__).resolve().parents[2]
OTHER_USER = 12345


@pytest.fixture
def store(tmp_path):
    store = FileModeStore(tmp_path / "state")
    store.prepare()
    return store


def armed(store):
    return ModeController(store, True, True, store.folder.parent / "mode.json")


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1", ModeValue.SIMULATION),
        (b"0", ModeValue.LIVE),
        (None, ModeValue.UNSET),
        (b"", ModeValue.GARBAGE),
        (b"00", ModeValue.GARBAGE),
        (b" 0", ModeValue.GARBAGE),
        (b"0\n", ModeValue.GARBAGE),
        (b"live", ModeValue.GARBAGE),
        (b"0\x00", ModeValue.GARBAGE),
        (b"\xff\xfe[/]\x1b[31m", ModeValue.GARBAGE),
        (b"0" * 2**24, ModeValue.GARBAGE),
    ],
)
def test_only_a_plain_0_is_live(value, expected, store):
    """Exactly `0` is live and no file is unset, as in Redis; every other content is simulation."""
    if value is not None:
        store.path.write_bytes(value)
        store.path.chmod(0o600)
    reading = store.read()
    assert reading.value is expected
    assert len(reading.detail) < 200
    live = armed(store).mode_decision().mode is Mode.LIVE
    assert live is (value in (None, b"0"))


def test_what_is_written_is_private_and_whole(store, tmp_path):
    """The file has mode 0600 in a folder of mode 0700, exactly one character, and leaves no temporary
    file."""
    umask = os.umask(0)
    try:
        for mode, content in ((Mode.SIMULATION, b"1"), (Mode.LIVE, b"0"), (Mode.SIMULATION, b"1")):
            store.write(mode)
            assert (tmp_path / "state" / "mode_store" / "simulation_mode").read_bytes() == content
        switch_to_simulation(Endpoint("127.0.0.1", free_port()), tmp_path / "state")
        # A temporary file of a killed process, readable by others.
        (store.folder / f".simulation_mode.{os.getpid()}.tmp").touch(0o666)
        store.write(Mode.SIMULATION)
    finally:
        os.umask(umask)
    assert os.listdir(store.folder) == ["simulation_mode"]
    assert (mode_of(store.path), mode_of(store.folder)) == (0o600, 0o700)
    assert mode_of(tmp_path / "state" / "mode.json") == 0o600


@pytest.mark.parametrize(
    ("exposed", "value"),
    [
        *product(("file", "group"), (b"0", b"1")),
        *product(("folder", "state folder"), (b"0", b"1", None)),
    ],
)
def test_what_others_can_write_is_never_live(exposed, value, store):
    """`0` and a missing file count only if no other user could have created or removed them; `1` always."""
    if value is not None:
        store.path.write_bytes(value)
        store.path.chmod(0o600)
    place, mode = {
        "file": (store.path, 0o602),
        "group": (store.path, 0o620),
        "folder": (store.folder, 0o777),
        "state folder": (store.folder.parent, 0o777),
    }[exposed]
    place.chmod(mode)
    assert (store.read().value is ModeValue.SIMULATION) is (value == b"1")
    mode_decision = armed(store).mode_decision()
    assert mode_decision.mode is Mode.SIMULATION
    if value != b"1":
        assert f"{place} can be written by other users (mode 0{mode:o})" in mode_decision.why
    switch_to_live(Endpoint("127.0.0.1", free_port()), store.folder.parent)
    assert armed(store).mode_decision().mode is Mode.LIVE, "a switch by its owner makes it private again"
    assert (mode_of(store.path), mode_of(store.folder)) == (0o600, 0o700)


def test_a_start_does_not_make_an_open_file_trusted(store):
    """The start removes other users' access to files of earlier versions, but not to the mode file."""
    store.write(Mode.LIVE)
    store.path.chmod(0o666)
    state_dir = store.folder.parent
    (state_dir / "mode.json").touch(0o644)
    close_files(Settings(state_dir=state_dir, log_dir=state_dir, nautilus_log_dir=state_dir))
    assert mode_of(state_dir / "mode.json") == 0o600
    assert mode_of(store.path) == 0o666
    assert store.read().value is ModeValue.GARBAGE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("foreign", ["file", "folder"])
def test_what_belongs_to_another_user_is_never_live(foreign, store):
    """A file or a folder of another user never means live, whatever its mode."""
    store.write(Mode.LIVE)
    assert armed(store).mode_decision().mode is Mode.LIVE
    os.chown(store.path if foreign == "file" else store.folder, OTHER_USER, OTHER_USER)
    if foreign == "folder":
        os.chown(store.folder.parent, 0, 0)
    else:
        store.folder.chmod(0o700)
    mode_decision = armed(store).mode_decision()
    assert mode_decision.mode is Mode.SIMULATION
    assert f"belongs to another user (uid {OTHER_USER})" in mode_decision.why


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_switch_by_root_reaches_the_bot_of_another_user(tmp_path):
    """What root writes belongs to the state folder's owner, whose bot could not read it otherwise."""
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, OTHER_USER, OTHER_USER)
    switch_to_simulation(Endpoint("127.0.0.1", free_port()), state)
    store = FileModeStore(state)
    for path in (store.folder, store.path, state / "mode.json"):
        assert path.stat().st_uid == OTHER_USER
    switch_to_live(Endpoint("127.0.0.1", free_port()), state)
    assert store.read().value is ModeValue.LIVE


def test_a_pipe_or_a_folder_of_that_name_is_simulation(store):
    """Anything but a regular file does not block the reader, and is not live."""
    os.mkfifo(store.path, 0o600)
    assert store.read().value is ModeValue.GARBAGE
    store.path.unlink()
    store.path.mkdir(0o700)
    assert armed(store).mode_decision().mode is Mode.SIMULATION


def test_a_link_is_not_followed(store, tmp_path):
    """A symbolic link to a `0` elsewhere does not allow orders."""
    (tmp_path / "elsewhere").write_bytes(b"0")
    store.path.symlink_to(tmp_path / "elsewhere")
    mode_decision = armed(store).mode_decision()
    assert (mode_decision.mode, mode_decision.allows_orders) == (Mode.LIVE, False)


def test_a_folder_that_is_gone_is_a_lost_store(store):
    """Removed under a live bot the store is lost: no new position until it is back or a switch creates it."""
    store.write(Mode.LIVE)
    controller = armed(store)
    assert controller.mode_decision().allows_orders
    away = store.folder.rename(store.folder.with_name("away"))
    mode_decision = controller.mode_decision()
    assert (mode_decision.mode, mode_decision.allows_orders) == (Mode.LIVE, False)
    assert str(store.path) in mode_decision.why
    away.rename(store.folder)
    assert controller.mode_decision().allows_orders


def test_a_disk_that_hangs_is_a_lost_store_in_time(store, monkeypatch):
    """A reading that does not return is lost within a second, so that an order does not wait for it."""
    store.write(Mode.LIVE)
    release = threading.Event()
    monkeypatch.setattr(control.mode_file.os, "fstat", lambda _: release.wait(30) and os.stat(store.path))
    try:
        reading = store.read()
    finally:
        release.set()
    assert reading.value is ModeValue.LOST
    assert "not within 1 s" in reading.detail


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path):
    """Where the state folder is a file, the start ends with the path and what to do, and so does a switch."""
    (tmp_path / "state").write_text("")
    store = FileModeStore(tmp_path / "state")
    with pytest.raises(Fatal, match=r"mode_store of the mode file cannot be made.*STATE_DIR"):
        store.prepare()
    with pytest.raises(Temporary, match="simulation cannot be written"):
        store.write(Mode.SIMULATION)


WRITER = """
import sys
from pathlib import Path
from control.mode_file import FileModeStore
from execution.ledger import Mode
from runtime.session import close_files
store = FileModeStore(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    store.write(Mode.LIVE)
    store.write(Mode.SIMULATION)
"""


def test_a_reader_never_sees_half_a_switch(store):
    """While another process switches back and forth without pause, each reading is one of the two values."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.folder.parent)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as writer:
        try:
            writer.stdout.readline()
            seen = {store.read().value for _ in range(2000)}
        finally:
            writer.kill()
    assert seen - {ModeValue.UNSET} == {ModeValue.LIVE, ModeValue.SIMULATION}
    assert store.read().value in (ModeValue.LIVE, ModeValue.SIMULATION), "also after the writer was killed"
