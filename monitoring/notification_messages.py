"""Texts of the notifications: of one event, or the summary of a UTC day. Pure."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from enum import IntEnum

from events import (
    Decided,
    Event,
    Filled,
    Halted,
    MarketRefused,
    ModeChanged,
    OrderMoved,
    OrderSent,
    Payout,
    Resumed,
    Settled,
    SettlementLate,
    Started,
    Stopped,
    TermsChanged,
)
from execution.ledger import DecisionRow, TradeRow
from models import Frozen, OrderState
from monitoring.report.text_lines import readable_name, statistics_lines, terms_text
from monitoring.statistics import statistics

RESUME = "No new position until: python redis_control.py resume"
NEWER = "The bot trades the markets of the versions that it supports: check for a newer one"


class Importance(IntEnum):
    """Importance of a message; the names are the values of NOTIFY_LEVEL that include it."""

    ALL = 0
    TRADES = 1
    ALERTS = 2


class Message(Frozen, frozen=True):
    """A short title and a body of one or two lines."""

    title: str
    body: str
    importance: Importance


def message_of(event: Event) -> Message | None:
    """The message of an event; None if another event has the same message."""
    match event:
        case Halted(why=why):
            return Message("HALTED", f"{why}. {RESUME}", Importance.ALERTS)
        case Resumed(why=why):
            return Message("Resumed", f"Trading continues; the halt was: {why}", Importance.ALERTS)
        case ModeChanged(mode=mode, allows_orders=allows, why=why):
            return Message(f"Mode: {mode}{'' if allows else ', no new position'}", why, Importance.ALERTS)
        case SettlementLate(market=market, why=why):
            return Message("No official outcome yet", f"{market.slug}: {why}", Importance.ALERTS)
        case Payout(what=what, manual=manual):
            title = "Manual redemption needed" if manual else "Payout"
            return Message(title, what, Importance.ALERTS if manual else Importance.TRADES)
        case Started() | Stopped():
            return _of_process(event)
        case TermsChanged():
            return Message("Terms of the markets changed", terms_text(event), Importance.ALERTS)
        case MarketRefused(why=why, unknown_version=True):
            title = "Protocol version not supported"
            return Message(title, f"{why}. {NEWER}", Importance.ALERTS)
        case MarketRefused(slug=slug, why=why):
            return Message("Market not traded", f"{slug}: {why}", Importance.TRADES)
        case _:
            return _of_trade(event)


def _of_process(event: Started | Stopped) -> Message:
    if isinstance(event, Started):
        what = f"{event.mode} on {event.venue}: {event.note}"
        quiet = event.restarted
        return Message("Started", what, Importance.ALL if quiet else Importance.TRADES)
    if event.failed:
        return Message("FAILED", event.why, Importance.ALERTS)
    return Message("Stopped", event.why, Importance.ALL if event.restarts else Importance.TRADES)


def _of_trade(event: Event) -> Message | None:
    match event:
        case OrderSent(intent=intent):
            what = f"${intent.usd} on {intent.outcome}, ask {intent.ask}, at most {intent.price_cap}"
            return Message("Order", f"{intent.slug}: {what}", Importance.TRADES)
        case Filled(fill=fill):
            body = f"{fill.slug}: {fill.shares.normalize():f} {fill.outcome} at {fill.price}, fee {fill.fee}"
            return Message("Filled", body, Importance.TRADES)
        case OrderMoved(intent=intent, state=state, reason=reason):
            return _of_order(intent.slug, state, reason)
        case Settled(market=market, settlement=settlement, pnl=pnl, total_pnl=total):
            if pnl is None:
                return Message("Settled", f"{market.slug}: {settlement.result}, no position", Importance.ALL)
            body = f"{market.slug}: {settlement.result}, {pnl:+.4f} pUSD, in all {total:+.4f}"
            return Message("Won" if pnl > 0 else "Lost", body, Importance.TRADES)
        case Decided(decision=decision):
            what = (
                f"buy {decision.outcome}" if decision.buys else f"no, {readable_name(str(decision.reason))}"
            )
            detail = f": {decision.detail}" if decision.detail else ""
            return Message("Decided", f"{decision.context.market.slug}: {what}{detail}", Importance.ALL)
        case _:
            return None


def _of_order(slug: str, state: OrderState, reason: str) -> Message | None:
    text = {
        OrderState.NO_FILL: ("No fill", Importance.TRADES),
        OrderState.REFUSED: ("Order refused", Importance.ALERTS),
        OrderState.UNKNOWN: ("Order outcome unknown, being looked up", Importance.ALERTS),
        OrderState.REVERSED: ("Trade failed on the chain", Importance.ALERTS),
    }
    if state not in text:
        return None
    title, importance = text[state]
    return Message(title, f"{slug}: {reason}", importance)


def daily_summary(
    day: date, profile: str, trades: Sequence[TradeRow], decisions: Sequence[DecisionRow]
) -> Message:
    """Summary of a UTC day.

    Parameters
    ----------
    trades, decisions : sequence
        All since a time before the start of that day; those of other days are ignored. A trade belongs to the
        day on which it was made.
    """
    of_day = [row for row in decisions if _day(row.now_ns) == day]
    seen = f"{len({row.slug for row in of_day})} markets evaluated"
    made = [trade for trade in trades if _day(trade.created_ns) == day]
    if made:
        lines = [f"{name}: {text}" for name, text in statistics_lines(statistics(made))]
        return Message(f"{day} on {profile}", "\n".join([seen, *lines]), Importance.TRADES)
    reasons = [str(row.reason) for row in of_day if row.reason is not None]
    most = f", most often: {readable_name(max(set(reasons), key=reasons.count))}" if reasons else ""
    return Message(f"{day} on {profile}", f"No trade; {seen}{most}", Importance.TRADES)


def _day(ns: int) -> date:
    return datetime.fromtimestamp(ns // 10**9, UTC).date()
