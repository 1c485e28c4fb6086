"""Results of a step without a signal or a trade: a processor abstains, a gate refuses, both with a reason."""

from models import Frozen, Reason


class Abstention(Frozen, frozen=True):
    """A processor or model has no result for this market, and the reason."""

    reason: str


class Refusal(Frozen, frozen=True):
    """A gate ends the decision: the reason, and a text with the numbers."""

    reason: Reason
    detail: str
