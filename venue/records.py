"""Records of the ledger: accounts, orders, trades, positions. Amounts in micro units, prices in mills.

The field `start` is the key of a market (`VenueMarket.key`): its start, plus the number of its series.
"""

from typing import Final, Literal

import msgspec

from venue.amounts import MILL
from venue.matching import resting_shares
from venue.rules import Kind, Side

Role = Literal["TAKER", "MAKER"]
TradeStatus = Literal["MATCHED", "MINED", "CONFIRMED", "RETRYING", "FAILED"]

LIVE, MATCHED, CANCELED = "LIVE", "MATCHED", "CANCELED"
CANCELED_RESOLVED = "CANCELED_MARKET_RESOLVED"
CANCELED_NOT_ENOUGH = "CANCELED_NOT_ENOUGH_BALANCE"
FINAL_TRADE = ("CONFIRMED", "FAILED")

Asset = Literal["pUSD", "outcomes"]
ASSETS: Final[dict[Side, Asset]] = {"BUY": "pUSD", "SELL": "outcomes"}
"""What an order of a side spends. An exchange may spend either only with an approval of its own."""


UNLIMITED = 2**62
"""An account's allowance unless a test sets another."""


class VenueAccount(msgspec.Struct, frozen=True):
    """A wallet's money at the venue.

    `allowance` is the maximum that one order may spend of either asset, for a spender without an allowance of
    its own.
    """

    address: str
    balance: int
    allowance: int
    fees_paid: int
    created_ns: int


class AccountStanding(msgspec.Struct, frozen=True):
    """Special properties of an account.

    `money_in` is the signature type of the only wallet with its money and shares; None: any wallet that it
    trades through. `closed_only` accounts may not buy.
    """

    address: str
    money_in: int | None = None
    closed_only: bool = False


class VenueOrder(msgspec.Struct, frozen=True):
    """An order that passed every check. `left` is the rest of the maker amount while it rests."""

    id: str
    address: str
    wallet: str
    owner: str
    start: int
    condition_id: str
    token: str
    outcome: str
    side: Side
    kind: Kind
    price: int
    maker_amount: int
    taker_amount: int
    left: int
    matched_shares: int
    matched_usd: int
    status: str
    expiration: int
    created_ns: int

    @property
    def original_shares(self) -> int:
        return self.taker_amount if self.side == "BUY" else self.maker_amount

    @property
    def open_shares(self) -> int:
        """Shares that it still offers or wants at its price."""
        return resting_shares(self.side, self.price, self.left) if self.status == LIVE else 0


class Counterparty(msgspec.Struct, frozen=True):
    """The other order of a trade; `token` may be the market's other token (a mint or a merge)."""

    order_id: str
    wallet: str
    owner: str
    token: str
    outcome: str
    side: Side


class VenueTrade(msgspec.Struct, frozen=True):
    """One account's side of a match at one price. The other account's trade may have the same id."""

    id: str
    address: str
    order_id: str
    wallet: str
    owner: str
    role: Role
    start: int
    condition_id: str
    token: str
    outcome: str
    side: Side
    price: int
    shares: int
    usd: int
    fee: int
    status: TradeStatus
    match_ns: int
    update_ns: int
    transaction_hash: str
    other: Counterparty

    @property
    def other_price(self) -> int:
        """The price in terms of the other order's token."""
        return self.price if self.other.token == self.token else MILL - self.price


class VenuePosition(msgspec.Struct, frozen=True):
    """Shares of one token held. `cost`: their cost without fees; `bought`: shares ever bought."""

    address: str
    token: str
    start: int
    outcome: str
    shares: int
    cost: int
    bought: int
    realized: int


class VenuePayout(msgspec.Struct, frozen=True):
    """A redemption: the value of a position at the resolution, in micro pUSD."""

    address: str
    token: str
    start: int
    shares: int
    amount: int
    paid_ns: int
