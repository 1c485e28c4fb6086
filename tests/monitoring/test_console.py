"""The console: one block per market, from its decision to its result, and what concerns the bot itself."""

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
    TermsChanged,
)
from models import Decision, OrderState, ProtocolVersion, Reason, TradingSignal, Vote
from monitoring.console import ConsoleReporter

ALL_PROCESSORS = (
    "TickVelocity",
    "OrderBookImbalance",
    "PriceDivergence",
    "SpikeDetection",
    "DeribitPCR",
    "SentimentAnalysis",
)
RECORDED, GENERATED = "btc-updown-15m-1790586000", "synthetic-57-1"


class Screen:
    """A reporter that writes into a pipe, or onto a terminal; without `Live`'s redrawing."""

    def __init__(self, *, terminal: bool = False, width: int = 160, quiet: bool = False) -> None:
        self.stream = io.StringIO()
        console = Console(file=self.stream, width=width, force_terminal=terminal, color_system=None)
        self.reporter = ConsoleReporter(console, (780.0, 840.0), 15.0, quiet=quiet)

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


HEADER = "28 Sep 12:15  Up 0.89/0.90"
VOTES = "  votes     Tick ▲0.75"
BUY = "  decision  BUY Up at 0.90  (score 62, weight 0.25)"
FILLED = "  order     filled 1.1 at 0.900, fee 0.00693"
WON = "  result    Up won +0.1031  total +0.2000"
SETTLED = Settled(
    market=market(1), settlement=settlement(1), pnl=Decimal("0.10307"), total_pnl=Decimal("0.2")
)


def test_a_trade_from_the_decision_to_the_result(screen):
    """In a pipe a market is a header and a row for each step, printed once, when it happens."""
    assert screen.handle(MarketOpened(market=market(1))) == []
    assert screen.handle(Decided(decision=made(), final=True)) == [HEADER, VOTES, BUY]
    assert screen.handle(Filled(fill=fill(1, shares="1.1", price="0.9", fee="0.00693"))) == [FILLED]
    assert screen.handle(SETTLED) == [WON]


def test_on_a_terminal_a_settled_market_is_one_block():
    """The block is printed once, at the result, with every row in order."""
    screen = Screen(terminal=True)
    screen.handle(Decided(decision=made(), final=True))
    screen.handle(OrderMoved(intent=intent(1), state=OrderState.NO_FILL, reason=""))
    screen.handle(Filled(fill=fill(1, shares="1.1", price="0.9", fee="0.00693")))
    assert screen.handle(SETTLED) == [HEADER, VOTES, BUY, "  order     no fill", FILLED, WON]


def test_a_block_fits_a_terminal_of_80_columns():
    """Six votes with a confidence each are one row; a long reason continues below its own column."""
    (vote,) = made().votes
    votes = tuple(msgspec.structs.replace(vote, source=source) for source in ALL_PROCESSORS)
    refused = made(votes=votes, reason=Reason.LOW_WEIGHT, detail="the bullish sources weigh too little " * 3)
    screen = Screen(terminal=True, width=80)
    screen.handle(Decided(decision=refused, final=True))
    lines = screen.handle(SETTLED)
    assert lines[1] == ("  votes     Tick ▲0.75  Book ▲0.75  Div ▲0.75  Spike ▲0.75  PCR ▲0.75  F&G ▲0.75")
    assert len(lines[1]) == 80
    assert lines[2].startswith("  decision  skip, low weight: the bullish sources")
    assert lines[3].startswith("            ")
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(("origin", "kind"), [(RECORDED, "recorded"), (GENERATED, "generated")])
def test_the_header_names_the_kind_of_a_practice_market(screen, origin, kind):
    """Recorded or generated, in the header of its block."""
    header, *_ = screen.handle(Decided(decision=made(origin), final=True))
    assert header == f"28 Sep 12:15  {kind}  Up 0.89/0.90"


def test_the_header_marks_a_market_of_protocol_v2(screen):
    """Its order goes to another exchange, under another allowance."""
    decided = made(GENERATED)
    bought = msgspec.structs.replace(decided.context.market, version=ProtocolVersion.V2)
    decided = msgspec.structs.replace(
        decided, context=msgspec.structs.replace(decided.context, market=bought)
    )
    header, *_ = screen.handle(Decided(decision=decided, final=True))
    assert header == "28 Sep 12:15  generated  Protocol V2  Up 0.89/0.90"


def test_a_refusal_before_the_votes_has_no_row_of_votes(screen):
    """A market that was not tradable was not voted on."""
    refused = made(votes=(), fused=None, reason=Reason.NO_ASK, detail="no ask for Up")
    assert screen.handle(Decided(decision=refused, final=True)) == [
        HEADER,
        "  decision  skip, no ask: no ask for Up",
    ]


def test_a_market_without_a_decision_has_its_result(screen):
    """A market that was never tradable ends with its result, and states that nothing was decided."""
    assert screen.handle(SETTLED) == ["28 Sep 12:15", "  decision  none", WON]


def test_the_header_is_repeated_after_the_rows_of_another_market(screen):
    """A result that arrives after the next market's decision is shown under its own market."""
    screen.handle(Decided(decision=made(), final=True))
    other = made()
    other = msgspec.structs.replace(other, context=msgspec.structs.replace(other.context, market=market(2)))
    assert screen.handle(Decided(decision=other, final=True))[0] == "28 Sep 12:30  Up 0.89/0.90"
    assert screen.handle(SETTLED) == [HEADER, WON]


def test_a_refusal_is_shown_once(screen):
    """Decisions come every second: a row appears only for a new reason, and the votes with new directions."""
    refused = made(reason=Reason.NO_ASK, detail="no ask for Up")
    skip = "  decision  skip, no ask: no ask for Up  (score 62, weight 0.25)"
    assert screen.handle(Decided(decision=refused, final=False)) == [HEADER, VOTES, skip]
    assert screen.handle(Decided(decision=refused, final=False)) == []
    assert screen.handle(Decided(decision=refused, final=True)) == []
    other = made(reason=Reason.THIN_BOOK, detail="too thin")
    thin = "  decision  skip, thin book: too thin  (score 62, weight 0.25)"
    assert screen.handle(Decided(decision=other, final=False)) == [thin]
    silent = made(
        votes=(Vote(source="TickVelocity", weight=0.25, abstained="flat"),),
        reason=Reason.THIN_BOOK,
        detail="too thin",
    )
    assert screen.handle(Decided(decision=silent, final=False)) == []
    again = msgspec.structs.replace(silent, reason=Reason.NO_ASK)
    assert screen.handle(Decided(decision=again, final=False))[0] == "  votes     Tick –"


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
    """Each outcome that is no fill is named with its reason."""
    screen.handle(Decided(decision=made(), final=True))
    moved = OrderMoved(intent=intent(1), state=state, reason="not enough balance")
    assert screen.handle(moved) == [f"  order     {shown}"]


def test_an_unsettled_market_is_left_on_the_terminal():
    """At the end of a run the block of a market without a result is printed as it is."""
    screen = Screen(terminal=True)
    screen.handle(Decided(decision=made(), final=True))
    screen.reporter.close()
    assert screen.lines() == [HEADER, VOTES, BUY]


def test_quiet_prints_no_market_but_what_concerns_the_bot():
    """With --quiet a whole trade prints nothing, a halt does."""
    screen = Screen(quiet=True)
    assert screen.handle(Decided(decision=made(), final=True), SETTLED) == []
    assert screen.handle(Halted(why="three")) == [
        "HALTED: three. No new position until: python redis_control.py resume"
    ]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Halted(why="three"), "HALTED: three. No new position until: python redis_control.py resume"),
        (Resumed(why="three"), "RESUMED: trading continues; the halt was: three"),
        (MarketRefused(slug="btc-1", why="negRisk"), "btc-1 is not traded: negRisk"),
        (
            TermsChanged(slug="btc-2", term="fee_rate", value="0.072", before="0.07", before_slug="btc-1"),
            "the fee rate is 0.072 in btc-2, 0.07 in btc-1",
        ),
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
    _, votes, _ = screen.handle(Decided(decision=made(votes=(vote, bearish, none)), final=True))
    assert votes == "  votes     Tick ▲0.75  Tick ▼0.50  PCR –"


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


def test_the_waiting_line_has_two_rows_on_80_columns():
    """Where it does not fit, outside price and waiting markets are below the market; nothing is folded."""
    screen = Screen(terminal=True, width=80)
    screen.reporter._console.print(
        screen.reporter._bar(market(1), 300.0, Decimal("0.915"), 2, "65,000.00 (+12.00)")
    )
    first, second = screen.lines()
    assert first.split()[0] == "12:15"
    assert first.endswith("  300 s Up 0.915 decides in 32 s")
    assert second == "      65,000.00 (+12.00) 2 waiting for the official outcome"
    screen.reporter._console.print(screen.reporter._bar(market(1), 300.0, None, 0, ""))
    (only,) = screen.lines()
    assert only.endswith("  300 s no price yet decides in 32 s")


def test_without_a_market_it_waits_for_the_catalogue():
    """Between start and catalogue there is no market to show."""
    screen = Screen(terminal=True)
    screen.reporter._console.print(screen.reporter._bar(None, 0.0, None, 0, ""))
    assert screen.lines() == ["waiting for the catalogue to list the running market"]


def test_in_a_pipe_there_is_no_waiting_line(screen):
    """A log file must not grow by a line every quarter of a second."""
    screen.reporter.progress(market(1), 100.0, None, 0, "")
    assert screen.lines() == []


def test_markup_in_foreign_texts_is_shown_as_it_is():
    """Brackets in a reason of the venue are no styles and no links, and an unbalanced one is no error."""
    text = "[bold red]x[/] [/y] [link=http://a.example]z[/link] <script>"
    lines = Screen().handle(MarketRefused(slug="s", why=text), Halted(why=text))
    assert [text in line for line in lines] == [True, True]
