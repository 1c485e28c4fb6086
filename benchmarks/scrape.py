"""Measures how long a scrape of /metrics takes as the ledger's history grows.

    python benchmarks/scrape.py [--decisions 1000 10000 100000]

Columns: the single reading of the ledger at the start, in seconds; a scrape while nothing happens and a
scrape while orders are decided, filled and settled, median / slowest in milliseconds, requested by another
process as Prometheus does; and the time that the node's event loop spends on one event, median / slowest in
milliseconds.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from ledger_builders import decision, fill, intent, market, settlement
from loguru import logger
from long_ledger import history
from rich.console import Console
from rich.table import Table

from benchmarks.results import Measurement, ratio_at_most
from events import Decided, Event, Filled, OrderMoved, OrderSent, OrderSigned, Settled
from models import Frozen, OrderState
from monitoring.grafana_exporter import ExporterParams, GrafanaMetricsExporter

SCRAPES = 100
BENCH_DECISIONS = (1_000, 10_000)
MOST_GROWTH = 2.0
"""Of a scrape with ten times the history."""
EVENT_PAUSE_S = 0.01
"""Between two events while scrapes are timed: 100 per second, far more than a bot produces."""
COLUMNS = ("decisions", "ledger MB", "series", "read, s", "scrape, ms", "scrape meanwhile", "event, ms")


class Scraped(Frozen, frozen=True):
    """What one size of the ledger took; durations in seconds."""

    ledger_mb: float
    series: int
    read_s: float
    quiet: list[float]
    meanwhile: list[float]
    events: list[float]


def scraped(client: Executor, decisions: int, folder: Path) -> Scraped:
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
    exporter.start()
    read_s = time.perf_counter() - began
    url = f"{exporter.url}/metrics"
    page, _ = scrape(url)
    quiet = client.submit(scrapes, url).result()
    handled, meanwhile = trade_and_scrape(client, exporter, url)
    exporter.close()
    return Scraped(
        ledger_mb=path.stat().st_size / 1e6,
        series=sum(not line.startswith(b"#") for line in page.splitlines()),
        read_s=read_s,
        quiet=quiet,
        meanwhile=meanwhile,
        events=handled,
    )


def row(decisions: int, found: Scraped) -> tuple[str, ...]:
    return (
        f"{decisions:,}",
        f"{found.ledger_mb:.0f}",
        str(found.series),
        f"{found.read_s:.2f}",
        spread(found.quiet),
        spread(found.meanwhile),
        spread(found.events),
    )


def spread(times: list[float]) -> str:
    return f"{statistics.median(times) * 1e3:.2f} / {max(times) * 1e3:.2f}"


def trade_and_scrape(
    client: Executor, exporter: GrafanaMetricsExporter, url: str
) -> tuple[list[float], list[float]]:
    """Duration of each event and of each scrape during them, in seconds."""
    handled: list[float] = []
    ended = threading.Event()

    def trade() -> None:
        for event in events():
            if ended.wait(EVENT_PAUSE_S):
                return
            began = time.perf_counter()
            exporter.handle(event)
            handled.append(time.perf_counter() - began)

    thread = threading.Thread(target=trade)
    thread.start()
    meanwhile = client.submit(scrapes, url).result()
    while len(handled) < SCRAPES:
        meanwhile += client.submit(scrapes, url, 1).result()
    ended.set()
    thread.join()
    return handled, meanwhile


def events() -> Iterator[Event]:
    """Markets that are decided, bought and settled; an infinite iterator."""
    number = 10**6
    while True:
        number += 1
        wanted, now_ns = intent(0, number), fill(number).ts_ns + 10**9
        yield Decided(decision=decision(number), final=False, decision_id=number)
        yield OrderSent(intent=wanted)
        yield OrderSigned(intent=wanted, order_id=f"0x{number}")
        yield OrderMoved(intent=wanted, state=OrderState.MATCHED, reason="")
        yield Filled(fill=fill(number))
        won = settlement(number, settled_ns=now_ns)
        yield Settled(market=market(number), settlement=won, pnl=None, total_pnl=Decimal(0))


def scrapes(url: str, count: int = SCRAPES) -> list[float]:
    """Duration of each scrape in seconds."""
    return [scrape(url)[1] for _ in range(count)]


def scrape(url: str) -> tuple[bytes, float]:
    """The page, and the seconds until it was received completely."""
    began = time.perf_counter()
    with urllib.request.urlopen(url) as answer:
        page = answer.read()
    return page, time.perf_counter() - began


def measure() -> Sequence[Measurement]:
    """The short form, for `./bot bench`."""
    logger.remove()
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1) as client:
        few, many = (scraped(client, decisions, Path(folder)) for decisions in BENCH_DECISIONS)
    small, large = (f"{decisions:,} decisions" for decisions in BENCH_DECISIONS)
    return [
        Measurement(
            name="scrape",
            what=f"a scrape while orders are traded, {large}, median",
            value=statistics.median(many.meanwhile) * 1e3,
            unit="ms",
            reference=statistics.median(few.meanwhile) * 1e3,
            reference_name=small,
            target=ratio_at_most(MOST_GROWTH),
        ),
        Measurement(
            name="scrape",
            what=f"an event on the node's loop, {large}, median",
            value=statistics.median(many.events) * 1e3,
            unit="ms",
            reference=statistics.median(few.events) * 1e3,
            reference_name=small,
            target=ratio_at_most(MOST_GROWTH),
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--decisions", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    logger.remove()
    table = Table(*COLUMNS)
    sizes = parser.parse_args().decisions
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1) as client:
        for decisions in sizes:
            table.add_row(*row(decisions, scraped(client, decisions, Path(folder))))
    Console().print(table)


if __name__ == "__main__":
    main()
