"""One market as a block of text: a header, the six votes, the decision, the order and the result."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
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
from events import Decided, Filled, OrderMoved, Settled
from models import Book, Decision, Direction, Market, OrderState, Outcome, ProtocolVersion, Vote

SHORT_NAMES = {
    ORDER_BOOK_IMBALANCE: "Book",
    TICK_VELOCITY: "Tick",
    PRICE_DIVERGENCE: "Div",
    SPIKE_DETECTION: "Spike",
    DERIBIT_PCR: "PCR",
    SENTIMENT_ANALYSIS: "F&G",
}
ARROWS = {Direction.BULLISH: ("▲", "green"), Direction.BEARISH: ("▼", "red"), Direction.NEUTRAL: ("•", "dim")}
VOTES, DECISION, ORDER, RESULT = "votes", "decision", "order", "result"
LABEL_COLUMNS = 12
"""Columns before the text of a row: six votes fit beside them on a terminal of 80 columns."""

NO_DECISION = Text("none", style="dim")
Row = tuple[str, Text]
"""Label and text."""


class MarketBlock:
    """The state of one market as a header and labelled rows.

    `several`: the header names the series, because several are traded.
    """

    def __init__(self, market: Market, *, several: bool = False) -> None:
        self.market = market
        self._several = several
        self.decision: Decision | None = None
        """The last one, without the evidence that no row shows."""
        self.settled: Settled | None = None
        self._directions: list[tuple[str, Direction | None]] | None = None
        """Directions of the votes that `decided` returned last."""
        self._failures: list[Text] = []
        self._shares = Decimal(0)
        self._cost = Decimal(0)
        self._fee = Decimal(0)

    def header(self) -> Text:
        """Series, start time, kind of a practice market, Protocol V2, and the prices of the decision."""
        name = f"{self.market.series.title} " if self._several else ""
        text = Text(f"{name}{datetime.fromtimestamp(self.market.start, UTC):%d %b %H:%M}", style="bold")
        if self.market.kind is not None:
            text.append(f"  {self.market.kind.value}", style="dim")
        if self.market.version is ProtocolVersion.V2:
            text.append("  Protocol V2", style="dim")
        if self.decision is not None:
            bid, ask = self.decision.context.up_book.best_bid, self.decision.context.up_book.best_ask
            text.append(f"  Up {_price(bid)}/{_price(ask)}")
        return text

    def rows(self) -> Iterator[Row]:
        """All rows so far."""
        if self.decision is not None:
            if self.decision.votes:
                yield VOTES, votes_text(self.decision)
            yield DECISION, decision_text(self.decision)
        elif self.settled is not None:
            yield DECISION, NO_DECISION
        for failure in self._failures:
            yield ORDER, failure
        if self._shares:
            yield ORDER, self._filled()
        if self.settled is not None:
            yield RESULT, _result_text(self.settled)

    def table(self) -> Table:
        """Header and rows, fitted to the width of a terminal."""
        table = Table.grid(padding=0)
        table.add_column(overflow="fold")
        table.add_row(self.header())
        rows = Table.grid(padding=0)
        rows.add_column(no_wrap=True, width=LABEL_COLUMNS)
        rows.add_column(overflow="fold")
        for label, text in self.rows():
            rows.add_row(Text(f"  {label}", style="dim"), text)
        table.add_row(rows)
        return table

    def decided(self, event: Decided) -> list[Row]:
        """Add a decision; the rows that are new: a reason that was shown is not shown again."""
        before, self.decision = self.decision, _shown(event.decision)
        if before is not None and not event.decision.buys and before.reason is event.decision.reason:
            return []
        rows = []
        if event.decision.votes and self._directions != (directions := _directions(event.decision)):
            rows.append((VOTES, votes_text(event.decision)))
            self._directions = directions
        return [*rows, (DECISION, decision_text(event.decision))]

    def order_moved(self, event: OrderMoved) -> list[Row]:
        """Add an order that was not filled."""
        if event.state is OrderState.MATCHED:
            return []
        text = Text(_order_text(event.state, event.reason), style="yellow")
        self._failures.append(text)
        return [(ORDER, text)]

    def filled(self, event: Filled) -> list[Row]:
        """Add a fill."""
        self._shares += event.fill.shares
        self._cost += event.fill.cost
        self._fee += event.fill.fee
        return [(ORDER, self._filled())]

    def settle(self, event: Settled) -> list[Row]:
        """Add the official result, the last row."""
        self.settled = event
        missing = [(DECISION, NO_DECISION)] if self.decision is None else []
        return [*missing, (RESULT, _result_text(event))]

    def _filled(self) -> Text:
        price = self._cost / self._shares
        return Text(f"filled {self._shares.normalize():f} at {price:.3f}, fee {self._fee:.5f}", style="bold")


def _shown(decision: Decision) -> Decision:
    """The decision with the best prices only: books and price paths are up to a quarter of a megabyte."""
    context = decision.context
    up, down = _top(context.up_book), _top(context.down_book)
    kept = msgspec.structs.replace(context, history=(), ticks=(), spot_path=(), up_book=up, down_book=down)
    return msgspec.structs.replace(decision, context=kept)


def _top(book: Book) -> Book:
    return Book(bids=book.bids[:1], asks=book.asks[:1], ts_ns=book.ts_ns)


def row_line(label: str, text: Text) -> Text:
    """A row as one line, for a pipe."""
    return Text(f"  {label:<{LABEL_COLUMNS - 2}}", style="dim").append_text(text)


def votes_text(decision: Decision) -> Text:
    """The votes of a decision: ▲ Up, ▼ Down, – no vote, with the confidence."""
    return Text("  ").join(vote_text(vote) for vote in decision.votes)


def vote_text(vote: Vote) -> Text:
    """A vote as name, arrow and confidence."""
    name = SHORT_NAMES.get(vote.source, vote.source)
    if vote.signal is None:
        return Text(f"{name} –", style="dim")
    arrow, style = ARROWS[vote.signal.direction]
    return Text(f"{name} {arrow}{vote.signal.confidence:.2f}", style=style)


def decision_text(decision: Decision) -> Text:
    """What was decided, and the fused signal or the reason of the refusal."""
    text = Text()
    if decision.buys and decision.outcome is not None:
        style = "bold green" if decision.outcome is Outcome.UP else "bold red"
        text.append(f"BUY {decision.outcome} at {decision.ask}", style=style)
    elif decision.reason is not None:
        text.append(f"skip, {decision.reason.value.replace('_', ' ')}: {decision.detail}", style="yellow")
    if decision.fused is not None:
        text.append(f"  (score {decision.fused.score:.0f}, weight {decision.fused.weight:.2f})", style="dim")
    return text


def _directions(decision: Decision) -> list[tuple[str, Direction | None]]:
    return [(vote.source, vote.signal.direction if vote.signal else None) for vote in decision.votes]


def _result_text(settled: Settled) -> Text:
    text = Text(settled.settlement.result)
    if settled.pnl is not None:
        text.append(f" {settled.pnl:+.4f}", style="green" if settled.pnl > 0 else "red")
    return text.append(f"  total {settled.total_pnl:+.4f}", style="cyan")


def _order_text(state: OrderState, reason: str) -> str:
    text = {
        OrderState.NO_FILL: "no fill",
        OrderState.REFUSED: f"refused: {reason}",
        OrderState.UNKNOWN: f"outcome unknown, being looked up: {reason}",
        OrderState.REVERSED: "reversed: the trade failed on the chain",
    }
    return text.get(state, state.value)


def _price(price: Decimal | None) -> str:
    return "–" if price is None else str(price)
