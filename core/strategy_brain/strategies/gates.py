"""The gates of a decision: pure checks, each returning None or a refusal with its reason."""

from collections.abc import Callable
from decimal import Decimal

from core.strategy_brain.fusion_engine import check
from core.strategy_brain.refusals import Refusal
from models import BrainParams, DecisionContext, Frozen, FusedSignal, Outcome, Reason

from .appraisal import Appraisal
from .window import in_window

MIN_HISTORY = 20
"""Minimum number of prices: twenty observed seconds of the market."""

NANOSECONDS = 1_000_000_000


class GateInput(Frozen, frozen=True):
    """Inputs of the gates after the vote."""

    context: DecisionContext
    params: BrainParams
    fused: FusedSignal
    appraisal: Appraisal


def window_gate(context: DecisionContext, params: BrainParams) -> Refusal | None:
    """Whether the market is in the decision window; checked first, because outside it other checks are
    irrelevant."""
    if in_window(context.second, params.window_start, params.window_end):
        return None
    return Refusal(
        reason=Reason.OUTSIDE_WINDOW,
        detail=f"market second {context.second:.1f} is not in the window from {params.window_start:g} "
        f"to before {params.window_end:g}",
    )


def freshness_gate(context: DecisionContext, params: BrainParams) -> Refusal | None:
    """Both books must be recent: the venue changes them together, so an old one is missing updates.

    A book from the future by more than the limit indicates a wrong clock and is refused as well.
    """
    for outcome in Outcome:
        age = (context.now_ns - context.book(outcome).ts_ns) / NANOSECONDS
        if abs(age) > params.max_quote_age_s:
            return Refusal(
                reason=Reason.STALE_DATA,
                detail=f"the {outcome} book is {age:.3f} s old, {params.max_quote_age_s:g} s allowed",
            )
    return None


def history_gate(context: DecisionContext, params: BrainParams) -> Refusal | None:
    """The history must be long enough; the minimum is not a parameter."""
    if len(context.history) >= MIN_HISTORY:
        return None
    return Refusal(
        reason=Reason.NO_HISTORY, detail=f"{len(context.history)} seconds of prices, {MIN_HISTORY} needed"
    )


def fusion_gate(case: GateInput) -> Refusal | None:
    """Enough signals, sufficient agreement, and sufficient weight."""
    params = case.params
    return check(case.fused, params.fusion_min_signals, params.fusion_min_score, params.fusion_min_weight)


def trend_gate(case: GateInput) -> Refusal | None:
    """The market has a favourite."""
    if case.appraisal.outcome is not None:
        return None
    return Refusal(
        reason=Reason.NO_TREND,
        detail=f"p {case.context.p} is not above {case.params.trend_up} nor below {case.params.trend_down}",
    )


def agreement_gate(case: GateInput) -> Refusal | None:
    """The fused signal agrees with the favourite, if that is required."""
    if not case.params.require_agreement or case.fused.direction.outcome is case.appraisal.outcome:
        return None
    return Refusal(
        reason=Reason.DISAGREEMENT,
        detail=f"the vote is {case.fused.direction}, the favourite at p {case.context.p} "
        f"is {case.appraisal.outcome}",
    )


def edge_gate(case: GateInput) -> Refusal | None:
    """Fair probability − ask − fee reaches the minimum, if there is one.

    An unknown fair probability does not reach it. A missing ask is left to the liquidity gate, whose refusal
    the next tick may lift.
    """
    minimum, fair, edge = case.params.min_edge, case.appraisal.fair, case.appraisal.edge
    if minimum is None or case.appraisal.ask is None:
        return None
    if edge is None:
        return Refusal(
            reason=Reason.NO_EDGE, detail=f"the fair probability is unknown, edge {minimum} needed"
        )
    if edge >= float(minimum):
        return None
    return Refusal(
        reason=Reason.NO_EDGE,
        detail=f"fair {fair:.4f} − ask {case.appraisal.ask} − fee = {edge:+.4f}, {minimum} needed",
    )


def liquidity_gate(case: GateInput) -> Refusal | None:
    """The favourite's own book offers the whole position within the price cap."""
    appraisal, params = case.appraisal, case.params
    ask, cap = appraisal.ask, appraisal.price_cap
    if ask is None or cap is None:
        return Refusal(reason=Reason.NO_ASK, detail=f"no ask for {appraisal.outcome}")
    if ask > cap:
        return Refusal(
            reason=Reason.TOO_EXPENSIVE,
            detail=f"best ask {ask} of {appraisal.outcome} is above {cap}, the highest price allowed",
        )
    if ask <= params.min_liquidity:
        return Refusal(
            reason=Reason.THIN_BOOK,
            detail=f"best ask {ask} of {appraisal.outcome} is at or below {params.min_liquidity}",
        )
    offered = sum((level.price * level.size for level in appraisal.asks if level.price <= cap), Decimal(0))
    if offered >= params.position_size_usd:
        return None
    return Refusal(
        reason=Reason.THIN_BOOK,
        detail=(
            f"${offered:.4f} of {appraisal.outcome} offered up to {cap}, ${params.position_size_usd} needed"
        ),
    )


BEFORE_THE_VOTE: tuple[Callable[[DecisionContext, BrainParams], Refusal | None], ...] = (
    window_gate,
    freshness_gate,
    history_gate,
)

AFTER_THE_VOTE: tuple[Callable[[GateInput], Refusal | None], ...] = (
    fusion_gate,
    trend_gate,
    agreement_gate,
    edge_gate,
    liquidity_gate,
)
