"""Compares the practice venue's own database with the bot's ledger, both read as plain SQLite files."""

import shutil
import sqlite3
from collections import defaultdict
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

MICRO, MILLS = Decimal(1_000_000), Decimal(1000)


class Paths(NamedTuple):
    """The two files of one trading profile."""

    ledger: Path
    venue: Path

    @classmethod
    def of(cls, folder: Path, profile: str) -> "Paths":
        """Parameters: the bot's folder, and the name of the profile's folder in its state."""
        state = folder / "state" / profile
        return cls(state / "ledger.sqlite", state / "venue" / "venue.sqlite3")


class Trade(NamedTuple):
    """A trade in both databases: order hash, shares, price, fee in pUSD."""

    order_id: str
    shares: Decimal
    price: Decimal
    fee: Decimal


class Report(NamedTuple):
    """The result of a comparison; `wrong` has one sentence for each difference."""

    venue_trades: int
    ledger_fills: int
    lost: int
    doubled: int
    unresolved: tuple[str, ...]
    """Hashes of orders without a final state."""
    unposted: tuple[str, ...]
    """Those of them that never reached the venue."""
    wrong: tuple[str, ...]


def rows(path: Path, question: str, *values: object) -> list[tuple[Any, ...]]:
    """The result of a query; empty if the file or the table does not exist yet."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as database:
            return database.execute(question, values).fetchall()
    except sqlite3.OperationalError as error:
        if str(error).startswith(("unable to open", "no such table")):
            return []
        raise


def venue_copy(path: Path, folder: Path) -> Path:
    """A readable copy of the database of a venue that has stopped, killed or not.

    A read-only connection does not open a database in WAL mode whose process was killed.
    """
    for part in ("", "-wal"):
        source = path.with_name(path.name + part)
        if source.exists():
            shutil.copy(source, folder)
    copy = folder / path.name
    with closing(sqlite3.connect(copy)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode = DELETE")
    return copy


def venue_trades(path: Path) -> dict[str, Trade]:
    """The trades that did not fail, by id; `path` is of a `venue_copy`."""
    found = rows(path, "SELECT id, order_id, shares, price, fee FROM trade WHERE status <> 'FAILED'")
    return {
        trade: Trade(order, Decimal(shares) / MICRO, Decimal(price) / MILLS, Decimal(fee) / MICRO)
        for trade, order, shares, price, fee in found
    }


def ledger_fills(path: Path) -> dict[str, list[Trade]]:
    """The valid fills, by the id of their trade; a trade has one for each maker."""
    found = defaultdict(list)
    query = "SELECT trade_id, order_id, shares, price, fee FROM fills WHERE status <> 'FAILED'"
    for trade, order, *numbers in rows(path, query):
        found[trade.partition("#")[0]].append(Trade(order, *(Decimal(number) for number in numbers)))
    return found


def differences(trades: dict[str, Trade], fills: dict[str, list[Trade]]) -> list[str]:
    """Trades that are missing in the ledger, or differ, and fills without a trade."""
    wrong = [
        f"trade {trade} of order {trades[trade].order_id} is lost" for trade in trades.keys() - fills.keys()
    ]
    wrong += [f"fill {trade} is no trade of the venue" for trade in fills.keys() - trades.keys()]
    for trade in trades.keys() & fills.keys():
        real, recorded = trades[trade], fills[trade]
        one = Trade(
            recorded[0].order_id,
            sum((fill.shares for fill in recorded), Decimal(0)),
            recorded[0].price,
            sum((fill.fee for fill in recorded), Decimal(0)),
        )
        if one != real or len({fill.price for fill in recorded}) > 1:
            wrong.append(f"trade {trade} is {real} at the venue and {recorded} in the ledger")
    return wrong


def compare(paths: Paths) -> Report:
    """Check that every trade of the venue is in the ledger once, and that there is no other fill, halt or
    drift.

    Both processes must have stopped.
    """
    with TemporaryDirectory() as folder:
        return _compare(paths.ledger, venue_copy(paths.venue, Path(folder)))


def _compare(ledger: Path, venue: Path) -> Report:
    trades, fills = venue_trades(venue), ledger_fills(ledger)
    wrong = differences(trades, fills)
    bought = rows(
        venue,
        'SELECT start, count(*) FROM "order" WHERE matched_shares > 0 GROUP BY start HAVING count(*) > 1',
    )
    wrong += [f"market {start} was bought {times} times" for start, times in bought]
    wrong += [f"halt: {why}" for (why,) in rows(ledger, "SELECT why FROM halts WHERE event = 'halt'")]
    drifts = rows(ledger, "SELECT id, cash_drift FROM runs")
    wrong += [
        f"run {run} booked {drift} as a deposit or withdrawal" for run, drift in drifts if Decimal(drift)
    ]
    checks = rows(ledger, "SELECT difference FROM cash_checks")
    wrong += [
        f"a cash check differs by {row[0]}" for row in checks if abs(Decimal(row[0])) > Decimal("0.00001")
    ]
    living = rows(ledger, "SELECT order_id FROM intents WHERE state IN ('intent', 'sent', 'unknown')")
    known = {order for (order,) in rows(venue, 'SELECT id FROM "order"')}
    lost, standing = len(trades.keys() - fills.keys()), sum(map(len, fills.values()))
    return Report(
        venue_trades=len(trades),
        ledger_fills=standing,
        lost=lost,
        doubled=len(fills.keys() - trades.keys()),
        unresolved=tuple(str(order) for (order,) in living),
        unposted=tuple(str(order) for (order,) in living if order not in known),
        wrong=tuple(wrong),
    )
