"""Recorded books as NautilusTrader's data: the order of changes and quotes, and books with one side."""

import msgspec
from nautilus_trader.model.data import OrderBookDeltas, QuoteTick

from research.backtest.market_data import events
from research.recordings import BUNDLED, Snapshot, list_markets
from research.recordings.catalogue import market_from

SECOND = 1_000_000_000


def shown(*snapshots: Snapshot) -> list[tuple]:
    """Each event as (Up or Down, deltas) or (Up or Down, bid, ask, bid size, ask size)."""
    recorded = msgspec.structs.replace(list_markets(BUNDLED)[0].read(), snapshots=snapshots)
    market, _ = market_from(recorded.gamma, BUNDLED)
    found = []
    for event in events(recorded, market):
        side = "Up" if market.up_token in event.instrument_id.value else "Down"
        if isinstance(event, OrderBookDeltas):
            found.append((side, len(event.deltas)))
        elif isinstance(event, QuoteTick):
            sizes = (float(event.bid_size), float(event.ask_size))
            found.append((side, float(event.bid_price), float(event.ask_price), *sizes))
    return found


def test_both_books_change_before_the_quotes():
    """The strategy decides at a quote, and then the books of both tokens are of the same instant."""
    first = Snapshot(offset_ns=0, bids=((600, 5_000_000),), asks=((620, 7_000_000),))
    deeper = Snapshot(offset_ns=SECOND, bids=((600, 5_000_000), (590, 1_000_000)), asks=first.asks)
    assert shown(first, deeper) == [
        ("Up", 2),
        ("Down", 2),
        ("Up", 0.6, 0.62, 5.0, 7.0),
        ("Down", 0.38, 0.4, 7.0, 5.0),
        ("Up", 1),
        ("Down", 1),
    ]


def test_a_missing_side_is_a_quote_without_size():
    """Without asks the Up token is quoted at 1 and the Down token at 0, both with size 0."""
    one_sided = Snapshot(offset_ns=0, bids=((990, 3_000_000),), asks=())
    assert shown(one_sided)[2:] == [("Up", 0.99, 1.0, 3.0, 0.0), ("Down", 0.0, 0.01, 0.0, 3.0)]
