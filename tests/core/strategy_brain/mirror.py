"""The mirror image of a market: Up and Down exchanged in every input of a decision."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from common.constants import PRICE_DIVERGENCE
from core.strategy_brain.refusals import Abstention
from core.strategy_brain.signal_processors import (
    BaseSignalProcessor,
    DeribitPCRProcessor,
    build_processors,
)
from models import (
    BrainParams,
    Decision,
    DecisionContext,
    Direction,
    FusedSignal,
    Sentiment,
    Spot,
    Tick,
    Vote,
)

OPPOSITE = {
    Direction.BULLISH: Direction.BEARISH,
    Direction.BEARISH: Direction.BULLISH,
    Direction.NEUTRAL: Direction.NEUTRAL,
}
NOISE = 1e-6
"""Tolerance of values that depend on the spot price: K²/S has more digits than a float."""


def exchanged(context: DecisionContext) -> DecisionContext:
    """The same market with Up and Down exchanged.

    Prices of Up become prices of Down, and the books are exchanged. A spot price S becomes K²/S, as far below
    the strike as it was above it. The index value v becomes 100 − v. A put/call ratio has no mirror image,
    because its two thresholds are calibrated separately: `exchanged_processors` exchanges the vote on it.
    """
    middle = context.strike.price if context.strike is not None else Decimal(84_000)

    def ticks(path: Sequence[Tick], image: Any) -> tuple[Tick, ...]:
        return tuple(Tick(second=tick.second, price=image(tick.price)) for tick in path)

    def spot_image(price: Decimal) -> Decimal:
        return middle * middle / price

    spot: Spot | None = context.spot
    mood: Sentiment | None = context.sentiment
    return msgspec.structs.replace(
        context,
        p=1 - context.p,
        history=tuple(1 - price for price in context.history),
        ticks=ticks(context.ticks, lambda price: 1 - price),
        up_book=context.down_book,
        down_book=context.up_book,
        spot=None if spot is None else msgspec.structs.replace(spot, price=spot_image(spot.price)),
        spot_path=ticks(context.spot_path, spot_image),
        sentiment=None if mood is None else msgspec.structs.replace(mood, score=100 - mood.score),
    )


def exchanged_params(params: BrainParams) -> BrainParams:
    """The settings that name a side, exchanged."""
    return msgspec.structs.replace(
        params,
        trend_up=1 - params.trend_down,
        trend_down=1 - params.trend_up,
        sentiment_fear=100 - params.sentiment_greed,
        sentiment_greed=100 - params.sentiment_fear,
    )


class ContraryDeribit(DeribitPCRProcessor):
    """Votes for the opposite of the ratio's direction."""

    def evaluate(self, current_price: Any, historical_prices: Any, metadata: Any) -> Any:
        judgement = super().evaluate(current_price, historical_prices, metadata)
        if isinstance(judgement, Abstention):
            return judgement
        return msgspec.structs.replace(judgement, direction=OPPOSITE[judgement.direction])


def exchanged_processors(params: BrainParams) -> tuple[BaseSignalProcessor, ...]:
    """The six processors for an exchanged market."""
    return tuple(
        ContraryDeribit(params.deribit_bullish_pcr, params.deribit_bearish_pcr)
        if isinstance(processor, DeribitPCRProcessor)
        else processor
        for processor in build_processors(params)
    )


def assert_exchanged(one: Decision, other: Decision) -> None:
    """`other` is `one` with Up and Down exchanged, and everything else is the same."""
    assert (other.reason, other.buys) == (one.reason, one.buys)
    assert other.outcome is (None if one.outcome is None else one.outcome.other)
    assert (other.ask, other.price_cap) == (one.ask, one.price_cap)
    _close(other.fair, one.fair)
    _close(other.edge, one.edge)
    assert len(other.votes) == len(one.votes)
    for vote, image in zip(one.votes, other.votes, strict=True):
        _assert_exchanged_vote(vote, image)
    _assert_exchanged_fusion(one.fused, other.fused)


def _assert_exchanged_vote(one: Vote, other: Vote) -> None:
    assert (other.source, other.weight) == (one.source, one.weight)
    assert (other.signal is None, other.abstained is None) == (one.signal is None, one.abstained is None)
    if one.signal is None or other.signal is None:
        return
    assert other.signal.direction is OPPOSITE[one.signal.direction]
    assert (other.signal.strength, other.signal.signal_type) == (one.signal.strength, one.signal.signal_type)
    assert other.signal.current_price == 1 - one.signal.current_price
    if one.source == PRICE_DIVERGENCE:
        _close(other.signal.confidence, one.signal.confidence)
    else:
        assert other.signal.confidence == one.signal.confidence


def _assert_exchanged_fusion(one: FusedSignal | None, other: FusedSignal | None) -> None:
    if one is None or other is None:
        assert one is other
        return
    assert (other.direction, other.signals) == (OPPOSITE[one.direction], one.signals)
    for mine, image in (
        (one.score, other.score),
        (one.confidence, other.confidence),
        (one.weight, other.weight),
        (one.bullish, other.bearish),
        (one.bearish, other.bullish),
    ):
        _close(image, mine)


def _close(one: float | None, other: float | None) -> None:
    if one is None or other is None:
        assert one is other
        return
    assert abs(one - other) <= NOISE * max(1.0, abs(one))
