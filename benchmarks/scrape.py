"""How long a scrape of /metrics takes, and a reading of the ledger behind it, as the history grows.

    python benchmarks/scrape.py [--decisions 1000 10000 100000]

A scrape only renders what is in memory: its time must not grow with the history. The reading happens on a
thread of its own after something happened, for at most a twentieth of the time; the last column is of the
scrapes that came while one was under way. Scrapes: median / slowest, milliseconds, asked by another process,
as Prometheus is one.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import Executor, ProcessPoolExecutor
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from loguru import logger
from long_ledger import history
from rich.console import Console
from rich.table import Table

from monitoring.grafana_exporter import ExporterParams, GrafanaMetricsExporter

SCRAPES = 100
COLUMNS = ("decisions", "ledger MB", "series", "scrape, ms", "reading, s", "scrape meanwhile")


def measure(client: Executor, decisions: int, folder: Path) -> tuple[str, ...]:
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
    exporter.start()
    url = f"{exporter.url}/metrics"
    page, _ = scrape(url)
    quiet = client.submit(scrapes, url).result()
    reading, meanwhile = read_and_scrape(client, exporter, url)
    exporter.close()
    return (
        f"{decisions:,}",
        f"{path.stat().st_size / 1e6:.0f}",
        str(sum(not line.startswith(b"#") for line in page.splitlines())),
        spread(quiet),
        f"{reading:.2f}",
        spread(meanwhile),
    )


def spread(times: list[float]) -> str:
    return f"{statistics.median(times) * 1e3:.1f} / {max(times) * 1e3:.1f}"


def read_and_scrape(
    client: Executor, exporter: GrafanaMetricsExporter, url: str
) -> tuple[float, list[float]]:
    """Seconds of one reading, and of each scrape that began while it lasted."""
    thread = threading.Thread(target=exporter.read)
    began = time.perf_counter()
    thread.start()
    meanwhile: list[float] = []
    while thread.is_alive():
        meanwhile += client.submit(scrapes, url, 1).result()
    return time.perf_counter() - began, meanwhile


def scrapes(url: str, count: int = SCRAPES) -> list[float]:
    """Seconds of each."""
    return [scrape(url)[1] for _ in range(count)]


def scrape(url: str) -> tuple[bytes, float]:
    """The page, and the seconds until all of it was there."""
    began = time.perf_counter()
    with urllib.request.urlopen(url) as answer:
        page = answer.read()
    return page, time.perf_counter() - began


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
            table.add_row(*measure(client, decisions, Path(folder)))
    Console().print(table)


if __name__ == "__main__":
    main()
