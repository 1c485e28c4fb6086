"""Measures a backtest's rows per second against a strategy that does nothing, on a day of generated markets.

    python benchmarks/backtest_throughput.py [--markets 96] [--workers 2]

A row is a book change or a quote of one token, as NautilusTrader's engine receives it; each market has four
a second of both. Both runs read the same markets, convert them and play them on the same engine, in as many
processes: one with the bot's strategy, risk engine, order lifecycle and ledger, the other with a strategy
that subscribes to the same data. Then the memory of two backtests is compared, one of twice the markets.
"""

import argparse
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import pUSD
from nautilus_trader.model.enums import AccountType, BookType, OmsType
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.trading.strategy import Strategy

from benchmarks.results import Measurement, ratio_at_least
from config import Settings
from core.nautilus_core.data_engine.node import VENUE
from models import Frozen, Outcome, ProtocolVersion, Rule
from research.backtest.engine import GROUP
from research.backtest.market_data import events, instrument
from research.backtest.sharded import run_listed
from research.recordings import RecordedMarket, Snapshot
from research.recordings.catalogue import market_from, object_of

FIRST_START = 1_790_553_600
MARKET_S, ROWS_PER_SECOND, LEVELS = 900, 4, 10
RULES = (Rule.TWAP60, Decimal("0.07"), ProtocolVersion.V1, Decimal("0.01"))
LEAST_RATIO, MOST_GROWTH = 0.8, 1.1
BENCH_MARKETS, BENCH_WORKERS = 32, 2


class GeneratedMarket(Frozen, frozen=True):
    """A market with a random walk of its price and new sizes at two levels in every book."""

    slug: str
    start: int

    def read(self) -> RecordedMarket:
        numbers = random.Random(self.start)
        price, snapshots = 500, []
        sizes = [numbers.randrange(10, 500) * 1_000_000 for _ in range(2 * LEVELS)]
        for number in range(MARKET_S * ROWS_PER_SECOND):
            price = min(900, max(100, price + 10 * numbers.choice((-1, 0, 1))))
            sizes[numbers.randrange(LEVELS)] = numbers.randrange(10, 500) * 1_000_000
            sizes[LEVELS + numbers.randrange(LEVELS)] = numbers.randrange(10, 500) * 1_000_000
            snapshots.append(
                Snapshot(
                    offset_ns=number * 10**9 // ROWS_PER_SECOND,
                    bids=tuple((price - 10 * level, sizes[level]) for level in range(1, LEVELS)),
                    asks=tuple((price + 10 * level, sizes[LEVELS + level]) for level in range(1, LEVELS)),
                )
            )
        return RecordedMarket(
            slug=self.slug,
            start=self.start,
            gamma=object_of(self.slug, *RULES),
            won=Outcome.UP if price > 500 else Outcome.DOWN,
            fine_tick_ns=None,
            snapshots=tuple(snapshots),
            source="generated",
        )


def generated(count: int) -> list[GeneratedMarket]:
    starts = [FIRST_START + MARKET_S * number for number in range(count)]
    return [GeneratedMarket(slug=f"btc-updown-15m-{start}", start=start) for start in starts]


class Idle(Strategy):
    """Subscribes to all books and quotes, and does nothing with them."""

    def on_start(self) -> None:
        for known in self.cache.instruments():
            self.subscribe_order_book_deltas(known.id)
            self.subscribe_quote_ticks(known.id)

    def on_order_book_deltas(self, deltas: object) -> None:
        pass

    def on_quote_tick(self, tick: object) -> None:
        pass


def play_idle(group: list[GeneratedMarket]) -> int:
    """Play a group with the strategy that does nothing; returns its rows."""
    engine = BacktestEngine(
        BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False)
    )
    engine.add_venue(
        Venue(VENUE),
        OmsType.NETTING,
        AccountType.CASH,
        [Money(1000, pUSD)],
        base_currency=pUSD,
        book_type=BookType.L2_MBP,
        trade_execution=False,
        bar_execution=False,
    )
    rows = 0
    for listed in group:
        recorded = listed.read()
        market, _ = market_from(recorded.gamma, Path("generated"))
        for outcome in Outcome:
            engine.add_instrument(instrument(recorded, market, outcome, market.tick))
        data = list(events(recorded, market))
        rows += len(data)
        engine.add_data(data, sort=False)
    engine.sort_data()
    engine.add_strategy(Idle())
    engine.run()
    engine.dispose()
    return rows


def timed_idle(markets: list[GeneratedMarket], workers: int) -> tuple[int, float]:
    """Rows, and seconds, of the strategy that does nothing."""
    groups = [markets[first : first + GROUP] for first in range(0, len(markets), GROUP)]
    began = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        rows = sum(pool.map(play_idle, groups))
    return rows, time.perf_counter() - began


def timed_backtest(markets: list[GeneratedMarket], workers: int) -> float:
    """Seconds of the backtest."""
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        run_listed(markets, Settings(), Path(scratch) / "ledger.db", workers=workers)  # type: ignore[arg-type]
        return time.perf_counter() - began


def peak_of(markets: int) -> float:
    """Largest memory of a process, MB, which runs a backtest of so many markets."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_peak, (markets,))


def _peak(markets: int) -> float:
    timed_backtest(generated(markets), 1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure() -> Sequence[Measurement]:
    """The short form, for `./bot bench`: fewer markets, and not the memory."""
    markets = generated(BENCH_MARKETS)
    rows, idle_s = timed_idle(markets, BENCH_WORKERS)
    backtest_s = timed_backtest(markets, BENCH_WORKERS)
    return [
        Measurement(
            name="backtest",
            what=f"rows of a backtest of {BENCH_MARKETS} markets, {BENCH_WORKERS} processes",
            value=rows / backtest_s,
            unit="rows/s",
            reference=rows / idle_s,
            reference_name="a strategy that does nothing",
            target=ratio_at_least(LEAST_RATIO),
        )
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--markets", type=int, default=96)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    markets = generated(options.markets)
    rows, idle_s = timed_idle(markets, options.workers)
    backtest_s = timed_backtest(markets, options.workers)
    ratio = idle_s / backtest_s
    few, many = (peak_of(count) for count in (2 * GROUP, 4 * GROUP))
    print(f"{options.markets} markets, {rows:,} rows, {options.workers} processes")
    print(f"strategy that does nothing: {idle_s:6.1f} s, {rows / idle_s:10,.0f} rows/s")
    print(f"backtest of the bot:        {backtest_s:6.1f} s, {rows / backtest_s:10,.0f} rows/s")
    print(f"ratio {ratio:.2f}, at least {LEAST_RATIO}")
    print(f"memory: {few:.0f} MB with {2 * GROUP} markets, {many:.0f} MB with {4 * GROUP}")
    return 0 if ratio >= LEAST_RATIO and many < MOST_GROWTH * few else 1


if __name__ == "__main__":
    raise SystemExit(main())
