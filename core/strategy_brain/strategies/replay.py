"""Repeats a recorded decision from its context and parameters, and compares the two."""

from collections.abc import Callable

from core.strategy_brain.refusals import Refusal
from models import Decision, Frozen, Reason

from .appraisal import appraise
from .decide import decide
from .gates import AFTER_THE_VOTE, BEFORE_THE_VOTE, GateInput

AROUND_THE_BRAIN = frozenset({Reason.MODE, Reason.RISK, Reason.NOT_TRADABLE})
"""Reasons given by the steps before and after the brain; the evidence of such a row is the brain's."""


class GateResult(Frozen, frozen=True):
    """One gate of a decision; not `reached` if one before it refused, `refusal` None if it lets it pass."""

    gate: str
    reached: bool
    refusal: Refusal | None


class Replay(Frozen, frozen=True):
    """A decision as it was recorded, as it comes out of the same context now, and where the two differ.

    Attributes
    ----------
    recorded, again : Decision
    gates : tuple[GateResult, ...]
        In the order in which they are asked; the first that refuses ends the decision.
    outside : Reason or None
        The recorded reason, if a step outside the brain gave it: mode, risk, or a market that was not
        tradable or had no quote in its window.
    differences : tuple[str, ...]
        Names of the fields that differ; `votes` with the names of their sources.
    """

    recorded: Decision
    again: Decision
    gates: tuple[GateResult, ...]
    outside: Reason | None
    differences: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether the brain takes the same decision again, with the same evidence to the last digit."""
        return not self.differences


def replay(recorded: Decision) -> Replay:
    """Repeat a decision, with the six processors and the parameters of its row."""
    again = decide(recorded.context, recorded.params)
    outside = _outside(recorded)
    ignored = set() if outside is None else {"reason", "detail"}
    compared = (name for name in Decision.__struct_fields__ if name not in ignored)
    differences = [
        name if name != "votes" else f"votes ({', '.join(_differing_votes(recorded, again))})"
        for name in compared
        if getattr(recorded, name) != getattr(again, name)
    ]
    return Replay(
        recorded=recorded,
        again=again,
        gates=gate_results(again),
        outside=outside,
        differences=tuple(differences),
    )


def gate_results(decision: Decision) -> tuple[GateResult, ...]:
    """The result of each gate for a decision's context, up to the first refusal."""
    context, params, fused = decision.context, decision.params, decision.fused
    asked = [(gate, gate(context, params)) for gate in BEFORE_THE_VOTE]
    if fused is not None:
        case = GateInput(context=context, params=params, fused=fused, appraisal=appraise(context, params))
        asked += [(gate, gate(case)) for gate in AFTER_THE_VOTE]
    results: list[GateResult] = []
    for gate, refusal in asked:
        reached = all(result.refusal is None for result in results)
        results.append(GateResult(gate=_name(gate), reached=reached, refusal=refusal if reached else None))
    skipped = AFTER_THE_VOTE if fused is None else ()
    return (*results, *(GateResult(gate=_name(gate), reached=False, refusal=None) for gate in skipped))


def _name(gate: Callable[..., Refusal | None]) -> str:
    return gate.__name__.removesuffix("_gate")


def _outside(recorded: Decision) -> Reason | None:
    """The reason, if it was not the brain that gave it.

    A window that went by without a quote is recorded by the strategy, at its end and without votes.
    """
    if recorded.reason in AROUND_THE_BRAIN:
        return recorded.reason
    over = recorded.context.second >= recorded.params.window_end
    return recorded.reason if recorded.reason is Reason.STALE_DATA and over else None


def _differing_votes(one: Decision, other: Decision) -> list[str]:
    pairs = [{vote.source: vote for vote in decision.votes} for decision in (one, other)]
    sources = dict.fromkeys((*pairs[0], *pairs[1]))
    return [source for source in sources if pairs[0].get(source) != pairs[1].get(source)] or ["their order"]
