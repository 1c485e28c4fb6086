"""A run's events as JSON lines for programs: one object a line, described in `docs/json-lines.md`.

Every object has `event`, its kind, and `time`, when it was written: UTC, ISO 8601. Money, prices and shares
are exact JSON numbers.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from loguru import logger
from rich.console import Console

from events import (
    CashChecked,
    Decided,
    Event,
    Filled,
    FillMoved,
    Halted,
    MarketOpened,
    MarketRefused,
    ModeChanged,
    OrderMoved,
    OrderSent,
    OrderSigned,
    OrderTraced,
    Payout,
    Redeemed,
    Resumed,
    Settled,
    SettlementLate,
    Started,
    Stopped,
    TermsChanged,
)
from models import Market, Outcome, series_of

ENCODER = msgspec.json.Encoder(decimal_format="number")


def json_line(kind: str, fields: Mapping[str, Any], now: datetime) -> str:
    """One line, without its end."""
    return ENCODER.encode({"event": kind, "time": now, **fields}).decode()


def event_line(event: Event, now: datetime, *, several: bool = False) -> str:
    """The line of an event of the bot; where several series are traded, with the series of its market."""
    kind, fields = _fields(event)
    if several and "slug" in fields:
        fields = {"series": series_of(fields["slug"]).name, **fields}
    return json_line(kind, fields, now)


def print_line(console: Console, line: str) -> None:
    """Print a line unchanged, whatever the width of the terminal."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)


class JsonLinesReporter:
    """Prints each event as a JSON line, in the place of the console for people.

    Parameters
    ----------
    console : rich.console.Console
    clock : Callable[[], datetime]
        The time of the lines.
    several : bool
        Whether several series are traded, so that each line about a market has its series.
    """

    def __init__(
        self,
        console: Console,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        several: bool = False,
    ) -> None:
        self._several = several
        self._console = console
        self._clock = clock

    def start(self) -> None:
        """Nothing has to be started."""

    def close(self) -> None:
        """Nothing is open."""

    def print_message(self, text: str) -> None:
        """Print a message about the bot itself."""
        logger.info(text)
        print_line(self._console, json_line("message", {"text": text}, self._clock()))

    def handle(self, event: Event) -> None:
        """Print one event."""
        line = event_line(event, self._clock(), several=self._several)
        logger.info(line)
        print_line(self._console, line)

    def progress(
        self, market: Market | None, second: float, p: Decimal | None, settling: int, outside: str
    ) -> None:
        """A program does not need the waiting line."""


def _fields(event: Event) -> tuple[str, dict[str, Any]]:  # noqa: C901 - one case an event
    """Kind and fields of an event."""
    match event:
        case MarketOpened(market=market):
            return "market_opened", _market(market)
        case MarketRefused(slug=slug, why=why):
            return "market_refused", {"slug": slug, "reason": why}
        case TermsChanged(slug=slug, term=term, value=value, before=before, before_slug=before_slug):
            return "terms_changed", {
                "slug": slug,
                "term": term,
                "value": value,
                "before": before,
                "before_slug": before_slug,
            }
        case Decided():
            return "decided", _decided(event)
        case OrderSent(intent=intent):
            fields = {"usd": intent.usd, "price_cap": intent.price_cap, "attempt": intent.attempt}
            return "order_sent", _intent(event) | fields
        case OrderSigned(order_id=order_id):
            return "order_signed", _intent(event) | {"order_id": order_id}
        case OrderTraced(trace=trace):
            return "order_traced", {"slug": trace.slug, "intent_id": trace.intent_id, "stages": trace.stages}
        case OrderMoved(state=state, reason=reason):
            return "order_state", _intent(event) | {"state": state, "reason": reason}
        case Filled(fill=fill, status=status) | FillMoved(fill=fill, status=status):
            return "filled" if isinstance(event, Filled) else "fill_status", {
                "slug": fill.slug,
                "outcome": fill.outcome,
                "shares": fill.shares,
                "price": fill.price,
                "cost": fill.cost,
                "fee": fill.fee,
                "status": status,
                "order_id": fill.order_id,
                "trade_id": fill.trade_id,
            }
        case Settled(market=market, settlement=settlement, pnl=pnl, total_pnl=total_pnl):
            return "settled", {
                "slug": market.slug,
                "result": settlement.outcome,
                "up_pays": settlement.pays(Outcome.UP),
                "source": settlement.source,
                "pnl": pnl,
                "total_pnl": total_pnl,
            }
        case SettlementLate(market=market, why=why):
            return "settlement_late", {"slug": market.slug, "reason": why}
        case Redeemed(slug=slug, amount=amount):
            return "redeemed", {"slug": slug, "amount": amount}
        case Payout(slug=slug, what=what, manual=manual):
            return "payout", {"slug": slug, "text": what, "manual": manual}
        case CashChecked(difference=difference):
            return "cash_checked", {"difference": difference}
        case Halted(why=why):
            return "halted", {"reason": why}
        case Resumed(why=why):
            return "resumed", {"reason": why}
        case ModeChanged(mode=mode, allows_orders=allows, why=why):
            return "mode", {"mode": mode, "allows_orders": allows, "reason": why}
        case Started(mode=mode, venue=venue, note=note, restarted=restarted):
            return "started", {"mode": mode, "venue": venue, "note": note, "restarted": restarted}
        case Stopped(why=why, restarts=restarts, failed=failed):
            return "stopped", {"reason": why, "restarts": restarts, "failed": failed}


def _market(market: Market) -> dict[str, Any]:
    return {
        "slug": market.slug,
        "start": datetime.fromtimestamp(market.start, UTC),
        "kind": market.kind,
        "version": market.version,
    }


def _decided(event: Decided) -> dict[str, Any]:
    decision = event.decision
    book, fused = decision.context.up_book, decision.fused
    return {
        "decision_id": event.decision_id,
        "slug": decision.context.market.slug,
        "second": decision.context.second,
        "up_bid": book.best_bid,
        "up_ask": book.best_ask,
        "votes": [
            {
                "source": vote.source,
                "weight": vote.weight,
                "direction": None if vote.signal is None else vote.signal.direction,
                "confidence": None if vote.signal is None else vote.signal.confidence,
                "abstained": vote.abstained,
            }
            for vote in decision.votes
        ],
        "score": None if fused is None else fused.score,
        "weight": None if fused is None else fused.weight,
        "outcome": decision.outcome,
        "ask": decision.ask,
        "price_cap": decision.price_cap,
        "buys": decision.buys,
        "reason": decision.reason,
        "detail": decision.detail,
        "final": event.final,
    }


def _intent(event: OrderSent | OrderSigned | OrderMoved) -> dict[str, Any]:
    intent = event.intent
    return {
        "slug": intent.slug,
        "decision_id": intent.decision_id,
        "intent_id": intent.intent_id,
        "outcome": intent.outcome,
    }
