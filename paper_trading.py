"""Paper trades as `paper_trades.json` shows them: an export of the ledger, never a record of its own."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from common.atomic_file import write_atomically
from execution.ledger import LedgerReader, TradeRow
from models import Outcome, PaperTrade


def paper_trades(reader: LedgerReader) -> list[PaperTrade]:
    """Every trade in the ledger, oldest first, across all its runs."""
    return [paper_trade(trade) for trade in reader.trades()]


def paper_trade(trade: TradeRow) -> PaperTrade:
    """A ledger trade in the seven keys.

    `timestamp` is when the bot decided to trade, on the machine's clock, UTC; `size_usd` what was paid
    for the shares, without the fee. Score and confidence are 0 when the trade was made without a vote.
    """
    return PaperTrade(
        timestamp=datetime.fromtimestamp(trade.created_ns // 10**9, UTC).isoformat(),
        direction="LONG" if trade.side is Outcome.UP else "SHORT",
        size_usd=float(trade.cost),
        price=float(trade.price),
        signal_score=trade.score or 0.0,
        signal_confidence=trade.confidence or 0.0,
        outcome=trade.outcome,
    )


def export_paper_trades(trades: Sequence[PaperTrade], path: Path) -> None:
    """Write the JSON array to `path`, whole or not at all: a reader sees the old file or the new one.

    Raises
    ------
    Temporary
        If it cannot be written. The ledger has the trades; the next export catches up.
    """
    content = msgspec.json.format(msgspec.json.encode(trades), indent=2) + b"\n"
    # It lies outside the state folders: bots on two venues may export at the same time.
    write_atomically(path, content, shared=True)
