"""How a step of the brain says no: a processor abstains, a gate refuses; each with its reason in words."""

from models import Frozen, Reason


class Abstention(Frozen, frozen=True):
    """A processor or model has nothing to say about this market, and why."""

    reason: str


class Refusal(Frozen, frozen=True):
    """A gate ends the decision: the named reason, and a sentence with the numbers behind it."""

    reason: Reason
    detail: str
