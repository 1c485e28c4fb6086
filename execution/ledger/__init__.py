"""The ledger: one SQLite file a book, the only record of decisions, orders, fills and settlements.

This package exports the reading side, which any room may use. The writer is `ledger.writer.Ledger`;
exactly one process holds it.
"""

from execution.ledger.books import LIVE_BOOK, PAPER_BOOKS, REHEARSAL_BOOKS, book_name, ledger_path
from execution.ledger.reader import LedgerReader
from execution.ledger.rows import (
    CashCheck,
    CashFlow,
    DecisionRow,
    IntentRow,
    Mark,
    Mode,
    ModeRow,
    Position,
    RiskFigures,
    RunRow,
    TradeRow,
    Venue,
    WeightRow,
)
from models import FillStatus

__all__ = [
    "LIVE_BOOK",
    "PAPER_BOOKS",
    "REHEARSAL_BOOKS",
    "CashCheck",
    "CashFlow",
    "DecisionRow",
    "FillStatus",
    "IntentRow",
    "LedgerReader",
    "Mark",
    "Mode",
    "ModeRow",
    "Position",
    "RiskFigures",
    "RunRow",
    "TradeRow",
    "Venue",
    "WeightRow",
    "book_name",
    "ledger_path",
]
