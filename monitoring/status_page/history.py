"""Reads the newest markets from the ledger, so that a restarted worker shows them again."""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from events import Decided, Filled, Settled
from execution.ledger import LedgerReader, TradeRow
from models import Fill
from monitoring.market_block import MarketBlock

DECISIONS = 60
"""Number of decisions that are searched for markets: a market may have several."""


def recent_blocks(ledger: Path, trades: Iterable[TradeRow], count: int) -> list[MarketBlock]:
    """The newest markets with a decision, oldest first, each with its trade and result.

    Parameters
    ----------
    ledger : Path
    trades : Iterable[TradeRow]
        The newest trades.
    count : int
        Maximum number of markets.

    Raises
    ------
    Fatal
        If the ledger cannot be read.
    """
    bought = {trade.slug: trade for trade in trades}
    with LedgerReader(ledger) as reader, reader.snapshot():
        newest: dict[str, int] = {}
        for row in reader.recent_decisions(DECISIONS):
            newest.setdefault(row.slug, row.id)
        slugs = list(newest)[:count]
        return [_block(reader, newest[slug], bought.get(slug)) for slug in reversed(slugs)]


def _block(reader: LedgerReader, decision_id: int, trade: TradeRow | None) -> MarketBlock:
    decision = reader.decision(decision_id if trade is None else trade.decision_id)
    market = decision.context.market
    block = MarketBlock(market)
    block.decided(Decided(decision=decision, final=True))
    if trade is not None:
        block.filled(Filled(fill=_fill(trade)))
    settlement = reader.settlement(market.slug)
    if settlement is not None:
        pnl = None if trade is None else trade.pnl
        block.settle(Settled(market=market, settlement=settlement, pnl=pnl, total_pnl=Decimal(0)))
    return block


def _fill(trade: TradeRow) -> Fill:
    """All fills of a trade as one."""
    return Fill(
        trade_id="",
        order_id="",
        intent_id=trade.intent_id,
        slug=trade.slug,
        outcome=trade.side,
        shares=trade.shares,
        price=trade.price,
        fee=trade.fee,
        ts_ns=trade.filled_ns,
    )
