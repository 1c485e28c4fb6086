"""The ledger with which the crash matrix kills a migration: it is old, and every row survives."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from execution.ledger import connection
from execution.ledger.writer import Ledger
from tests.chaos.hooks import stop_points
from tests.chaos.old_ledger import lost_rows, migration_points, write_old_ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "synthetic" / "ledger.sqlite"
    write_old_ledger(path)
    return path


def test_a_migration_keeps_every_row(path: Path) -> None:
    """The old file is of another version; after the migration all of its rows are as they were."""
    assert lost_rows(path) == [f"the ledger is of version 3, not {len(connection.STEPS)}"]
    Ledger(path).close()
    assert lost_rows(path) == []


@pytest.mark.parametrize("change", ["DELETE FROM decisions WHERE id = 7", "UPDATE decisions SET p = '0.1'"])
def test_a_lost_or_changed_row_is_found(path: Path, change: str) -> None:
    """One of 500 that is missing, or all of them changed."""
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as database:
        for (trigger,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'decisions'"
        ).fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        changed = database.execute(change).rowcount
        database.commit()
    assert lost_rows(path) == [f"of 500 rows of the old ledger {500 - changed} are as they were"]


def test_the_points_are_those_of_the_migration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each commit that a migration of the old ledger makes, and at its end, in this order."""
    monkeypatch.setenv("CHAOS_STOP", "none of them")
    monkeypatch.setenv("CHAOS_STOPPED", str(path.with_name("stopped")))
    monkeypatch.setattr(connection, "_migrate", stop_points.in_migration(connection._migrate))
    Ledger(path).close()
    assert path.with_name("points").read_text().splitlines() == list(migration_points())
