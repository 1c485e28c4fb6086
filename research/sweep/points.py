"""Computes one point with the backtest engine, in whatever process it is called."""

import hashlib
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from config import Settings
from errors import Fatal
from execution.ledger import LedgerReader
from models import Frozen, Outcome
from research.backtest.engine import run
from research.recordings import RecordedMarket
from research.sweep.grid import settings_of
from research.sweep.results import Engine, MarketSummary, PointResult, code_version
from research.sweep.sources import Recordings, Source

TraceLine = tuple[int, float, Outcome | None, str, str, Decimal | None, Decimal | None]
"""One decision: time, market second, outcome, result, detail, ask, price cap."""
BUY = "buy"
ONE_RUN = threading.Lock()
"""NautilusTrader's engines share state of their process, and a Dask worker may have several threads."""


class Job(Frozen, frozen=True):
    """What all points of a sweep have in common.

    Attributes
    ----------
    source : Source
    recordings, code : str
        The hashes that every worker must find.
    """

    source: Source
    recordings: str
    code: str


def compute(job: Job, settings: Mapping[str, str]) -> PointResult:
    """Backtest one point; called in a worker's process.

    Raises
    ------
    Fatal
        If this process has other recordings or another version of the code.
    """
    if code_version() != job.code:
        raise Fatal(
            f"this worker's code is {code_version()}, the sweep's is {job.code}",
            "Start the worker again, with the same version of the project and of NautilusTrader",
        )
    with ONE_RUN:
        return _compute(job, settings)


def _compute(job: Job, settings: Mapping[str, str]) -> PointResult:
    markets = _recordings(job.source)
    if markets.content != job.recordings:
        raise Fatal(
            f"the recordings {job.source.path} of this worker differ from the sweep's",
            "Copy the same files to every machine, and start the worker again",
        )
    return PointResult(
        settings=dict(settings),
        recordings=job.recordings,
        code=job.code,
        engine=Engine.BACKTEST,
        markets=backtest_point(markets, settings_of(settings)),
    )


@cache
def _recordings(source: Source) -> Recordings:
    """The recordings, checked once in each process."""
    return Recordings(source)


def backtest_point(markets: Iterable[RecordedMarket], settings: Settings) -> tuple[MarketSummary, ...]:
    """Run the backtest engine, and read the results of all markets from its ledger."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        traded: list[tuple[str, int]] = []
        run(_noted(markets, traded), settings, path)
        with LedgerReader(path) as reader:
            trades = {trade.slug: trade for trade in reader.trades()}
            traces: dict[str, list[TraceLine]] = {}
            for row in reader.decisions():
                line = (
                    row.now_ns,
                    row.second,
                    row.outcome,
                    str(row.reason or BUY),
                    row.detail,
                    row.ask,
                    row.price_cap,
                )
                traces.setdefault(row.slug, []).append(line)
    results = []
    for slug, start in traded:
        trade, values = trades.get(slug), {}
        if trade is not None:
            if trade.pnl is None:
                raise Fatal(f"the backtest ended before {slug} was settled", "Report this")
            values = {name: getattr(trade, name) for name in ("side", "shares", "cost", "fee", "pnl")}
        results.append(market_summary(slug, start, traces.get(slug, ()), values))
    return tuple(results)


def _noted(markets: Iterable[RecordedMarket], slugs: list[tuple[str, int]]) -> Iterator[RecordedMarket]:
    """The markets; slug and start of each one are appended to `slugs`."""
    for recorded in markets:
        slugs.append((recorded.slug, recorded.start))
        yield recorded


def market_summary(
    slug: str, start: int, trace: Sequence[TraceLine], traded: Mapping[str, Any]
) -> MarketSummary:
    """The result of one market from its decisions and its trade."""
    return MarketSummary(
        slug=slug,
        start=start,
        decisions=len(trace),
        last=trace[-1][3] if trace else "",
        trace=trace_digest(trace),
        **traded,
    )


def trace_digest(trace: Iterable[TraceLine]) -> str:
    """A digest of decisions, in which equal amounts are equal whatever their trailing zeros are."""
    lines = (tuple(_shortest(value) for value in line) for line in trace)
    return hashlib.sha256("\n".join(map(repr, lines)).encode()).hexdigest()[:16]


def _shortest(value: object) -> str:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
