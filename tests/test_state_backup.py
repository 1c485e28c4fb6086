"""Backup of the state folder: complete, checked, restored as it was, and never in the place of something."""

import io
import sqlite3
import stat
import tarfile
from contextlib import closing

import pytest
from ledger_builders import buy, open_ledger, settlement

import state_backup
from control.locks import hold_state
from execution.ledger import LedgerReader, ledger_path


@pytest.fixture
def state(tmp_path):
    """A state folder with a ledger, a venue's database, a private file, a lock and a draft."""
    folder = tmp_path / "state"
    with open_ledger(ledger_path(folder, "recorded")) as ledger:
        buy(ledger, 1)
        ledger.record_settlement(settlement(1))
    venue = folder / "recorded" / "venue"
    venue.mkdir()
    with closing(sqlite3.connect(venue / "venue.sqlite3")) as database, database:
        database.execute("CREATE TABLE accounts (address TEXT)")
        database.execute("INSERT INTO accounts VALUES ('0x1')")
    (venue / "wallet.json").write_text("{}")
    (folder / "running.lock").touch()
    (folder / "recorded" / ".x.tmp").touch()
    return folder


@pytest.fixture
def backup(state, tmp_path):
    """A backup of it."""
    target = tmp_path / "state.tar.gz"
    state_backup.create(state, target)
    return target


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_restored_folder_has_the_same_trades_and_accounts(state, backup, tmp_path, capsys):
    """Ledger, venue and files are as they were; locks and drafts are not in the backup."""
    copy = tmp_path / "copy"
    assert state_backup.main(["restore", str(backup), "--state", str(copy)]) == 0
    assert "is restored from" in capsys.readouterr().out
    assert names(copy) == [
        "recorded/ledger.sqlite",
        "recorded/venue/venue.sqlite3",
        "recorded/venue/wallet.json",
    ]
    with (
        LedgerReader(ledger_path(copy, "recorded")) as restored,
        LedgerReader(ledger_path(state, "recorded")) as original,
    ):
        assert len(restored.trades()) == 1
        assert restored.trades() == original.trades()
    with closing(sqlite3.connect(copy / "recorded" / "venue" / "venue.sqlite3")) as database:
        assert database.execute("SELECT address FROM accounts").fetchall() == [("0x1",)]


def test_only_the_owner_can_read_a_backup(backup):
    """It has the keys of practice wallets."""
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_a_backup_beside_a_running_bot_has_what_is_committed(state, tmp_path):
    """The writer's connection stays open with rows that are only in the write-ahead log."""
    with open_ledger(ledger_path(state, "synthetic")) as ledger:
        buy(ledger, 7)
        target = tmp_path / "running.tar.gz"
        state_backup.create(state, target)
    copy = tmp_path / "copy"
    state_backup.restore(target, copy)
    with LedgerReader(ledger_path(copy, "synthetic")) as reader:
        assert len(reader.trades()) == 1


def rewritten(backup, change):
    """The backup with its members, by name, changed."""
    with tarfile.open(backup) as archive:
        members = {entry.name: archive.extractfile(entry).read() for entry in archive}
    change(members)
    with tarfile.open(backup, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda files: files.pop("recorded/venue/wallet.json"), "recorded/venue/wallet.json is missing"),
        (
            lambda files: files.update({"recorded/venue/wallet.json": b"[]"}),
            "recorded/venue/wallet.json differs from its list",
        ),
        (lambda files: files.update({"extra": b""}), "extra is not in its list"),
        (lambda files: files.pop("backup.json"), "is not a complete backup"),
    ],
)
def test_a_changed_backup_is_refused(backup, tmp_path, capsys, change, fault):
    """The file is named, the exit code is 1, and no folder is made from it."""
    rewritten(backup, change)
    assert state_backup.main(["check", str(backup)]) == 1
    assert fault in capsys.readouterr().err
    assert state_backup.main(["restore", str(backup), "--state", str(tmp_path / "copy")]) == 1
    assert not list(tmp_path.glob("*copy*"))


def test_a_truncated_backup_is_refused(backup, capsys):
    """As after a full disk."""
    backup.write_bytes(backup.read_bytes()[:-200])
    assert state_backup.main(["check", str(backup)]) == 1
    assert "is not a complete backup" in capsys.readouterr().err


def test_a_damaged_database_is_not_backed_up(state, tmp_path, capsys):
    """A backup that could not be used is not left as if it could."""
    (state / "recorded" / "ledger.sqlite").write_bytes(b"not a database" * 1000)
    assert state_backup.main(["create", str(tmp_path / "b.tar.gz"), "--state", str(state)]) == 1
    assert "ledger.sqlite cannot be copied: file is not a database" in capsys.readouterr().err
    assert not list(tmp_path.glob("*b.tar.gz*"))


def test_nothing_is_ever_replaced(state, backup, tmp_path, capsys):
    """Neither a backup nor a folder with files; nor a folder that a bot runs on."""
    assert state_backup.main(["create", str(backup), "--state", str(state)]) == 1
    assert "a backup is never replaced" in capsys.readouterr().err
    assert state_backup.main(["restore", str(backup), "--state", str(state)]) == 1
    assert "has files" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    with hold_state(empty):
        assert state_backup.main(["restore", str(backup), "--state", str(empty)]) == 1
    assert "runs on" in capsys.readouterr().err
    assert state_backup.main(["restore", str(backup), "--state", str(empty)]) == 0
    assert names(empty)


def test_an_empty_folder_has_nothing_to_back_up(tmp_path, capsys):
    """A wrong folder is named instead of an empty backup."""
    assert state_backup.main(["create", str(tmp_path / "b"), "--state", str(tmp_path / "none")]) == 1
    assert "has no files" in capsys.readouterr().err
