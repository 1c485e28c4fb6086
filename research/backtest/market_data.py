"""Converts a recorded market to Nautilus' data: books and quotes of both tokens, in time order."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.core.data import Data
from nautilus_trader.model.currencies import pUSD
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas, QuoteTick
from nautilus_trader.model.enums import AssetClass, BookAction, OrderSide, RecordFlag
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import BinaryOption
from nautilus_trader.model.objects import Price, Quantity

from core.nautilus_core.data_engine.node import VENUE
from models import Market, Outcome
from research.recordings import RecordedMarket, Snapshot

NANOS = 1_000_000_000
PRICE_DECIMALS = 3
SIZE_DECIMALS = 6
FLOOR = Price(0, PRICE_DECIMALS)
ONE = Price(1, PRICE_DECIMALS)
NOTHING = Quantity(0, SIZE_DECIMALS)
WHOLE = 1000
"""Thousandths of a pUSD: what both tokens' prices add up to."""

Levels = dict[int, int]
Top = tuple[tuple[int, int] | None, tuple[int, int] | None]


def instrument(recorded: RecordedMarket, market: Market, outcome: Outcome, tick: Decimal) -> BinaryOption:
    """The instrument of one token, with prices to three decimals whatever the tick is."""
    return binary_option(market, outcome, tick, PRICE_DECIMALS, {"_gamma_original": recorded.gamma})


def binary_option(
    market: Market, outcome: Outcome, tick: Decimal, price_decimals: int, info: dict[str, Any]
) -> BinaryOption:
    """The instrument of one token, with what the adapter adds to it in `info`."""
    return BinaryOption(
        instrument_id=instrument_id(market, outcome),
        raw_symbol=Symbol(market.token(outcome)),
        outcome=outcome.value,
        description=market.title,
        asset_class=AssetClass.ALTERNATIVE,
        currency=pUSD,
        price_increment=Price(tick, price_decimals),
        price_precision=price_decimals,
        size_increment=Quantity(Decimal(1).scaleb(-SIZE_DECIMALS), SIZE_DECIMALS),
        size_precision=SIZE_DECIMALS,
        activation_ns=0,
        expiration_ns=market.end * NANOS,
        max_quantity=None,
        min_quantity=None,
        maker_fee=Decimal(0),
        taker_fee=market.fee_rate,
        ts_event=0,
        ts_init=0,
        info=info,
    )


def instrument_id(market: Market, outcome: Outcome) -> InstrumentId:
    return InstrumentId(Symbol(f"{market.condition_id}-{market.token(outcome)}"), Venue(VENUE))


def events(recorded: RecordedMarket, market: Market) -> Iterator[Data]:
    """The market's order books as changes, and the best prices wherever they change, for both tokens."""
    streams = [_TokenStream(instrument_id(market, outcome), outcome) for outcome in Outcome]
    for snapshot in recorded.snapshots:
        ts_ns = market.start * NANOS + snapshot.offset_ns
        # As from the venue's stream: a message changes both books, and the quotes follow.
        for stream in streams:
            yield from stream.changes(snapshot, ts_ns)
        for stream in streams:
            yield from stream.quotes(ts_ns)


class _TokenStream:
    """The book of one token, as the changes from one snapshot to the next."""

    def __init__(self, instrument_id: InstrumentId, outcome: Outcome) -> None:
        self._id = instrument_id
        self._mirrored = outcome is Outcome.DOWN
        self._bids: Levels = {}
        self._asks: Levels = {}
        self._top: Top = (None, None)
        self._quoted: Top | None = None

    def changes(self, snapshot: Snapshot, ts_ns: int) -> Iterator[Data]:
        """The book's changes from the last snapshot to this one."""
        bids, asks = snapshot.bids, snapshot.asks
        if self._mirrored:
            bids, asks = _mirror(snapshot.asks), _mirror(snapshot.bids)
        changes = [
            *_changes(OrderSide.BUY, self._bids, dict(bids)),
            *_changes(OrderSide.SELL, self._asks, dict(asks)),
        ]
        self._bids, self._asks = dict(bids), dict(asks)
        if changes:
            last = len(changes) - 1
            deltas = [
                OrderBookDelta(
                    self._id, action, order, RecordFlag.F_LAST if n == last else 0, 0, ts_ns, ts_ns
                )
                for n, (action, order) in enumerate(changes)
            ]
            yield OrderBookDeltas(self._id, deltas)
        self._top = (bids[0] if bids else None, asks[0] if asks else None)

    def quotes(self, ts_ns: int) -> Iterator[Data]:
        """The best prices, if they differ from the last quote."""
        if self._top != self._quoted:
            self._quoted = self._top
            yield self._quote(self._top, ts_ns)

    def _quote(self, top: Top, ts_ns: int) -> QuoteTick:
        bid, ask = top
        return QuoteTick(
            self._id,
            _price(bid[0]) if bid else FLOOR,
            _price(ask[0]) if ask else ONE,
            _size(bid[1]) if bid else NOTHING,
            _size(ask[1]) if ask else NOTHING,
            ts_ns,
            ts_ns,
        )


def _mirror(levels: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return tuple((WHOLE - price, size) for price, size in levels)


def _changes(side: OrderSide, before: Levels, after: Levels) -> list[tuple[BookAction, BookOrder]]:
    found = []
    for price in before.keys() - after.keys():
        found.append((BookAction.DELETE, BookOrder(side, _price(price), NOTHING, price)))
    for price, size in after.items():
        if before.get(price) != size:
            action = BookAction.UPDATE if price in before else BookAction.ADD
            found.append((action, BookOrder(side, _price(price), _size(size), price)))
    return sorted(found, key=lambda change: change[1].order_id)


def _price(mills: int) -> Price:
    return Price.from_raw(mills * _PRICE_RAW, PRICE_DECIMALS)


def _size(micro_shares: int) -> Quantity:
    return Quantity.from_raw(micro_shares * _SIZE_RAW, SIZE_DECIMALS)


_PRICE_RAW = Price(Decimal("0.001"), PRICE_DECIMALS).raw
_SIZE_RAW = Quantity(Decimal(1).scaleb(-SIZE_DECIMALS), SIZE_DECIMALS).raw
