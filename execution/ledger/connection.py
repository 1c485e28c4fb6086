"""Opens the ledger's file, checks version and integrity, and converts SQLite errors to messages."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from errors import Fatal
from execution.ledger.schema import APPLICATION_ID, STEPS

BUSY_TIMEOUT_S = 5.0
"""Readers never block the writer under WAL; this covers a checkpoint or an SQL shell."""
WRITER_PAUSE_S = 1.0
"""Seconds after which a writer that waits for another program's lock checks whether to continue."""
CHECKPOINT_PAGES = 8192
"""Pages of the write-ahead log, 32 MB, after which a commit also writes them to the file; SQLite's default is
1000. The writer does it before, at times without an order (`Ledger.checkpoint`)."""
RESERVED_LOG_BYTES = 8_000_000
"""The rows of an order need 0.1 MB of the write-ahead log, from the signature to the end."""
RESERVE_IF_FREE = 16
"""The log is enlarged if this many times as much is free."""
CACHE_KIB = 256
"""Pages of the ledger that a connection keeps in memory. SQLite's default is 2 MB, which a growing ledger
fills in days; the operating system keeps the file anyway."""
OLDEST_SQLITE = (3, 37, 0)
"""The first version with STRICT tables."""


class LedgerLocked(Fatal):
    """Another program has locked the file. This is temporary: the ledger is intact."""


def money(amount: Decimal) -> str:
    """Format a Decimal for the ledger: exact, without exponent.

    Raises
    ------
    Fatal
        For NaN and infinity.
    """
    if not amount.is_finite():
        raise Fatal(f"ledger cannot be written: {amount} is not an amount", "Report this with the log")
    return format(amount, "f")


def open_writer(path: Path) -> sqlite3.Connection:
    """Open or create the ledger at `path`, check it and migrate it. The caller holds the lock.

    Raises
    ------
    Fatal
        If the file is damaged, not a ledger, from a newer version, or cannot be written.
    """
    with _explained(path, "written"):
        if not path.exists():
            _create(path)
        # The writing thread may differ from the one that opens and closes; never two at the same time.
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            _check_health(connection, path)
            _check_version(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            connection.execute("PRAGMA foreign_keys = OFF")
            _migrate(connection)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.execute(f"PRAGMA busy_timeout = {WRITER_PAUSE_S * 1000:.0f}")
        except BaseException:
            connection.close()
            raise
    return connection


def reserve_log(connection: sqlite3.Connection, path: Path) -> None:
    """Enlarge the write-ahead log, unless the disk is nearly full: the next commits overwrite these bytes.

    A commit that makes a file longer also waits for the file system's own journal: the synced write of an
    order takes 0.45 to 0.52 ms then, and 0.33 to 0.45 otherwise (ext4, median). SQLite writes the rows of a
    transaction that is too large for its cache to the log, where they remain, without effect, when it is
    rolled back.
    """
    if shutil.disk_usage(path.parent).free < RESERVE_IF_FREE * RESERVED_LOG_BYTES:
        return
    connection.execute("PRAGMA cache_size = 16")
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute("CREATE TABLE reserved (bytes BLOB)")
            connection.execute("INSERT INTO reserved VALUES (zeroblob(?))", (RESERVED_LOG_BYTES,))
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    finally:
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the ledger at `path` read-only, also while the bot writes.

    Raises
    ------
    Fatal
        If the file does not exist, is damaged, or has another version.
    """
    with _explained(path, "read"):
        uri = f"{path.resolve().as_uri()}?mode=ro"
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            version = _check_version(connection, path)
            if version < len(STEPS):
                raise Fatal(
                    f"the ledger {path} is of version {version}, this program reads {len(STEPS)}",
                    "Start the bot once: it migrates the file",
                )
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        except BaseException:
            connection.close()
            raise
    return connection


def examine(path: Path) -> bool:
    """Whether the ledger at `path` has this version; False if the next start migrates it.

    Raises
    ------
    Fatal
        If it is damaged, not a ledger, or from a newer version.
    """
    with _explained(path, "read"):
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
        try:
            _check_health(connection, path)
            return _check_version(connection, path) == len(STEPS)
        finally:
            connection.close()


@contextmanager
def transaction(
    connection: sqlite3.Connection, path: Path, go_on_waiting: Callable[[], bool] = lambda: False
) -> Iterator[sqlite3.Connection]:
    """One transaction: completely written or not at all, and on the disk when it returns.

    Parameters
    ----------
    connection : sqlite3.Connection
    path : Path
        Its file.
    go_on_waiting : Callable[[], bool]
        Called each time another program's lock was not released in time: whether to continue to wait.

    Raises
    ------
    LedgerLocked
        If another program has locked the file, and `go_on_waiting` returns False.
    Fatal
        If SQLite cannot write; nothing of the transaction is written.
    """
    with _explained(path, "written"):
        _begin(connection, go_on_waiting)
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            # After a full disk or a failed write SQLite has already rolled back.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _begin(connection: sqlite3.Connection, go_on_waiting: Callable[[], bool]) -> None:
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if not _is_locked(error) or not go_on_waiting():
                raise


def _is_locked(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextmanager
def snapshot(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """Several reads of the same instant; may be nested."""
    with _explained(path, "read"):
        if connection.in_transaction:
            yield connection
            return
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")


@contextmanager
def _explained(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise Fatal(
            f"ledger cannot be {verb}: {path} refuses a row that contradicts it ({error})",
            "Nothing was written; stop, keep the file and compare it with the venue's account",
        ) from error
    except sqlite3.Error as error:
        kind = LedgerLocked if _is_locked(error) else Fatal
        raise kind(f"ledger cannot be {verb}: {path}: {error}", _next_step(path, error)) from error


def _next_step(path: Path, error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return _damaged_next_step(path)
    if code == sqlite3.SQLITE_FULL:
        return f"Free some space on the disk that holds {path.parent}, then start again"
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return f"Check that {path} exists and that {_user()} may write in {path.parent}"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "Close the program that has the file open for writing, then start again"
    return f"Check the disk that holds {path.parent}, then start again"


def _damaged_next_step(path: Path) -> str:
    return (
        f"Move {path} aside together with its -wal file and restore a backup;"
        " without one, wait until every open position is settled before starting with a new ledger"
    )


def _user() -> str:
    return f"user {os.getuid()}" if hasattr(os, "getuid") else "this user"


def _check_health(connection: sqlite3.Connection, path: Path) -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise Fatal(
            f"this Python's SQLite is {sqlite3.sqlite_version}", "Use a Python with SQLite 3.37 or newer"
        )
    # The evidence in `decisions` is most of the bytes and contains no amounts: it is not read at the start.
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'decisions'")
    for (table,) in tables.fetchall():
        found = connection.execute(f'PRAGMA quick_check("{table}")').fetchone()[0]
        if found != "ok":
            raise Fatal(f"the ledger {path} is damaged ({' '.join(found.split())})", _damaged_next_step(path))


def _check_version(connection: sqlite3.Connection, path: Path) -> int:
    """The file's version, after checking that it is a ledger and not from a newer program."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and application != APPLICATION_ID:
        raise Fatal(
            f"{path} is a SQLite file but not a ledger", "Move it aside or choose another state folder"
        )
    if version > len(STEPS):
        raise Fatal(
            f"the ledger {path} is of version {version}, newer than this program, which supports version"
            f" {len(STEPS)}",
            "Update the program, or choose another state folder with STATE_DIR",
        )
    return version


def _create(path: Path) -> None:
    """Make a new ledger under another name, and rename it when it is complete.

    A reader finds all of it or nothing, also after a process that was ended meanwhile.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        connection = sqlite3.connect(new, isolation_level=None)
        try:
            # One synchronization at the end is enough: no other program opens this file before.
            connection.execute("PRAGMA synchronous = OFF")
            _migrate(connection)
        finally:
            connection.close()
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise Fatal(
            f"ledger cannot be written: {path}: {error.strerror}", _next_step(path, sqlite3.Error())
        ) from error


def _migrate(connection: sqlite3.Connection) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, step in enumerate(STEPS[version:], start=version + 1):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE; {step}\n"
                f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
            )
            if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise sqlite3.IntegrityError("rows refer to rows that are not there")
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
