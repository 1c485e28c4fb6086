"""Recorded markets with a planted edge: the favourite's chance to win is its ask plus the edge."""

from collections.abc import Iterator
from decimal import Decimal
from random import Random

from models import Outcome, ProtocolVersion, Rule
from research.recordings import RecordedMarket, Snapshot
from research.recordings.catalogue import object_of

FIRST_START = 1_790_586_000
ASK_CENTS = 80
NS = 1_000_000_000
MILLION = 1_000_000
FROM_S, TO_S = 700, 800
"""The books begin late enough for a fast run, and early enough for the price history of a decision."""


def planted_markets(count: int, edge: float, seed: int) -> list[RecordedMarket]:
    """Markets whose favourite is offered at 0.80 and wins with a chance of 0.80 + `edge`; Up and Down in
    turn."""
    draws = Random(seed)
    return [
        _market(number, won=draws.random() < ASK_CENTS / 100 + edge, favourite=list(Outcome)[number % 2])
        for number in range(count)
    ]


def wins(markets: list[RecordedMarket]) -> int:
    """How many favourites won."""
    return sum(market.won is list(Outcome)[number % 2] for number, market in enumerate(markets))


def _market(number: int, *, won: bool, favourite: Outcome) -> RecordedMarket:
    start = FIRST_START + 900 * number
    slug = f"btc-updown-15m-{start}"
    return RecordedMarket(
        slug=slug,
        start=start,
        gamma=object_of(slug, Rule.TWAP60, Decimal("0.07"), ProtocolVersion.V1, Decimal("0.01")),
        won=favourite if won else favourite.other,
        fine_tick_ns=None,
        snapshots=tuple(_books(favourite)),
    )


def _books(favourite: Outcome) -> Iterator[Snapshot]:
    """Bid and ask of the favourite at 0.79 and 0.80; its bid has most shares, so that the imbalance agrees.

    The number of shares changes each second: each book is new.
    """
    ask, bid = ASK_CENTS * 10, ASK_CENTS * 10 - 10
    for second in range(FROM_S, TO_S):
        heavy, light = (900 + second % 2) * MILLION, 200 * MILLION
        if favourite is Outcome.UP:
            yield Snapshot(offset_ns=second * NS, bids=((bid, heavy),), asks=((ask, light),))
        else:
            yield Snapshot(offset_ns=second * NS, bids=((1000 - ask, light),), asks=((1000 - bid, heavy),))
