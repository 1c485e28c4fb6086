"""What is known about one market so far: its growing price history, its latest books, its stability."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal

from core.strategy_brain.book_order import best_first
from models import (
    SCALE_SECONDS,
    Book,
    DecisionContext,
    Market,
    PutCall,
    Sentiment,
    Spot,
    Strike,
    Tick,
)

HALF = Decimal("0.5")


class MarketView:
    """The state of one market, fed by book updates and frozen into a context on demand.

    One view belongs to one market: a switch of markets makes a new view, so that history, ticks and
    stability start empty and no price of one market is ever seen as a move in the next. Nothing is ever
    filled in: a market that has been watched for five seconds has five prices.

    Parameters
    ----------
    market : Market
        The market watched. Replace it when the venue changes its tick.
    max_history : int
        Up mids kept for the processors.
    tick_buffer : int
        Up mids kept together with their market seconds.
    quote_stability_required : int
        Valid quotes in a row that make the market tradable.
    min_spread : Decimal
        Least distance, in pUSD a share, of a real price from 0 and from 1.

    Attributes
    ----------
    price_history : deque[Decimal]
        Up mids, oldest first, one a market second: the last mid heard in that second.
    tick_buffer : deque[Tick]
        The same points with the exact market second of that last mid.
    p : Decimal | None
        The mid of the latest valid Up book, or its only side; None before the first valid quote.
    """

    def __init__(
        self,
        market: Market,
        max_history: int = 100,
        tick_buffer: int = 500,
        quote_stability_required: int = 3,
        min_spread: Decimal = Decimal("0.001"),
    ) -> None:
        self.market = market
        self.price_history: deque[Decimal] = deque(maxlen=max_history)
        self.tick_buffer: deque[Tick] = deque(maxlen=tick_buffer)
        self.p: Decimal | None = None
        self._required = quote_stability_required
        self._min_spread = min_spread
        self._valid_quotes = 0
        self._up_book: Book | None = None
        self._down_book: Book | None = None

    @property
    def valid_quotes(self) -> int:
        """Valid quotes in a row so far, counted up to the number required."""
        return self._valid_quotes

    @property
    def tradable(self) -> bool:
        """Whether the required number of valid quotes in a row has been seen.

        It stays true from then on: a book that breaks later is not taken over, so that the last good
        one ages, and the freshness check, which may be tried again, holds the decision up.
        """
        return self.p is not None and self._valid_quotes >= self._required

    def on_books(self, second: float, up_book: Book, down_book: Book) -> bool:
        """Take both tokens' books at a market second; False if the update was not valid and left out.

        Valid means: the market is running, the Up book gives a price (see `real_price`) and the Down
        book is not crossed. An update is taken whole or not at all. Until the market is tradable, an
        invalid one puts the count of valid quotes back to zero.
        """
        if not 0 <= second < SCALE_SECONDS:
            return False
        up, down = best_first(up_book), best_first(down_book)
        price = real_price(up, self._min_spread)
        if price is None or is_crossed(down):
            if not self.tradable:
                self._valid_quotes = 0
            return False
        self.p, self._up_book, self._down_book = price, up, down
        self._valid_quotes = min(self._valid_quotes + 1, self._required)
        self._remember(second, price)
        return True

    def context(
        self,
        second: float,
        now_ns: int,
        *,
        spot: Spot | None = None,
        spot_path: Sequence[Tick] = (),
        strike: Strike | None = None,
        put_call: PutCall | None = None,
        sentiment: Sentiment | None = None,
        absent: Mapping[str, str] | None = None,
    ) -> DecisionContext:
        """Freeze what is known, with the external values of this instant, for one decision.

        Raises
        ------
        ValueError
            Before the first valid quote: there is no price to decide on.
        """
        if self.p is None or self._up_book is None or self._down_book is None:
            raise ValueError(f"no valid quote of {self.market.slug} yet")
        return DecisionContext(
            market=self.market,
            second=second,
            now_ns=now_ns,
            p=self.p,
            history=tuple(self.price_history),
            ticks=tuple(self.tick_buffer),
            up_book=self._up_book,
            down_book=self._down_book,
            spot=spot,
            spot_path=tuple(spot_path),
            strike=strike,
            put_call=put_call,
            sentiment=sentiment,
            absent=dict(absent or {}),
        )

    def _remember(self, second: float, price: Decimal) -> None:
        if not self.tick_buffer or math.floor(second) > math.floor(self.tick_buffer[-1].second):
            self.tick_buffer.append(Tick(second=second, price=price))
            self.price_history.append(price)
        else:
            # A clock set back must not put ticks out of order: the update counts as of the latest second.
            latest = max(second, self.tick_buffer[-1].second)
            self.tick_buffer[-1] = Tick(second=latest, price=price)
            self.price_history[-1] = price


def real_price(book: Book, min_spread: Decimal) -> Decimal | None:
    """The mid of a sorted book, its only side if one is missing, or None if the quote is not real.

    Late in a market one side of a book is often empty, because nobody sells a token that has all but
    won, and nobody bids for one that has all but lost: the remaining side is then the price. The other
    way round, asks without a bid above one half or bids without an ask below it, is a gap in the book
    and no price. Not real either are an empty book, a price nearer than `min_spread` to 0 or 1, and a
    crossed or locked one.
    """
    bid, ask = book.best_bid, book.best_ask
    if bid is None and ask is None:
        return None
    present = [price for price in (bid, ask) if price is not None]
    if any(not (0 < price < 1 and min_spread <= price <= 1 - min_spread) for price in present):
        return None
    if bid is None or ask is None:
        believable = ask < HALF if ask is not None else bid is not None and bid > HALF
        return (ask if bid is None else bid) if believable else None
    return None if is_crossed(book) else (bid + ask) / 2


def is_crossed(book: Book) -> bool:
    """Whether a sorted book has both sides and they meet or overlap: no venue shows that, it is broken."""
    bid, ask = book.best_bid, book.best_ask
    return bid is not None and ask is not None and bid >= ask
