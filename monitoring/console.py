"""The console output of a run: one block per market, and a progress line while waiting.

On a terminal the running market's block grows at the bottom and moves above it when the market is settled. In
a pipe each row is printed once, when it happens; where another market's rows come between, the header is
repeated.
"""

from datetime import UTC, datetime
from decimal import Decimal

from loguru import logger
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

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
    TermsChanged,
)
from models import SCALE_SECONDS, Market
from monitoring.market_block import MarketBlock, Row, row_line
from monitoring.report.text_lines import terms_text

BAR_COLUMNS = 24
"""Columns of the progress bar in the waiting line."""


class ConsoleReporter:
    """Converts events to blocks of text; `progress` draws the waiting line.

    Parameters
    ----------
    console : rich.console.Console
    window : tuple[float, float]
        The decision window in market seconds, for the countdown.
    speed : float
        Market-clock seconds per wall-clock second.
    quiet : bool
        Print no market, only what concerns the bot itself: halts, mode changes, payouts, late results.
    several : bool
        Whether several series are traded, so that each market is named by its series.
    """

    def __init__(
        self,
        console: Console,
        window: tuple[float, float],
        speed: float,
        *,
        quiet: bool = False,
        several: bool = False,
    ) -> None:
        self._console = console
        self._window = window
        self._speed = speed
        self._quiet = quiet
        self._several = several
        self._blocks: dict[str, MarketBlock] = {}
        self._printed: MarketBlock | None = None
        """The block whose rows were printed last, in a pipe."""
        self._live = (
            Live(console=console, refresh_per_second=8, transient=True)
            if console.is_terminal and not quiet
            else None
        )

    def start(self) -> None:
        if self._live is not None:
            self._live.start()

    def close(self) -> None:
        """Restore the terminal; blocks of unsettled markets are printed unfinished."""
        if self._live is None:
            return
        self._live.stop()
        for block in self._blocks.values():
            if block.decision is not None:
                self._console.print(block.table())

    def print_message(self, text: str) -> None:
        """Print a message about the bot itself."""
        self._print(Text(text, style="dim"))

    def handle(self, event: Event) -> None:
        """Show one event."""
        match event:
            case MarketOpened(market=market):
                self._block(market)
            case MarketRefused(slug=slug, why=why):
                self._print(Text(f"{slug} is not traded: {why}", style="yellow"))
            case Decided(decision=decision):
                block = self._block(decision.context.market)
                self._add(block, block.decided(event))
            case OrderMoved(intent=intent) if intent.slug in self._blocks:
                block = self._blocks[intent.slug]
                self._add(block, block.order_moved(event))
            case Filled(fill=fill) if fill.slug in self._blocks:
                block = self._blocks[fill.slug]
                self._add(block, block.filled(event))
            case Settled(market=market):
                block = self._block(market)
                self._add(block, block.settle(event))
                del self._blocks[market.slug]
                if self._live is not None:
                    self._console.print(block.table())
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
            case TermsChanged():
                self._print(Text(terms_text(event), style="yellow"))
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
        rows: list[RenderableType] = [
            block.table() for block in self._blocks.values() if block.decision is not None
        ]
        rows.append(self._bar(market, second, p, settling, outside))
        self._live.update(Group(*rows))

    def _bar(
        self, market: Market | None, second: float, p: Decimal | None, settling: int, outside: str
    ) -> RenderableType:
        """The waiting line: one row, or two where the terminal is too narrow for it."""
        if market is None:
            return Text("waiting for the catalogue to list the running market", style="dim")
        name = f"{market.series.title} " if self._several else ""
        start = Text(f"{name}{datetime.fromtimestamp(market.start, UTC):%H:%M}", style="bold")
        clock = Text(f"{second:5.0f} s")
        price = Text(f"Up {p:.3f}" if p is not None else "no price yet")
        spot = Text(outside, style="cyan")
        phase = Text(self._phase(market, second), style="dim")
        waiting = Text(f"{settling} waiting for the official outcome" if settling else "", style="dim")
        bar = ProgressBar(total=SCALE_SECONDS, completed=second, width=BAR_COLUMNS)
        texts = (start, clock, price, spot, phase, waiting)
        if BAR_COLUMNS + sum(text.cell_len + 1 for text in texts) <= self._console.width:
            return _row(start, bar, clock, price, spot, phase, waiting)
        first = _row(start, bar, clock, price, phase)
        if not outside and not settling:
            return first
        return Group(first, _row(Text(" " * start.cell_len), spot, waiting))

    def _phase(self, market: Market, second: float) -> str:
        start, end = self._window
        if second < start:
            wait = (start - second) * market.interval / SCALE_SECONDS / self._speed
            return f"decides in {wait:.0f} s"
        return "deciding" if second < end else "window over"

    def _block(self, market: Market) -> MarketBlock:
        return self._blocks.setdefault(market.slug, MarketBlock(market, several=self._several))

    def _add(self, block: MarketBlock, rows: list[Row]) -> None:
        """Log new rows of a block and, in a pipe, print them."""
        for label, text in rows:
            logger.info(f"{block.header().plain}: {label} {text.plain}")
        if self._live is not None or self._quiet or not rows:
            return
        if self._printed is not block:
            self._console.print(block.header(), soft_wrap=True)
            self._printed = block
        for label, text in rows:
            self._console.print(row_line(label, text), soft_wrap=True)

    def _print(self, text: Text) -> None:
        logger.info(text.plain)
        self._printed = None
        self._console.print(text, soft_wrap=self._live is None)


def _row(*cells: Text | ProgressBar) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_row(*(cell for cell in cells if cell))
    return row
