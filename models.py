"""Domain types shared by all packages: frozen, without I/O, convertible to and from JSON.

Units: prices and money are ``Decimal`` pUSD (a price is pUSD per share, 0 to 1); ``*_ns`` are integer
nanoseconds since the epoch on the machine's clock; market times (`Market.start`, market seconds) are on the
*market clock*, which is the machine's clock on the real venue and an accelerated one on the practice venue.
Floats are used inside indicators only.
"""

from decimal import ROUND_DOWN, Decimal
from enum import IntEnum, StrEnum
from typing import Any

import msgspec

MICRO = Decimal("0.000001")
"""The smallest amount of pUSD and of shares on the chain."""

SCALE_SECONDS = 900
"""Length of the market-second scale: market seconds run from 0 to 900 for every market interval."""


class Frozen(msgspec.Struct, frozen=True):
    """Base of the domain types: immutable, compared by value, encoded by msgspec."""


# --- markets and books ---------------------------------------------------------------------------


class Outcome(StrEnum):
    """A token of a market; also used for the winning side."""

    UP = "Up"
    DOWN = "Down"

    @property
    def other(self) -> "Outcome":
        return Outcome.DOWN if self is Outcome.UP else Outcome.UP


class Rule(StrEnum):
    """The price that settles a market. The venue changed it from spot to a TWAP on 2026-08-07."""

    SPOT = "spot"
    TWAP30 = "twap30"
    TWAP60 = "twap60"


class MarketKind(StrEnum):
    """The origin of a practice market's data."""

    RECORDED = "recorded"
    """A replay of a real market: books and outcome, without external values."""
    GENERATED = "generated"


GENERATED_ORIGIN = "synthetic-"
"""Beginning of a generated market's origin; a recorded market's origin is the slug of the real one."""


def market_kind(origin: str) -> MarketKind | None:
    """The kind of a practice market by its origin; None for a market of Polymarket, which has none."""
    if not origin:
        return None
    return MarketKind.GENERATED if origin.startswith(GENERATED_ORIGIN) else MarketKind.RECORDED


class ProtocolVersion(StrEnum):
    """The settlement layer of a market, as the catalogue names it: it decides the ids of the outcomes and the
    contract that trades them."""

    V1 = "v1"
    """CTF tokens, traded by CTF Exchange V2."""
    V2 = "v2"
    """Positions of Protocol V2, traded by Exchange V3."""

    @classmethod
    def of_id(cls, outcome_id: str) -> "ProtocolVersion":
        """The version whose ids have the form of this decimal number.

        A position id begins with the number of its module and has 64 zero bits, which no hash has by chance.
        """
        value = int(outcome_id)
        structural = value >> 248 in POSITION_MODULES and value >> 40 & (1 << 64) - 1 == 0
        return cls.V2 if structural else cls.V1


POSITION_MODULES = (1, 2, 3)
"""First byte of a position id: binary, neg-risk, combinatorial."""


class Series(Frozen, frozen=True):
    """The markets of one asset and one length, as in `btc-15m`."""

    asset: str
    timeframe: str

    @property
    def name(self) -> str:
        return f"{self.asset}-{self.timeframe}"

    @property
    def title(self) -> str:
        """For displays: `BTC 15m`."""
        return f"{self.asset.upper()} {self.timeframe}"


def series_of(slug: str) -> Series:
    """The series of a slug `{asset}-{kind}-{timeframe}-{start}`; of another text one with empty names."""
    parts = slug.split("-")
    return Series(asset=parts[0], timeframe=parts[2]) if len(parts) == 4 else Series(asset="", timeframe="")


class Market(Frozen, frozen=True):
    """One up/down market. `start` is in market-clock seconds since the epoch, as in the slug."""

    slug: str
    start: int
    interval: int
    condition_id: str
    up_token: str
    down_token: str
    fee_rate: Decimal
    tick: Decimal
    rule: Rule
    title: str = ""
    origin: str = ""
    """Id of the event behind the prices, where a practice venue may replay one event several times;
    empty if the condition id identifies it."""
    version: ProtocolVersion = ProtocolVersion.V1
    """Its tokens are CTF tokens or positions of Protocol V2."""
    minimum_shares: Decimal | None = None
    """Minimum size of an order that may rest, which this bot does not send; None if it is not known."""

    @property
    def end(self) -> int:
        return self.start + self.interval

    @property
    def kind(self) -> MarketKind | None:
        """Recorded or generated; None for a market of Polymarket."""
        return market_kind(self.origin)

    @property
    def series(self) -> Series:
        return series_of(self.slug)

    def token(self, outcome: Outcome) -> str:
        return self.up_token if outcome is Outcome.UP else self.down_token

    def second(self, market_time: float) -> float:
        """Market second, 0 to 900, at a market-clock time in seconds since the epoch."""
        return (market_time - self.start) * SCALE_SECONDS / self.interval


class Level(Frozen, frozen=True):
    price: Decimal
    size: Decimal
    """Shares."""


class Book(Frozen, frozen=True):
    """One token's order book, both sides best first."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    ts_ns: int

    @property
    def best_bid(self) -> Decimal | None:
        return self.bids[0].price if self.bids else None

    @property
    def best_ask(self) -> Decimal | None:
        return self.asks[0].price if self.asks else None


class Tick(Frozen, frozen=True):
    """Mid price of the Up token at a market second."""

    second: float
    price: Decimal


# --- external values -----------------------------------------------------------------------------


class Spot(Frozen, frozen=True):
    """A spot price of the asset in USD."""

    source: str
    price: Decimal
    source_ns: int
    received_ns: int


class Strike(Frozen, frozen=True):
    """The settlement-rule price at the market's start, against which Up and Down are decided."""

    price: Decimal
    rule: Rule
    source: str


class PutCall(Frozen, frozen=True):
    """Put/call open-interest ratios of the asset's options; `short` counts the near expiries only."""

    source: str
    overall: float
    short: float | None
    put_open_interest: float
    call_open_interest: float
    source_ns: int
    received_ns: int


class Sentiment(Frozen, frozen=True):
    """A fear-and-greed index, 0 (fear) to 100 (greed)."""

    source: str
    score: float
    classification: str
    source_ns: int
    received_ns: int


# --- signals -------------------------------------------------------------------------------------


class Direction(StrEnum):
    BULLISH = "bullish"
    BEARISH = "bearish"
    NEUTRAL = "neutral"

    @property
    def outcome(self) -> Outcome | None:
        """The token this direction favours; None when neutral."""
        return {Direction.BULLISH: Outcome.UP, Direction.BEARISH: Outcome.DOWN}.get(self)


class Strength(IntEnum):
    WEAK = 1
    MODERATE = 2
    STRONG = 3
    VERY_STRONG = 4


class SignalType(StrEnum):
    SPIKE_DETECTED = "spike_detected"
    MEAN_REVERSION = "mean_reversion"
    MOMENTUM = "momentum"
    SENTIMENT_SHIFT = "sentiment_shift"
    VOLUME_SURGE = "volume_surge"
    PRICE_DIVERGENCE = "price_divergence"
    ANOMALY = "anomaly"


class TradingSignal(Frozen, frozen=True):
    """The signal of one processor for the market. `confidence` is 0 to 1."""

    source: str
    signal_type: SignalType
    direction: Direction
    strength: Strength
    confidence: float
    current_price: Decimal
    metadata: dict[str, Any] = {}


class Vote(Frozen, frozen=True):
    """A processor's part in a decision: either a signal, or the reason of its abstention."""

    source: str
    weight: float
    signal: TradingSignal | None = None
    abstained: str | None = None


class FusedSignal(Frozen, frozen=True):
    """The fused votes: `score` 0 to 100, `confidence` 0 to 1, sums of the contributions by side."""

    direction: Direction
    score: float
    confidence: float
    bullish: float
    bearish: float
    signals: int
    weight: float = 0.0
    """Summed weight of the sources behind `direction`; 0 when neutral, and in rows of earlier versions."""


# --- decisions -----------------------------------------------------------------------------------


class BrainParams(Frozen, frozen=True):
    """All parameters of a decision; stored with it, so that it can be replayed."""

    weights: dict[str, float]
    window_start: float
    window_end: float
    trend_up: Decimal
    trend_down: Decimal
    require_agreement: bool
    min_edge: Decimal | None
    fusion_min_signals: int
    fusion_min_score: float
    position_size_usd: Decimal
    max_entry_price: Decimal
    max_slippage: Decimal
    max_quote_age_s: float
    """Maximum age of a book in a decision, machine seconds."""
    spike_threshold: float
    spike_lookback: int
    sentiment_fear: float
    sentiment_greed: float
    divergence_threshold: float
    orderbook_imbalance_threshold: float
    orderbook_min_volume: float
    tick_velocity_60s: float
    tick_velocity_30s: float
    deribit_bullish_pcr: float
    deribit_bearish_pcr: float
    min_liquidity: Decimal = Decimal("0.02")
    """No order if the favourite's best ask is at or below this price."""
    fusion_min_weight: float = 0.0
    """0 in rows of earlier versions, which had no such limit."""


class Consensus(Frozen, frozen=True):
    """The median of the agreeing sources of the spot price, USD; `outliers` are those that were excluded."""

    median: Decimal
    sources: dict[str, Decimal]
    outliers: dict[str, Decimal]

    @property
    def n(self) -> int:
        """Number of agreeing sources."""
        return len(self.sources)


class DecisionContext(Frozen, frozen=True):
    """All inputs of a decision, frozen at one instant.

    `p` is the mid price of the Up token, or its only side if the book is one-sided. `history` has mids of Up,
    oldest first, at most one per market second; `ticks` the same with their seconds. `absent` maps each
    external source without a usable value to the reason.
    """

    market: Market
    second: float
    now_ns: int
    p: Decimal
    history: tuple[Decimal, ...]
    ticks: tuple[Tick, ...]
    up_book: Book
    down_book: Book
    spot: Spot | None = None
    spot_path: tuple[Tick, ...] = ()
    """Spot prices in USD by market second, oldest first, at most one per second; may start before 0."""
    strike: Strike | None = None
    put_call: PutCall | None = None
    sentiment: Sentiment | None = None
    absent: dict[str, str] = {}
    consensus: Consensus | None = None
    """Recorded only: a spot price that contradicts it is already absent."""

    def book(self, outcome: Outcome) -> Book:
        return self.up_book if outcome is Outcome.UP else self.down_book


class Reason(StrEnum):
    """Reasons of a decision without an order, in the order of the steps that may end it."""

    MODE = "mode"
    NOT_TRADABLE = "not_tradable"
    STALE_DATA = "stale_data"
    OUTSIDE_WINDOW = "outside_window"
    NO_HISTORY = "no_history"
    NO_SIGNALS = "no_signals"
    LOW_SCORE = "low_score"
    LOW_WEIGHT = "low_weight"
    NO_TREND = "no_trend"
    DISAGREEMENT = "disagreement"
    NO_EDGE = "no_edge"
    RISK = "risk"
    NO_ASK = "no_ask"
    TOO_EXPENSIVE = "too_expensive"
    THIN_BOOK = "thin_book"


RETRIED = frozenset(
    {
        Reason.MODE,
        Reason.NO_ASK,
        Reason.TOO_EXPENSIVE,
        Reason.THIN_BOOK,
        Reason.STALE_DATA,
        Reason.NO_HISTORY,
    }
)
"""Refusals that may be lifted by the next tick inside the window; all others are final for the market."""


class Decision(Frozen, frozen=True):
    """A decision: an outcome to buy, or the reason for not buying.

    `ask` is the best ask of the favourite's book, `price_cap` the highest price of the order, `fair` the
    modelled probability that the *chosen* outcome wins, `edge` is fair − ask − fee per share.
    """

    context: DecisionContext
    params: BrainParams
    votes: tuple[Vote, ...] = ()
    fused: FusedSignal | None = None
    outcome: Outcome | None = None
    reason: Reason | None = None
    detail: str = ""
    ask: Decimal | None = None
    price_cap: Decimal | None = None
    fair: float | None = None
    edge: float | None = None

    @property
    def buys(self) -> bool:
        return self.reason is None and self.outcome is not None


# --- orders, fills, settlement -------------------------------------------------------------------


class OrderIntent(Frozen, frozen=True):
    """An intended order: spend `usd` pUSD on one outcome at `price_cap` or better.

    Stored before it is sent.
    """

    intent_id: str
    decision_id: int
    """The decision's row id in the ledger; 0 until both are written, in one transaction."""
    slug: str
    condition_id: str
    token_id: str
    outcome: Outcome
    usd: Decimal
    ask: Decimal
    price_cap: Decimal
    attempt: int
    created_ns: int
    version: ProtocolVersion = ProtocolVersion.V1
    """`token_id` is a CTF token or a position of Protocol V2."""

    @property
    def position_id(self) -> str | None:
        """The id of the outcome in a market of Protocol V2."""
        return self.token_id if self.version is ProtocolVersion.V2 else None


class OrderState(StrEnum):
    """State of an intent. `UNKNOWN` counts as spent until the venue reports the order's outcome."""

    INTENT = "intent"
    SENT = "sent"
    MATCHED = "matched"
    NO_FILL = "no_fill"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    REVERSED = "reversed"

    @property
    def final(self) -> bool:
        return self in (OrderState.MATCHED, OrderState.NO_FILL, OrderState.REFUSED, OrderState.REVERSED)


class OrderStage(StrEnum):
    """A step of an order from the quote to the venue's answer, in the order of the steps."""

    QUOTE = "quote"
    """The quote arrived that led to the decision."""
    CONTEXT = "context"
    """Prices and books are frozen."""
    DECIDED = "decided"
    """The strategy brain has decided."""
    CHECKED = "checked"
    """Mode, halt and risk limits allow the order."""
    SIGNED = "signed"
    RECORDED = "recorded"
    """Decision, intent and hash are on the disk."""
    POSTED = "posted"
    """The first byte of the POST is handed to the socket."""
    ANSWERED = "answered"


class OrderTrace(Frozen, frozen=True):
    """When an order reached each step of its path.

    Attributes
    ----------
    intent_id, slug
        The order and its market.
    created_ns : int
        Time of the intent on the machine's clock.
    stages : dict[OrderStage, int]
        Nanoseconds from the quote to each step on the monotonic clock, in the order of `OrderStage`. A step
        that was not reached is missing: an order that is withheld before its first byte has no `POSTED`.
    """

    intent_id: str
    slug: str
    created_ns: int
    stages: dict[OrderStage, int]


class Fill(Frozen, frozen=True):
    """A trade reported by the venue: `shares` at `price`, and `fee` pUSD in addition to shares × price."""

    trade_id: str
    order_id: str
    intent_id: str
    slug: str
    outcome: Outcome
    shares: Decimal
    price: Decimal
    fee: Decimal
    ts_ns: int

    @property
    def cost(self) -> Decimal:
        """pUSD paid without the fee: see `fill_cost`."""
        return fill_cost(self.shares, self.price)


def fill_cost(shares: Decimal, price: Decimal) -> Decimal:
    """Cost of a fill: shares × price, rounded down to a millionth of a pUSD.

    Source: answers of the venue, such as 2.181817 shares at 0.55 for 1.199999 pUSD.
    """
    return (shares * price).quantize(MICRO, ROUND_DOWN)


class FillStatus(StrEnum):
    """Status of a fill on its way onto the chain. Only CONFIRMED and FAILED are final.

    The venue's RETRYING and MATCHED_NOT_BROADCASTED are stored as MATCHED: the money is committed.
    """

    MATCHED = "MATCHED"
    MINED = "MINED"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


class Split(Frozen, frozen=True):
    """Payout per share of each outcome in a market without a winner, pUSD, 0 to 1."""

    up: Decimal
    down: Decimal


def share_payout(outcome: Outcome, winner: Outcome | None, split: Split | None) -> Decimal:
    """Payout of one share in a settled market, pUSD: 1 or 0, or its part of a split."""
    if split is not None:
        return split.up if outcome is Outcome.UP else split.down
    return Decimal(1) if outcome is winner else Decimal(0)


class Settlement(Frozen, frozen=True):
    """The official result of a market, and its source.

    Attributes
    ----------
    outcome : Outcome or None
        The winner; None if there is no winner and `split` gives the payouts.
    source : str
        Where the result was read; `operator` if it was recorded manually.
    reason : str
        Why it was recorded manually; empty for a result of the venue.
    """

    slug: str
    outcome: Outcome | None
    source: str
    settled_ns: int
    split: Split | None = None
    reason: str = ""

    def pays(self, outcome: Outcome) -> Decimal:
        """Payout of one share of an outcome, pUSD."""
        return share_payout(outcome, self.outcome, self.split)

    @property
    def result(self) -> str:
        """The result as text, such as "Up won"."""
        if self.split is None:
            return f"{self.outcome} won"
        return f"no outcome won: Up pays {self.split.up}, Down {self.split.down}"


class TradeOutcome(StrEnum):
    WIN = "WIN"
    LOSS = "LOSS"
    PENDING = "PENDING"


class PaperTrade(Frozen, frozen=True):
    """A trade in the format of `paper_trades.json`: exactly these seven keys.

    `direction` is LONG for Up and SHORT for Down; `size_usd` is the amount ordered, and `price` what was paid
    per share of that token.
    """

    timestamp: str
    direction: str
    size_usd: float
    price: float
    signal_score: float
    signal_confidence: float
    outcome: TradeOutcome
