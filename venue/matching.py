"""The matching rules, pure: an order against the opposite levels, all in the order's own token.

A BUY is a budget: it spends its maker amount at its own price or better, so a better price buys more shares.
A SELL sells shares until none are left.
"""

from collections.abc import Iterable

import msgspec

from venue.amounts import MILL, buy_cost
from venue.order_book import Side as Levels
from venue.rules import OrderTerms, Side


class Offer(msgspec.Struct, frozen=True):
    """Liquidity at a price (mills): the source's, or an account's resting order with its id."""

    price: int
    size: int
    order_id: str | None = None


class LevelFill(msgspec.Struct, frozen=True):
    """A trade at one price: `usd` is paid for `shares`, without fees (micro units)."""

    price: int
    shares: int
    usd: int
    order_id: str | None = None


class Match(msgspec.Struct, frozen=True):
    """An order's fills. `left` is the rest of its maker amount; `complete` if no usable rest remains."""

    fills: tuple[LevelFill, ...]
    left: int
    complete: bool

    @property
    def shares(self) -> int:
        return sum(fill.shares for fill in self.fills)

    @property
    def usd(self) -> int:
        return sum(fill.usd for fill in self.fills)


def offers(levels: Levels, resting: Iterable[Offer], side: Side) -> list[Offer]:
    """The liquidity that an order of `side` can take, best first; at one price the source's comes first."""
    everything = [Offer(price, size) for price, size in levels]
    everything.extend(resting)
    return sorted(everything, key=lambda offer: offer.price if side == "BUY" else -offer.price)


def match(terms: OrderTerms, available: Iterable[Offer]) -> Match:
    """Match the order with the available liquidity, best first, within its own price."""
    left = terms.maker_amount
    fills: list[LevelFill] = []
    complete = False
    for offer in available:
        if not terms.reaches(offer.price):
            break
        wanted = left * MILL // offer.price if terms.side == "BUY" else left
        shares = min(wanted, offer.size)
        usd = buy_cost(shares, offer.price)
        # Less than a micro pUSD cannot be paid or received.
        if usd > 0:
            fills.append(LevelFill(offer.price, shares, usd, offer.order_id))
            left -= usd if terms.side == "BUY" else shares
        complete = wanted <= offer.size
        if complete:
            break
    return Match(tuple(fills), left, complete or left == 0)


def resting_shares(side: Side, price: int, left: int) -> int:
    """Remaining shares of a resting order, given the rest of its maker amount."""
    return left * MILL // price if side == "BUY" else left


def meet(side: Side, price: int, left: int, facing: Levels) -> list[LevelFill]:
    """Fills of a resting order, at its own price, when the source's book reaches it.

    `facing` is the opposite side of the order's own token, best first. A returned fill names the price of the
    *source's* level; the amount is computed at the resting order's price.
    """
    shares_left = resting_shares(side, price, left)
    fills: list[LevelFill] = []
    for level, size in facing:
        crosses = level <= price if side == "BUY" else level >= price
        shares = min(shares_left, size)
        usd = buy_cost(shares, price)
        if not crosses or usd == 0:
            break
        fills.append(LevelFill(level, shares, usd))
        shares_left -= shares
    return fills
