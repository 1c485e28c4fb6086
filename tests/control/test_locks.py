"""One bot per state folder and one per wallet, between real processes."""

import os
import secrets
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from control.locks import hold_state, hold_wallet, holder, state_lock, wallet_lock
from errors import Fatal

ROOT = Path(__file__).resolve().parents[2]
WALLET, OTHER_WALLET = (f"0x{secrets.token_hex(18)}aBcD" for _ in range(2))
"""New in each test process, because wallet locks are shared by the whole machine."""
HOLD = """
import sys
from pathlib import Path
from control.locks import hold_state, hold_wallet
with hold_state(Path(sys.argv[1])), hold_wallet(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _no_lock_stays():
    """Remove the lock files of the test's wallets from the user's own folder."""
    yield
    for wallet in (WALLET, OTHER_WALLET):
        wallet_lock(wallet).unlink(missing_ok=True)


@contextmanager
def another_bot(state_dir, wallet=WALLET):
    """A process that holds both locks, started with another environment, like a service."""
    elsewhere = {"HOME": str(state_dir / "home"), "XDG_STATE_HOME": str(state_dir / "home")}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state_dir), wallet],
        cwd=ROOT,
        env={**os.environ, **elsewhere},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        if process.poll() is None:
            process.kill()


def test_a_second_bot_is_refused_and_a_killed_one_leaves_nothing_locked(tmp_path):
    """Folder and wallet of a running bot are refused with its process id; after kill -9 both are free."""
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    with another_bot(state) as process:
        with pytest.raises(Fatal, match=rf"another bot \(process {process.pid}\) runs on .*STATE_DIR"):
            hold_state(state).__enter__()
        assert holder(state_lock(state)) == f"process {process.pid}"
        # The same wallet from another folder, in every spelling of its address.
        with (
            hold_state(elsewhere),
            pytest.raises(Fatal, match=rf"process {process.pid}\) runs with the wallet"),
        ):
            hold_wallet(WALLET.lower()).__enter__()
        with hold_wallet(OTHER_WALLET):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert holder(state_lock(state)) is None
        with hold_state(state), hold_wallet(WALLET):
            assert holder(wallet_lock(WALLET)) == f"process {os.getpid()}"
    assert holder(state_lock(state)) is None


def test_the_same_folder_by_another_name_is_the_same_folder(tmp_path):
    """A symbolic link to a held state folder is refused too."""
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to("state")
    with hold_state(tmp_path / "state"), pytest.raises(Fatal, match="another bot"):
        hold_state(tmp_path / "link").__enter__()


def test_a_folder_that_cannot_be_locked_is_named(tmp_path):
    """A state folder that is a file ends the start with the path and what to do, without a traceback."""
    (tmp_path / "state").write_text("")
    with pytest.raises(Fatal, match=r"running.lock cannot be locked: .*STATE_DIR"):
        hold_state(tmp_path / "state").__enter__()
    (tmp_path / "other" / "running.pid").mkdir(parents=True)
    with pytest.raises(Fatal, match=r"cannot be locked"):
        hold_state(tmp_path / "other").__enter__()
    assert holder(state_lock(tmp_path / "other")) is None


def test_looking_does_not_hold(tmp_path):
    """Checking who holds a free lock does not block a starting bot."""
    with hold_state(tmp_path):
        pass
    assert holder(state_lock(tmp_path)) is None
    with hold_state(tmp_path):
        pass
    assert holder(tmp_path / "never.lock") is None
    assert not (tmp_path / "never.lock").exists()


def test_locks_are_readable_by_their_owner_only(tmp_path):
    """Lock files have mode 0600 and the wallets' folder 0700, whatever the umask."""
    before = os.umask(0o000)
    try:
        with hold_state(tmp_path / "state"), hold_wallet(WALLET):
            modes = [state_lock(tmp_path / "state").stat().st_mode, wallet_lock(WALLET).stat().st_mode]
    finally:
        os.umask(before)
    assert [oct(mode & 0o777) for mode in modes] == ["0o600", "0o600"]


def test_a_user_without_a_home_has_one_lock_folder(monkeypatch):
    """A user id missing in the user database locks in a folder named after it, not after the environment."""

    def unknown(number):
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setenv("HOME", "/somewhere/else")
    folder = wallet_lock(WALLET).parent
    assert str(folder) == f"/var/tmp/polymarket-btc-15m-bot-{os.getuid()}"
