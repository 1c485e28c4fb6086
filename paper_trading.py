"""Exports the paper trades of the ledger to `paper_trades.json`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from common.atomic_file import write_atomically
from execution.ledger import LedgerReader, TradeRow
from models import Outcome, PaperTrade


def paper_trades(reader: LedgerReader) -> list[PaperTrade]:
    """All trades of the ledger, oldest first, of all runs."""
    return [paper_trade(trade) for trade in reader.trades()]


def paper_trade(trade: TradeRow) -> PaperTrade:
    """Convert a trade of the ledger to the keys of the export.

    `timestamp` is the time of the decision on the machine's clock, UTC; `size_usd` is the amount ordered. The
    amount spent is in the ledger and in the table of `view_paper_trades.py`: it is less if the order was
    filled in part or the amount is not a multiple of the price. Score and confidence are 0 if the trade was
    made without a vote.
    """
    return PaperTrade(
        timestamp=datetime.fromtimestamp(trade.created_ns // 10**9, UTC).isoformat(),
        direction="LONG" if trade.side is Outcome.UP else "SHORT",
        size_usd=float(trade.usd),
        price=float(trade.price),
        signal_score=trade.score or 0.0,
        signal_confidence=trade.confidence or 0.0,
        outcome=trade.outcome,
    )


def export_paper_trades(trades: Sequence[PaperTrade], path: Path) -> None:
    """Write the JSON array to `path` atomically: a reader sees the old file or the new one.

    Raises
    ------
    Temporary
        If it cannot be written. The trades are in the ledger; the next export includes them.
    """
    content = msgspec.json.format(msgspec.json.encode(trades), indent=2) + b"\n"
    # The file is outside the state folders: bots on two venues may export at the same time.
    write_atomically(path, content, shared=True)
