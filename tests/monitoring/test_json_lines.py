"""The JSON lines of a run: every kind of event, its fields as documented, and exact numbers."""

import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from ledger_builders import decision, fill, intent, market, settlement
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
from models import FillStatus, OrderStage, OrderState, OrderTrace
from monitoring.json_lines import JsonLinesReporter, event_line

NOW = datetime(2026, 9, 28, 12, 30, tzinfo=UTC)
DOCUMENT = Path(__file__).parents[2] / "docs" / "json-lines.md"
EVENTS = {
    "started": Started(mode="simulation", venue="mixed", note="n"),
    "stopped": Stopped(why="the operator"),
    "market_opened": MarketOpened(market=market(1)),
    "market_refused": MarketRefused(slug="btc-1", why="negRisk"),
    "terms_changed": TermsChanged(
        slug="btc-2", term="fee_rate", value="0.072", before="0.07", before_slug="btc-1"
    ),
    "decided": Decided(decision=decision(1), final=True, decision_id=7),
    "order_sent": OrderSent(intent=intent(1)),
    "order_signed": OrderSigned(intent=intent(1), order_id="0x1"),
    "order_traced": OrderTraced(
        trace=OrderTrace(
            intent_id="i1-1",
            slug="btc-1",
            created_ns=5,
            stages={OrderStage.QUOTE: 0, OrderStage.POSTED: 4_200_000},
        )
    ),
    "order_state": OrderMoved(intent=intent(1), state=OrderState.NO_FILL, reason="no ask"),
    "filled": Filled(fill=fill(1, shares="1.1", price="0.9", fee="0.00693")),
    "fill_status": FillMoved(
        fill=fill(1, shares="1.1", price="0.9", fee="0.00693"), status=FillStatus.FAILED
    ),
    "settled": Settled(
        market=market(1), settlement=settlement(1), pnl=Decimal("0.10307"), total_pnl=Decimal("0.2")
    ),
    "settlement_late": SettlementLate(market=market(1), why="no winner"),
    "payout": Payout(slug="btc-1", what="Redeemed $1.1"),
    "redeemed": Redeemed(slug="btc-1", amount=Decimal("1.1")),
    "cash_checked": CashChecked(difference=Decimal("-0.0025")),
    "halted": Halted(why="three refusals"),
    "resumed": Resumed(why="three refusals"),
    "mode": ModeChanged(mode="live", allows_orders=True, why="armed"),
}


def documented() -> dict[str, list[str]]:
    """The fields of each event by the table in the documentation."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", DOCUMENT.read_text(), re.MULTILINE)
    return {kind: re.findall(r"`(\w+)`", fields) for kind, fields in rows}


def test_every_event_has_a_line():
    """A new event without a line fails here."""
    assert {type(event) for event in EVENTS.values()} == set(get_args(Event))


@pytest.mark.parametrize("kind", EVENTS)
def test_the_fields_are_those_of_the_documentation(kind):
    """Kind, time, and exactly the documented fields, in their order."""
    document = json.loads(event_line(EVENTS[kind], NOW))
    assert list(document) == ["event", "time", *documented()[kind]]
    assert (document["event"], document["time"]) == (kind, "2026-09-28T12:30:00Z")


def test_a_fill_has_exact_numbers():
    """No digit is lost or added on the way to the line."""
    document = json.loads(event_line(EVENTS["filled"], NOW), parse_float=Decimal)
    numbers = [document[name] for name in ("shares", "price", "cost", "fee")]
    assert numbers == [Decimal("1.1"), Decimal("0.9"), Decimal("0.99"), Decimal("0.00693")]


def test_one_line_an_event_whatever_the_width():
    """The line of a decision is far wider than the console and is not broken; messages are lines as well."""
    stream = io.StringIO()
    reporter = JsonLinesReporter(Console(file=stream, width=20), lambda: NOW)
    reporter.handle(EVENTS["decided"])
    reporter.print_message("a [message] \x1b[2J")
    decided, message = stream.getvalue().splitlines()
    assert json.loads(decided)["votes"][0]["source"] == "TickVelocity"
    assert json.loads(message) == {
        "event": "message",
        "time": "2026-09-28T12:30:00Z",
        "text": "a [message] \x1b[2J",
    }
    assert "\x1b" not in message
