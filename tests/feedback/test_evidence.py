"""Evidence from the ledger about the sources: settled markets only, each event once, the latest vote."""

from contextlib import closing

import msgspec
import pytest
from isal import isal_zlib
from ledger_builders import NOON_NS, buy, decision, market, open_ledger, refusal, settlement

from errors import Fatal
from execution.ledger import LedgerReader
from feedback import evidence_of
from models import Direction, Outcome, Reason, Settlement, SignalType, Strength, TradingSignal, Vote


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def signal(source, direction):
    return TradingSignal(
        source=source,
        signal_type=SignalType.MOMENTUM,
        direction=direction,
        strength=Strength.STRONG,
        confidence=0.75,
        current_price="0.895",
    )


def voting(given, **directions):
    """The decision with these votes, one per source; None abstains."""
    votes = tuple(
        Vote(
            source=source,
            weight=0.2,
            signal=None if direction is None else signal(source, direction),
            abstained="stale" if direction is None else None,
        )
        for source, direction in directions.items()
    )
    return msgspec.structs.replace(given, votes=votes)


def seen_at(given, **changes):
    """The decision in a market with these changes."""
    context = msgspec.structs.replace(
        given.context, market=msgspec.structs.replace(given.context.market, **changes)
    )
    return msgspec.structs.replace(given, context=context)


def read(path):
    with LedgerReader(path) as reader:
        return evidence_of(reader)


def test_a_settled_trade_is_evidence(path):
    """Event, winner, price and votes are returned as written, and that the market was traded."""
    with open_ledger(path) as ledger:
        buy(ledger)
        ledger.record_settlement(settlement(outcome=Outcome.DOWN))
    (found,) = read(path)
    assert found.event == market().condition_id
    assert found.slug == market().slug
    assert found.winner is Outcome.DOWN
    assert found.p == 0.895
    assert found.votes == {"TickVelocity": Outcome.UP}
    assert found.settled_ns == settlement().settled_ns
    assert found.traded
    assert found.chance(Outcome.UP) == 0.895
    assert found.chance(Outcome.DOWN) == pytest.approx(0.105)


def test_a_market_without_a_settlement_is_no_evidence(path):
    """Nothing is learnt from a market before the venue has settled it."""
    with open_ledger(path) as ledger:
        buy(ledger)
        assert read(path) == []
        ledger.record_settlement(settlement())
        assert len(read(path)) == 1


def test_a_settled_refusal_is_evidence_without_a_trade(path):
    """A vote without an order counts as well once the market has an official outcome."""
    with open_ledger(path) as ledger:
        ledger.record_decision(refusal(reason=Reason.DISAGREEMENT))
        ledger.record_settlement(settlement())
    (found,) = read(path)
    assert not found.traded
    assert found.votes == {"TickVelocity": Outcome.UP}


def test_of_several_decisions_the_latest_vote_counts(path):
    """Several attempts in one market are one piece of evidence, with the votes of the last decision."""
    with open_ledger(path) as ledger:
        ledger.record_decision(voting(refusal(), TickVelocity=Direction.BEARISH))
        ledger.record_decision(voting(refusal(), TickVelocity=Direction.BULLISH))
        unvoted = msgspec.structs.replace(refusal(reason=Reason.STALE_DATA), votes=(), fused=None)
        ledger.record_decision(unvoted)
        ledger.record_settlement(settlement())
    assert [found.votes for found in read(path)] == [{"TickVelocity": Outcome.UP}]


def test_abstentions_and_neutral_votes_are_none(path):
    """Only a direction is a vote; a market without any is no evidence."""
    with open_ledger(path) as ledger:
        ledger.record_decision(
            voting(
                decision(1),
                TickVelocity=Direction.BEARISH,
                SpikeDetection=Direction.NEUTRAL,
                DeribitPCR=None,
            )
        )
        ledger.record_decision(voting(decision(2), SpikeDetection=Direction.NEUTRAL))
        ledger.record_settlement(settlement(1))
        ledger.record_settlement(settlement(2))
    assert [found.votes for found in read(path)] == [{"TickVelocity": Outcome.DOWN}]


def test_a_replayed_market_is_no_new_evidence(path):
    """The same event in another session counts once, with its first settlement."""
    slugs = []
    for number, (session, way) in enumerate(
        (("first", Direction.BULLISH), ("second", Direction.BEARISH)), start=1
    ):
        with open_ledger(path, session=session) as ledger:
            shown = seen_at(
                decision(number), origin="btc-updown-15m-1790586000", condition_id=f"0xshown{number}"
            )
            ledger.record_decision(voting(shown, TickVelocity=way))
            slugs.append(shown.context.market.slug)
            ledger.record_settlement(
                Settlement(
                    slug=slugs[-1], outcome=Outcome.UP, source="gamma", settled_ns=NOON_NS + number * 900
                )
            )
    (found,) = read(path)
    assert (found.slug, found.votes) == (slugs[0], {"TickVelocity": Outcome.UP})
    assert found.event == "btc-updown-15m-1790586000"


def test_evidence_comes_in_the_order_of_settlement(path):
    """Whatever the order of the decisions."""
    with open_ledger(path) as ledger:
        for number in (1, 2, 3):
            ledger.record_decision(decision(number))
        for number, when in ((3, 5), (1, 6), (2, 7)):
            ledger.record_settlement(settlement(number, settled_ns=NOON_NS + when))
    assert [found.slug for found in read(path)] == [market(number).slug for number in (3, 1, 2)]


def test_damaged_evidence_ends_the_run_by_name(path, monkeypatch):
    """A blob that cannot be unpacked is a Fatal naming the market, not a traceback."""
    with open_ledger(path) as ledger:
        with monkeypatch.context() as patched:
            patched.setattr(isal_zlib, "compress", lambda data, level: b"torn" + data)
            ledger.record_decision(decision())
        ledger.record_settlement(settlement())
    with pytest.raises(Fatal, match=market().slug):
        read(path)


def test_reading_leaves_nothing_open(path):
    """The evidence is read on its own connection, closed afterwards: the reader still works."""
    with open_ledger(path) as ledger:
        buy(ledger)
        ledger.record_settlement(settlement())
    with closing(LedgerReader(path)) as reader:
        assert evidence_of(reader) == evidence_of(reader)
        assert len(reader.trades()) == 1
