"""Vote for the side with more shares in the book near the price of Up."""

import math
from decimal import Decimal
from typing import Any

from common.constants import ORDER_BOOK_IMBALANCE
from core.strategy_brain.book_order import best_first
from core.strategy_brain.refusals import Abstention
from models import Level, SignalType, Strength, TradingSignal

from .base_processor import BaseSignalProcessor, Judgement, direction_of, grade

TOP_LEVELS = 10
WALL_SHARE = Decimal("0.20")
"""A single level with this fraction of all shares counted is a wall and increases the confidence."""
STRENGTHS = ((0.70, Strength.VERY_STRONG), (0.50, Strength.STRONG), (0.35, Strength.MODERATE))


class OrderBookImbalanceProcessor(BaseSignalProcessor):
    """(bid shares − ask shares) / all shares over the best ten levels of the Up book.

    It counts shares, not dollars: of two equal sizes the bid has the lower price, so weighting by dollars
    would bias every symmetric book to the bearish side. A mirror-symmetric book gives exactly 0. The Down
    book, which is the mirror image of the Up book, gives the negated value; its volume is the same too,
    because a share counts at the price of the likelier outcome.

    Parameters
    ----------
    imbalance_threshold : float
        Minimum absolute imbalance of a signal, above 0, at most 1.
    min_book_volume : float
        Minimum pUSD in the levels read, both sides, with a share valued at max(price, 1 − price); below it
        the processor abstains.

    Raises
    ------
    ValueError
        If a parameter is outside its range.
    """

    name = ORDER_BOOK_IMBALANCE

    def __init__(self, imbalance_threshold: float = 0.30, min_book_volume: float = 50.0) -> None:
        if not 0 < imbalance_threshold <= 1:
            raise ValueError(f"imbalance_threshold is {imbalance_threshold}, must be above 0 and at most 1")
        if not 0 <= min_book_volume < math.inf:
            raise ValueError(f"min_book_volume is {min_book_volume}, must be 0 or more")
        self.imbalance_threshold = imbalance_threshold
        self.min_book_volume = min_book_volume

    def evaluate(
        self, current_price: Decimal, historical_prices: list[Decimal], metadata: dict[str, Any]
    ) -> Judgement:
        book = metadata.get("up_book")
        if book is None:
            return Abstention(reason="no order book")
        ladder = best_first(book)
        bids, asks = ladder.bids[:TOP_LEVELS], ladder.asks[:TOP_LEVELS]
        volume = sum((max(level.price, 1 - level.price) * level.size for level in bids + asks), Decimal(0))
        if volume == 0 or volume < self.min_book_volume:
            return Abstention(reason=f"${volume:.2f} in the book, ${self.min_book_volume:.2f} needed")
        bid_shares, ask_shares = _shares(bids), _shares(asks)
        total = bid_shares + ask_shares
        imbalance = float((bid_shares - ask_shares) / total)
        if abs(imbalance) < self.imbalance_threshold:
            return Abstention(reason=f"imbalance {imbalance:+.3f} is within ±{self.imbalance_threshold}")
        wall = any(level.size >= WALL_SHARE * total for level in (bids if imbalance > 0 else asks))
        return TradingSignal(
            source=self.name,
            signal_type=SignalType.VOLUME_SURGE,
            direction=direction_of(imbalance),
            strength=grade(abs(imbalance), STRENGTHS, otherwise=Strength.WEAK),
            confidence=_confidence(abs(imbalance), wall),
            current_price=current_price,
            metadata={
                "imbalance": imbalance,
                "bid_shares": float(bid_shares),
                "ask_shares": float(ask_shares),
                "total_volume_usd": float(volume),
                "wall": wall,
            },
        )


def _shares(levels: tuple[Level, ...]) -> Decimal:
    return sum((level.size for level in levels), Decimal(0))


def _confidence(imbalance: float, wall: bool) -> float:
    confidence = min(0.85, 0.55 + 0.40 * imbalance)
    return min(0.90, confidence + 0.05) if wall else confidence
