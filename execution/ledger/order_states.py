"""Allowed state changes of an order. Used inside the writer's transactions."""

import sqlite3

from errors import Fatal
from execution.order_transitions import DEAD, NEXT
from models import FillStatus, OrderState


def state_of(db: sqlite3.Connection, intent_id: str) -> OrderState:
    """The state of an intent.

    Raises
    ------
    Fatal
        If it is not in the ledger.
    """
    found = db.execute("SELECT state FROM intents WHERE intent_id = ?", (intent_id,)).fetchone()
    if found is None:
        raise Fatal(f"intent {intent_id} is not in the ledger", "Report this with the log")
    return OrderState(found[0])


def living_intent(db: sqlite3.Connection, session: str, slug: str) -> tuple[str, str] | None:
    """Id and state of the market's only intent that is not dead."""
    return db.execute(
        "SELECT intent_id, state FROM intents WHERE session = ? AND slug = ? AND state NOT IN (?, ?)",
        (session, slug, *DEAD),
    ).fetchone()


def log_state(db: sqlite3.Connection, intent_id: str, state: OrderState, detail: str, ts_ns: int) -> None:
    """Append a state to the intent's history."""
    db.execute(
        "INSERT INTO order_states (intent_id, ts_ns, state, detail) VALUES (?, ?, ?, ?)",
        (intent_id, ts_ns, state, detail),
    )


def move(db: sqlite3.Connection, intent_id: str, state: OrderState, detail: str, ts_ns: int) -> bool:
    """Set an intent's state, unless that would revive it in a market with another living intent."""
    session, slug, before = db.execute(
        "SELECT session, slug, state FROM intents WHERE intent_id = ?", (intent_id,)
    ).fetchone()
    living = living_intent(db, session, slug)
    if before in DEAD and state not in DEAD and living is not None:
        clash = f"{state} after {living[0]} took the market: bought twice"
        log_state(db, intent_id, OrderState(before), clash, ts_ns)
        return False
    db.execute("UPDATE intents SET state = ?, detail = ? WHERE intent_id = ?", (state, detail, intent_id))
    log_state(db, intent_id, state, detail, ts_ns)
    return True


def fill_status(db: sqlite3.Connection, session: str, trade_id: str) -> FillStatus | None:
    """The status of a fill; None if its trade is unknown."""
    found = db.execute(
        "SELECT status FROM fills WHERE session = ? AND trade_id = ?", (session, trade_id)
    ).fetchone()
    return None if found is None else FillStatus(found[0])


def reverse_if_empty(db: sqlite3.Connection, session: str, trade_id: str, ts_ns: int) -> None:
    """Reverse the order of a failed trade if all of its fills have failed."""
    (intent_id,) = db.execute(
        "SELECT intent_id FROM fills WHERE session = ? AND trade_id = ?", (session, trade_id)
    ).fetchone()
    (standing,) = db.execute(
        "SELECT count(*) FROM fills WHERE intent_id = ? AND status <> 'FAILED'", (intent_id,)
    ).fetchone()
    if not standing and OrderState.REVERSED in NEXT[state_of(db, intent_id)]:
        move(db, intent_id, OrderState.REVERSED, f"trade {trade_id} failed on chain", ts_ns)
