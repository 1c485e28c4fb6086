"""Domain events: what happened in a market and in the worker, for the observers. Independent of Nautilus."""

from decimal import Decimal

from models import (
    Consensus,
    Decision,
    Fill,
    FillStatus,
    Frozen,
    Market,
    MarketKind,
    OrderIntent,
    OrderState,
    OrderTrace,
    Settlement,
)


class MarketOpened(Frozen, frozen=True):
    """A market became the running one."""

    market: Market


class MarketRefused(Frozen, frozen=True):
    """A listed market is not traded, for the reason given."""

    slug: str
    why: str
    unknown_version: bool = False
    """Whether it is the first market of a protocol version that this bot does not support."""


class TermsChanged(Frozen, frozen=True):
    """A market has another fee rate, tick, minimum size or taker delay than the one that was listed before.

    Attributes
    ----------
    term : str
        `fee_rate`, `tick`, `minimum_shares` or `taker_delay`.
    value, before : str
        As the venue states them, for this market and for `before_slug`.
    """

    slug: str
    term: str
    value: str
    before: str
    before_slug: str


class Decided(Frozen, frozen=True):
    """A decision was recorded; `final` is True if no other decision follows in this market."""

    decision: Decision
    final: bool
    decision_id: int = 0
    """Its row id in the ledger; later decisions have larger ids."""
    recorded_ns: int = 0
    """When its row was on the disk, nanoseconds since the epoch: the event of an order is published later."""


class OrderSent(Frozen, frozen=True):
    """A decision and its intent are in the ledger; the outcome of the order follows."""

    intent: OrderIntent


class OrderSigned(Frozen, frozen=True):
    """The order's hash is in the ledger with its intent: from now on the order may exist at the venue."""

    intent: OrderIntent
    order_id: str


class OrderTraced(Frozen, frozen=True):
    """An order was answered or withheld, and the times of its steps are in the ledger."""

    trace: OrderTrace


class OrderMoved(Frozen, frozen=True):
    """An order's state changed, for the reason given."""

    intent: OrderIntent
    state: OrderState
    reason: str


class Filled(Frozen, frozen=True):
    """A fill that did not fail is in the ledger for the first time."""

    fill: Fill
    status: FillStatus = FillStatus.MATCHED


class FillMoved(Frozen, frozen=True):
    """A fill has a new status in the ledger; also published for a fill whose first status is FAILED.

    FAILED removes the fill from every sum.
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
    """A payout was made or is being redeemed; with `manual` the operator has to redeem it."""

    slug: str
    what: str
    manual: bool = False


class Redeemed(Frozen, frozen=True):
    """The payout of a settled market is in the account and in the ledger, `amount` in pUSD."""

    slug: str
    amount: Decimal


class CashChecked(Frozen, frozen=True):
    """The ledger's cash was compared with the venue's; `difference` is venue − ledger, pUSD.

    `unexplained` is the part of it that outstanding payouts do not explain, `venue_cash` the venue's balance.
    """

    difference: Decimal
    unexplained: Decimal = Decimal(0)
    venue_cash: Decimal = Decimal(0)


class SettlementLate(Frozen, frozen=True):
    """A market ended minutes ago and has no official outcome yet, for the reason given."""

    market: Market
    why: str


class Halted(Frozen, frozen=True):
    """No new position until the halt is lifted manually."""

    why: str


class Resumed(Frozen, frozen=True):
    """The halt was lifted manually."""

    why: str


class Started(Frozen, frozen=True):
    """A worker started; `mode` is the mode of its orders: real money only if ``live``."""

    mode: str
    venue: str
    note: str
    restarted: bool = False
    """Whether it follows another worker of the same session."""


class Stopped(Frozen, frozen=True):
    """The worker ends; `restarts`: another one follows as planned, `failed`: because of an error."""

    why: str
    restarts: bool = False
    failed: bool = False


class ModeChanged(Frozen, frozen=True):
    """The mode of this process changed, or a switch was refused; `allows_orders`: new positions are
    allowed."""

    mode: str
    allows_orders: bool
    why: str


Event = (
    MarketOpened
    | MarketRefused
    | TermsChanged
    | Decided
    | OrderSent
    | OrderSigned
    | OrderTraced
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


class RecordingStatus(Frozen, frozen=True):
    """State of a recording; `error` is empty while frames are written."""

    frames: int
    """Frames on the disk, in this process."""
    lost: int
    """Frames that were not written: the queue was full, or the disk failed."""
    bytes: int
    """Size of all files of the folder."""
    error: str = ""


class SeriesStatus(Frozen, frozen=True):
    """State of one of several series at one instant; fields as in `WorkerStatus`."""

    series: str
    """Its name, as in `eth-5m`."""
    slug: str | None = None
    title: str = ""
    kind: MarketKind | None = None
    version: str = ""
    second: float = 0.0
    second_length_s: float = 1.0
    p: Decimal | None = None
    quote_age_s: float | None = None
    tradable: bool = False
    feeds: tuple[FeedStatus, ...] = ()
    consensus: Consensus | None = None
    outside: str = ""


class WorkerStatus(Frozen, frozen=True):
    """State of the worker at one instant; created once a second on the node's loop.

    With several series, the market with its price and its quote is that of the one that decides next; the
    names of the feeds begin with the asset.

    Durations are wall-clock seconds; only `second` is a market second.
    """

    ts_ns: int
    profile: str
    mode: str
    armed: bool
    halted: str | None
    allows_orders: bool
    mode_detail: str
    slug: str | None = None
    title: str = ""
    kind: MarketKind | None = None
    """Recorded or generated; None for a market of Polymarket."""
    version: str = ""
    """Protocol version of the running market; empty between markets."""
    second: float = 0.0
    second_length_s: float = 1.0
    """Wall seconds per market second: below 1 on an accelerated practice venue."""
    window: tuple[float, float] = (0.0, 0.0)
    """Decision window in market seconds: start, end."""
    p: Decimal | None = None
    quote_age_s: float | None = None
    """Age of the running market's last quote, or time since its opening without one; None between markets."""
    tradable: bool = False
    pending_settlements: int = 0
    oldest_pending_s: float | None = None
    """Time since the end of the oldest unsettled market."""
    unknown_orders: int = 0
    reconnects: dict[str, int] = {}
    """By stream: market, user, and the names of the feeds."""
    dropped: dict[str, int] = {}
    """Market data that were not used because newer ones waited: quotes, and whole frames."""
    tasks: int = 0
    """Tasks of the node's event loop."""
    feeds: tuple[FeedStatus, ...] = ()
    consensus: Consensus | None = None
    """Of the spot price; None without feeds, or without a recent price."""
    clock_skew_s: float | None = None
    """This machine's clock minus the venue's, from the last measurement."""
    outside: str = ""
    """Spot price against strike, as text."""
    recording: RecordingStatus | None = None
    """None without --record."""
    series: tuple[SeriesStatus, ...] = ()
    """Each of several series, in the order of the settings; empty with one."""
