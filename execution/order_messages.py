"""Inputs and commands of the order lifecycle.

All are frozen values without I/O. Times are integer nanoseconds on the machine's clock.
"""

from decimal import Decimal

from events import Event
from execution.order_records import Entry
from execution.outcomes import PostOutcome
from models import Decision, Fill, FillStatus, Frozen, OrderIntent

# --- inputs --------------------------------------------------------------------------------------


class DecisionMade(Frozen, frozen=True):
    """The strategy decided. The refusals are those of the mode gate, the halt and the risk engine; None if an
    order is allowed."""

    decision: Decision
    intent_id: str
    mode_refusal: str | None = None
    halt: str | None = None
    risk_refusal: str | None = None


class SignatureReady(Frozen, frozen=True):
    """The order is signed and its EIP-712 hash known; nothing has been sent."""

    intent_id: str
    order_id: str


class OrderDenied(Frozen, frozen=True):
    """The order was refused by Nautilus or the adapter, before it was signed."""

    intent_id: str
    reason: str


class OrderWithheld(Frozen, frozen=True):
    """Mode gate or halt refused the order immediately before the first byte; nothing was sent."""

    intent_id: str
    reason: str


class PostAnswered(Frozen, frozen=True):
    """The venue answered POST /order, or did not."""

    intent_id: str
    outcome: PostOutcome


class TradeReported(Frozen, frozen=True):
    """One trade of an order with its current status; `fills` has one fill per maker leg."""

    order_id: str
    trade_id: str
    status: FillStatus
    fills: tuple[Fill, ...]

    @property
    def shares(self) -> Decimal:
        return sum((fill.shares for fill in self.fills), Decimal(0))


class TradeUnreadable(Frozen, frozen=True):
    """A trade message of an order that cannot be read; the trades are looked up instead."""

    order_id: str
    reason: str


class LookedUp(Frozen, frozen=True):
    """The venue's list of an order's trades, and whether the venue reports that it ended without a match.

    `unreadable` is the reason why at least one listed trade could not be read.
    """

    order_id: str
    trades: tuple[TradeReported, ...] = ()
    dead: bool = False
    unreadable: str | None = None


class LookUpFailed(Frozen, frozen=True):
    """The venue gave no usable answer to a look-up."""

    order_id: str


class WriteFailed(Frozen, frozen=True):
    """The rows of a `Write` command are not in the ledger."""

    rows: tuple[Entry, ...]
    reason: str


class MarketSettled(Frozen, frozen=True):
    """The official outcome of a market is recorded."""

    slug: str


class CashCompared(Frozen, frozen=True):
    """The venue's cash was compared with the ledger's while no order could move it.

    If they differ, the orders that ended without a trade since they last agreed are looked up: the venue may
    have executed one that it refused.
    """

    agrees: bool


class HaltLifted(Frozen, frozen=True):
    """The halt was lifted manually: the count of refusals starts again."""


class TimeReached(Frozen, frozen=True):
    """Time passed; look-ups may be due."""


class StopRequested(Frozen, frozen=True):
    """The process stops: no new order; an order without an answer becomes unknown."""


Input = (
    DecisionMade
    | SignatureReady
    | OrderDenied
    | OrderWithheld
    | PostAnswered
    | TradeReported
    | TradeUnreadable
    | LookedUp
    | LookUpFailed
    | WriteFailed
    | MarketSettled
    | CashCompared
    | HaltLifted
    | TimeReached
    | StopRequested
)


# --- commands ------------------------------------------------------------------------------------


class Write(Frozen, frozen=True):
    """Write the rows in one synced transaction. The following commands wait for it."""

    rows: tuple[Entry, ...]


class Sign(Frozen, frozen=True):
    """Submit the order to Nautilus, whose risk engine may deny it and whose adapter signs it."""

    intent: OrderIntent


class Post(Frozen, frozen=True):
    """Check mode gate and halt, and if neither refuses send the signed order at once."""

    intent_id: str


class LookUp(Frozen, frozen=True):
    """Look up the order's trades and, with `fate`, whether the order ended without a match."""

    order_id: str
    condition_id: str
    fate: bool


class SetTotal(Frozen, frozen=True):
    """Set the number of shares an order took at the execution client, if the POST's answer had no total."""

    intent_id: str
    shares: Decimal


class CloseUnfilled(Frozen, frozen=True):
    """Close an order at the execution client that bought nothing, or whose fills failed."""

    intent_id: str


class Publish(Frozen, frozen=True):
    """Pass an event to the observers."""

    event: Event


class Halt(Frozen, frozen=True):
    """Open no new position until the halt is lifted manually."""

    why: str


Command = Write | Sign | Post | LookUp | SetTotal | CloseUnfilled | Publish | Halt
