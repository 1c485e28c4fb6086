"""Which users of the machine can read the bot's files."""

from pathlib import Path

import pytest

from common.atomic_file import close_to_other_users


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


@pytest.fixture
def state(tmp_path):
    """A state folder as a version made it that left its files open to all users."""
    folder = tmp_path / "state"
    (folder / "live" / "venue").mkdir(parents=True)
    for name in ("running.lock", "live/ledger.sqlite", "live/venue/wallet.json"):
        (folder / name).write_text("")
        (folder / name).chmod(0o644)
    for path in (folder, folder / "live", folder / "live" / "venue"):
        path.chmod(0o755)
    return folder


def test_what_an_earlier_version_left_open_is_closed(state):
    """Files get 0600 and folders 0700, at every depth, the folder itself included."""
    close_to_other_users(state, ["running.", "live"])
    assert {mode(path) for path in state.rglob("*") if path.is_file()} == {"0o600"}
    assert {mode(path) for path in (state, *state.rglob("*")) if path.is_dir()} == {"0o700"}


def test_what_is_not_the_bots_own_is_left(state, tmp_path):
    """A folder with other programs' files keeps its mode, and so do those files and what links lead to."""
    other, secret = state / "syslog", tmp_path / "elsewhere"
    for path in (other, secret):
        path.write_text("")
        path.chmod(0o644)
    (state / "live" / "link").symlink_to(secret)
    close_to_other_users(state, ["running.", "live"])
    assert (mode(state), mode(other), mode(secret)) == ("0o755", "0o644", "0o644")
    assert mode(state / "live" / "ledger.sqlite") == "0o600"


def test_no_folder_yet(tmp_path):
    """Before the first start there is nothing to close, and nothing is made."""
    close_to_other_users(tmp_path / "state", ["live"])
    assert not (tmp_path / "state").exists()
