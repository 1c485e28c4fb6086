"""The funnel: the stage that each market reached, from seen to redeemed, and the reason why it stopped.

A market counts once per session, at the furthest stage that any of its decisions or orders reached, so every
stage is the previous one minus the markets that stopped on the way. Decisions and orders are also counted
individually, because the bot may try the same market several times.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

from execution.ledger import FillStatus
from models import Frozen, OrderState, Reason

BUY = "buy"
"""Used instead of a `Reason` for a decision to buy."""


class Stage(StrEnum):
    """The stages of a market, in their order.

    TRADABLE had stable quotes; IN_WINDOW was evaluated in the decision window; VOTED had fresh data, history
    and at least one signal; AGREED had a clear fused signal of sufficient weight that agrees with the
    favourite; RISK_PASSED had edge, an ask, and was within the limits; MATCHED was bought; CONFIRMED has
    every fill confirmed on the chain; SETTLED has the official outcome; REDEEMED was won and paid.
    """

    SEEN = "seen"
    TRADABLE = "tradable"
    IN_WINDOW = "in_window"
    VOTED = "voted"
    AGREED = "agreed"
    RISK_PASSED = "risk_passed"
    ORDERED = "ordered"
    MATCHED = "matched"
    CONFIRMED = "confirmed"
    SETTLED = "settled"
    REDEEMED = "redeemed"


class StopReason(StrEnum):
    """Why a market stopped, if there is no `Reason` of a decision for it."""

    NO_QUOTE = "no_quote"
    """No valid quote until the end of its window: it was observed without a price to decide on."""
    NOT_SENT = "not_sent"
    """The decision was to buy, but no order followed: the bot stopped or halted in between."""
    IN_FLIGHT = "in_flight"
    NO_FILL = "no_fill"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    REVERSED = "reversed"
    UNCONFIRMED = "unconfirmed"
    """Matched, with the chain status not final yet."""
    PENDING = "pending"
    """Confirmed, without an official outcome yet."""
    LOST = "lost"
    """Settled with the other outcome: there is nothing to redeem."""
    TO_REDEEM = "to_redeem"


BEFORE: dict[Stage, tuple[Reason | StopReason, ...]] = {
    Stage.TRADABLE: (StopReason.NO_QUOTE, Reason.MODE, Reason.NOT_TRADABLE),
    Stage.IN_WINDOW: (Reason.OUTSIDE_WINDOW,),
    Stage.VOTED: (Reason.STALE_DATA, Reason.NO_HISTORY, Reason.NO_SIGNALS),
    Stage.AGREED: (Reason.LOW_SCORE, Reason.LOW_WEIGHT, Reason.NO_TREND, Reason.DISAGREEMENT),
    Stage.RISK_PASSED: (
        Reason.NO_EDGE,
        Reason.NO_ASK,
        Reason.TOO_EXPENSIVE,
        Reason.THIN_BOOK,
        Reason.RISK,
    ),
    Stage.ORDERED: (StopReason.NOT_SENT,),
    Stage.MATCHED: (StopReason.NO_FILL, StopReason.REFUSED, StopReason.UNKNOWN, StopReason.IN_FLIGHT),
    Stage.CONFIRMED: (StopReason.REVERSED, StopReason.UNCONFIRMED),
    Stage.SETTLED: (StopReason.PENDING,),
    Stage.REDEEMED: (StopReason.LOST, StopReason.TO_REDEEM),
}
"""The reasons that may stop a market before each stage.

Every `Reason` and `StopReason` occurs exactly once.
"""

STAGES = tuple(Stage)
_STAGE_OF: dict[str, int] = {
    stop: STAGES.index(stage) for stage, stops in BEFORE.items() for stop in stops
} | {BUY: STAGES.index(Stage.ORDERED)}
_STOP_OF = {
    OrderState.INTENT: StopReason.IN_FLIGHT,
    OrderState.SENT: StopReason.IN_FLIGHT,
    OrderState.UNKNOWN: StopReason.UNKNOWN,
    OrderState.NO_FILL: StopReason.NO_FILL,
    OrderState.REFUSED: StopReason.REFUSED,
    OrderState.MATCHED: StopReason.UNCONFIRMED,
    OrderState.REVERSED: StopReason.REVERSED,
}


class MarketProgress(Frozen, frozen=True):
    """The records of one market in one session.

    Attributes
    ----------
    decisions : dict[str, int]
        Number of decisions by `Reason`, or `BUY`.
    latest : dict[str, int]
        The same keys: the id of the last such decision.
    orders : tuple[OrderState, ...]
        The state of each order, oldest first.
    fills : frozenset[FillStatus]
        The statuses of its fills.
    won : bool | None
        Whether the side bought won; None without a settlement or without a fill that did not fail.
    redeemed : bool
        Whether the payout is in the account.
    """

    decisions: dict[str, int] = {}
    latest: dict[str, int] = {}
    orders: tuple[OrderState, ...] = ()
    fills: frozenset[FillStatus] = frozenset()
    won: bool | None = None
    redeemed: bool = False


class StageCount(Frozen, frozen=True):
    """`markets` reached this stage; `stopped` counts those of the previous stage that did not, by reason."""

    stage: Stage
    markets: int
    stopped: dict[str, int]


class Funnel(Frozen, frozen=True):
    """The stages with their stop reasons, and all decisions and orders by result, zeros included."""

    stages: tuple[StageCount, ...]
    decisions: dict[str, int]
    orders: dict[str, int]


def funnel(market_progress: Iterable[MarketProgress]) -> Funnel:
    """Count markets by the stage they reached and by their stop reason."""
    ends: Counter[str | None] = Counter()
    decisions: Counter[str] = Counter()
    orders: Counter[str] = Counter()
    for progress in market_progress:
        ends[end_of(progress)] += 1
        decisions.update(progress.decisions)
        orders.update(progress.orders)
    return Funnel(
        stages=stage_counts(ends),
        decisions={name: decisions[name] for name in (BUY, *map(str, Reason))},
        orders={str(state): orders[state] for state in OrderState},
    )


def stage_counts(ends: Mapping[str | None, int]) -> tuple[StageCount, ...]:
    """The stages from counts of `end_of`."""
    left = sum(ends.values())
    counts = []
    for stage in STAGES:
        stopped = {str(stop): ends.get(stop, 0) for stop in BEFORE.get(stage, ())}
        left -= sum(stopped.values())
        counts.append(StageCount(stage=stage, markets=left, stopped=stopped))
    return tuple(counts)


def rank(decision: str, decision_id: int) -> tuple[int, int]:
    """Rank of a decision in its market: the largest is the furthest, of equal ones the latest."""
    return _STAGE_OF[decision], decision_id


def end_of(progress: MarketProgress) -> str | None:
    """The stop reason of a market; None if it reached the last stage."""
    if progress.fills - {FillStatus.FAILED}:
        return _end_of_position(progress)
    if progress.fills:
        return StopReason.REVERSED
    if progress.orders:
        living = [state for state in progress.orders if state not in (OrderState.NO_FILL, OrderState.REFUSED)]
        return _STOP_OF[(living or progress.orders)[-1]]
    if not progress.decisions:
        return StopReason.NO_QUOTE
    furthest = max(progress.decisions, key=lambda name: rank(name, progress.latest[name]))
    return StopReason.NOT_SENT if furthest == BUY else furthest


def _end_of_position(progress: MarketProgress) -> StopReason | None:
    if progress.fills - {FillStatus.FAILED, FillStatus.CONFIRMED} and not progress.redeemed:
        return StopReason.UNCONFIRMED
    if progress.won is None:
        return StopReason.PENDING
    if not progress.won:
        return StopReason.LOST
    return None if progress.redeemed else StopReason.TO_REDEEM
