"""Parses the venue's official outcomes, and the fills of a trade message. Pure."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from common.bounded_http import parse_json
from common.plain_text import one_line
from errors import Temporary
from execution.amounts import amount_of, taker_fee
from models import Fill, Frozen, Market, OrderIntent, Outcome, Split

NANOS = 1_000_000_000
LATEST_S = 9_000_000_000
"""Later times, in seconds, do not fit the ledger's nanoseconds."""
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,200}")
OPEN = "the venue has not closed the market yet"
RESOLVED = "resolved"
"""Value of `umaResolutionStatus` of a market whose prices are the payouts of its shares."""
HALF = Decimal("0.5")
HALVES = Split(up=HALF, down=HALF)
UNSETTLED = ("disputed", "challenged", "proposed")
"""Values of `umaResolutionStatus` with which a price of 1 is not final."""


class ResolutionStatus(Frozen, frozen=True):
    """A source's status of a market: its result, or the reason why there is none, as text.

    Attributes
    ----------
    outcome : Outcome or None
        The winner.
    why : str
        Why there is no result.
    grave : bool
        Whether waiting is unlikely to produce one, so that a manual check is needed.
    split : Split or None
        Payout per share of each outcome without a winner.
    """

    outcome: Outcome | None
    why: str = ""
    grave: bool = False
    split: Split | None = None

    @property
    def official(self) -> bool:
        """Whether there is a result."""
        return self.outcome is not None or self.split is not None


def gamma_resolution(market: Any) -> ResolutionStatus:
    """Read the status from a Gamma market object.

    A market is resolved if it is closed, not disputed, and its prices are exactly 1 and 0; or if both are
    exactly one half and its status is resolved.
    """
    if not isinstance(market, dict):
        return ResolutionStatus(None, "the market is not in the catalogue")
    if market.get("closed") is not True:
        return ResolutionStatus(None, OPEN)
    status = str(market.get("umaResolutionStatus") or "").lower()
    if status in UNSETTLED:
        return ResolutionStatus(None, f"the resolution is {status}")
    try:
        names, prices = _listed(market["outcomes"]), _listed(market["outcomePrices"])
        priced = {one_line(name, 40): Decimal(str(price)) for name, price in zip(names, prices, strict=True)}
        if sorted(priced.values()) == [0, 1]:
            return ResolutionStatus(Outcome(max(priced, key=priced.__getitem__)))
        if status == RESOLVED and priced == {outcome.value: HALF for outcome in Outcome}:
            return ResolutionStatus(None, split=HALVES)
        shown = one_line(", ".join(f"{name} {price}" for name, price in priced.items()))
        return ResolutionStatus(None, f"closed without a winner: {shown}", grave=True)
    except (KeyError, ValueError, ArithmeticError, TypeError):
        return ResolutionStatus(None, "closed, and its outcome cannot be read")


def gamma_outcome(market: Any) -> Outcome | None:
    """The official outcome in a Gamma market object; None while there is none."""
    return gamma_resolution(market).outcome


def clob_outcome(market: Any) -> Outcome | None:
    """The official outcome in the CLOB's market object (`tokens[].winner`); None while there is none."""
    if not isinstance(market, dict) or not isinstance(market.get("tokens"), list):
        return None
    winners = [t.get("outcome") for t in market["tokens"] if isinstance(t, dict) and t.get("winner") is True]
    if len(winners) != 1:
        return None
    try:
        return Outcome(winners[0])
    except ValueError:
        return None


def clob_pays_halves(market: Any) -> bool:
    """Whether the CLOB's market object is closed, names no winner, and has both prices at one half."""
    if not isinstance(market, dict) or market.get("closed") is not True:
        return False
    tokens = market.get("tokens")
    rows = [row for row in tokens if isinstance(row, dict)] if isinstance(tokens, list) else []
    halves = [row.get("outcome") for row in rows if row.get("winner") is False and row.get("price") == 0.5]
    return sorted(map(str, halves)) == sorted(outcome.value for outcome in Outcome)


def fills_of(trade: Mapping[str, Any], intent: OrderIntent, order_id: str, market: Market) -> list[Fill]:
    """The fills of this bot's taker order in one trade: one per maker leg, so that cost and fee are exact.

    A leg may be of the complement token, at one minus the order's price (two BUYs mint a pair of shares). A
    trade with an empty list of legs is one fill with its own size and price.

    Raises
    ------
    Temporary
        If the trade cannot be read; it is requested again.
    """
    try:
        makers = trade["maker_orders"]
        if not isinstance(makers, list):
            raise TypeError(f"maker_orders is a {type(makers).__name__}")
        bought = market.token(intent.outcome)
        complement = market.token(intent.outcome.other)
        legs = [_leg(leg, bought, complement) for leg in makers]
        if not legs:
            legs = [(amount_of(trade["size"]), amount_of(trade["price"]))]
        if not all(0 < price < 1 for _, price in legs):
            raise ValueError(f"a price outside 0 to 1 in {[str(price) for _, price in legs]}")
        trade_id, at = _identifier(trade["id"]), whole_seconds(trade["match_time"]) * NANOS
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise Temporary(f"a trade of order {order_id} cannot be read: {one_line(repr(error))}") from None
    return [
        Fill(
            trade_id=f"{trade_id}#{number}",
            order_id=order_id,
            intent_id=intent.intent_id,
            slug=market.slug,
            outcome=intent.outcome,
            shares=shares,
            price=price,
            fee=taker_fee(shares, price, market.fee_rate),
            ts_ns=at,
        )
        for number, (shares, price) in enumerate(legs)
    ]


def status_of(trade: Mapping[str, Any]) -> str:
    """A trade's status in the notation of the user stream; the trades list may add a prefix.

    Raises
    ------
    Temporary
        If it has none; it is requested again.
    """
    if "status" not in trade:
        raise Temporary(f"a trade without a status: {one_line(trade.get('id'))}")
    return one_line(trade["status"]).removeprefix("TRADE_STATUS_")


def _identifier(value: Any) -> str:
    """A trade's id; rejected if it contains characters that cannot be stored or displayed unchanged."""
    if not isinstance(value, str) or _IDENTIFIER.fullmatch(value) is None:
        raise ValueError(f"trade id {one_line(repr(value))}")
    return value


def whole_seconds(value: Any) -> int:
    """A time in whole seconds since the epoch.

    Raises
    ------
    ValueError
        If it is none that the ledger can store.
    """
    seconds = int(value)
    if not 0 <= seconds < LATEST_S:
        raise ValueError(f"time {one_line(value, 40)}")
    return seconds


def _leg(leg: Mapping[str, Any], bought: str, complement: str) -> tuple[Decimal, Decimal]:
    """Shares and price of one maker leg.

    Raises
    ------
    ValueError
        If it is of a token of no outcome of the market: its price would be a guess.
    """
    price, asset = amount_of(leg["price"]), leg["asset_id"]
    if asset not in (bought, complement):
        raise ValueError(f"a leg of token {one_line(repr(asset), 40)}, which is none of the market's")
    return amount_of(leg["matched_amount"]), price if asset == bought else 1 - price


def _listed(value: Any) -> list[Any]:
    return list(parse_json(value) if isinstance(value, str) else value)
