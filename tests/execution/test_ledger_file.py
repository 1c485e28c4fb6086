"""The ledger file: one writer, a known version, no damage, and nothing lost when the process is killed."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from ledger_builders import buy, decision, market, open_ledger
from loguru import logger

from errors import Fatal
from execution.ledger import LedgerLocked, LedgerReader, Venue, connection, schema
from execution.ledger.writer import Ledger
from models import Outcome, TradeOutcome

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def pragma(path, name):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]
    finally:
        connection.close()


def run_sql(path, script):
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


class TestOneWriter:
    def test_the_error_of_a_second_writer_names_the_holder(self, path):
        """A second bot with the same folder ends with the process id of the first."""
        with Ledger(path), pytest.raises(Fatal, match=rf"being written by process {os.getpid()} since 20"):
            Ledger(path)

    def test_lock_of_another_process(self, path):
        """The lock holds between processes and ends with its process, also when that is killed."""
        script = (
            "import sys; from pathlib import Path; from execution.ledger.writer import Ledger;"
            "ledger = Ledger(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script, path],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(Fatal, match=f"process {holder.pid} "):
                Ledger(path)
            holder.kill()
            holder.wait()

        Ledger(path).close()

    def test_lock_is_given_back_when_opening_fails(self, path):
        """A file that cannot be opened does not stay locked."""
        path.write_bytes(b"not a database, but long enough to have a header" * 50)
        for _ in range(2):
            with pytest.raises(Fatal, match="not a database"):
                Ledger(path)

    def test_folder_that_cannot_be_made(self, tmp_path):
        """A state folder that is a file is an error with what to do."""
        (tmp_path / "state").write_text("")
        with pytest.raises(Fatal, match="Check that the folder can be written"):
            Ledger(tmp_path / "state" / "live" / "ledger.sqlite")

    def test_readers_are_not_writers(self, path):
        """A reader works beside the writer and cannot change anything."""
        with open_ledger(path) as ledger, LedgerReader(path) as reader:
            buy(ledger)
            assert len(reader.trades()) == 1
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader._connection.execute("UPDATE runs SET note = 'x'")


TODAY = """
INSERT INTO runs VALUES (1, '', 1, 2, 'simulation', 'recorded', 15.0, '1000', '0', '');
INSERT INTO markets VALUES ('', 'a', 0, 900, '0xa', '1', '2', '0.07', '0.01', 'twap60', 'A', '');
INSERT INTO markets VALUES ('', 'b', 900, 900, '0xb', '3', '4', '0.07', '0.01', 'twap60', 'B', '');
INSERT INTO decisions VALUES (1, 1, '', 'a', 790.0, 5, 'Up', NULL, '', '0.9', '0.9', '0.92', 0.9,
    0.0, 60.0, 0.7, 'twap60', x'00');
INSERT INTO decisions VALUES (2, 1, '', 'b', 790.0, 6, 'Up', NULL, '', '0.9', '0.9', '0.92', 0.9,
    0.0, 60.0, 0.7, 'twap60', x'00');
INSERT INTO intents VALUES ('i1', 1, 1, '', 'a', '0xa', '1', 'Up', '1', '0.9', '0.92', 1, 5,
    'matched', '0x1', '');
INSERT INTO intents VALUES ('i2', 1, 2, '', 'b', '0xb', '3', 'Up', '1', '0.9', '0.92', 1, 6,
    'matched', '0x2', '');
INSERT INTO fills VALUES ('', 't1', 1, '0x1', 'i1', 'a', 'Up', '1.1', '0.9', '0.00693', 7, 'CONFIRMED');
INSERT INTO fills VALUES ('', 't2', 1, '0x2', 'i2', 'b', 'Up', '1.1', '0.9', '0.00693', 8, 'CONFIRMED');
INSERT INTO settlements VALUES ('', 'a', 1, 'Up', 'gamma', 9);
INSERT INTO settlements VALUES ('', 'b', 1, 'Down', 'clob', 10);
INSERT INTO redemptions VALUES ('', 'a', 1, '1.1', 11);
"""
"""A win that was paid and a loss, in the third version of the tables."""


@contextmanager
def locked(path):
    """Another program has the file open for writing."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


class TestLockOfAnotherProgram:
    def test_the_writer_waits_for_as_long_as_it_takes(self, path, monkeypatch):
        """A lock that lasts much longer than the timeout loses no row; its beginning and end are reported
        once."""
        monkeypatch.setattr(connection, "WRITER_PAUSE_S", 0.02)
        messages = []
        sink = logger.add(lambda message: messages.append(message.record["message"]), level="INFO")
        with open_ledger(path) as ledger, ThreadPoolExecutor(1) as pool:
            with locked(path):
                asked = threading.Event()
                go_on_waiting = ledger._go_on_waiting
                times = count(1)
                ledger._go_on_waiting = lambda: (next(times) > 5 and asked.set()) or go_on_waiting()
                written = pool.submit(ledger.record_halt, "three refusals")
                assert asked.wait(30)
                assert not written.done()
            assert written.result(30) is True
        logger.remove(sink)
        assert [text for text in messages if "locked by another program" in text] == [messages[0]]
        assert "can be written again" in messages[-1]
        assert len(messages) == 2

    def test_a_worker_that_stops_gives_up(self, path):
        """From then on no write waits; the error is a lock's, and the file is unchanged."""
        with open_ledger(path) as ledger:
            ledger.stop_waiting()
            with locked(path):
                for _ in range(2):
                    with pytest.raises(LedgerLocked, match="is locked"):
                        ledger.record_halt("x")
            assert ledger.record_halt("x")

    def test_a_start_finds_it_locked(self, path, monkeypatch):
        """The error is a lock's, so that the supervisor tries again."""
        Ledger(path).close()
        run_sql(path, "PRAGMA user_version = 3; DROP TABLE decisions;")
        monkeypatch.setattr(connection, "BUSY_TIMEOUT_S", 0.05)
        with locked(path), pytest.raises(LedgerLocked, match="Close the program"):
            Ledger(path)


class TestOlderFile:
    def test_a_ledger_without_split_results_keeps_every_row(self, path):
        """The table of results is rebuilt: rows, references and triggers against changes are kept."""
        third = "\n".join(schema.STEPS[:3])
        run_sql(path, f"{third} {TODAY} PRAGMA application_id = {0x50424C47}; PRAGMA user_version = 3;")
        with Ledger(path) as ledger, LedgerReader(path) as reader:
            won, lost = reader.trades()
            assert (won.version, lost.version) == ("v1", "v1")
            assert (won.payout, won.pnl, won.outcome) == (
                Decimal("1.1"),
                Decimal("0.10307"),
                TradeOutcome.WIN,
            )
            assert (lost.payout, lost.pnl, lost.outcome) == (
                Decimal(0),
                Decimal("-0.99693"),
                TradeOutcome.LOSS,
            )
            assert [(w.winner, w.settled_ns) for w in (won, lost)] == [(Outcome.UP, 9), (Outcome.DOWN, 10)]
            assert reader.settlement("b").source == "clob"
            assert reader.claimable() == {}
            assert reader.cash_flow().cash == Decimal("999.10614")
            db = ledger._connection
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)
            for change in ("UPDATE settlements SET source = 'x'", "DELETE FROM settlements"):
                with pytest.raises(sqlite3.IntegrityError, match="settlements is append-only"):
                    db.execute(change)
            with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
                db.execute("INSERT INTO redemptions VALUES ('', 'nowhere', 1, '1', 1)")

    def test_a_ledger_from_before_the_mixed_venue_keeps_its_runs(self, path):
        """The table of runs is rebuilt: its rows are kept, rows refer to it, and a mixed run can follow."""
        sixth = "\n".join(schema.STEPS[:6])
        run = "INSERT INTO runs VALUES (7, 's', 1, 2, 'simulation', 'recorded', 15.0, '1000', '0', 'old');"
        run_sql(path, f"{sixth} {run} PRAGMA application_id = {0x50424C47}; PRAGMA user_version = 6;")
        with Ledger(path) as ledger, LedgerReader(path) as reader:
            before = reader.last_run()
            assert (before.id, before.session, before.venue, before.note) == (7, "s", Venue.RECORDED, "old")
            assert (before.started_ns, before.ended_ns, before.starting_cash) == (1, 2, Decimal(1000))
            db = ledger._connection
            with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
                db.execute("INSERT INTO halts VALUES (1, 8, 1, 'halt', 'x')")
            with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
                db.execute("UPDATE runs SET venue = 'elsewhere'")
            with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
                db.execute("UPDATE runs SET venue = 'polymarket'")
        path.unlink()
        with open_ledger(path, venue=Venue.MIXED, session="s"), LedgerReader(path) as reader:
            assert reader.last_run().venue is Venue.MIXED

    def test_a_step_that_fails_leaves_the_file_as_it_was(self, path, monkeypatch):
        """Rows with broken references stop the start; the file still opens with the previous version."""
        third = "\n".join(schema.STEPS[:3])
        lost = "INSERT INTO redemptions VALUES ('', 'nowhere', 1, '1', 1);"
        run_sql(
            path, f"{third} {TODAY} {lost} PRAGMA application_id = {0x50424C47}; PRAGMA user_version = 3;"
        )
        for _ in range(2):
            with pytest.raises(Fatal, match="refer to rows that are not there"):
                Ledger(path)
        assert pragma(path, "user_version") == 3


class TestDurability:
    def test_settings_of_the_connection(self, path):
        """WAL, fsync at every commit, and foreign keys are in effect."""
        with Ledger(path) as ledger:
            values = {
                name: ledger._connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
        assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}

    def test_killed_while_writing(self, path):
        """Every write acknowledged before a kill -9 is there afterwards, and the file is intact."""
        script = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
from ledger_builders import buy, open_ledger
ledger = open_ledger(Path(sys.argv[1]))
for number in range(1, 100_000):
    buy(ledger, number)
    print(number, flush=True)
"""
        with subprocess.Popen(
            [sys.executable, "-c", script, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if int(line) >= 20:
                    child.send_signal(signal.SIGKILL)
                    break
            acknowledged = int(([line, *child.stdout.read().split()])[-1])
        assert child.returncode == -signal.SIGKILL

        with Ledger(path) as ledger, LedgerReader(path) as reader:
            assert ledger._connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            assert ledger._connection.execute("PRAGMA foreign_key_check").fetchall() == []
            bought = [trade.slug for trade in reader.trades()]
            assert bought[:acknowledged] == [market(n).slug for n in range(1, acknowledged + 1)]
            assert len(bought) - acknowledged in (0, 1)
            assert reader.last_run().ended_ns is None

    def test_full_disk_stops_the_bot_and_keeps_what_was_there(self, path):
        """SQLite's own "disk is full" becomes Fatal with what to do; earlier rows stay readable."""
        with open_ledger(path) as ledger:
            buy(ledger)
            pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
            ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
            with pytest.raises(Fatal, match=r"ledger cannot be written.* full\. Free some space"):
                list(map(ledger.record_decision, (decision(n, history=100) for n in range(2, 50))))
            with LedgerReader(path) as reader:
                assert len(reader.trades()) == 1
            ledger._connection.execute("PRAGMA max_page_count = 100000")
            buy(ledger, 2)

    def test_half_a_verb_is_nothing(self, path):
        """A method that fails in its second statement leaves nothing of its first."""
        with open_ledger(path) as ledger, LedgerReader(path) as reader:
            run_sql(
                path,
                "CREATE TRIGGER broken BEFORE INSERT ON decisions BEGIN SELECT RAISE(ABORT, 'broken'); END",
            )
            with pytest.raises(Fatal, match="broken"):
                ledger.record_decision(decision())
            assert reader._connection.execute("SELECT count(*) FROM markets").fetchone()[0] == 0


class TestVersions:
    def test_new_file_has_taken_all_steps(self, path):
        """A new ledger has the latest version and the application id."""
        Ledger(path).close()

        assert pragma(path, "user_version") == len(schema.STEPS)
        assert pragma(path, "application_id") == schema.APPLICATION_ID

    def test_newer_file_is_refused(self, path):
        """Neither writer nor reader changes a file of a later version."""
        Ledger(path).close()
        run_sql(path, "PRAGMA user_version = 99")

        for opener in (Ledger, LedgerReader):
            with pytest.raises(Fatal, match=r"version 99, newer than this program.*Update the program"):
                opener(path)

    def test_older_file_is_brought_up_to_date(self, path, monkeypatch):
        """A later migration runs on an existing file and keeps its rows; a reader refuses the file before
        it."""
        with open_ledger(path) as ledger:
            buy(ledger)
        monkeypatch.setattr(
            "execution.ledger.connection.STEPS", (*schema.STEPS, "CREATE TABLE later (x INTEGER);")
        )
        with pytest.raises(Fatal, match="Start the bot once"):
            LedgerReader(path)

        Ledger(path).close()

        assert pragma(path, "user_version") == len(schema.STEPS) + 1
        with LedgerReader(path) as reader:
            assert len(reader.trades()) == 1

    def test_ledger_of_an_earlier_version_opens_with_all_it_has(self, path):
        """A file written before there was a minimum weight keeps every row, and accepts new ones."""
        run_sql(path, (ROOT / "tests" / "data" / "ledger_version_3.sql").read_text(encoding="utf-8"))
        kept = "SELECT id, slug, second, outcome, reason, detail, p, score, rule, evidence FROM decisions"
        connection = sqlite3.connect(path)
        before = connection.execute(kept).fetchall()
        connection.close()

        with open_ledger(path) as ledger, LedgerReader(path) as reader:
            db = ledger._connection
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute(kept).fetchall() == before
            assert [row.reason for row in reader.decisions()] == ["no_ask", "low_score", None, None]
            assert [row.weight for row in reader.decisions()] == [None] * 4
            assert [(trade.slug, trade.decision_id) for trade in reader.trades()] == [(market(3).slug, 3)]
            assert reader.decision(1).context.market == market(1)
            assert len(reader.open_intents()) == 1
            new = ledger.record_decision(decision(5, reason="low_weight"))
            assert new == 5
            assert reader.recent_decisions(1)[0].weight == 0.25
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute("UPDATE decisions SET detail = ''")

    def test_migrated_ledger_has_the_schema_of_a_new_one(self, path, tmp_path):
        """Tables, indices and triggers are the same, whichever version the file began with."""
        run_sql(path, (ROOT / "tests" / "data" / "ledger_version_3.sql").read_text(encoding="utf-8"))
        new = tmp_path / "new.sqlite"
        schemas = []
        for file in (path, new):
            with Ledger(file) as ledger:
                found = ledger._connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
                schemas.append({(kind, name): sql for kind, name, sql in found})
        assert schemas[0] == schemas[1]
        assert {("index", "decisions_by_run"), ("index", "decisions_by_reason")} <= set(schemas[0])

    def test_failing_step_leaves_the_old_version(self, path, monkeypatch):
        """A migration that fails half-way is rolled back as a whole."""
        with open_ledger(path) as ledger:
            buy(ledger)
        broken = "CREATE TABLE later (x INTEGER); INSERT INTO nowhere VALUES (1);"
        with monkeypatch.context() as patch:
            patch.setattr("execution.ledger.connection.STEPS", (*schema.STEPS, broken))
            with pytest.raises(Fatal, match="no such table: nowhere"):
                Ledger(path)

        assert pragma(path, "user_version") == len(schema.STEPS)
        with Ledger(path) as ledger:
            assert not ledger._connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'later'"
            ).fetchall()


class TestDamage:
    @pytest.mark.parametrize("opener", [Ledger, LedgerReader])
    def test_file_that_is_no_database(self, path, opener):
        """Garbage in place of the ledger is refused with what to do, and not changed."""
        garbage = b"garbage" * 1000
        path.write_bytes(garbage)

        with pytest.raises(Fatal, match=r"not a database.*restore a backup"):
            opener(path)

        assert path.read_bytes() == garbage

    def test_damaged_page(self, path):
        """A ledger with one overwritten page of fills is detected at the start, not during a trade."""
        with open_ledger(path) as ledger:
            buy(ledger)
            root, size = ledger._connection.execute(
                "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master"
                " WHERE name = 'fills'"
            ).fetchone()
        with path.open("r+b") as file:
            file.seek((root - 1) * size + 8)
            file.write(b"\xff\xff")

        with pytest.raises(Fatal, match=r"(is damaged|is malformed).*restore a backup"):
            Ledger(path)

    def test_a_foreign_database_is_refused(self, path):
        """Another program's SQLite file is not turned into a ledger."""
        run_sql(path, "CREATE TABLE notes (x)")

        for opener in (Ledger, LedgerReader):
            with pytest.raises(Fatal, match="not a ledger"):
                opener(path)

    def test_no_file_to_read(self, path):
        """A reader creates nothing."""
        with pytest.raises(Fatal, match="cannot be read"):
            LedgerReader(path)
        assert not path.exists()


def test_a_new_ledger_is_there_completely_or_not_at_all(tmp_path, monkeypatch):
    """A process that ends while it makes one leaves no file that a reader takes for an old ledger."""
    path = tmp_path / "ledger.sqlite"
    seen = []

    def interrupted(new):
        new.execute("CREATE TABLE half (a)")
        seen.append(path.exists())
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(connection, "_migrate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Ledger(path)
    assert seen == [False]
    assert not path.exists()
    with Ledger(path):
        pass
    with LedgerReader(path) as reader:
        assert reader.decisions() == []
    assert not (tmp_path / "ledger.sqlite.new").exists()


class TestReservedLog:
    """The write-ahead log is enlarged before the first order, so that its commits need not do it."""

    SIZE = 8_000_000

    @pytest.fixture
    def log(self, path):
        return path.with_name("ledger.sqlite-wal")

    def test_commits_overwrite_it(self, path, log):
        """It has its size before the first commit and after eighty decisions, and the file is no longer."""
        with open_ledger(path) as ledger:
            size = path.stat().st_size
            ledger.reserve_log()
            reserved = log.stat().st_size
            assert reserved > self.SIZE
            assert path.stat().st_size == size
            ledger.record_market(market(0))
            for _ in range(80):
                ledger.record_decision(decision(0))
            assert log.stat().st_size == reserved
            with LedgerReader(path) as reader:
                assert len(reader.decisions()) == 80
        assert pragma(path, "integrity_check") == "ok"

    def test_a_killed_process_leaves_a_log_that_is_read_up_to_the_last_commit(self, path, log, tmp_path):
        """The bytes behind it are no rows; the next process continues and reserves no second time as much."""
        copied = tmp_path / "after the kill"
        copied.mkdir()
        with open_ledger(path) as ledger:
            ledger.reserve_log()
            ledger.record_market(market(0))
            ledger.record_decision(decision(0))
            for file in (path, log):
                shutil.copy(file, copied)
        with open_ledger(copied / path.name) as ledger:
            ledger.record_decision(decision(0))
            ledger.reserve_log()
            ledger.record_decision(decision(0))
            with LedgerReader(ledger.path) as reader:
                assert len(reader.decisions()) == 3
            assert (copied / log.name).stat().st_size < 1.2 * self.SIZE
        assert pragma(copied / path.name, "integrity_check") == "ok"

    def test_a_disk_that_is_nearly_full_is_left_to_the_rows(self, path, log, monkeypatch):
        """With less free than sixteen times as much the log keeps its size."""
        usage = shutil.disk_usage(path.parent)
        with open_ledger(path) as ledger:
            before = log.stat().st_size
            for free in (16 * self.SIZE - 1, 0):
                monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
                ledger.reserve_log()
                assert log.stat().st_size == before
            monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=16 * self.SIZE))
            ledger.reserve_log()
            assert log.stat().st_size > self.SIZE

    def test_without_space_nothing_is_lost(self, path, log):
        """A disk that becomes full meanwhile, here a limit on the size of files, is no error of the start."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with open_ledger(path) as ledger:
            ledger.record_market(market(0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.SIZE // 2, hard))
            try:
                ledger.reserve_log()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            ledger.record_decision(decision(0))
            with LedgerReader(path) as reader:
                assert len(reader.decisions()) == 1
