"""How long a scrape of /metrics takes, and a reading of the ledger behind it, as the history grows.

    python benchmarks/scrape.py [--decisions 1000 10000 100000]

A scrape only renders what is in memory: its time must not grow with the history. The reading happens on a
thread of its own, after something happened.
"""

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
import urllib.request
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from ledger_builders import buy, open_ledger, refusal, settlement
from rich.console import Console
from rich.table import Table

from monitoring.grafana_exporter import ExporterParams, GrafanaMetricsExporter

SCRAPES = 50
PER_MARKET = 5
"""Decisions a market: four refusals and one to buy."""


def history(path: Path, decisions: int) -> None:
    """A ledger with so many decisions, a fifth of them bought and settled; copied from one real market."""
    with open_ledger(path) as ledger:
        for _ in range(PER_MARKET - 1):
            ledger.record_decision(refusal(1))
        buy(ledger, 1)
        ledger.record_settlement(settlement(1))
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("PRAGMA synchronous = OFF")
        numbers = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i FROM n"
        )
        connection.execute("CREATE TEMP TABLE n (i INTEGER)")
        connection.execute(f"INSERT INTO n {numbers}", (decisions // PER_MARKET - 1,))
        for table in ("markets", "decisions", "intents", "order_states", "fills", "settlements"):
            _multiply(connection, table)
    connection.close()


def _multiply(connection: sqlite3.Connection, table: str) -> None:
    """Copy every row once for each number, its names made different by the number."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    named = {"slug", "condition_id", "intent_id", "order_id", "trade_id"}
    made = {"id": "t.id + n.i * 1000", "decision_id": "t.decision_id + n.i * 1000"}
    values = ", ".join(made.get(c) or (f"t.{c} || '-' || n.i" if c in named else f"t.{c}") for c in columns)
    connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} t, n")


def measure(decisions: int, folder: Path) -> tuple[str, ...]:
    path = folder / f"{decisions}" / "ledger.sqlite"
    history(path, decisions)
    exporter = GrafanaMetricsExporter(
        ExporterParams(
            host="127.0.0.1",
            port=0,
            ledger=path,
            max_exposure=Decimal(10),
            live_path=False,
            version="0",
            weights={},
        )
    )
    began = time.perf_counter()
    exporter.read()
    reading = time.perf_counter() - began
    exporter.start()
    times, page = [], b""
    for _ in range(SCRAPES):
        began = time.perf_counter()
        with urllib.request.urlopen(f"{exporter.url}/metrics") as answer:
            page = answer.read()
        times.append(time.perf_counter() - began)
    exporter.close()
    series = sum(not line.startswith(b"#") for line in page.splitlines())
    slowest = f"{max(times) * 1e3:.1f}"
    return (
        f"{decisions:,}",
        f"{path.stat().st_size / 1e6:.0f}",
        f"{reading:.2f}",
        f"{statistics.median(times) * 1e3:.1f}",
        slowest,
        str(series),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--decisions", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    table = Table("decisions", "ledger MB", "reading s", "scrape median ms", "slowest ms", "series")
    with tempfile.TemporaryDirectory() as folder:
        for decisions in parser.parse_args().decisions:
            table.add_row(*measure(decisions, Path(folder)))
    Console().print(table)


if __name__ == "__main__":
    main()
