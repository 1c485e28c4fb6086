"""Runs the bot's strategy over recorded markets on NautilusTrader's backtest engine, into a ledger."""

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import pUSD
from nautilus_trader.model.enums import AccountType, BookType, OmsType
from nautilus_trader.model.identifiers import AccountId, InstrumentId
from nautilus_trader.model.identifiers import Venue as NautilusVenue
from nautilus_trader.model.objects import Money

from bot import DecisionSchedule, IntegratedBTCStrategy, StrategyPorts
from config import Settings
from core.nautilus_core.data_engine.node import VENUE
from core.nautilus_core.instruments.market_board import MarketBoard
from core.nautilus_core.instruments.market_clock import MarketClock
from core.nautilus_core.instruments.pairing import market_of
from core.strategy_brain.strategies.decide import decide
from errors import Fatal
from events import Event
from execution.ledger import LedgerReader, Mode, Venue
from execution.ledger.writer import Ledger
from execution.order_lifecycle import OrderRules
from execution.risk_engine import RiskLimits
from models import Decision, DecisionContext, Frozen, Market, Outcome, Settlement
from research.backtest.carry import (
    BalanceCheck,
    CarriedRiskEngine,
    Carry,
    MarketResult,
    RiskCheck,
    still_valid,
)
from research.backtest.execution import InlineExecution
from research.backtest.journal import JournaledLedger, JournalEntry, Replay
from research.backtest.market_data import NANOS, events, instrument
from research.backtest.order_client import BacktestOrderClient
from research.backtest.stepped_tasks import SteppedTasks
from research.recordings import RecordedMarket
from settings_mapping import market_calendar, new_view, risk_limits

RESOLUTION_S = 60
"""Seconds from a market's end to its result; the real venue takes between 30 s and 3 minutes."""
FINE_TICK = Decimal("0.001")
STARTING_CASH = Decimal(1000)
GROUP = 8
"""Markets that are played on one engine; the result does not depend on it."""
TAIL_S = 120
"""Seconds after the last market's end until the run ends."""


class GroupResult(Frozen, frozen=True):
    """Everything that playing a group of markets results in."""

    assumed: Carry
    journal: tuple[JournalEntry, ...]
    results: tuple[MarketResult, ...]
    risk_checks: tuple[RiskCheck, ...]
    balance_checks: tuple[BalanceCheck, ...]
    halted: str | None

    def valid_after(self, carry: Carry, limits: RiskLimits) -> bool:
        """Whether the result is the same after groups that left this carry."""
        return carry == self.assumed or still_valid(self.risk_checks, self.balance_checks, limits, carry)


def play_group(
    markets: Sequence[RecordedMarket], settings: Settings, carry: Carry, delay_ns: int | None = None
) -> GroupResult:
    """Trade a few recorded markets in their order, on an engine of their own.

    Parameters
    ----------
    carry : Carry
        The account's state before them.
    delay_ns : int or None
        The venue's delay before it matches an order, in place of each market's own.
    """
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        return _Run(settings, Path(scratch) / "ledger.db", carry, delay_ns, stack).play(markets)


def run(
    markets: Iterable[RecordedMarket],
    settings: Settings,
    ledger_path: Path,
    advance: Callable[[], None] = lambda: None,
    *,
    cash: Decimal = STARTING_CASH,
    delay_ns: int | None = None,
    note: Callable[[], str] = lambda: "backtest",
) -> None:
    """Trade recorded markets in their order and write everything to a new ledger.

    A few markets at a time are in memory. The ledger appears when the run has ended; an error leaves none.

    Parameters
    ----------
    markets : iterable of RecordedMarket
        By their start.
    settings : Settings
        The bot's: decision parameters, risk limits, order size.
    ledger_path : Path
        The ledger to create.
    advance : Callable[[], None]
        Called after each settled market.
    cash : Decimal
        pUSD at the start.
    delay_ns : int
        The venue's delay before it matches an order, in place of each market's own.
    note : Callable[[], str]
        The remark on the results, from after the last market.

    Raises
    ------
    Fatal
        If the ledger exists, or there is no market.
    """
    with RunLedger(ledger_path, cash) as ledger:
        remaining, carry = iter(markets), ledger.carry
        while group := list(islice(remaining, GROUP)):
            carry = ledger.add(play_group(group, settings, carry, delay_ns), carry, advance)
        ledger.complete(note())


class RunLedger:
    """The ledger of a run, written group by group beside its place and moved there when it is complete."""

    def __init__(self, path: Path, cash: Decimal) -> None:
        if path.exists():
            raise Fatal(f"{path} exists", "Choose another folder")
        self._path = path
        self._stack = ExitStack()
        self._replay = Replay()
        self._markets = 0
        self._complete = False
        self.carry = Carry(cash=cash, peak=cash)

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".backtest-", dir=self._path.parent)
        self._written = Path(self._stack.enter_context(folder)) / "ledger.db"
        self._ledger = Ledger(self._written, self._replay.now_ns)
        return self

    def add(self, result: GroupResult, carry: Carry, advance: Callable[[], None]) -> Carry:
        """Write a group's result after a carry; returns the carry after it."""
        if self._markets == 0:
            self._replay.set(result.journal[0].at_ns)
            self._ledger.open_run(
                mode=Mode.SIMULATION,
                venue=Venue.RECORDED,
                clock_speed=1.0,
                starting_cash=self.carry.cash,
                note="backtest",
            )
        self._replay.repeat(self._ledger, result.journal, carry.cash - result.assumed.cash)
        for entry in result.journal:
            if entry.method == "record_settlement":
                self._markets += 1
                advance()
        return carry.after(result.results, carry.halted or result.halted)

    def complete(self, note: str) -> None:
        """End the run: its ledger moves to its place.

        Raises
        ------
        Fatal
            If no market was traded.
        """
        if self._markets == 0:
            raise Fatal(f"no market was traded: {note}", "Choose another recording or other filters")
        self._ledger.annotate_run(note)
        self._ledger.close_run()
        self._complete = True

    def __exit__(self, *_: object) -> None:
        self._ledger.close()
        if self._complete:
            os.replace(self._written, self._path)
        self._stack.close()


class _Run:
    """The run of a group: its parts, connected like a worker's, and its clock."""

    def __init__(
        self,
        settings: Settings,
        ledger_path: Path,
        carry: Carry,
        delay_ns: int | None,
        stack: ExitStack,
    ) -> None:
        cash = carry.cash
        self._settings = settings
        self._calendar = market_calendar(settings)
        self._carry = carry
        self._market_results: list[MarketResult] = []
        self._engine = BacktestEngine(
            BacktestEngineConfig(
                trader_id="BACKTEST-001",
                logging=LoggingConfig(bypass_logging=True),
                risk_engine=RiskEngineConfig(bypass=False),
                run_analysis=False,
            )
        )
        stack.callback(self._engine.dispose)
        kernel = self._engine.kernel
        self._now_ns = kernel.clock.timestamp_ns
        self._ledger = stack.enter_context(JournaledLedger(ledger_path, self._now_ns))
        self._alerts = 0
        self._recorded: dict[str, RecordedMarket] = {}
        self._delay = delay_ns
        self._engine.add_venue(
            NautilusVenue(VENUE),
            OmsType.NETTING,
            AccountType.CASH,
            [Money(cash, pUSD)],
            base_currency=pUSD,
            book_type=BookType.L2_MBP,
            trade_execution=False,
            bar_execution=False,
        )
        self._ledger.open_run(
            mode=Mode.SIMULATION,
            venue=Venue.RECORDED,
            clock_speed=1.0,
            starting_cash=cash,
        )
        self._reader = stack.enter_context(LedgerReader(ledger_path))
        self._risk = CarriedRiskEngine(risk_limits(settings), carry)
        self._execution = InlineExecution(
            self._ledger,
            self._reader,
            self._risk,
            OrderRules(max_attempts=settings.order_max_attempts),
            lambda intent: self._strategy.send(intent),
            self._publish,
            self._now_ns,
        )
        self._execution.halted = carry.halted
        self._board = MarketBoard(self._calendar, self._ledger.record_market, self._refused)
        self._params = settings.brain_params()
        self._strategy = IntegratedBTCStrategy(
            StrategyPorts(
                board=self._board,
                clock=MarketClock(),
                params=self._params,
                schedule=DecisionSchedule(),
                execution=self._execution,
                decide=self._decide,
                new_view=partial(new_view, settings),
                publish=self._publish,
                limit_notional=lambda instrument_id, usd: kernel.risk_engine.set_max_notional_per_order(
                    instrument_id, usd or Decimal(1_000_000)
                ),
                trading_halted=lambda: False,
                market_closed=self._market_closed,
                prepare=_nothing,
                close=_nothing,
                tasks=SteppedTasks(self._now_ns, self._call_at),
            )
        )
        self._client = self._replace_client(cash)

    def _replace_client(self, cash: Decimal) -> BacktestOrderClient:
        """Send the orders to our own client: the engine's fills by shares, without a price cap."""
        kernel, venue = self._engine.kernel, NautilusVenue(VENUE)
        client = BacktestOrderClient(
            kernel, venue, self._execution, self._market_and_outcome, self._call_at, cash, self._delay_ns
        )
        client._set_account_id(AccountId(f"{VENUE}-001"))
        kernel.exec_engine.deregister_client(kernel.exec_engine._clients[client.id])
        kernel.exec_engine.register_client(client)
        kernel.exec_engine.register_venue_routing(client, venue)
        return client

    def play(self, markets: Sequence[RecordedMarket]) -> GroupResult:
        """Run all markets."""
        engine = self._engine
        paired = [(recorded, market_of(recorded.gamma, self._calendar)) for recorded in markets]
        for recorded, market in paired:
            self._recorded[market.slug] = recorded
            for outcome in Outcome:
                engine.add_instrument(instrument(recorded, market, outcome, market.tick))
            engine.add_data(list(events(recorded, market)), sort=False)
        engine.sort_data()
        engine.add_strategy(self._strategy)
        for recorded, market in paired:
            if recorded.fine_tick_ns is not None:
                at_ns = market.start * NANOS + recorded.fine_tick_ns
                self._call_at(at_ns, partial(self._refine_tick, recorded, market))
        first, last = paired[0][1], paired[-1][1]
        engine.run(start=(first.start - 30) * NANOS, end=(last.end + TAIL_S) * NANOS)
        halted = self._execution.halted
        if halted is not None and halted.startswith("internal error"):
            raise Fatal(
                f"the backtest of {first.slug} and the markets after it failed: {halted}", "Report this"
            )
        return GroupResult(
            assumed=self._carry,
            journal=tuple(self._ledger.journal),
            results=tuple(self._market_results),
            risk_checks=tuple(self._risk.checks),
            balance_checks=tuple(self._client.checks),
            halted=halted,
        )

    def _refine_tick(self, recorded: RecordedMarket, market: Market) -> None:
        """The venue changes the price grid: both instruments are announced with the finer one."""
        for outcome in Outcome:
            finer = instrument(recorded, market, outcome, FINE_TICK)
            self._engine.kernel.cache.add_instrument(finer)
            self._strategy.on_instrument(finer)

    async def _decide(self, context: DecisionContext) -> Decision:
        externals = self._recorded[context.market.slug].externals
        return decide(externals.added_to(context), self._params)

    def _call_at(self, at_ns: int, call: Callable[[], None]) -> None:
        self._alerts += 1
        self._strategy.clock.set_time_alert_ns(
            f"task-{self._alerts}", max(at_ns, self._now_ns()), lambda event: call()
        )

    def _market_and_outcome(self, instrument_id: InstrumentId) -> tuple[Market, Outcome]:
        found = self._board.find(instrument_id)
        if found is None:
            raise Fatal(f"{instrument_id} is not on the board", "Report this")
        return found[0].market, found[1]

    def _delay_ns(self, slug: str) -> int:
        return self._recorded[slug].delay_ns if self._delay is None else self._delay

    def _publish(self, event: Event) -> None:
        del event

    def _refused(self, slug: str, why: str) -> None:
        raise Fatal(f"{slug} cannot be traded: {why}", "Leave it out of the recordings")

    def _market_closed(self, market: Market, observed: bool) -> None:
        del observed
        self._call_at(self._now_ns() + RESOLUTION_S * NANOS, lambda: self._settle(market))

    def _settle(self, market: Market) -> None:
        settlement = Settlement(
            slug=market.slug,
            outcome=self._recorded[market.slug].won,
            source="recording",
            settled_ns=self._now_ns(),
        )
        self._ledger.record_settlement(settlement)
        owed = self._reader.claimable().get(market.slug)
        if owed is not None:
            self._ledger.record_redemption(market.slug, owed)
            self._client.cash += owed
        self._execution.market_settled(market.slug)
        self._strategy.close_settled(market.slug, settlement)
        self._ledger.record_cash_check(self._client.cash)
        pnl = self._reader.market_pnl(market.slug)
        if pnl is not None:
            self._market_results.append(MarketResult(settled_ns=self._now_ns(), pnl=pnl))


async def _nothing() -> None:
    """There is no earlier process, and nothing to close."""
