"""A run of practice markets in one process: recorded and generated books, the real brain, engine and ledger.

No wire and no clock: each market is shown to the brain second by second, and an order is answered at once.
"""

import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from ledger_builders import market as any_market
from ledger_builders import open_with_reader

from config import Settings
from core.strategy_brain.strategies.decide import decide
from core.strategy_brain.strategies.market_view import MarketView
from execution.execution_engine import ExecutionEngine, OrderRules
from execution.ledger import Venue
from execution.ledger_thread import LedgerThread
from execution.outcomes import OutcomeKind, PostOutcome
from execution.risk_engine import RiskEngine, RiskLimits
from models import (
    Book,
    BrainParams,
    Consensus,
    Decision,
    Level,
    Market,
    OrderIntent,
    Outcome,
    PutCall,
    Reason,
    Sentiment,
    Settlement,
    Spot,
    Strike,
    Tick,
)
from venue.order_book import VenueBook
from venue.sources.recorded import RecordedSource
from venue.sources.synthetic import SyntheticSource

MILL = Decimal("0.001")
WINDOW = range(780, 840)
DECIDES_EVERY = 4
"""Market seconds between two decisions in a market."""
CONSENSUS = Consensus(
    median=Decimal("65000.5"),
    sources={"binance": Decimal(65000), "coinbase": Decimal(65001)},
    outliers={"pyth": Decimal(72000)},
)
NO_ORDERS = "the mode store is set to simulation"


class Gate:
    """Mode and halt as the run wants them."""

    def __init__(self) -> None:
        self.mode_refusal: str | None = None

    def refusal(self) -> str | None:
        return self.mode_refusal

    def refusal_before_sending(self) -> str | None:
        return self.mode_refusal

    def halt(self, why: str) -> None:
        raise AssertionError(f"halted: {why}")

    def standing(self) -> str | None:
        return None


class PracticeRun:
    """A ledger with a run under way, and the engine that writes it.

    Parameters
    ----------
    path : Path
        The ledger's.
    settings : dict, optional
        Changes of the default parameters of the brain.
    max_positions : int
        Open positions that the risk engine allows.
    """

    def __init__(self, path: Path, settings: dict[str, Any] | None = None, max_positions: int = 3) -> None:
        self.path = path
        self.params: BrainParams = msgspec.structs.replace(Settings().brain_params(), **(settings or {}))
        self.gate = Gate()
        self.decisions: list[Decision] = []
        self._sent: list[OrderIntent] = []
        self._limits = RiskLimits(
            max_position_size=Decimal(1),
            max_total_exposure=Decimal(100),
            max_positions=max_positions,
            max_loss_per_day=Decimal(100),
            max_drawdown_pct=Decimal(1),
        )
        self._recorded, self._generated = RecordedSource(), SyntheticSource(7)

    async def play(self, recorded: Sequence[int], generated: Sequence[int], without_orders: set[int]) -> None:
        """Decide upon markets of both sources.

        `without_orders` are the positions in the run of markets in which the mode allows no order. What is
        bought is settled three markets later, so that the limit of open positions is reached.
        """
        thread = LedgerThread(lambda error: None)

        run = {"venue": Venue.SYNTHETIC, "session": "practice", "clock_speed": 1.0, "clock_ns": time.time_ns}
        ledger, reader = await thread.call(lambda: open_with_reader(self.path, **run))
        engine = ExecutionEngine(
            ledger,
            reader,
            thread,
            RiskEngine(self._limits),
            self.gate,
            OrderRules(max_attempts=2, retry_pause_ns=0),
            self._sent.append,
            lambda event: None,
            time.time_ns,
        )
        shown = [(self._recorded, index) for index in recorded]
        shown += [(self._generated, index) for index in generated]
        markets: list[Market] = []
        for number, (source, index) in enumerate(shown):
            market = any_market(number)
            markets.append(market)
            engine.register_market(market)
            self.gate.mode_refusal = NO_ORDERS if number in without_orders else None
            await self._decide(engine, market, source, index)
            if number % 6 == 5:
                for past in markets[number - 5 : number - 2]:
                    await thread.call(ledger.record_settlement, _settlement(past))
                    engine.market_settled(past.slug)
        await engine.drain()
        await thread.call(reader.close)
        await thread.call(ledger.close)
        thread.close()

    async def _decide(self, engine: ExecutionEngine, market: Market, source: Any, index: int) -> None:
        view, path = MarketView(market), []
        for second in range(600, WINDOW.stop):
            now_ns = time.time_ns()
            up = _book(source.book(index, second), now_ns)
            view.on_books(float(second), up, _other(up))
            if source is self._generated:
                path.append(Tick(second=float(second), price=_usd(source.spot(index, second))))
            if second not in WINDOW or second % DECIDES_EVERY or not engine.may_order(market.slug):
                continue
            context = msgspec.structs.replace(
                view.context(float(second), now_ns), **self._outside(market, index, path, now_ns)
            )
            if await self._handle(engine, decide(context, self.params)):
                return

    def _outside(self, market: Market, index: int, path: list[Tick], now_ns: int) -> dict[str, Any]:
        """What the external feeds know: recorded markets have none."""
        if not path:
            return {"absent": {"coinbase": "recorded markets carry no external feeds"}}
        strike = _usd(self._generated.mean_price(index, 0))
        return {
            "spot": Spot("coinbase", path[-1].price, now_ns, now_ns),
            "spot_path": tuple(path),
            "strike": Strike(price=strike, rule=market.rule, source="coinbase_mean60"),
            "put_call": PutCall("deribit", 1.3, 1.25, 100.0, 80.0, now_ns, now_ns),
            "sentiment": Sentiment("fear_greed", 20.0 + index, "fear", now_ns, now_ns),
            "consensus": CONSENSUS,
        }

    async def _handle(self, engine: ExecutionEngine, decision: Decision) -> bool:
        self.decisions.append(decision)
        finished = await engine.handle_decision(decision)
        if self._sent:
            intent = self._sent.pop()
            await engine.order_signed(intent.intent_id, f"0x{intent.intent_id}")
            # Every other order finds no match, so that some markets are tried twice.
            kind = OutcomeKind.NO_FILL if len(self.decisions) % 2 else OutcomeKind.MATCHED
            engine.order_answered(
                intent.intent_id, PostOutcome(kind, "by the schedule", Decimal(1), Decimal(2))
            )
            await engine.drain()
        return finished


def missed_window(run: PracticeRun, market: Market, reason: Reason) -> Decision:
    """What the strategy records at the end of a window that went by without a decision."""
    view = MarketView(market)
    up = _book(RecordedSource().book(0, 300.0), time.time_ns())
    view.on_books(300.0, up, _other(up))
    context = view.context(run.params.window_end, time.time_ns())
    return Decision(
        context=context, params=run.params, reason=reason, detail="no quote arrived in the window"
    )


def _settlement(market: Market) -> Settlement:
    return Settlement(slug=market.slug, outcome=Outcome.UP, source="gamma", settled_ns=time.time_ns())


def _usd(units: int) -> Decimal:
    return Decimal(units) / 100_000_000


def _book(book: VenueBook, now_ns: int) -> Book:
    def side(levels: Sequence[tuple[int, int]]) -> tuple[Level, ...]:
        return tuple(Level(price=mills * MILL, size=Decimal(size) / 1_000_000) for mills, size in levels)

    return Book(bids=side(book.bids), asks=side(book.asks), ts_ns=now_ns)


def _other(up: Book) -> Book:
    """The Down book: a bid for one token is an offer of the other at 1 − price."""

    def side(levels: tuple[Level, ...]) -> tuple[Level, ...]:
        return tuple(Level(price=1 - level.price, size=level.size) for level in levels)

    return Book(bids=side(up.asks), asks=side(up.bids), ts_ns=up.ts_ns)
