"""Why a recorded decision bought or refused, as text: the favourite, the vote, the price, and each signal."""

from decimal import Decimal

from models import (
    BrainParams,
    Direction,
    Frozen,
    FusedSignal,
    OrderState,
    Outcome,
    Reason,
    TradingSignal,
    Vote,
)
from monitoring.report.text_lines import readable_name

EXPLAINED = 25
"""Number of trades, and of markets without one, whose decisions are explained."""
NUMBERS = 2
"""Values of a signal that are shown; its decision in the ledger has all of them."""
SIDES = {Direction.BULLISH: "▲ Up", Direction.BEARISH: "▼ Down", Direction.NEUTRAL: "• neutral"}


class DecisionMoment(Frozen, frozen=True):
    """When a decision was made: its market second, and the Up token's price."""

    second: float
    p: Decimal


class DecisionEvidence(Frozen, frozen=True):
    """A recorded decision without the market data that it was made from."""

    context: DecisionMoment
    params: BrainParams
    votes: tuple[Vote, ...] = ()
    fused: FusedSignal | None = None
    outcome: Outcome | None = None
    reason: Reason | None = None
    detail: str = ""
    ask: Decimal | None = None
    price_cap: Decimal | None = None
    edge: float | None = None


class UntradedMarket(Frozen, frozen=True):
    """The last decision on a market without a trade.

    Attributes
    ----------
    decision_id : int
    slug : str
    now_ns : int
        Time of the decision.
    order : OrderState or None
        State of the decision's order, if there was one.
    order_detail : str
        Its reason.
    """

    decision_id: int
    slug: str
    now_ns: int
    evidence: DecisionEvidence
    order: OrderState | None = None
    order_detail: str = ""


def purchase_text(found: DecisionEvidence) -> str:
    """Why a decision bought: the favourite, the vote of the signals, and the price."""
    return " ".join(part for part in (_favourite(found), _fused(found), _price(found)) if part)


def untraded_text(found: UntradedMarket) -> str:
    """Why a market was not traded: the reason of its last decision, or the outcome of its order."""
    evidence = found.evidence
    if evidence.reason is not None:
        return _with_detail(readable_name(evidence.reason), evidence.detail)
    if found.order is None:
        return "Decided to buy; no order followed."
    return _with_detail(f"order {readable_name(found.order)}", found.order_detail)


def signal_text(signal: TradingSignal, weight: float) -> str:
    """The source of a signal, its confidence and weight, and the first numbers it was computed from."""
    numbers = [
        f"{readable_name(name)} {_number(value)}"
        for name, value in signal.metadata.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ][:NUMBERS]
    return ", ".join(
        (
            signal.source,
            f"confidence {signal.confidence:.2f}",
            f"weight {weight:.2f}",
            *numbers,
        )
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def abstention_text(vote: Vote) -> str:
    """The reason why a source gave no signal."""
    return f"{vote.source}: {vote.abstained}"


def _favourite(found: DecisionEvidence) -> str:
    p, params = found.context.p, found.params
    if found.outcome is Outcome.UP:
        return f"Up is the favourite: its price {p} is above {params.trend_up}."
    if found.outcome is Outcome.DOWN:
        return f"Down is the favourite: the price of Up, {p}, is below {params.trend_down}."
    return ""


def _fused(found: DecisionEvidence) -> str:
    fused, params = found.fused, found.params
    if fused is None:
        return ""
    text = (
        f"The vote is {fused.direction}: score {fused.score:.0f} (at least {params.fusion_min_score:g}),"
        f" weight {fused.weight:.2f} (at least {params.fusion_min_weight:.2f})."
    )
    return text if params.require_agreement else f"{text} It need not agree with the favourite."


def _price(found: DecisionEvidence) -> str:
    if found.ask is None:
        return ""
    text = f"Ask {found.ask}, price cap {found.price_cap}"
    if found.edge is None:
        return f"{text}."
    least = "" if found.params.min_edge is None else f" (at least {found.params.min_edge})"
    return f"{text}, edge {found.edge:+.4f}{least}."


def _with_detail(what: str, detail: str) -> str:
    return f"{what[:1].upper()}{what[1:]}: {detail}" if detail else f"{what[:1].upper()}{what[1:]}."
