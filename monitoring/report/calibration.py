"""Calibration: share of trades won, by their implied probability."""

from collections.abc import Iterable
from statistics import fmean

from execution.ledger import TradeRow
from models import Frozen, TradeOutcome
from monitoring.statistics import wilson

BINS = 10


class CalibrationBin(Frozen, frozen=True):
    """Trades whose probability is in one tenth: mean probability, share won with its 95 % Wilson interval.

    The interval is over distinct markets.
    """

    n: int
    markets: int
    chance: float
    won: float
    low: float
    high: float


def by_price(trades: Iterable[TradeRow]) -> list[CalibrationBin]:
    """Bins by the price paid, as the implied probability of a win."""
    return _bins((float(trade.price), trade) for trade in trades)


def by_model(trades: Iterable[TradeRow]) -> list[CalibrationBin]:
    """Bins by the modelled fair probability of the side bought, if there was one."""
    return _bins((trade.fair, trade) for trade in trades if trade.fair is not None)


def _bins(chances: Iterable[tuple[float, TradeRow]]) -> list[CalibrationBin]:
    grouped: dict[int, list[tuple[float, TradeRow]]] = {}
    for chance, trade in chances:
        # A market without a winner is no evidence about a probability.
        if trade.winner is not None:
            grouped.setdefault(_number(chance), []).append((chance, trade))
    return [_bin(grouped[number]) for number in sorted(grouped)]


def _number(chance: float) -> int:
    # To a hundredth of a cent: a price of 0.60 can result from a rounded cost as 0.5999999.
    return min(int(round(chance, 4) * BINS), BINS - 1)


def _bin(members: list[tuple[float, TradeRow]]) -> CalibrationBin:
    won = fmean(trade.outcome is TradeOutcome.WIN for _, trade in members)
    markets = len({trade.event for _, trade in members})
    low, high = wilson(won, markets)
    return CalibrationBin(
        n=len(members),
        markets=markets,
        chance=fmean(chance for chance, _ in members),
        won=won,
        low=low,
        high=high,
    )
