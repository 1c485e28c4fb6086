"""What the rooms tell each other while a market goes by: plain facts, without Nautilus."""

from decimal import Decimal

from models import Decision, Fill, FillStatus, Frozen, Market, OrderIntent, OrderState, Settlement


class MarketOpened(Frozen, frozen=True):
    """This market is now the running one."""

    market: Market


class MarketRefused(Frozen, frozen=True):
    """A listed market is left alone."""

    slug: str
    why: str


class Decided(Frozen, frozen=True):
    """A decision was recorded; `final` says that no other will be tried in this market."""

    decision: Decision
    final: bool
    decision_id: int = 0
    """Its row in the ledger; later decisions have larger ones."""


class OrderSent(Frozen, frozen=True):
    """The decision and its intent are in the ledger; what became of the order follows."""

    intent: OrderIntent


class OrderSigned(Frozen, frozen=True):
    """The order's hash is in the ledger with its intent: from now on the order may exist at the venue."""

    intent: OrderIntent
    order_id: str


class OrderMoved(Frozen, frozen=True):
    """An order's state changed, for the reason given."""

    intent: OrderIntent
    state: OrderState
    reason: str


class Filled(Frozen, frozen=True):
    """A fill that stands is in the ledger for the first time."""

    fill: Fill
    status: FillStatus = FillStatus.MATCHED


class FillMoved(Frozen, frozen=True):
    """The ledger has a new status of a fill; also published for one that is failed when it is first seen.

    FAILED takes the fill out of every sum.
    """

    fill: Fill
    status: FillStatus


class Settled(Frozen, frozen=True):
    """A market has its official outcome; `pnl` is None if the bot had no position in it."""

    market: Market
    settlement: Settlement
    pnl: Decimal | None
    total_pnl: Decimal


class Payout(Frozen, frozen=True):
    """Money that was won moves: it was paid, it is being redeemed, or, `manual`, it waits for a person."""

    slug: str
    what: str
    manual: bool = False


class Redeemed(Frozen, frozen=True):
    """The payout of a settled market is in the account and in the ledger, `amount` in pUSD."""

    slug: str
    amount: Decimal


class CashChecked(Frozen, frozen=True):
    """The ledger's cash was compared with the venue's; `difference` is venue − ledger, pUSD."""

    difference: Decimal


class SettlementLate(Frozen, frozen=True):
    """A market is over for minutes and has no official outcome yet, for the reason given."""

    market: Market
    why: str


class Halted(Frozen, frozen=True):
    """No new position until a person acts."""

    why: str


class Resumed(Frozen, frozen=True):
    """A person lifted the halt."""

    why: str


class Started(Frozen, frozen=True):
    """A worker began; `mode` is what its orders are: real money only if ``live``."""

    mode: str
    venue: str
    note: str
    restarted: bool = False
    """Whether it follows another worker of the same run."""


class Stopped(Frozen, frozen=True):
    """The worker ends; `restarts` if a fresh one follows by plan, `failed` if something is broken."""

    why: str
    restarts: bool = False
    failed: bool = False


class ModeChanged(Frozen, frozen=True):
    """What this process may do with orders changed, or a switch was refused: `allows_orders` says."""

    mode: str
    allows_orders: bool
    why: str


Event = (
    MarketOpened
    | MarketRefused
    | Decided
    | OrderSent
    | OrderSigned
    | OrderMoved
    | Filled
    | FillMoved
    | Settled
    | Redeemed
    | CashChecked
    | SettlementLate
    | Payout
    | Halted
    | Resumed
    | Started
    | Stopped
    | ModeChanged
)


class FeedStatus(Frozen, frozen=True):
    """One external source: age of its newest value in seconds, None if it never had one."""

    source: str
    age_s: float | None
    failures: int
    up: bool


class WorkerStatus(Frozen, frozen=True):
    """How the worker is at one instant; made once a second on the node's loop. Seconds are the wall clock's,
    but for `second`, the market second."""

    ts_ns: int
    profile: str
    mode: str
    armed: bool
    halted: str | None
    allows_orders: bool
    mode_detail: str
    slug: str | None = None
    title: str = ""
    second: float = 0.0
    second_length_s: float = 1.0
    """Wall seconds a market second takes: below 1 on a fast practice venue."""
    window: tuple[float, float] = (0.0, 0.0)
    """Market seconds between which decisions are made."""
    p: Decimal | None = None
    quote_age_s: float | None = None
    """Since the running market's last quote, or its opening if it had none; None between markets."""
    tradable: bool = False
    pending_settlements: int = 0
    oldest_pending_s: float | None = None
    """Since the end of the longest unsettled market."""
    unknown_orders: int = 0
    reconnects: dict[str, int] = {}
    """By stream: market, user, and the feeds' names."""
    feeds: tuple[FeedStatus, ...] = ()
    clock_skew_s: float | None = None
    """This machine's clock minus the venue's, as last measured."""
    outside: str = ""
    """Spot against strike, in words."""
