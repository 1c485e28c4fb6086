"""The tables of the last trades and of markets without one: the reason of each decision, as text."""

import re
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from ledger_builders import PARAMS, buy, decision, market, open_ledger, refusal, send, settlement

from execution.ledger import FillStatus
from models import Direction, OrderState, Outcome, Reason, SignalType, Strength, TradingSignal, Vote
from monitoring.report.decision_table import last_trades, untraded_markets
from monitoring.report.decision_text import (
    DecisionEvidence,
    DecisionMoment,
    UntradedMarket,
    abstention_text,
    purchase_text,
    signal_text,
    untraded_text,
)
from monitoring.report.reader import ReportReader
from monitoring.report.sections import trades_section

sys.path.insert(0, str(Path(__file__).parent))

from test_report import EVIL, Page

UP = (
    "Up is the favourite: its price 0.895 is above 0.6. The vote is bullish: score 62 (at least 40), weight"
    " 0.25 (at least 0.00). Ask 0.90, price cap 0.92, edge +0.0040."
)
TICK = "▲ Up: TickVelocity, confidence 0.75, weight 0.25, velocity 60s 0.031"


def evidence(**changes) -> DecisionEvidence:
    """The evidence of the builders' decision, without a ledger."""
    made = decision(1)
    fields = {name: getattr(made, name) for name in DecisionEvidence.__struct_fields__ if name != "context"}
    moment = DecisionMoment(second=made.context.second, p=made.context.p)
    return DecisionEvidence(**{**fields, "context": moment, **changes})


def untraded(**changes) -> UntradedMarket:
    fields = {"decision_id": 7, "slug": market(1).slug, "now_ns": 1_790_598_490 * 10**9}
    return UntradedMarket(**{**fields, "evidence": evidence(), **changes})


@pytest.fixture
def path(tmp_path):
    """A trade; a refusal after a first try; an order without a fill; a trade that failed on the chain."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        buy(ledger, 1)
        ledger.record_settlement(settlement(1))
        ledger.record_decision(refusal(2, Reason.NO_ASK))
        ledger.record_decision(refusal(2, Reason.LOW_WEIGHT))
        ledger.record_state(send(ledger, 3), OrderState.NO_FILL, "no orders found to match")
        buy(ledger, 4)
        ledger.record_fill_status("t4-1", FillStatus.FAILED)
    return path


def test_the_reason_of_a_purchase():
    """Favourite, vote and price with the limits that they were compared with."""
    assert purchase_text(evidence()) == UP


def test_a_purchase_of_down_against_the_vote():
    """Down is bought below the other limit; where agreement is not required, that is stated."""
    params = msgspec.structs.replace(PARAMS, require_agreement=False, min_edge=Decimal("0.02"))
    moment = DecisionMoment(second=800.0, p=Decimal("0.12"))
    found = evidence(params=params, outcome=Outcome.DOWN, context=moment, edge=0.05)
    assert purchase_text(found) == (
        "Down is the favourite: the price of Up, 0.12, is below 0.4. The vote is bullish: score 62 (at least"
        " 40), weight 0.25 (at least 0.00). It need not agree with the favourite. Ask 0.90, price cap 0.92,"
        " edge +0.0500 (at least 0.02)."
    )
    assert purchase_text(evidence(edge=None, fused=None)) == (
        "Up is the favourite: its price 0.895 is above 0.6. Ask 0.90, price cap 0.92."
    )


def test_a_signal_has_the_numbers_it_was_computed_from():
    """The first two numbers; texts, flags and further numbers are left to the ledger."""
    signal = TradingSignal(
        source="SpikeDetection",
        signal_type=SignalType.MEAN_REVERSION,
        direction=Direction.BEARISH,
        strength=Strength.WEAK,
        confidence=0.5,
        current_price=Decimal("0.9"),
        metadata={"detection_mode": "fade", "wall": True, "deviation": 0.061234, "shares": 12345.6, "x": 3},
    )
    assert signal_text(signal, 0.12) == (
        "SpikeDetection, confidence 0.50, weight 0.12, deviation 0.06123, shares 12,346"
    )
    assert (
        abstention_text(Vote(source="DeribitPCR", weight=0.1, abstained="no chain")) == "DeribitPCR: no chain"
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"evidence": evidence(reason=Reason.LOW_WEIGHT, detail="0.2, 0.3 needed")},
            "Low weight: 0.2, 0.3 needed",
        ),
        ({"order": OrderState.NO_FILL, "order_detail": "no match"}, "Order no fill: no match"),
        ({"order": OrderState.UNKNOWN}, "Order unknown."),
        ({}, "Decided to buy; no order followed."),
    ],
)
def test_why_a_market_was_not_traded(changes, text):
    """The reason of the refusal; for a purchase without a fill, the outcome of its order."""
    assert untraded_text(untraded(**changes)) == text


def test_the_ledger_has_the_reasons(path):
    """The evidence of the trade's decision, and the last decision of each market without a fill."""
    with ReportReader(path) as reader:
        (trade,) = reader.trades()
        found, others = reader.evidence([trade.decision_id]), reader.untraded(25)
        newest = reader.untraded(1)
        later = reader.untraded(25, others[0].now_ns)

    assert (trade.slug, purchase_text(found[trade.decision_id])) == (market(1).slug, UP)
    assert found[trade.decision_id].context.second == 790.5
    assert [(each.slug, untraded_text(each)) for each in others] == [
        (market(4).slug, "Order reversed: trade t4-1 failed on chain"),
        (market(3).slug, "Order no fill: no orders found to match"),
        (market(2).slug, "Low weight: said so"),
    ]
    assert [each.slug for each in newest] == [market(4).slug]
    assert [each.slug for each in later] == [market(4).slug]


def test_the_section_shows_trades_and_refusals(path):
    """A trade with its reason, votes and result; the markets without one below it."""
    with ReportReader(path) as reader:
        trades = reader.trades()
        section = trades_section(trades, reader.evidence([trades[0].decision_id]), reader.untraded(25))
    page = Page(section)
    for fragment in (
        *(
            "The only trade with the reason of each decision",
            UP,
            TICK,
            "Up at 0.900",
            "0.99 pUSD, fee 0.0069",
        ),
        *("decision 1, market second 790", "WIN", "+0.1031 pUSD"),
        *("Markets without a trade", "Low weight: said so", "Order no fill: no orders found to match"),
    ):
        assert fragment in page.text, fragment
    assert "Trades" in Page(trades_section((), {})).text
    assert "Markets without" not in Page(trades_section((), {})).text


def test_the_last_trades_are_explained(path):
    """The last 25 of 30 trades have a row; one without evidence has dashes for reason and votes."""
    with ReportReader(path) as reader:
        (trade,) = reader.trades()
    many = [msgspec.structs.replace(trade, slug=f"m{number}", decision_id=number) for number in range(30)]
    html = last_trades(many, {29: evidence()})
    slugs = re.findall(r"<div>(m\d+)</div>", html)
    assert (slugs[0], slugs[-1], len(slugs)) == ("m29", "m5", 25)
    assert "The last 25 of 30 trades with the reason of each decision, newest first" in html
    assert html.count(f">{UP}<") == 1
    assert html.count(">–<") == 48


def test_each_cell_is_named_on_a_phone(path):
    """A cell has the heading of its column, which the style sheet shows where the heading has no room."""
    with ReportReader(path) as reader:
        trades, others = reader.trades(), reader.untraded(25)
    for html in (last_trades(trades, {}), untraded_markets(others)):
        headings = re.findall(r"<th [^>]*>(.*?)</th>", html)
        labels = re.findall(r'<td data-label="(.*?)"', html)
        assert labels == headings * (html.count("<tr>") - 1)


def test_hostile_text_is_text(path):
    """Slugs, sources, reasons and numbers' names with HTML in them are shown, and change no element."""
    with ReportReader(path) as reader:
        (trade,) = reader.trades()
    (vote,) = decision(1).votes
    calm, evil = (
        Page(
            trades_section(
                [msgspec.structs.replace(trade, slug=text, decision_id=1)],
                {1: evidence(votes=votes(vote, text))},
                [
                    untraded(
                        slug=text, evidence=evidence(reason=Reason.RISK, detail=text, votes=votes(vote, text))
                    ),
                    untraded(order=OrderState.REFUSED, order_detail=text),
                ],
            )
        )
        for text in ("calm", EVIL)
    )
    assert [name for name, _ in evil.elements] == [name for name, _ in calm.elements]
    assert {name for name, _ in evil.elements}.isdisjoint({"script", "img"})
    assert evil.text.count(EVIL) == 13


def votes(vote: Vote, text: str) -> tuple[Vote, ...]:
    """A signal and an abstention with a text in each of their fields."""
    signal = msgspec.structs.replace(vote.signal, source=text, metadata={text: 1})
    return (msgspec.structs.replace(vote, signal=signal), Vote(source=text, weight=0.1, abstained=text))
