"""What a run sees of the venue anyway, as frozen values. Raw messages are not checked."""

from decimal import Decimal
from typing import Any

from execution.amounts import MarketBuy
from execution.outcomes import PostOutcome
from models import Frozen, Market, ProtocolVersion


class OrderAnswered(Frozen, frozen=True):
    """The venue's answer to POST /order.

    Attributes
    ----------
    order_id : str
        The EIP-712 hash, computed before the order was sent.
    tick : Decimal
        The price grid that the order was made for.
    status : int or None
        HTTP status; None without an answer.
    body : Any
        Decoded JSON, or text.
    seconds : float
        From the first byte sent to the answer, on the machine's clock.
    """

    order_id: str
    version: ProtocolVersion
    tick: Decimal
    amounts: MarketBuy
    outcome: PostOutcome
    status: int | None
    body: Any
    seconds: float


class StreamTradeSeen(Frozen, frozen=True):
    """A trade of one of this bot's orders on the user stream."""

    trade: dict[str, Any]


class TradesLookedUp(Frozen, frozen=True):
    """Trades of an order in `/data/trades`, selected by condition or, for `position_id`, by that id."""

    position_id: str | None
    trades: tuple[dict[str, Any], ...]


class MarketsListed(Frozen, frozen=True):
    """Gamma's rows for one request with the slugs in `asked`."""

    asked: tuple[str, ...]
    rows: tuple[Any, ...]


class EndedMarketListed(Frozen, frozen=True):
    """Gamma's row of a market with an outcome, requested with `closed=true`; None if it was not in the
    answer."""

    slug: str
    row: dict[str, Any] | None


class OutcomeWitnessed(Frozen, frozen=True):
    """Which source had the outcome of a market first, by the mirror of a paper run: `stream`, `catalogue` or
    `order API`. The market was on the stream until then."""

    slug: str
    source: str


class TermsStated(Frozen, frozen=True):
    """`/clob-markets` of a market that has not started, and the market as Gamma describes it."""

    market: Market
    clob: Any


class ChargedFill(Frozen, frozen=True):
    """A fill with the fee that was booked for it by the published formula."""

    shares: Decimal
    price: Decimal
    rate: Decimal
    fee: Decimal


class CashCompared(Frozen, frozen=True):
    """The venue's balance against the ledger, with the fills since the previous comparison.

    Attributes
    ----------
    change : Decimal
        How much the difference, venue − ledger without outstanding payouts, changed since then, pUSD.
    fills : tuple of ChargedFill
        The fills since then.
    venue_cash : Decimal
        The balance at the venue, pUSD.
    """

    change: Decimal
    fills: tuple[ChargedFill, ...]
    venue_cash: Decimal


class PayoutArrived(Frozen, frozen=True):
    """The payout of a won position is in the account.

    Attributes
    ----------
    listed : bool
        Whether the position was in the Data API's list of redeemable positions before; it no longer is.
    attempts : int
        Redemptions that this bot requested for it.
    waited_s : float
        Since the position was first listed.
    """

    slug: str
    amount: Decimal
    listed: bool
    attempts: int
    waited_s: float


class PayoutOverdue(Frozen, frozen=True):
    """The venue did not pay a listed position in time: the bot redeems it."""

    slug: str
    waited_s: float


class BooksSeen(Frozen, frozen=True):
    """Complete books of both tokens with the same timestamp, in one frame of the market stream.

    Each side maps a price to its size.
    """

    first_bids: dict[Decimal, Decimal]
    first_asks: dict[Decimal, Decimal]
    second_bids: dict[Decimal, Decimal]
    second_asks: dict[Decimal, Decimal]
    timestamp: str


class BestPricesCompared(Frozen, frozen=True):
    """The best prices beside the changes: `agreed` changes without a difference, or one that stayed."""

    agreed: int
    difference: str | None = None


class TickChangeSeen(Frozen, frozen=True):
    """The tick of a token changed; `followed`: the venue sent its complete book within a second."""

    tick: str
    followed: bool


class StreamSilence(Frozen, frozen=True):
    """The longest pause between two messages about the running market, over `messages` messages."""

    longest_s: float
    messages: int


class WalletsFunded(Frozen, frozen=True):
    """The balance that the venue reports for each signature type, and the type that is used."""

    balances: dict[int, Decimal]
    used: int


class LocationChecked(Frozen, frozen=True):
    """The answer of `/api/geoblock`."""

    body: Any


class PermissionChecked(Frozen, frozen=True):
    """`closed_only` of `/auth/ban-status/closed-only`."""

    closed_only: bool


Observation = (
    OrderAnswered
    | StreamTradeSeen
    | TradesLookedUp
    | MarketsListed
    | EndedMarketListed
    | OutcomeWitnessed
    | TermsStated
    | CashCompared
    | PayoutArrived
    | PayoutOverdue
    | BooksSeen
    | BestPricesCompared
    | TickChangeSeen
    | StreamSilence
    | WalletsFunded
    | LocationChecked
    | PermissionChecked
)
