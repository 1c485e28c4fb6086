"""Frozen rows of the ledger: money as Decimal pUSD, times as integer nanoseconds."""

from decimal import Decimal
from enum import StrEnum

from models import (
    Frozen,
    MarketKind,
    OrderIntent,
    OrderState,
    Outcome,
    ProtocolVersion,
    Reason,
    Rule,
    Series,
    Strike,
    TradeOutcome,
    market_kind,
)

CASH_TOLERANCE = Decimal("0.00001")
"""pUSD; twice the possible rounding difference of one fee."""


class Mode(StrEnum):
    """Whether a run moves practice money or real money."""

    SIMULATION = "simulation"
    LIVE = "live"


class Venue(StrEnum):
    """The markets that a run trades."""

    RECORDED = "recorded"
    SYNTHETIC = "synthetic"
    MIXED = "mixed"
    """A recorded and a synthetic market in turn."""
    POLYMARKET = "polymarket"


class RunRow(Frozen, frozen=True):
    """One start of the bot.

    `cash_drift` is the venue's balance at the start minus the ledger's cash, once every order of earlier runs
    has been looked up: a deposit, a withdrawal, or an unexplained difference.
    """

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
    """A decision without its evidence. `reason` is None if it buys."""

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
    """Sum of the weights behind the winning side; None without a vote and in rows of earlier versions."""


class IntentRow(Frozen, frozen=True):
    """An intent and its state; `order_id` is the order's EIP-712 hash, None before it is sent."""

    intent: OrderIntent
    state: OrderState
    order_id: str | None
    detail: str


class TradeRow(Frozen, frozen=True, gc=False):
    """One intent with fills, from the decision to the settlement.

    `cost` is the sum of `models.fill_cost` over the fills that did not fail, `fee` is in addition. `payout`
    and `pnl` (payout − cost − fee) are None until the market is settled; `winner` is None until then, and in
    a market without a winner. `score` is 0 to 100, `confidence` 0 to 1, both None if the decision was made
    without a fused signal; `p` is the Up token's price at the decision.
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
    """End of the market on the machine's clock, computed at the decision."""
    version: ProtocolVersion = ProtocolVersion.V1

    @property
    def event(self) -> str:
        """Id of the event that was traded: two trades on the same event are not independent."""
        return self.origin or self.condition_id

    @property
    def kind(self) -> MarketKind | None:
        """Recorded or generated; None for a market of Polymarket."""
        return market_kind(self.origin)

    @property
    def price(self) -> Decimal:
        """Price paid per share, without the fee."""
        return self.cost / self.shares

    @property
    def outcome(self) -> TradeOutcome:
        """A trade in a market without a winner is a win if its payout exceeds its cost."""
        if self.pnl is None:
            return TradeOutcome.PENDING
        won = self.pnl > 0 if self.winner is None else self.winner is self.side
        return TradeOutcome.WIN if won else TradeOutcome.LOSS


class Mark(Frozen, frozen=True):
    """Price of the Up token at one instant of a market: the market's implied probability of Up."""

    p: Decimal
    second: float
    ts_ns: int


class Position(Frozen, frozen=True):
    """An unsettled trade, valued by the binary-outcome model: shares × P(its outcome).

    P is derived from the Up token's price while the market runs, and from its last price afterwards. A mark
    is not a result: it is part of no realised P&L and of no statistic.

    Attributes
    ----------
    trade : TradeRow
    mark : Mark | None
        The newest; None if there was none since the purchase.
    delay : str
        The last reason of a late resolution; empty if there is none.
    """

    trade: TradeRow
    mark: Mark | None = None
    delay: str = ""

    @property
    def chance(self) -> Decimal | None:
        """Implied probability of the side that was bought."""
        if self.mark is None:
            return None
        return self.mark.p if self.trade.side is Outcome.UP else 1 - self.mark.p

    @property
    def value(self) -> Decimal | None:
        """Value in pUSD."""
        return None if self.chance is None else self.trade.shares * self.chance

    @property
    def unrealised(self) -> Decimal | None:
        """Value − cost − fee, pUSD."""
        return None if self.value is None else self.value - self.trade.cost - self.trade.fee


class ModeRow(Frozen, frozen=True):
    """Whether a run may order, in which mode, since when and for which reason."""

    since_ns: int
    mode: Mode
    allows_orders: bool
    why: str


class WeightRow(Frozen, frozen=True):
    """One change of a source's weight, computed from `markets` settled markets.

    `series` is empty in a run with one series.
    """

    ts_ns: int
    markets: int
    source: str
    before: float
    after: float
    series: str = ""


class StrikeRow(Frozen, frozen=True):
    """A market's strike; `source_ns` is the time of the venue's observation, None for our own prices'."""

    strike: Strike
    source_ns: int | None


class CashFlow(Frozen, frozen=True):
    """The account of a session.

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
    """Ledger's and venue's cash at one instant; `difference` is venue − ledger."""

    ts_ns: int
    ledger_cash: Decimal
    venue_cash: Decimal
    difference: Decimal


class RiskedTrade(Frozen, frozen=True):
    """What the risk limits need of a trade.

    Attributes
    ----------
    spent : Decimal
        Cost and fee in pUSD.
    pnl : Decimal or None
        P&L, fees included; None if the market has no result.
    """

    slug: str
    final: bool
    spent: Decimal
    pnl: Decimal | None


class RiskFigures(Frozen, frozen=True):
    """Inputs of the risk limits, with unknown orders and unsettled trades at their worst case.

    Attributes
    ----------
    realised : Decimal
        P&L of the trades settled since the start of the day, fees included.
    unsettled : Decimal
        Loss, as a positive amount, if every open position and every order in flight is lost.
    day_pnl : Decimal
        realised − unsettled: the worst possible P&L of the day.
    open_positions : int
        Markets with an unsettled fill or an order in flight.
    series : dict[Series, RiskFigures]
        The part of each series that has one.
    """

    realised: Decimal
    unsettled: Decimal
    open_positions: int
    series: "dict[Series, RiskFigures]" = {}

    @property
    def day_pnl(self) -> Decimal:
        return self.realised - self.unsettled
