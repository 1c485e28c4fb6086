"""The console: one line per market, from its decision to its result, and who may still trade."""

import io
from decimal import Decimal

import msgspec
import pytest
from ledger_builders import decision, fill, intent, market, settlement
from rich.console import Console

from events import (
    Decided,
    Filled,
    Halted,
    MarketOpened,
    MarketRefused,
    ModeChanged,
    OrderMoved,
    Payout,
    Resumed,
    Settled,
    SettlementLate,
)
from models import Decision, OrderState, Reason, TradingSignal, Vote
from monitoring.console import ConsoleReporter

RECORDED, GENERATED = "btc-updown-15m-1790586000", "synthetic-57-1"


class Screen:
    """A reporter that writes into a pipe, or onto a terminal of 160 columns."""

    def __init__(self, *, terminal: bool = False) -> None:
        self.stream = io.StringIO()
        console = Console(file=self.stream, width=160, force_terminal=terminal, color_system=None)
        self.reporter = ConsoleReporter(console, (780.0, 840.0), 15.0)

    def lines(self) -> list[str]:
        """What was written since the last call, without trailing blanks."""
        written = self.stream.getvalue()
        self.stream.seek(0)
        self.stream.truncate()
        return [line.rstrip() for line in written.splitlines()]

    def handle(self, *events) -> list[str]:
        for event in events:
            self.reporter.handle(event)
        return self.lines()


@pytest.fixture
def screen() -> Screen:
    return Screen()


def made(origin: str = "", **changes) -> Decision:
    base = decision(1)
    context = msgspec.structs.replace(base.context, market=market(1, origin=origin))
    return msgspec.structs.replace(base, context=context, **changes)


def test_a_trade_from_the_decision_to_the_result(screen):
    """Each step is a line in a pipe, and the settled line has everything: vote, fill, outcome, total."""
    head = "28 Sep 12:15  Up 0.89/0.90  Tick ▲0.75  vote 62, weight 0.25  BUY Up at 0.90"
    assert screen.handle(MarketOpened(market=market(1))) == []
    assert screen.handle(Decided(decision=made(), final=True)) == [head]
    assert screen.handle(Filled(fill=fill(1, shares="1.1", price="0.9", fee="0.00693"))) == [
        "28 Sep 12:15  filled 1.1 at 0.900, fee 0.00693"
    ]
    settled = Settled(
        market=market(1), settlement=settlement(1), pnl=Decimal("0.10307"), total_pnl=Decimal("0.2")
    )
    assert screen.handle(settled) == [
        f"{head}  filled 1.1 at 0.900, fee 0.00693  → Up won +0.1031  total +0.2000"
    ]


@pytest.mark.parametrize(("origin", "kind"), [(RECORDED, "recorded "), (GENERATED, "generated")])
def test_a_practice_market_is_called_recorded_or_generated(screen, origin, kind):
    """Every line of the market, decision and result alike, says which of the two it is."""
    (decided,) = screen.handle(Decided(decision=made(origin), final=True))
    settled = Settled(
        market=market(1, origin=origin), settlement=settlement(1), pnl=None, total_pnl=Decimal(0)
    )
    (result,) = screen.handle(settled)
    for line in (decided, result):
        assert line.startswith(f"28 Sep 12:15  {kind}  Up 0.89/0.90")


def test_abstentions_are_grouped_by_their_reason(screen):
    """The processors that abstain are named once for each reason, in the line below."""
    why = "recorded markets have no external feeds"
    votes = (
        *(Vote(source=name, weight=0.1, abstained=why) for name in ("PriceDivergence", "DeribitPCR")),
        Vote(source="SpikeDetection", weight=0.1, abstained="no spike"),
    )
    _, below = screen.handle(Decided(decision=made(votes=votes), final=True))
    assert below == f"              abstains  Div, PCR: {why}; Spike: no spike"


def test_a_refusal_is_shown_once(screen):
    """Decisions come every second: a new line appears only for a new reason, or for the last decision."""
    refused = made(reason=Reason.NO_ASK, detail="no ask for Up")
    line = "28 Sep 12:15  Up 0.89/0.90  Tick ▲0.75  vote 62, weight 0.25  skip, no ask: no ask for Up"
    assert screen.handle(Decided(decision=refused, final=False)) == [line]
    assert screen.handle(Decided(decision=refused, final=False)) == []
    assert screen.handle(Decided(decision=refused, final=True)) == [line]
    other = made(reason=Reason.THIN_BOOK, detail="too thin")
    assert len(screen.handle(Decided(decision=other, final=False))) == 1


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (OrderState.NO_FILL, "no fill"),
        (OrderState.REFUSED, "refused: not enough balance"),
        (OrderState.UNKNOWN, "outcome unknown, being looked up: not enough balance"),
        (OrderState.REVERSED, "reversed: the trade failed on the chain"),
    ],
)
def test_what_became_of_an_order(screen, state, shown):
    """Each outcome that is no fill is named with its reason, also in the market's last line."""
    screen.handle(Decided(decision=made(), final=True))
    moved = OrderMoved(intent=intent(1), state=state, reason="not enough balance")
    assert screen.handle(moved) == [f"28 Sep 12:15  {shown}"]
    screen.reporter.close()
    assert screen.lines()[-1].endswith(f"BUY Up at 0.90  {shown}")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Halted(why="three"), "HALTED: three. No new position until: python redis_control.py resume"),
        (Resumed(why="three"), "RESUMED: trading continues; the halt was: three"),
        (MarketRefused(slug="btc-1", why="negRisk"), "btc-1 is not traded: negRisk"),
        (Payout(slug="btc-1", what="Redeemed $1.1", manual=False), "Redeemed $1.1"),
        (
            SettlementLate(market=market(1), why="no winner"),
            "btc-updown-15m-1790597700 has no official outcome yet: no winner",
        ),
        (ModeChanged(mode="live", allows_orders=True, why="armed"), "MODE LIVE: armed"),
        (ModeChanged(mode="live", allows_orders=False, why="w"), "MODE LIVE, no new position: w"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_operator_is_told(screen, event, line):
    """Halts, mode changes, payouts and refused markets are one line each."""
    assert screen.handle(event) == [line]


def test_the_direction_of_a_vote_is_an_arrow(screen):
    """▲ Up, ▼ Down, – no vote, with the confidence to a hundredth."""
    (vote,) = made().votes
    assert isinstance(vote.signal, TradingSignal)
    bearish = msgspec.structs.replace(
        vote, signal=msgspec.structs.replace(vote.signal, direction="bearish", confidence=0.5)
    )
    none = Vote(source="DeribitPCR", weight=0.1, abstained="no chain")
    line, _ = screen.handle(Decided(decision=made(votes=(vote, bearish, none)), final=True))
    assert "Tick ▲0.75  Tick ▼0.50  PCR –" in line


@pytest.mark.parametrize(
    ("second", "phase"), [(300.0, "decides in 32 s"), (800.0, "deciding"), (850.0, "window over")]
)
def test_the_waiting_line_has_market_price_and_phase(second, phase):
    """On a terminal: start, market second, price, outside price, phase, and what waits for its result."""
    screen = Screen(terminal=True)
    bar = screen.reporter._bar(market(1), second, Decimal("0.915"), 2, "65,000.00 (+12.00)")
    screen.reporter._console.print(bar)
    (line,) = screen.lines()
    assert line.split()[0] == "12:15"
    assert f"{second:5.0f} s Up 0.915 65,000.00 (+12.00) {phase}" in line
    assert line.endswith("2 waiting for the official outcome")


def test_without_a_market_it_waits_for_the_catalogue():
    """Between start and catalogue there is no market to show."""
    screen = Screen(terminal=True)
    screen.reporter._console.print(screen.reporter._bar(None, 0.0, None, 0, ""))
    assert screen.lines() == ["waiting for the catalogue to list the running market"]


def test_in_a_pipe_there_is_no_waiting_line(screen):
    """A log file must not grow by a line every quarter of a second."""
    screen.reporter.progress(market(1), 100.0, None, 0, "")
    assert screen.lines() == []
