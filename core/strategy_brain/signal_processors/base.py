"""What all signal processors share: one judgement, told as a signal, as a vote, or as an abstention."""

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any, ClassVar

from core.strategy_brain.metadata import metadata_of
from core.strategy_brain.refusals import Abstention
from models import DecisionContext, Direction, Strength, TradingSignal, Vote

type Judgement = TradingSignal | Abstention
type Grades = tuple[tuple[float, Strength], ...]
"""(least value, strength), strongest first."""


class BaseSignalProcessor(ABC):
    """One opinion about the market. A subclass sets `name` and implements `evaluate`, nothing else.

    Processors hold thresholds and no state: the same arguments always give the same answer.
    """

    name: ClassVar[str]
    """The source of its signals and votes, and the key of its weight."""

    @abstractmethod
    def evaluate(
        self, current_price: Decimal, historical_prices: list[Decimal], metadata: dict[str, Any]
    ) -> Judgement:
        """The signal, or the reason why there is none.

        Parameters
        ----------
        current_price : Decimal
            p, the Up token's mid, above 0 and below 1.
        historical_prices : list[Decimal]
            Up mids, oldest first, at most one a market second; all above 0.
        metadata : dict[str, Any]
            The keys that `metadata_of` documents.
        """

    def process(
        self, current_price: Decimal, historical_prices: list[Decimal], metadata: dict[str, Any]
    ) -> TradingSignal | None:
        """The signal, or None when the processor abstains. Arguments as for `evaluate`."""
        judgement = self.evaluate(current_price, historical_prices, metadata)
        return judgement if isinstance(judgement, TradingSignal) else None

    def vote(self, context: DecisionContext, weight: float) -> Vote:
        """The processor's part in a decision, with the abstention's reason if there is no signal."""
        judgement = self.evaluate(context.p, list(context.history), metadata_of(context))
        if isinstance(judgement, Abstention):
            return Vote(source=self.name, weight=weight, abstained=judgement.reason)
        return Vote(source=self.name, weight=weight, signal=judgement)


def direction_of(value: float) -> Direction:
    """Bullish for a value above zero, bearish below."""
    return Direction.BULLISH if value > 0 else Direction.BEARISH


def grade(value: float, grades: Grades, otherwise: Strength) -> Strength:
    """The strength of the first row that `value` reaches."""
    return next((strength for least, strength in grades if value >= least), otherwise)


def relative_move(now: Decimal, then: Decimal, points: int = 1) -> float:
    """(now − then) / max(then, 1 − then): the move of Up's price in shares of the favourite's price before.

    A move of Down is its exact negation. Divided as Decimal, so that a move of exactly a threshold reaches
    it.

    Parameters
    ----------
    now, then : Decimal
        Prices of Up, or their sums over `points` prices each: a sum, unlike a mean, is never rounded.
    points : int
    """
    return float((now - then) / max(then, points - then))


def require_positive(**settings: float) -> None:
    """Raise ValueError, naming the setting, unless all are finite numbers above 0."""
    for name, value in settings.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} is {value}, must be above 0")
