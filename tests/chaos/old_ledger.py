"""A ledger of an earlier version, and the points of its migration."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from execution.ledger.schema import APPLICATION_ID, STEPS

VERSION = 3
"""The version that the ledger begins with: later steps rebuild the tables of decisions, results and runs."""
EARLIER = "earlier"
"""The account of its rows: another one than that of the run."""
ROWS = [
    (
        *(number, 1, EARLIER, "btc-updown-15m-0", number / 2, number, "Up", "no_ask", "text", "0.895"),
        *(None, None, 0.91, 0.004, 61.5, 0.72, "twap60", bytes((number % 256,)) * 100),
    )
    for number in range(1, 501)
]
"""Refusals, which need neither order nor cash."""
KEPT = (
    "SELECT id, slug, second, now_ns, outcome, reason, detail, p, fair, score, rule, evidence FROM decisions"
)
BEFORE_COMMIT, AFTER_LAST = "migration: step {} before its commit", "migration: after the last step"


def migration_points() -> Iterator[str]:
    """Before the commit of each step that the old ledger needs, and after the last one."""
    for number in range(VERSION + 1, len(STEPS) + 1):
        yield BEFORE_COMMIT.format(number)
    yield AFTER_LAST


def write_old_ledger(path: Path) -> None:
    """Create a ledger of `VERSION` with a run and 500 refusals of another account."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as database:
        database.executescript("\n".join(STEPS[:VERSION]))
        database.execute(
            "INSERT INTO runs VALUES (1, ?, 1, 2, 'simulation', 'synthetic', 15.0, '1000', '0', '')",
            (EARLIER,),
        )
        database.execute(
            "INSERT INTO markets VALUES"
            " (?, 'btc-updown-15m-0', 0, 900, '0xc', '1', '2', '0.07', '0.01', 'twap60', '', '')",
            (EARLIER,),
        )
        marks = ", ".join("?" * len(ROWS[0]))
        database.executemany(f"INSERT INTO decisions VALUES ({marks})", ROWS)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {VERSION}")
        database.commit()


def lost_rows(path: Path) -> list[str]:
    """What is wrong with the rows of the old ledger after its migration; empty if nothing."""
    wanted = [(*row[:1], *row[3:10], row[12], row[14], *row[16:]) for row in ROWS]
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        found = database.execute(f"{KEPT} WHERE session = ? ORDER BY id", (EARLIER,)).fetchall()
        (version,) = database.execute("PRAGMA user_version").fetchone()
    wrong = [] if version == len(STEPS) else [f"the ledger is of version {version}, not {len(STEPS)}"]
    if found != wanted:
        wrong.append(
            f"of {len(wanted)} rows of the old ledger {len(set(wanted) & set(found))} are as they were"
        )
    return wrong
