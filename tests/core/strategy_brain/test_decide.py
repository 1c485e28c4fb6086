"""The decision: every reason it can end with, its recorded evidence, and its replay."""

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from brain_builders import (
    NOW_NS,
    book,
    brain_params,
    cents,
    context,
    contexts,
    market,
    mirrored,
    params,
    put_call,
    sentiment,
    with_externals,
)
from decision_replay import decode, encode, replay
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.strategy_brain.fusion_engine import UnknownSource
from core.strategy_brain.signal_processors import OrderBookImbalanceProcessor
from core.strategy_brain.strategies import (
    decide,
    favourite,
    fee_per_share,
    in_window,
    price_cap,
)
from core.strategy_brain.strategies.appraisal import Appraisal, appraise
from models import RETRIED, Book, Decision, Direction, Level, Outcome, Reason

UP, DOWN = Outcome.UP, Outcome.DOWN


def decided(seen, numbers, processors=None) -> Any:
    return decide(seen, numbers, processors)


def refused(decision, reason, *fragments):
    """Assert that the decision is that refusal, with the numbers in its detail."""
    assert decision.reason is reason
    assert not decision.buys
    for fragment in fragments:
        assert fragment in decision.detail
    return True


@pytest.mark.parametrize(("p", "outcome"), [("0.80", UP), ("0.20", DOWN)])
def test_buys_the_favourite_at_its_own_ask(p, outcome):
    """With all gates passed the favourite is bought: its ask, a limit of two cents more, six votes."""
    decision = decided(context(p), params())
    assert decision.buys
    assert (decision.outcome, decision.reason) == (outcome, None)
    assert (decision.ask, decision.price_cap) == (D("0.81"), D("0.83"))
    assert decision.detail == f"buy {outcome} at 0.81, at most 0.83"
    assert [vote.source for vote in decision.votes] == list(params().weights)
    assert [vote.weight for vote in decision.votes] == list(params().weights.values())
    assert all((vote.signal is None) != (vote.abstained is None) for vote in decision.votes)


@pytest.mark.parametrize(
    ("second", "inside"), [(779.999, False), (780.0, True), (839.999, True), (840.0, False)]
)
def test_window_edges(second, inside):
    """780 belongs to the window, 840 does not; outside there is not even a vote."""
    assert in_window(second, 780, 840) is inside
    decision = decided(context(second=second), params())
    assert decision.buys is inside
    if not inside:
        assert refused(decision, Reason.OUTSIDE_WINDOW, f"{second:.1f}", "780", "840")
        assert decision.votes == ()


def test_window_comes_before_freshness():
    """A stale book may be updated by the next tick, a missed window not: the window is the reason."""
    stale = context(second=850, up_book=book(age_s=99))
    assert refused(decided(stale, params()), Reason.OUTSIDE_WINDOW)


@pytest.mark.parametrize(
    ("p", "up_age", "down_age", "fresh"),
    [
        ("0.80", 10, 10, True),
        ("0.80", 10.001, 0, False),
        ("0.80", 0, 10.001, False),
        ("0.20", 0, 10.001, False),
        ("0.20", 10.001, 0, False),
        ("0.20", 10, 10, True),
        ("0.80", -10.001, 0, False),
    ],
)
def test_freshness_is_of_both_books(p, up_age, down_age, fresh):
    """Whichever is the favourite, both books have to be within ten seconds, past or future."""
    base = context(p)
    aged = msgspec.structs.replace(
        base,
        up_book=msgspec.structs.replace(base.up_book, ts_ns=NOW_NS - round(up_age * 1e9)),
        down_book=msgspec.structs.replace(base.down_book, ts_ns=NOW_NS - round(down_age * 1e9)),
    )
    decision = decided(aged, params())
    assert decision.buys is fresh
    if not fresh:
        assert refused(decision, Reason.STALE_DATA, "10.001 s old", "10 s allowed")


def test_history_of_nineteen_is_too_short():
    """Nineteen prices refuse, twenty decide; the refusal has no votes yet."""
    decision = decided(context(history=(D("0.8"),) * 19), params())
    assert refused(decision, Reason.NO_HISTORY, "19", "20")
    assert decision.votes == ()
    assert decided(context(history=(D("0.8"),) * 20), params()).buys


def silent_book(p="0.80"):
    """A book without imbalance, so that with a flat price no processor votes."""
    low, high = str(D(p) - D("0.01")), str(D(p) + D("0.01"))
    return book(bids=((low, 100),), asks=((high, 100),))


def test_no_signals():
    """Six abstentions end the decision, each with its reason, and the favourite is still priced."""
    decision = decided(context(up_book=silent_book()), params())
    assert refused(decision, Reason.NO_SIGNALS, "0 directional signals, 1 needed")
    assert all(vote.abstained for vote in decision.votes)
    assert (decision.outcome, decision.ask) == (UP, D("0.81"))


def test_low_score():
    """A bullish book against a bearish fair value of almost equal weight is too divided for a decision."""
    base = context()
    divided = context(**with_externals(base, above=0.01))
    weights = params().weights | {"OrderBookImbalance": 0.18}
    decision = decided(divided, params(weights=weights))
    assert refused(decision, Reason.LOW_SCORE, "is below 40")
    assert decision.fused.bullish > 0
    assert decision.fused.bearish > 0


def test_a_daily_index_alone_decides_nothing():
    """SentimentAnalysis alone scores 100, because nothing contradicts it, and weighs 0.05 of 0.12."""
    fearful = context(up_book=silent_book(), sentiment=sentiment(26))
    decision = decided(fearful, params())
    assert (decision.fused.score, decision.fused.weight) == (100.0, 0.05)
    assert refused(decision, Reason.LOW_WEIGHT, "the bullish sources weigh 0.050, 0.12 needed")
    with_options = context(up_book=silent_book(), sentiment=sentiment(26), put_call=put_call(1.3))
    assert decided(with_options, params()).buys


@pytest.mark.parametrize(("least", "enough"), [(0.30, True), (0.300001, False)])
def test_the_weight_needed_is_reached_exactly(least, enough):
    """The order book alone weighs 0.30: enough where 0.30 is needed, not where slightly more is."""
    decision = decided(context(), params(fusion_min_weight=least))
    assert decision.buys is enough
    assert enough or refused(decision, Reason.LOW_WEIGHT, "weigh 0.300,")


def test_weight_against_the_winning_side_does_not_count():
    """A strong vote of 0.13 against a weak one of 0.30: the weight of the winner is required."""
    weights = params().weights | {"OrderBookImbalance": 0.30, "SentimentAnalysis": 0.13}
    up = book(bids=(("0.79", 65),), asks=(("0.81", 35),))
    divided = context(up_book=up, sentiment=sentiment(100), put_call=put_call(0.4))
    decision = decided(
        divided,
        params(weights=weights, fusion_min_score=0.0, fusion_min_weight=0.24, require_agreement=False),
    )
    assert decision.fused.direction is Direction.BEARISH
    assert decision.fused.weight == pytest.approx(0.23)
    assert refused(decision, Reason.LOW_WEIGHT, "bearish sources weigh 0.230")


@pytest.mark.parametrize("p", ["0.60", "0.40", "0.50"])
def test_trend_is_strict(p):
    """Exactly 0.60 and 0.40 are no trend, though all processors vote; no outcome is priced."""
    leaning = book(bids=((str(D(p) - D("0.01")), 900),), asks=((str(D(p) + D("0.01")), 100),))
    decision = decided(context(p, up_book=leaning), params())
    assert refused(decision, Reason.NO_TREND, p, "0.60", "0.40")
    assert decision.fused.signals == 1
    assert (decision.outcome, decision.ask, decision.fair, decision.edge) == (None, None, None, None)


@given(st.decimals("0.001", "0.999", places=4))
def test_favourite_is_strict_everywhere(p):
    """Up strictly above 0.60, Down strictly below 0.40, none between, for every price."""
    expected = UP if p > D("0.60") else DOWN if p < D("0.40") else None
    assert favourite(p, params()) is expected


@pytest.mark.parametrize(("p", "outcome"), [("0.6001", UP), ("0.3999", DOWN)])
def test_just_beyond_the_trend_thresholds(p, outcome):
    """A hundredth of a cent beyond the threshold is a trend."""
    assert decided(context(p), params()).outcome is outcome


def against_the_trend():
    """Up is the favourite at 0.80 while its book is bearish."""
    return context(up_book=book(bids=(("0.79", 100),), asks=(("0.81", 400),)))


def test_disagreement():
    """A bearish vote against an Up favourite ends it if agreement is required, and only then."""
    decision = decided(against_the_trend(), params())
    assert refused(decision, Reason.DISAGREEMENT, "bearish", "0.80", "Up")
    assert decided(against_the_trend(), params(require_agreement=False)).buys


def test_edge_is_computed_whether_or_not_it_is_asked_for():
    """edge = fair − ask − rate·a·(1−a), stored with the gate off, on and refusing."""
    seen = context(**with_externals(context(), above=-0.0005))
    free, strict = decided(seen, params()), decided(seen, params(min_edge=D("0.5")))
    assert free.fair is not None
    assert free.edge == pytest.approx(free.fair - 0.81 - 0.07 * 0.81 * 0.19)
    assert free.buys
    assert refused(strict, Reason.NO_EDGE, "0.81", "0.5 needed", f"{free.edge:+.4f}")
    assert (strict.fair, strict.edge) == (free.fair, free.edge)
    assert decided(seen, params(min_edge=D(str(free.edge)))).buys
    assert refused(decided(seen, params(min_edge=D(str(free.edge)) + D("1e-9"))), Reason.NO_EDGE)


def test_fair_is_of_the_chosen_outcome():
    """For a Down favourite fair is the probability of Down."""
    up = decided(context("0.80", **with_externals(context(), above=0.0003)), params())
    down = decided(context("0.20", **with_externals(context(), above=0.0003)), params())
    assert (up.outcome, down.outcome) == (UP, DOWN)
    assert up.fair + down.fair == pytest.approx(1)
    assert up.fair < 0.5


def test_an_unknown_fair_value_cannot_reach_a_minimum_edge():
    """Without a strike there is no edge: refused with the gate on, stored as unknown with it off."""
    assert refused(decided(context(), params(min_edge=D("-1"))), Reason.NO_EDGE, "unknown")
    assert decided(context(), params()).edge is None


def no_asks():
    return book(bids=(("0.80", 400),))


def test_the_limit_of_a_books_age_is_exact():
    """Ten seconds are allowed, and five nanoseconds more are not."""
    base = context("0.80")
    for age_ns, fresh in ((10_000_000_000, True), (10_000_000_005, False)):
        aged = msgspec.structs.replace(base.up_book, ts_ns=NOW_NS - age_ns)
        assert decided(msgspec.structs.replace(base, up_book=aged), params()).buys is fresh


def test_without_a_favourite_nothing_is_offered():
    """The appraisal of an even market is empty: no outcome, no asks, no prices."""
    assert appraise(context("0.50"), params()) == Appraisal(
        outcome=None, asks=(), ask=None, price_cap=None, fair=None, edge=None
    )


@pytest.mark.parametrize("min_edge", [None, D("0.01")])
def test_no_ask_is_its_own_skip(min_edge):
    """No offer of the favourite: named, retried on the next tick, also with the edge gate on."""
    seen = context(up_book=no_asks(), **with_externals(context()))
    decision = decided(seen, params(min_edge=min_edge, fusion_min_score=0.0, require_agreement=False))
    assert refused(decision, Reason.NO_ASK, "no ask for Up")
    assert decision.reason in RETRIED
    assert (decision.ask, decision.price_cap, decision.edge) == (None, None, None)
    assert decision.fair is not None


def test_the_favourites_own_book_is_asked():
    """A Down favourite is bought from the Down book: its ask counts, not one derived from the Up book."""
    base = context("0.20")
    own = book(bids=(("0.70", 10),), asks=(("0.77", 50),))
    assert decided(msgspec.structs.replace(base, down_book=own), params()).ask == D("0.77")
    assert refused(decided(msgspec.structs.replace(base, down_book=book()), params()), Reason.NO_ASK, "Down")


@pytest.mark.parametrize(
    ("ask", "tick", "limit", "dear"),
    [
        ("0.99", "0.01", "0.99", False),
        ("0.991", "0.001", "0.99", True),
        ("0.90", "0.01", "0.90", False),
        ("0.91", "0.01", "0.90", True),
        ("0.995", "0.01", "0.999", True),
    ],
)
def test_too_expensive(ask, tick, limit, dear):
    """An ask at the entry limit is bought; above it or beyond the venue's highest price it is not."""
    up = book(bids=((str(D(ask) - D("0.01")), 900),), asks=((ask, 100),))
    seen = context(D(ask) - D("0.005"), up_book=up, market=market(tick=D(tick)))
    decision = decided(seen, params(max_entry_price=D(limit)))
    assert decision.buys is not dear
    if dear:
        assert refused(decision, Reason.TOO_EXPENSIVE, ask)


@pytest.mark.parametrize(
    ("asks", "enough"),
    [
        ((("0.80", "1.25"),), True),
        ((("0.80", "1.24"),), False),
        ((("0.80", "1"), ("0.82", "1")), True),
        ((("0.80", "1"), ("0.83", "1000")), False),
    ],
)
def test_thin_book(asks, enough):
    """The whole dollar must be offered within two cents of the ask; levels beyond do not count."""
    seen = context(up_book=book(bids=(("0.79", 4000),), asks=asks))
    decision = decided(seen, params())
    assert decision.buys is enough
    if not enough:
        assert refused(decision, Reason.THIN_BOOK, "0.82", "$1.00 needed")


def test_a_favourite_for_nothing_is_a_broken_book():
    """A favourite offered at or below `min_liquidity` is not bought; slightly above it is."""
    seen = context()
    ask = seen.up_book.best_ask
    assert refused(decided(seen, params(min_liquidity=ask)), Reason.THIN_BOOK, str(ask))
    assert decided(seen, params(min_liquidity=ask - D("0.01"))).buys


def test_worst_first_asks_change_nothing():
    """The ask, the limit and the depth are of the best prices, in whatever order the book lists them."""
    asks = (("0.81", 1), ("0.82", 1), ("0.99", 1))
    one = context(up_book=book(bids=(("0.79", 400),), asks=asks))
    other = context(up_book=book(bids=(("0.79", 400),), asks=asks[::-1]))
    first, second = decided(one, params()), decided(other, params())
    assert (first.ask, first.price_cap, first.buys) == (second.ask, second.price_cap, True)
    assert first.votes == second.votes


@given(
    ask=cents,
    slippage=st.decimals("0", "0.5", places=3),
    limit=st.decimals("0.5", "1", places=3),
    tick=st.sampled_from([D("0.1"), D("0.01"), D("0.005"), D("0.0025"), D("0.001"), D("0.0001")]),
)
@example(ask=D("0.98"), slippage=D("0.02"), limit=D(1), tick=D("0.01"))
def test_price_cap_properties(ask, slippage, limit, tick):
    """On the tick grid, at most each of the three limits, and less than a tick below the lowest."""
    cap = price_cap(ask, params(max_slippage=slippage, max_entry_price=limit), tick)
    lowest = min(ask + slippage, limit, 1 - tick)
    assert cap % tick == 0
    assert lowest - tick < cap <= lowest


@given(st.decimals("0.001", "0.999", places=3))
def test_fee_per_share_is_symmetric_and_peaks_in_the_middle(price):
    """rate·a·(1−a): the same for both tokens of a pair, at most a quarter of the rate, exact in Decimal."""
    fee = fee_per_share(price, D("0.07"))
    assert fee == fee_per_share(1 - price, D("0.07"))
    assert 0 < fee <= D("0.0175")
    assert fee_per_share(D("0.60"), D("0.07")) == D("0.0168")


def test_votes_are_kept_when_a_later_gate_refuses():
    """From the vote on every refusal contains votes, fused signal and the priced favourite."""
    for seen, changes in [
        (context(up_book=silent_book()), {}),
        (against_the_trend(), {}),
        (context(), {"min_edge": D("0")}),
        (context(), {"max_entry_price": D("0.70")}),
        (context(), {"position_size_usd": D("10000")}),
    ]:
        decision = decided(seen, params(**changes))
        assert decision.reason is not None
        assert len(decision.votes) == 6
        assert decision.fused is not None
        assert (decision.outcome, decision.ask) == (UP, D("0.81"))


def test_own_processors_may_be_given():
    """Research may use other processors: only they vote, with the weights of the parameters."""
    decision = decided(context(), params(), processors=[OrderBookImbalanceProcessor(0.99)])
    assert [vote.source for vote in decision.votes] == ["OrderBookImbalance"]
    assert refused(decision, Reason.NO_SIGNALS)
    assert refused(decided(context(), params(), processors=[]), Reason.NO_SIGNALS)


def test_a_processor_without_weight_is_an_error():
    """A missing weight is not treated as zero."""
    with pytest.raises(UnknownSource, match="SentimentAnalysis"):
        decided(context(), params(weights={"OrderBookImbalance": 1.0, "TickVelocity": 0, "PriceDivergence": 0,
                                          "SpikeDetection": 0, "DeribitPCR": 0}))  # fmt: skip


def test_weights_of_the_parameters_decide():
    """A vote without weight has no effect: with the book's weight at 0 it is recorded but not counted."""
    decision = decided(context(), params(weights=params().weights | {"OrderBookImbalance": 0.0}))
    assert decision.votes[0].signal is not None
    assert refused(decision, Reason.NO_SIGNALS)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(contexts(), brain_params())
def test_a_decision_replays_from_its_row(seen, numbers):
    """Encoded as JSON and decoded, the decision is equal, and deciding again gives it identically."""
    decision = decided(seen, numbers)
    row = encode(decision)
    assert decode(row) == decision
    assert replay(row) == decision
    assert encode(replay(row)) == row
    assert decided(seen, numbers) == decision


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(contexts(), brain_params())
def test_what_is_bought_is_always_within_the_rules(seen, numbers):
    """A decision that buys: in the window, strict favourite, within the limits, depth for all of it;
    one that does not has a reason with a text."""
    decision = decided(seen, numbers)
    if not decision.buys:
        assert decision.reason is not None
        assert decision.detail
        return
    assert numbers.window_start <= seen.second < numbers.window_end
    assert seen.p > numbers.trend_up if decision.outcome is UP else seen.p < numbers.trend_down
    assert decision.ask <= decision.price_cap <= numbers.max_entry_price
    assert decision.price_cap <= decision.ask + numbers.max_slippage
    asks = seen.book(decision.outcome).asks
    within = sum(level.price * level.size for level in asks if level.price <= decision.price_cap)
    assert within >= numbers.position_size_usd
    if numbers.require_agreement:
        assert decision.fused.direction.outcome is decision.outcome
    if numbers.min_edge is not None:
        assert decision.edge >= float(numbers.min_edge)


def test_replay_decides_again_instead_of_repeating():
    """A row whose outcome, reason or numbers were changed replays to the result of its context."""
    decision = decided(context(), params())
    forged = msgspec.structs.replace(decision, outcome=DOWN, reason=Reason.RISK, edge=0.5, votes=())
    assert replay(encode(forged)) == decision


def test_a_row_that_is_no_decision_is_an_error():
    """Anything else than an encoded decision is rejected by the decoder."""
    for row in (b"", b"{}", b"null", encode(decided(context(), params()))[:-1]):
        with pytest.raises(msgspec.DecodeError):
            replay(row)


def ended_by(reason):
    """A context and parameters that end with the given reason."""
    table = {
        Reason.OUTSIDE_WINDOW: (context(second=840), params()),
        Reason.STALE_DATA: (context(now_ns=NOW_NS + 11 * 10**9), params()),
        Reason.NO_HISTORY: (context(history=()), params()),
        Reason.NO_SIGNALS: (context(up_book=silent_book()), params()),
        Reason.LOW_SCORE: (context(), params(fusion_min_score=100.1)),
        Reason.LOW_WEIGHT: (context(), params(fusion_min_weight=0.31)),
        Reason.NO_TREND: (context(), params(trend_up=D("0.80"))),
        Reason.DISAGREEMENT: (against_the_trend(), params()),
        Reason.NO_EDGE: (context(), params(min_edge=D("0"))),
        Reason.NO_ASK: (context(up_book=no_asks()), params()),
        Reason.TOO_EXPENSIVE: (context(), params(max_entry_price=D("0.80"))),
        Reason.THIN_BOOK: (context(), params(position_size_usd=D("82"))),
    }
    return table[reason]


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.MODE, Reason.NOT_TRADABLE, Reason.RISK}))
def test_every_reason_of_the_brain_is_reachable(reason):
    """Each reason but the caller's three ends some decision, with a text, and replays."""
    seen, numbers = ended_by(reason)
    decision = decided(seen, numbers)
    assert refused(decision, reason)
    assert decision.detail
    assert replay(encode(decision)) == decision


def test_mirrored_markets_decide_alike():
    """Swapping the tokens swaps the outcome and nothing else, also where the book has just enough volume."""
    numbers = params(orderbook_min_volume=300.0)
    for p in ("0.65", "0.80", "0.95"):
        up, down = decided(context(p), numbers), decided(context(1 - D(p)), numbers)
        assert (up.buys, up.outcome, down.outcome) == (down.buys, UP, DOWN)
        assert (up.ask, up.price_cap, up.fused.score) == (down.ask, down.price_cap, down.fused.score)
        assert (up.fused.direction, down.fused.direction) == (Direction.BULLISH, Direction.BEARISH)


def test_decisions_are_values():
    """The same context and parameters give equal decisions with equal rows, and nothing is mutable."""
    one, other = decided(context(), params()), decided(context(), params())
    assert isinstance(one, Decision)
    assert one == other
    assert encode(one) == encode(other)
    with pytest.raises(AttributeError):
        one.reason = Reason.MODE


def test_one_sided_book_of_a_winner_is_bought_from_when_asks_return():
    """p of a bid-only book can be a favourite: skipped while there is no ask, bought once there is one."""
    bids = (Level(price=D("0.95"), size=D(900)),)
    alone = Book(bids=bids, asks=(), ts_ns=NOW_NS)
    offered = Book(bids=bids, asks=(Level(price=D("0.97"), size=D(10)),), ts_ns=NOW_NS)
    assert refused(
        decided(context("0.95", up_book=alone, down_book=mirrored(alone)), params()), Reason.NO_ASK
    )
    assert decided(context("0.96", up_book=offered, down_book=mirrored(offered)), params()).buys
