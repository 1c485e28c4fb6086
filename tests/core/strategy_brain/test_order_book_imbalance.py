"""OrderBookImbalance: the signal of a book, in any order of its levels."""

from decimal import Decimal as D
from typing import Any

import pytest
from brain_builders import book, books, sizes
from hypothesis import given
from hypothesis import strategies as st

from core.strategy_brain.book_order import best_first
from core.strategy_brain.refusals import Abstention
from core.strategy_brain.signal_processors import OrderBookImbalanceProcessor
from models import Book, Direction, Level, SignalType, Strength, TradingSignal

P = D("0.50")


def judge(up_book, **thresholds) -> Any:
    return OrderBookImbalanceProcessor(**thresholds).evaluate(P, [], {"up_book": up_book})


def lopsided(bid_shares, ask_shares, levels=10):
    """Equal levels on each side, so that no level is a wall unless it is the only one."""
    return Book(
        bids=tuple(Level(price=D(49 - i) / 100, size=D(bid_shares) / levels) for i in range(levels)),
        asks=tuple(Level(price=D(51 + i) / 100, size=D(ask_shares) / levels) for i in range(levels)),
        ts_ns=0,
    )


@given(
    centre=st.integers(20, 80),
    shape=st.lists(st.tuples(st.integers(1, 19), sizes), min_size=1, max_size=15, unique_by=lambda x: x[0]),
)
def test_mirror_symmetric_book_is_exactly_zero(centre, shape):
    """A bid at p − k for every ask at p + k gives an imbalance of exactly 0 and no signal, at any p."""
    mirror = Book(
        bids=tuple(Level(price=D(centre - k) / 100, size=size) for k, size in shape),
        asks=tuple(Level(price=D(centre + k) / 100, size=size) for k, size in shape),
        ts_ns=0,
    )
    judgement = judge(mirror, imbalance_threshold=1e-300, min_book_volume=0.0)
    assert isinstance(judgement, Abstention)
    assert "+0.000" in judgement.reason


@given(books(), st.randoms(use_true_random=False))
def test_order_of_levels_does_not_matter(original, shuffler):
    """Best first, worst first or shuffled, the same levels give the same result."""
    worst_first = Book(bids=original.bids[::-1], asks=original.asks[::-1], ts_ns=original.ts_ns)
    bids, asks = list(original.bids), list(original.asks)
    shuffler.shuffle(bids)
    shuffler.shuffle(asks)
    shuffled = Book(bids=tuple(bids), asks=tuple(asks), ts_ns=original.ts_ns)
    assert judge(worst_first) == judge(original) == judge(shuffled)


def test_only_the_best_ten_levels_count():
    """Huge orders beyond the tenth level change nothing, though they come first in the list."""
    near = lopsided(800, 200)
    far = Book(bids=near.bids, asks=(Level(price=D("0.99"), size=D(10**6)), *near.asks), ts_ns=0)
    assert judge(far) == judge(near)
    assert judge(near).direction is Direction.BULLISH


def test_equal_prices_beyond_the_tenth_level_are_cut_by_size():
    """Which of several levels at one price is omitted depends on their sizes, not on their order."""
    tied = [Level(price=D("0.40"), size=D(size)) for size in range(1, 15)]
    one, other = (Book(bids=tuple(order), asks=(), ts_ns=0) for order in (tied, tied[::-1]))
    assert best_first(one) == best_first(other)


@pytest.mark.parametrize(
    ("bid_shares", "strength"),
    [
        ("650", Strength.WEAK),
        ("674", Strength.WEAK),
        ("675", Strength.MODERATE),
        ("750", Strength.STRONG),
        ("850", Strength.VERY_STRONG),
    ],
)
def test_strength_and_confidence_by_imbalance(bid_shares, strength):
    """Steps at 0.35, 0.50 and 0.70; confidence 0.55 + 0.40 × imbalance, at most 0.85; both directions."""
    bids, asks = D(bid_shares), 1000 - D(bid_shares)
    imbalance = float((bids - asks) / 1000)
    for up_book, direction in (
        (lopsided(bids, asks), Direction.BULLISH),
        (lopsided(asks, bids), Direction.BEARISH),
    ):
        signal = judge(up_book)
        assert isinstance(signal, TradingSignal)
        assert (signal.direction, signal.strength) == (direction, strength)
        assert signal.confidence == pytest.approx(min(0.85, 0.55 + 0.40 * imbalance))
        assert signal.signal_type is SignalType.VOLUME_SURGE
        assert signal.source == "OrderBookImbalance"


def test_below_the_threshold_is_no_signal():
    """An imbalance of 0.298 abstains where 0.30 gives a signal."""
    assert isinstance(judge(lopsided(649, 351)), Abstention)
    assert isinstance(judge(lopsided(650, 350)), TradingSignal)


def test_a_wall_on_the_signals_side_adds_confidence():
    """A level of a fifth of all shares adds 0.05 on its own side and nothing on the other."""
    with_wall = book(bids=(("0.49", 200), ("0.48", 150), ("0.47", 150), ("0.46", 150)), asks=(("0.51", 350),))
    assert judge(with_wall).confidence == pytest.approx(0.55 + 0.40 * 0.30 + 0.05)
    assert judge(with_wall).metadata["wall"] is True
    small_bids = tuple((f"0.{49 - i}", 65) for i in range(10))
    against = book(bids=small_bids, asks=(("0.51", 350),))
    assert judge(against).confidence == pytest.approx(0.55 + 0.40 * 0.30)
    capped = book(bids=(("0.49", 1000),))
    assert judge(capped).confidence == pytest.approx(0.90)


def test_volume_gate_counts_dollars_of_both_sides():
    """$49.99 in the book is an abstention, $50 is enough; the message names both numbers."""
    thin = book(bids=(("0.50", "99.98"),))
    assert judge(thin) == Abstention(reason="$49.99 in the book, $50.00 needed")
    assert isinstance(judge(book(bids=(("0.50", "100"),))), TradingSignal)


def test_no_book_and_empty_book_abstain():
    """Without a book the processor abstains even when no volume is required."""
    assert judge(None) == Abstention(reason="no order book")
    assert isinstance(judge(book(), min_book_volume=0.0), Abstention)
    assert isinstance(judge(book(bids=(("0.5", 0),)), min_book_volume=0.0), Abstention)


@pytest.mark.parametrize(
    "bad", [{"imbalance_threshold": 0}, {"imbalance_threshold": 1.1}, {"min_book_volume": -1}]
)
def test_impossible_thresholds_are_refused(bad):
    """A threshold outside its range stops the construction, by name."""
    with pytest.raises(ValueError, match=next(iter(bad))):
        OrderBookImbalanceProcessor(**bad)
