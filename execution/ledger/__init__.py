"""The ledger: one SQLite file per trading profile, the record of decisions, orders, fills and settlements.

This package exports the reading side, which every package may use. The writer is `ledger.writer.Ledger`;
exactly one process has it open.
"""

from execution.ledger.connection import LedgerLocked
from execution.ledger.paths import LIVE_PROFILE, PAPER_PROFILES, REHEARSAL_PROFILES, ledger_path, profile_name
from execution.ledger.reader import LedgerReader
from execution.ledger.rows import (
    CASH_TOLERANCE,
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
    "CASH_TOLERANCE",
    "LIVE_PROFILE",
    "PAPER_PROFILES",
    "REHEARSAL_PROFILES",
    "CashCheck",
    "CashFlow",
    "DecisionRow",
    "FillStatus",
    "IntentRow",
    "LedgerLocked",
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
    "ledger_path",
    "profile_name",
]
