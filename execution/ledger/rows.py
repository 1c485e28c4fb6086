"""What the ledger answers with: frozen rows, money as Decimal pUSD, times as integer nanoseconds."""

from decimal import Decimal
from enum import StrEnum

from models import Frozen, OrderIntent, OrderState, Outcome, Reason, Rule, TradeOutcome


class Mode(StrEnum):
    """Whose money a run moves."""

    SIMULATION = "simulation"
    LIVE = "live"


class Venue(StrEnum):
    """Whose markets a run trades."""

    RECORDED = "recorded"
    SYNTHETIC = "synthetic"
    POLYMARKET = "polymarket"


class RunRow(Frozen, frozen=True):
    """One start of the bot. `cash_drift` is what the venue's balance at this start differed from the
    ledger's: a deposit, a withdrawal, or something to look into."""

    id: int
    session: str
    started_ns: int
    ended_ns: int | None
    mode: Mode
    venue: Venue
    clock_speed: float
    starting_cash: Decimal
    cash_drift: Decimal
    note: str


class DecisionRow(Frozen, frozen=True):
    """A decision without its evidence. `reason` is None when it was to buy."""

    id: int
    run_id: int
    slug: str
    second: float
    now_ns: int
    outcome: Outcome | None
    reason: Reason | None
    detail: str
    p: Decimal
    ask: Decimal | None
    price_cap: Decimal | None
    fair: float | None
    edge: float | None
    score: float | None
    confidence: float | None
    rule: Rule
    weight: float | None
    """Summed weight of the sources behind the winning side; None without a vote or before it was kept."""


class IntentRow(Frozen, frozen=True):
    """An intent and where it stands; `order_id` is the order's EIP-712 hash, None before it is sent."""

    intent: OrderIntent
    state: OrderState
    order_id: str | None
    detail: str


class TradeRow(Frozen, frozen=True, gc=False):
    """One intent that was filled, from the decision to the venue's verdict.

    `cost` is `models.fill_cost` summed over the fills that stand, `fee` comes on top. `payout` and `pnl`
    (payout − cost − fee) are None until the market is settled; `winner` is None then too, and where no
    outcome won. `score` is 0 to 100, `confidence` 0 to 1, both None when the decision was made without a
    fused vote; `p` is the Up token's price at the decision.
    """

    intent_id: str
    decision_id: int
    run_id: int
    session: str
    slug: str
    condition_id: str
    market_start: int
    market_end: int
    side: Outcome
    state: OrderState
    created_ns: int
    filled_ns: int
    usd: Decimal
    ask: Decimal
    price_cap: Decimal
    shares: Decimal
    cost: Decimal
    fee: Decimal
    p: Decimal
    fair: float | None
    edge: float | None
    score: float | None
    confidence: float | None
    rule: Rule
    winner: Outcome | None = None
    settled_ns: int | None = None
    payout: Decimal | None = None
    pnl: Decimal | None = None
    origin: str = ""
    end_ns: int = 0
    """When the market ends on the machine's clock, as reckoned at the decision."""

    @property
    def event(self) -> str:
        """Names the event that was traded on: two trades on the same one are one piece of evidence."""
        return self.origin or self.condition_id

    @property
    def price(self) -> Decimal:
        """Paid per share, without the fee."""
        return self.cost / self.shares

    @property
    def outcome(self) -> TradeOutcome:
        """A trade in a market without a winner is won if it paid more than it cost."""
        if self.pnl is None:
            return TradeOutcome.PENDING
        won = self.pnl > 0 if self.winner is None else self.winner is self.side
        return TradeOutcome.WIN if won else TradeOutcome.LOSS


class Mark(Frozen, frozen=True):
    """What the Up token was worth at one instant of a market: the chance that the market gave Up."""

    p: Decimal
    second: float
    ts_ns: int


class Position(Frozen, frozen=True):
    """A trade without a verdict, at what the binary-outcome model makes of it: shares × P(its outcome).

    P is the Up token's price while the market ran, and its last one after that. A mark is no result: it is
    in no sum of realised P&L and in no statistic.

    Attributes
    ----------
    trade : TradeRow
    mark : Mark | None
        The newest; None if none was taken since the purchase.
    delay : str
        Why the verdict of a market that is over is late, as last heard; empty if nothing is known.
    """

    trade: TradeRow
    mark: Mark | None = None
    delay: str = ""

    @property
    def chance(self) -> Decimal | None:
        """Of the side that was bought."""
        if self.mark is None:
            return None
        return self.mark.p if self.trade.side is Outcome.UP else 1 - self.mark.p

    @property
    def value(self) -> Decimal | None:
        """pUSD."""
        return None if self.chance is None else self.trade.shares * self.chance

    @property
    def unrealised(self) -> Decimal | None:
        """Value − cost − fee, pUSD."""
        return None if self.value is None else self.value - self.trade.cost - self.trade.fee


class ModeRow(Frozen, frozen=True):
    """What a run may do with orders, since when and by whose word."""

    since_ns: int
    mode: Mode
    allows_orders: bool
    why: str


class WeightRow(Frozen, frozen=True):
    """One change of a source's weight, learnt from so many settled markets."""

    ts_ns: int
    markets: int
    source: str
    before: float
    after: float


class CashFlow(Frozen, frozen=True):
    """A session's account, as the ledger knows it.

    cash = starting + drift − cost − fees + redeemed; `claimable` is won but not yet redeemed.
    """

    starting: Decimal
    drift: Decimal
    cost: Decimal
    fees: Decimal
    payouts: Decimal
    redeemed: Decimal

    @property
    def cash(self) -> Decimal:
        return self.starting + self.drift - self.cost - self.fees + self.redeemed

    @property
    def claimable(self) -> Decimal:
        return self.payouts - self.redeemed


class CashCheck(Frozen, frozen=True):
    """Ledger against venue at one instant; `difference` is venue − ledger."""

    ts_ns: int
    ledger_cash: Decimal
    venue_cash: Decimal
    difference: Decimal


class RiskFigures(Frozen, frozen=True):
    """What the risk limits are held against, unknown orders and unsettled trades at their worst.

    Attributes
    ----------
    realised : Decimal
        P&L of the trades settled since the day began, fees included.
    unsettled : Decimal
        What is lost, as a positive amount, if every open position and every order in flight is lost.
    day_pnl : Decimal
        realised − unsettled: the worst this day can still come to.
    open_positions : int
        Markets with an unsettled fill or an order in flight.
    """

    realised: Decimal
    unsettled: Decimal
    open_positions: int

    @property
    def day_pnl(self) -> Decimal:
        return self.realised - self.unsettled
