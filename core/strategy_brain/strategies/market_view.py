"""State of one market: its price history, its latest books and the number of valid quotes."""

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

ZERO, HALF, ONE = Decimal(0), Decimal("0.5"), Decimal(1)


class MarketView:
    """The state of one market, updated by books and frozen into a context on demand.

    A view belongs to one market: the next market gets a new view, so that history, ticks and quote count
    start empty and no price of one market appears as a move in the next. Missing values are not filled in:
    after five seconds a market has five prices.

    Parameters
    ----------
    market : Market
        The market. Replace it when the venue changes its tick.
    max_history : int
        Up mid prices stored for the processors.
    tick_buffer : int
        Up mid prices stored with their market seconds.
    quote_stability_required : int
        Consecutive valid quotes that make the market tradable.
    min_spread : Decimal
        Minimum distance, in pUSD per share, of a valid price from 0 and from 1.

    Attributes
    ----------
    price_history : deque[Decimal]
        Up mid prices, oldest first, one per market second: the last one of that second.
    tick_buffer : deque[Tick]
        The same points with the exact market second of that last price.
    p : Decimal | None
        The mid price of the latest valid Up book, or its only side; None before the first valid quote.
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
        """Consecutive valid quotes so far, counted up to the number required."""
        return self._valid_quotes

    @property
    def tradable(self) -> bool:
        """Whether the required number of consecutive valid quotes has been received.

        It stays true afterwards: a later invalid book is not used, so that the last valid one ages, and the
        freshness check, which may be repeated, refuses the decision.
        """
        return self.p is not None and self._valid_quotes >= self._required

    def on_books(self, second: float, up_book: Book, down_book: Book) -> bool:
        """Process both tokens' books at a market second; False if the update was invalid and ignored.

        Valid means: the market is running, the Up book gives a price (see `real_price`) and the Down book is
        not crossed. An update is used completely or not at all. Until the market is tradable, an invalid one
        resets the count of valid quotes.
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
        """Freeze the state, with the external values, for one decision.

        Raises
        ------
        ValueError
            Before the first valid quote, because there is no price.
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
            # A clock that was set back must not reorder the ticks: the update counts at the latest second.
            latest = max(second, self.tick_buffer[-1].second)
            self.tick_buffer[-1] = Tick(second=latest, price=price)
            self.price_history[-1] = price


def real_price(book: Book, min_spread: Decimal) -> Decimal | None:
    """The mid price of a sorted book, its only side if one is missing, or None if the quote is invalid.

    Late in a market one side of a book is often empty, because the almost certain winner has no asks and the
    loser no bids: the remaining side is then the price. Otherwise asks without a bid above one half, or bids
    without an ask below it, are a gap in the book and give no price. Also invalid are an empty book, a price
    closer than `min_spread` to 0 or 1, and a crossed or locked book.
    """
    bid, ask = book.best_bid, book.best_ask
    highest = ONE - min_spread
    for price in (bid, ask):
        if price is not None and not (ZERO < price < ONE and min_spread <= price <= highest):
            return None
    if bid is None or ask is None:
        believable = ask < HALF if ask is not None else bid is not None and bid > HALF
        return (ask if bid is None else bid) if believable else None
    return None if is_crossed(book) else (bid + ask) / 2


def is_crossed(book: Book) -> bool:
    """Whether a sorted book has both sides and they touch or overlap, which is invalid."""
    bid, ask = book.best_bid, book.best_ask
    return bid is not None and ask is not None and bid >= ask
