"""The decision: context and parameters in, an outcome to buy or a refusal with its reason out."""

from collections.abc import Sequence

from core.strategy_brain.fair_value import fair_value_of
from core.strategy_brain.fusion_engine import FusionEngine
from core.strategy_brain.signal_processors import BaseSignalProcessor, build_processors
from models import BrainParams, Decision, DecisionContext

from .appraisal import appraise
from .gates import AFTER_THE_VOTE, BEFORE_THE_VOTE, GateInput


def decide(
    context: DecisionContext,
    params: BrainParams,
    processors: Sequence[BaseSignalProcessor] | None = None,
) -> Decision:
    """Make one decision. Mode, tradability and risk are checked by the caller, before and after.

    Steps: window, fresh data, history, votes, fusion, trend, agreement, edge, liquidity; the first one that
    refuses determines the reason. From the votes on, the evidence is complete for refusals as well: votes,
    fused signal, and the favourite with its ask, price cap, fair probability and edge. `outcome` is therefore
    also set for refusals: the favourite that was not bought.

    Parameters
    ----------
    context : DecisionContext
        The frozen inputs.
    params : BrainParams
        All parameters, including a weight for every processor.
    processors : Sequence[BaseSignalProcessor] | None
        The voting processors; None for the six with the thresholds of `params`, which a replay assumes.

    Raises
    ------
    ValueError
        If a weight or threshold of `params` is outside its range.
    UnknownSource
        If `params` has no weight for a processor.
    """
    refusal = next((no for gate in BEFORE_THE_VOTE if (no := gate(context, params))), None)
    if refusal is not None:
        return Decision(context=context, params=params, reason=refusal.reason, detail=refusal.detail)
    engine = FusionEngine(params.weights)
    voters = build_processors(params) if processors is None else processors
    # Once: both a processor and the appraisal use it, and it is the largest part of a decision.
    fair = fair_value_of(context)
    votes = tuple(voter.vote(context, engine.weight_of(voter.name), fair) for voter in voters)
    fused = engine.fuse(vote.signal for vote in votes if vote.signal is not None)
    found = appraise(context, params, fair)
    case = GateInput(context=context, params=params, fused=fused, appraisal=found)
    refusal = next((no for gate in AFTER_THE_VOTE if (no := gate(case))), None)
    return Decision(
        context=context,
        params=params,
        votes=votes,
        fused=fused,
        outcome=found.outcome,
        reason=refusal.reason if refusal else None,
        detail=refusal.detail
        if refusal
        else f"buy {found.outcome} at {found.ask}, at most {found.price_cap}",
        ask=found.ask,
        price_cap=found.price_cap,
        fair=found.fair,
        edge=found.edge,
    )
