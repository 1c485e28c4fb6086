"""Base class of the signal processors: one evaluation, returned as a signal, a vote or an abstention."""

import math
from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any, ClassVar

from core.strategy_brain.fair_value import FairValue
from core.strategy_brain.metadata import metadata_of
from core.strategy_brain.refusals import Abstention
from models import DecisionContext, Direction, Strength, TradingSignal, Vote

ABSTAINED = "abstained"
"""The key of `metadata` under which a processor leaves the reason of its abstention, by its name."""

type Judgement = TradingSignal | Abstention
type Grades = tuple[tuple[float, Strength], ...]
"""(minimum value, strength), strongest first."""


class BaseSignalProcessor(ABC):
    """A signal processor. A subclass sets `name` and implements `evaluate`.

    `process` is its one entry, for the bot as for anybody else. Processors have thresholds and no state: the
    same arguments always give the same result.
    """

    name: ClassVar[str]
    """The source name of its signals and votes, and the key of its weight."""

    @abstractmethod
    def evaluate(
        self, current_price: Decimal, historical_prices: list[Decimal], metadata: dict[str, Any]
    ) -> Judgement:
        """The signal, or the reason of the abstention.

        Parameters
        ----------
        current_price : Decimal
            p, the mid price of the Up token, above 0 and below 1.
        historical_prices : list[Decimal]
            Mid prices of Up, oldest first, at most one per market second; all above 0.
        metadata : dict[str, Any]
            The keys documented in `metadata_of`.
        """

    def process(
        self, current_price: Decimal, historical_prices: list[Decimal], metadata: dict[str, Any]
    ) -> TradingSignal | None:
        """The signal, or None if the processor abstains. Arguments as in `evaluate`.

        The reason of an abstention is left in `metadata`, under `ABSTAINED` and the processor's name.
        """
        judgement = self.evaluate(current_price, historical_prices, metadata)
        if isinstance(judgement, TradingSignal):
            return judgement
        metadata.setdefault(ABSTAINED, {})[self.name] = judgement.reason
        return None

    def vote(
        self, context: DecisionContext, weight: float, fair: FairValue | Abstention | None = None
    ) -> Vote:
        """The processor's vote in a decision, with the reason of an abstention if there is no signal.

        `fair` is the fair value of this context if it has been computed already.
        """
        metadata = metadata_of(context)
        if fair is not None:
            metadata["fair_value"] = fair
        signal = self.process(context.p, list(context.history), metadata)
        if signal is not None:
            return Vote(source=self.name, weight=weight, signal=signal)
        reason = metadata.get(ABSTAINED, {}).get(self.name, "no reason given")
        return Vote(source=self.name, weight=weight, abstained=reason)


def direction_of(value: float) -> Direction:
    """Bullish for a positive value, bearish for a negative one."""
    return Direction.BULLISH if value > 0 else Direction.BEARISH


def grade(value: float, grades: Grades, otherwise: Strength) -> Strength:
    """The strength of the first row that `value` reaches."""
    return next((strength for least, strength in grades if value >= least), otherwise)


def relative_move(now: Decimal, then: Decimal, points: int = 1) -> float:
    """(now − then) / max(then, 1 − then): the change of Up's price relative to the favourite's earlier price.

    A change of Down is its exact negation. Divided as Decimal, so that a change equal to a threshold reaches
    it.

    Parameters
    ----------
    now, then : Decimal
        Prices of Up, or their sums over `points` prices each: a sum, unlike a mean, is never rounded.
    points : int
    """
    return float((now - then) / max(then, points - then))


def require_positive(**settings: float) -> None:
    """Raise ValueError, with the name of the setting, unless all are finite numbers above 0."""
    for name, value in settings.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {value}, must be above 0")
