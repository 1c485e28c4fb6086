"""The console output of a run: one line per market, and a progress line while waiting.

On a terminal the running market has one growing line at the bottom, which is moved to the log when the market
is settled. In a pipe each step is a separate line, and the settled line is the last one.
"""

import logging
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path

from loguru import logger
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from common.constants import (
    DERIBIT_PCR,
    ORDER_BOOK_IMBALANCE,
    PRICE_DIVERGENCE,
    SENTIMENT_ANALYSIS,
    SPIKE_DETECTION,
    TICK_VELOCITY,
)
from common.plain_text import without_controls
from events import (
    Decided,
    Event,
    Filled,
    Halted,
    MarketOpened,
    MarketRefused,
    ModeChanged,
    OrderMoved,
    Payout,
    Resumed,
    Settled,
    SettlementLate,
)
from models import SCALE_SECONDS, Decision, Direction, Market, OrderState, Outcome, Vote

SHORT_NAMES = {
    ORDER_BOOK_IMBALANCE: "Book",
    TICK_VELOCITY: "Tick",
    PRICE_DIVERGENCE: "Div",
    SPIKE_DETECTION: "Spike",
    DERIBIT_PCR: "PCR",
    SENTIMENT_ANALYSIS: "F&G",
}
LOG_BYTES, LOG_FILES = 10_000_000, 5
ARROWS = {Direction.BULLISH: ("▲", "green"), Direction.BEARISH: ("▼", "red"), Direction.NEUTRAL: ("•", "dim")}


class MarketLine:
    """The state of one market as one line of text."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.decision: Decision | None = None
        self.order = ""
        self.shares = Decimal(0)
        self.cost = Decimal(0)
        self.fee = Decimal(0)
        self.settled: Settled | None = None

    def text(self) -> Text:
        """The complete line so far."""
        line = self.head().append_text(self.decided())
        if self.shares:
            line.append("  ").append_text(self.filled())
        elif self.order:
            line.append(f"  {self.order}", style="yellow")
        if self.settled is not None:
            self._append_result(line, self.settled)
        return line

    def abstentions(self) -> Text | None:
        """The abstentions, grouped by reason."""
        by_reason: dict[str, list[str]] = {}
        for vote in self.decision.votes if self.decision else ():
            if vote.signal is None:
                by_reason.setdefault(vote.abstained or "", []).append(
                    SHORT_NAMES.get(vote.source, vote.source)
                )
        if not by_reason:
            return None
        parts = (f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())
        return Text(f"              abstains  {'; '.join(parts)}", style="dim")

    def head(self) -> Text:
        kind = "" if self.market.kind is None else f"{self.market.kind.value:<9}  "
        return Text(f"{datetime.fromtimestamp(self.market.start, UTC):%d %b %H:%M}  {kind}")

    def decided(self) -> Text:
        line = Text()
        if self.decision is None:
            return line.append("no decision", style="dim")
        _append_decision(line, self.decision)
        return line

    def filled(self) -> Text:
        price = self.cost / self.shares
        return Text(f"filled {self.shares.normalize():f} at {price:.3f}, fee {self.fee:.5f}", style="bold")

    def _append_result(self, line: Text, settled: Settled) -> None:
        line.append(f"  → {settled.settlement.result}")
        if settled.pnl is not None:
            line.append(f" {settled.pnl:+.4f}", style="green" if settled.pnl > 0 else "red")
        line.append(f"  total {settled.total_pnl:+.4f}", style="cyan")


class ConsoleReporter:
    """Converts events to lines; `progress` draws the waiting line.

    Parameters
    ----------
    console : rich.console.Console
    window : tuple[float, float]
        The decision window in market seconds, for the countdown.
    speed : float
        Market-clock seconds per wall-clock second.
    """

    def __init__(self, console: Console, window: tuple[float, float], speed: float) -> None:
        self._console = console
        self._window = window
        self._speed = speed
        self._lines: dict[str, MarketLine] = {}
        self._live = (
            Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        )

    def start(self) -> None:
        if self._live is not None:
            self._live.start()

    def close(self) -> None:
        """Restore the terminal; lines of unsettled markets are printed unfinished."""
        if self._live is not None:
            self._live.stop()
        for line in self._lines.values():
            if line.decision is not None and line.settled is None:
                self._print(line.text())

    def print_message(self, text: str) -> None:
        """Print a message about the bot itself."""
        self._print(Text(text, style="dim"))

    def handle(self, event: Event) -> None:
        """Show one event."""
        match event:
            case MarketOpened(market=market):
                self._lines.setdefault(market.slug, MarketLine(market))
            case MarketRefused(slug=slug, why=why):
                self._print(Text(f"{slug} is not traded: {why}", style="yellow"))
            case Decided(decision=decision, final=final):
                line = self._line(decision.context.market)
                is_news = line.decision is None or line.decision.reason is not decision.reason
                line.decision = decision
                if final or decision.buys or is_news:
                    self._step(line, line.decided())
                    if (abstentions := line.abstentions()) is not None:
                        self._print(abstentions)
            case OrderMoved(intent=intent, state=state, reason=reason) if intent.slug in self._lines:
                line = self._lines[intent.slug]
                line.order = _order_text(state, reason)
                if state is not OrderState.MATCHED:
                    self._step(line, Text(line.order, style="yellow"))
            case Filled(fill=fill) if fill.slug in self._lines:
                line = self._lines[fill.slug]
                line.shares += fill.shares
                line.cost += fill.cost
                line.fee += fill.fee
                self._step(line, line.filled())
            case Settled(market=market):
                line = self._line(market)
                line.settled = event
                del self._lines[market.slug]
                self._print(line.text())
            case _:
                self._announce(event)

    def _announce(self, event: Event) -> None:
        """Print an event about the bot itself."""
        match event:
            case Halted(why=why):
                text = f"HALTED: {why}. No new position until: python redis_control.py resume"
                self._print(Text(text, style="bold red"))
            case Payout(what=what, manual=manual):
                self._print(Text(what, style="bold yellow" if manual else "green"))
            case Resumed(why=why):
                self._print(Text(f"RESUMED: trading continues; the halt was: {why}", style="bold green"))
            case SettlementLate(market=market, why=why):
                self._print(Text(f"{market.slug} has no official outcome yet: {why}", style="yellow"))
            case ModeChanged(mode=mode, allows_orders=allows, why=why):
                what = mode.upper() if allows else f"{mode.upper()}, no new position"
                self._print(Text(f"MODE {what}: {why}", style="bold yellow"))
            case _:
                pass

    def progress(
        self, market: Market | None, second: float, p: Decimal | None, settling: int, outside: str
    ) -> None:
        """Draw the waiting line; `outside` are the external prices. No effect in a pipe."""
        if self._live is None:
            return
        rows: list[Text | Table] = [line.text() for line in self._lines.values() if line.decision is not None]
        rows.append(self._bar(market, second, p, settling, outside))
        self._live.update(Group(*rows))

    def _bar(
        self, market: Market | None, second: float, p: Decimal | None, settling: int, outside: str
    ) -> Table:
        bar = Table.grid(padding=(0, 1))
        if market is None:
            bar.add_row(Text("waiting for the catalogue to list the running market", style="dim"))
            return bar
        bar.add_row(
            Text(f"{datetime.fromtimestamp(market.start, UTC):%H:%M}", style="bold"),
            ProgressBar(total=SCALE_SECONDS, completed=second, width=24),
            Text(f"{second:5.0f} s"),
            Text(f"Up {p:.3f}" if p is not None else "no price yet"),
            Text(outside, style="cyan"),
            Text(self._phase(market, second), style="dim"),
            Text(f"{settling} waiting for the official outcome" if settling else "", style="dim"),
        )
        return bar

    def _phase(self, market: Market, second: float) -> str:
        start, end = self._window
        if second < start:
            wait = (start - second) * market.interval / SCALE_SECONDS / self._speed
            return f"decides in {wait:.0f} s"
        return "deciding" if second < end else "window over"

    def _line(self, market: Market) -> MarketLine:
        return self._lines.setdefault(market.slug, MarketLine(market))

    def _step(self, line: MarketLine, what: Text) -> None:
        """Print a change of a market as a separate line in a pipe."""
        if self._live is None:
            self._print(line.head().append_text(what))

    def _print(self, text: Text) -> None:
        logger.info(text.plain)
        self._console.print(text, soft_wrap=self._live is None)


@contextmanager
def log_to_file(folder: Path) -> Iterator[None]:
    """Send loguru's records to `folder`/bot.log only; the console is drawn by rich.

    A thread writes the file, so that no event loop waits for the disk; the end of the context waits for the
    last record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    file = RotatingFileHandler(
        folder / "bot.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8"
    )
    file.setFormatter(_PlainFormatter())
    listener = QueueListener(records, file)
    listener.start()
    logger.remove()
    logger.add(
        QueueHandler(records),
        backtrace=False,
        diagnose=False,  # it would print the values of variables, including keys
        format="{time:YYYY-MM-DD HH:mm:ss.SSS!UTC}Z {level: <7} {message}",
    )
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)
    try:
        yield
    finally:
        listener.stop()


class _PlainFormatter(logging.Formatter):
    """A record as loguru formats it, tracebacks included, without control characters but its line ends."""

    def format(self, record: logging.LogRecord) -> str:
        return without_controls(super().format(record))


class _ToLoguru(logging.Handler):
    """Redirects the records of the standard logging module to the same file."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.log(record.levelname, f"{record.name}: {record.getMessage()}")


def _append_decision(line: Text, decision: Decision) -> None:
    context = decision.context
    bid, ask = context.up_book.best_bid, context.up_book.best_ask
    line.append(f"Up {bid if bid is not None else '–'}/{ask if ask is not None else '–'}")
    for vote in decision.votes:
        line.append("  ")
        line.append_text(vote_text(vote))
    if decision.fused is not None:
        line.append(f"  vote {decision.fused.score:.0f}, weight {decision.fused.weight:.2f}")
    line.append("  ")
    if decision.buys and decision.outcome is not None:
        style = "bold green" if decision.outcome is Outcome.UP else "bold red"
        line.append(f"BUY {decision.outcome} at {decision.ask}", style=style)
    elif decision.reason is not None:
        line.append(f"skip, {decision.reason.value.replace('_', ' ')}: {decision.detail}", style="yellow")


def vote_text(vote: Vote) -> Text:
    """A vote as name, arrow and confidence."""
    name = SHORT_NAMES.get(vote.source, vote.source)
    if vote.signal is None:
        return Text(f"{name} –", style="dim")
    arrow, style = ARROWS[vote.signal.direction]
    return Text(f"{name} {arrow}{vote.signal.confidence:.2f}", style=style)


def _order_text(state: OrderState, reason: str) -> str:
    text = {
        OrderState.NO_FILL: "no fill",
        OrderState.REFUSED: f"refused: {reason}",
        OrderState.UNKNOWN: f"outcome unknown, being looked up: {reason}",
        OrderState.REVERSED: "reversed: the trade failed on the chain",
    }
    return text.get(state, state.value)
