"""A ledger with a history of years, created in seconds: one real market's rows, copied with other names."""

import sqlite3
from pathlib import Path

from ledger_builders import buy, open_ledger, refusal, settlement

SERIES = "btc-updown-15m-"
PER_MARKET = 5
"""Decisions per market: four refusals and one to buy."""
COPIED = ("markets", "decisions", "intents", "order_states", "fills", "settlements")
NAMES = {"condition_id", "intent_id", "order_id", "trade_id"}
"""Columns whose values must differ in every copy."""


def history(path: Path, decisions: int) -> None:
    """A ledger with this number of decisions, a fifth of them bought and settled."""
    with open_ledger(path) as ledger:
        for _ in range(PER_MARKET - 1):
            ledger.record_decision(refusal(1))
        buy(ledger, 1)
        ledger.record_settlement(settlement(1))
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TEMP TABLE n (i INTEGER)")
        connection.executemany("INSERT INTO n VALUES (?)", ((i,) for i in range(1, decisions // PER_MARKET)))
        for table in COPIED:
            _multiply(connection, table)
    connection.close()


def _multiply(connection: sqlite3.Connection, table: str) -> None:
    """Copy every row once for each number, with the number added to its names."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    made = {
        "id": "t.id + n.i * 1000",
        "decision_id": "t.decision_id + n.i * 1000",
        "slug": f"'{SERIES}' || (substr(t.slug, {len(SERIES) + 1}) + n.i * 900)",
    }
    values = ", ".join(made.get(c) or (f"t.{c} || '-' || n.i" if c in NAMES else f"t.{c}") for c in columns)
    connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} t, n")
