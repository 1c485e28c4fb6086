"""The venue's rules for an order, as pure functions that raise `VenueRefusal` with the venue's own texts.

Sources: the venue's error-code page and order documentation, and texts observed live (see README.md).
"""

from decimal import Decimal
from typing import Any, Literal

import msgspec

from venue.amounts import MICRO, MILL, decimal_text, taker_fee
from venue.market import FEE_RATE, MINIMUM_SHARES
from venue.position_ids import is_outcome_id
from venue.refusal import VenueRefusal
from venue.signing import DEPOSIT_WALLET, WireOrder, checksum, order_id, order_signer

MINIMUM_BUY = 1 * MICRO
"""A BUY that takes liquidity must be worth at least 1 pUSD."""

GTD_LEAD_SECONDS = 180
"""A GTD order must expire at least this much later; it ends 60 seconds before its expiration."""

LARGEST = 10**18
"""Of an amount in micro units and of an expiration; the database's integers are below 9.2 × 10¹⁸."""

SHARE_STEP = 10_000
"""Two decimals, in micro units."""
AMOUNT_STEP = 100
"""Four decimals. At tick 0.001 one document allows five, live orders had four: four satisfies both."""

Kind = Literal["FAK", "FOK", "GTC", "GTD"]
Side = Literal["BUY", "SELL"]

_V1_FIELDS = frozenset({"nonce", "feeRateBps", "taker"})

NO_FAK_MATCH = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)
FOK_KILLED = "order couldn't be fully filled. FOK orders are fully filled or killed."
POST_ONLY_CROSSES = "invalid post-only order: order crosses book"
VERSION_MISMATCH = "order_version_mismatch"
NOT_ENOUGH = "not enough balance / allowance"


class _Envelope(msgspec.Struct, frozen=True):
    order: WireOrder
    owner: str
    orderType: Kind
    postOnly: bool = False
    deferExec: bool = False


class OrderTerms(msgspec.Struct, frozen=True):
    """A well-formed order: amounts in micro units, `owner` the API key that must be its sender's."""

    id: str
    owner: str
    wire: WireOrder
    kind: Kind
    post_only: bool
    side: Side
    maker_amount: int
    taker_amount: int
    expiration: int

    @property
    def takes(self) -> bool:
        """True for the order types that never rest."""
        return self.kind in ("FAK", "FOK")

    @property
    def usd(self) -> int:
        return self.maker_amount if self.side == "BUY" else self.taker_amount

    @property
    def shares(self) -> int:
        return self.taker_amount if self.side == "BUY" else self.maker_amount

    def reaches(self, price: int) -> bool:
        """True if the order's own price, maker over taker amount, reaches a counter-price in mills."""
        if self.side == "BUY":
            return self.maker_amount * MILL >= price * self.taker_amount
        return self.taker_amount * MILL <= price * self.maker_amount


def parse(payload: Any) -> OrderTerms:
    """An order's body as `OrderTerms`.

    Raises
    ------
    VenueRefusal
        400 if it is malformed or of the first protocol version.
    """
    inner = payload.get("order") if isinstance(payload, dict) else None
    if isinstance(inner, dict) and _V1_FIELDS & inner.keys():
        raise VenueRefusal(400, VERSION_MISMATCH)
    if isinstance(inner, dict) and inner.get("side") not in ("BUY", "SELL"):
        raise VenueRefusal(400, "Invalid side")
    try:
        envelope = msgspec.convert(payload, _Envelope)
    except msgspec.ValidationError as error:
        raise VenueRefusal(400, "Invalid order payload") from error
    wire = envelope.order
    if not is_outcome_id(wire.tokenId):
        raise VenueRefusal(400, "Invalid token id")
    try:
        terms = OrderTerms(
            id=order_id(wire),
            owner=envelope.owner,
            wire=wire,
            kind=envelope.orderType,
            post_only=envelope.postOnly,
            side="BUY" if wire.side == "BUY" else "SELL",
            maker_amount=int(wire.makerAmount),
            taker_amount=int(wire.takerAmount),
            expiration=int(wire.expiration),
        )
    except (ValueError, OverflowError) as error:
        raise VenueRefusal(400, "Invalid order payload") from error
    amounts_fit = 0 < terms.maker_amount <= LARGEST and 0 < terms.taker_amount <= LARGEST
    if not (amounts_fit and 0 <= terms.expiration <= LARGEST) or (terms.post_only and terms.takes):
        raise VenueRefusal(400, "Invalid order payload")
    return terms


def check_sender(terms: OrderTerms, key: str, address: str) -> None:
    """The order must be signed by the key's own wallet and sent with the key it names."""
    if terms.owner != key:
        raise VenueRefusal(400, "the order owner has to be the owner of the API KEY")
    wire = terms.wire
    deposit = wire.signatureType == DEPOSIT_WALLET
    try:
        maker, signer = checksum(wire.maker), checksum(wire.signer)
    except ValueError as error:
        raise VenueRefusal(400, "Invalid order payload") from error
    if wire.signatureType not in (0, 1, 2, DEPOSIT_WALLET) or (deposit and maker != signer):
        raise VenueRefusal(400, "Invalid order payload")
    if not deposit and signer != address:
        raise VenueRefusal(400, "the order signer address has to be the address of the API KEY")
    if order_signer(wire) != address or (wire.signatureType == 0 and maker != signer):
        raise VenueRefusal(400, "invalid signature")


def check_expiration(terms: OrderTerms, now_s: float) -> None:
    """Check that only a GTD order has an expiration, and that it is late enough."""
    valid = terms.expiration >= now_s + GTD_LEAD_SECONDS if terms.kind == "GTD" else terms.expiration == 0
    if not valid:
        raise VenueRefusal(400, "invalid expiration")


def check_price(terms: OrderTerms, tick: int) -> int:
    """The order's price in mills, which must be on the grid of `tick` mills, between tick and 1 − tick.

    Clients round amounts to four decimals, so a price counts as on the grid if rounding explains the
    difference.
    """
    usd, shares = terms.usd, terms.shares
    price = round(usd * MILL / shares / tick) * tick
    on_grid = price > 0 and abs(usd * MILL - shares * price) < AMOUNT_STEP * MILL
    shown = decimal_text(usd * MICRO // shares)
    grid = decimal_text(tick, MILL)
    if not on_grid:
        text = f"order {terms.id} is invalid. Price ({shown}) breaks minimum tick size rule: {grid}"
        raise VenueRefusal(400, text)
    if not tick <= price <= MILL - tick:
        top = decimal_text(MILL - tick, MILL)
        raise VenueRefusal(400, f"invalid price ({shown}), min: {grid} - max: {top}")
    return price


def check_precision(terms: OrderTerms) -> None:
    """Taking orders: maker two decimals, taker four. Resting orders: a size with two decimals."""
    if not terms.takes:
        if terms.shares % SHARE_STEP:
            raise VenueRefusal(400, f"order {terms.id} is invalid. Maximum lot size is 2")
        return
    if terms.maker_amount % SHARE_STEP or terms.taker_amount % AMOUNT_STEP:
        subject = "market buy" if terms.side == "BUY" else "sell"
        raise VenueRefusal(
            400,
            f"invalid amounts, the {subject} orders maker amount supports a max accuracy of 2 decimals, "
            "taker amount a max of 4 decimals",
        )


def check_minimum(terms: OrderTerms, *, marketable: bool, minimum_shares: int = MINIMUM_SHARES) -> None:
    """A taking BUY is worth at least 1 pUSD; an order that may rest has the market's minimum size."""
    if terms.side == "BUY" and (terms.takes or marketable) and terms.usd < MINIMUM_BUY:
        amount = decimal_text(terms.usd)
        raise VenueRefusal(400, f"invalid amount for a marketable BUY order (${amount}), min size: $1")
    if not terms.takes and terms.shares < minimum_shares:
        size, least = decimal_text(terms.shares), decimal_text(minimum_shares)
        raise VenueRefusal(400, f"order {terms.id} is invalid. Size ({size}) lower than the minimum: {least}")


def needed(terms: OrderTerms, price: int, *, marketable: bool, fee_rate: Decimal = FEE_RATE) -> int:
    """Maximum spending (micro): pUSD including the fee at its own price for a BUY, shares for a SELL."""
    if terms.side == "SELL":
        return terms.shares
    fee = taker_fee(terms.shares, price, fee_rate) if terms.takes or marketable else 0
    return terms.usd + fee


def check_funds(amount: int, available: int, allowance: int, spender: str) -> None:
    """Check that the balance, and what the spender may take of it, cover the amount (micro units)."""
    if available < amount:
        text = f"the balance is not enough -> balance: {available}, order amount: {amount}"
        raise VenueRefusal(400, f"{NOT_ENOUGH}: {text}")
    if allowance < amount:
        text = f"the allowance is not enough -> spender: {spender}, allowance: {allowance}"
        raise VenueRefusal(400, f"{NOT_ENOUGH}: {text}, order amount: {amount}")
