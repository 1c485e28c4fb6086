"""The present state of the markets: phases, ticks, and books with the accounts' orders and trades applied."""

from collections import defaultdict
from typing import NamedTuple

from venue.amounts import MICRO, MILL
from venue.clock import VenueClock
from venue.faults import Faults
from venue.ledger import VenueLedger
from venue.market import VenueMarket
from venue.matching import Offer
from venue.order_book import ConsumedLiquidity, VenueBook, with_resting
from venue.order_book import Side as Levels
from venue.records import VenueOrder
from venue.refusal import VenueRefusal
from venue.rules import Side
from venue.sources.base import MarketSource

NO_BOOK = VenueRefusal(404, "No orderbook exists for the requested token id")


class LastTrade(NamedTuple):
    """A trade's price in mills, and the side of the order that took the liquidity."""

    price: int
    side: Side


class Exchange:
    """Reads the source at the clock's time and applies the accounts' orders and trades to its books."""

    def __init__(self, clock: VenueClock, source: MarketSource, ledger: VenueLedger, faults: Faults) -> None:
        self.clock = clock
        self.schedule = source.catalogue
        self.source = source
        self.ledger = ledger
        self._faults = faults
        self.resolutions = ledger.resolutions()
        for key in self.resolutions:
            self.schedule.close(key)
        self._taken: dict[int, ConsumedLiquidity] = defaultdict(ConsumedLiquidity)
        self._last_trade: dict[str, LastTrade] = {}

    # --- phases ------------------------------------------------------------------------------

    def offset(self, market: VenueMarket) -> float:
        """Market seconds since the market's start, negative before it."""
        return self.clock.market_s() - market.start

    def accepting(self, market: VenueMarket) -> bool:
        """True from the listing to the end."""
        early = self._faults.armed("market_closes_early")
        return self.clock.market_s() < market.end - (0.0 if early is None else early["seconds"])

    def resolved(self, market: VenueMarket) -> bool:
        return market.key in self.resolutions

    def up_pays(self, market: VenueMarket) -> int | None:
        """Payout of an Up share in micro pUSD (a Down share gets the rest); None before the resolution."""
        resolution = self.resolutions.get(market.key)
        return None if resolution is None else resolution[0]

    def up_won(self, market: VenueMarket) -> bool | None:
        """Whether Up won outright; None before the resolution, and where both outcomes are paid in part."""
        up_pays = self.up_pays(market)
        return up_pays == MICRO if up_pays in (0, MICRO) else None

    def close(self, market: VenueMarket, up_pays: int, at: int) -> None:
        """Store a market's outcome, and drop the state that only a trading market needs."""
        self.resolutions[market.key] = (up_pays, at)
        self.schedule.close(market.key)
        self._taken.pop(market.key, None)

    # --- books -------------------------------------------------------------------------------

    def tick(self, market: VenueMarket) -> int:
        """The price grid in mills."""
        return self.source.tick(market)

    def source_book(self, market: VenueMarket) -> VenueBook:
        """The source's book of the Up token, empty while it is unknown."""
        if self._faults.armed("book_empty") is not None:
            return VenueBook()
        return self.source.book(market) or VenueBook()

    async def confirm(self, market: VenueMarket) -> bool:
        """Ensure that the source's book is current; False if that is impossible."""
        return self.source.certain(market) or await self.source.confirm(market)

    def left(self, market: VenueMarket) -> VenueBook:
        """The source's book without the liquidity that accounts consumed (Up view)."""
        return self._taken[market.key].left_of(self.source_book(market))

    def visible(self, market: VenueMarket) -> VenueBook:
        """The published book: the remaining source book with accounts' resting orders (Up view)."""
        resting = self.ledger.open_orders(start=market.key)
        if not resting:
            return self.left(market)
        views = [view_from(order, market.up_token) for order in resting]
        return with_resting(
            self.left(market),
            bids=[(price, size) for side, price, size in views if side == "BUY"],
            asks=[(price, size) for side, price, size in views if side == "SELL"],
        )

    def trading(self, token: str) -> VenueMarket:
        """A token's market.

        Raises
        ------
        VenueRefusal
            404 if the token is unknown or its market resolved.
        """
        market = self.schedule.by_token(token)
        if market is None or self.resolved(market):
            raise NO_BOOK
        return market

    async def book(self, token: str) -> tuple[VenueMarket, VenueBook]:
        """A token's visible book.

        Raises
        ------
        VenueRefusal
            404 if the token is unknown, its market resolved, or its book cannot be determined.
        """
        market = self.trading(token)
        if not await self.confirm(market):
            raise NO_BOOK
        return market, self.seen_from(market, token, self.visible(market))

    @staticmethod
    def seen_from(market: VenueMarket, token: str, book: VenueBook) -> VenueBook:
        """Convert an Up view to the token's own view, or back."""
        return book if token == market.up_token else book.mirrored()

    def facing(self, market: VenueMarket, source: VenueBook, token: str, side: Side) -> Levels:
        """The remaining source levels that an order of the token and side would take, best first."""
        book = self.seen_from(market, token, self._taken[market.key].left_of(source))
        return book.asks if side == "BUY" else book.bids

    def resting_against(self, market: VenueMarket, token: str, side: Side, address: str) -> list[Offer]:
        """Other accounts' resting orders that an order would match, oldest first."""
        opposite = "SELL" if side == "BUY" else "BUY"
        found: list[Offer] = []
        for order in self.ledger.open_orders(start=market.key):
            order_side, price, size = view_from(order, token)
            if order.address != address and order_side == opposite and size > 0:
                found.append(Offer(price, size, order.id))
        return found

    def consume(
        self, market: VenueMarket, source: VenueBook, token: str, side: Side, price: int, shares: int
    ) -> None:
        """Remove consumed shares from a level of a source book, until the source renews the level."""
        up = token == market.up_token
        level_price = price if up else MILL - price
        level_side = "SELL" if (side == "BUY") == up else "BUY"
        size = dict(source.asks if level_side == "SELL" else source.bids)[level_price]
        self._taken[market.key].record(level_side, level_price, size, shares)

    # --- prices ------------------------------------------------------------------------------

    def traded(self, token: str, other_token: str, price: int, side: Side) -> None:
        """Store the last trade of a token; for the market's other token it is the opposite one.

        Parameters
        ----------
        price : int
            In mills.
        side : str
            Side of the order that took the liquidity.
        """
        self._last_trade[token] = LastTrade(price, side)
        self._last_trade[other_token] = LastTrade(MILL - price, "SELL" if side == "BUY" else "BUY")

    def last_trade(self, token: str) -> LastTrade | None:
        """Accounts' last trade of a token; recordings contain no trades."""
        return self._last_trade.get(token)


def view_from(order: VenueOrder, token: str) -> tuple[Side, int, int]:
    """A resting order as (side, price, size) on a token of its market."""
    if order.token == token:
        return order.side, order.price, order.open_shares
    return ("SELL" if order.side == "BUY" else "BUY"), MILL - order.price, order.open_shares
