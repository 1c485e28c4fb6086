"""Builds a market's order books from the messages of the venue's market stream."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import msgspec

from models import Market, Outcome
from research.recordings.market import Snapshot

WHOLE = 1000
"""Thousandths of a pUSD: what both tokens' prices add up to."""
NANOS = 1_000_000_000
FINE_TICK = Decimal("0.001")
PRICE_STEPS, SIZE_STEPS = 1000, 1_000_000

Levels = tuple[tuple[int, int], ...]


class BadMessage(Exception):
    """A message whose content is not what the venue sends."""


@lru_cache(maxsize=4096)
def price_of(text: str) -> int:
    """A price in thousandths of a pUSD."""
    return _whole(text, PRICE_STEPS, "price", 0, WHOLE)


@lru_cache(maxsize=65_536)
def size_of(text: str) -> int:
    """A size in millionths of a share."""
    return _whole(text, SIZE_STEPS, "size", 0, None)


def _whole(text: str, steps: int, name: str, least: int, most: int | None) -> int:
    try:
        value = Decimal(text) * steps
        whole = int(value)
    except (InvalidOperation, ValueError, TypeError, OverflowError):
        raise BadMessage(f"{name} {text!r} is not a number") from None
    if value != whole:
        raise BadMessage(f"{name} {text} is not a multiple of {Decimal(1) / steps:f}")
    if whole < least or (most is not None and whole > most):
        raise BadMessage(f"{name} {text} is out of range")
    return whole


class _Side:
    """One side of a book; `sign` is -1 where the highest price is the best."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._sizes: dict[int, int] = {}
        self._levels: Levels | None = ()

    def replace(self, levels: Sequence[Mapping[str, str]]) -> None:
        sizes = {price_of(level["price"]): size_of(level["size"]) for level in levels}
        self._sizes = {price: size for price, size in sizes.items() if size}
        self._levels = None

    def change(self, price: int, size: int) -> None:
        if size:
            self._sizes[price] = size
        else:
            self._sizes.pop(price, None)
        self._levels = None

    def levels(self) -> Levels:
        if self._levels is None:
            self._levels = tuple(sorted(self._sizes.items(), key=lambda level: self._sign * level[0]))
        return self._levels


class MarketBooks:
    """Follows the messages of one market.

    Both tokens' books mirror each other. The Up token's is used; where a recording has the Down token only,
    its mirror.

    Attributes
    ----------
    won : Outcome or None
        By a message of the resolution.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self.won: Outcome | None = None
        self.fine_tick_ns: int | None = 0 if market.tick <= FINE_TICK else None
        self._tokens = {market.token(outcome): outcome for outcome in Outcome}
        self._sides = {outcome: (_Side(-1), _Side(1)) for outcome in Outcome}
        self._snapshots: dict[Outcome, list[Snapshot]] = {outcome: [] for outcome in Outcome}
        self._has_book: set[Outcome] = set()

    def concerns(self, message: Mapping[str, Any]) -> bool:
        """Whether a message belongs to this market."""
        if message.get("market") == self.market.condition_id:
            return True
        return message.get("asset_id") in self._tokens

    def follow(self, recv_ns: int, message: Mapping[str, Any]) -> None:
        """Process a message.

        Raises
        ------
        BadMessage
            If it has fields or values that the venue does not send.
        """
        try:
            self._follow(recv_ns - self.market.start * NANOS, message)
        except (KeyError, TypeError, AttributeError) as error:
            raise BadMessage(f"the message lacks a field or has another type: {error!r}") from None

    def _follow(self, offset_ns: int, message: Mapping[str, Any]) -> None:
        kind = message.get("event_type")
        if kind == "book":
            outcome = self._tokens.get(message["asset_id"])
            if outcome is None:
                raise BadMessage(f"asset_id {str(message['asset_id'])[:90]} is not a token of the market")
            bids, asks = self._sides[outcome]
            bids.replace(message["bids"])
            asks.replace(message["asks"])
            self._has_book.add(outcome)
            self._keep(outcome, offset_ns)
        elif kind == "price_change":
            self._change(offset_ns, message)
        elif kind == "tick_size_change":
            if Decimal(str(message["new_tick_size"])) <= FINE_TICK and self.fine_tick_ns is None:
                self.fine_tick_ns = max(0, offset_ns)
        elif kind == "market_resolved":
            self.won = self._tokens.get(message["winning_asset_id"])
            if self.won is None:
                raise BadMessage(f"winning_asset_id {message['winning_asset_id']} is not of this market")

    def _change(self, offset_ns: int, message: Mapping[str, Any]) -> None:
        changed = set()
        # Until 2025-09 a message had the changes of one token, `changes`, and its asset_id beside them.
        changes = message["price_changes"] if "price_changes" in message else message["changes"]
        for change in changes:
            outcome = self._tokens.get(change.get("asset_id", message.get("asset_id")))
            if outcome is None:
                raise BadMessage("a price_change is of no token of the market")
            if outcome not in self._has_book:
                raise BadMessage(f"a price_change of {outcome} before its first book")
            side = self._sides[outcome][0 if change["side"] == "BUY" else 1]
            side.change(price_of(change["price"]), size_of(change["size"]))
            changed.add(outcome)
        for outcome in changed:
            self._keep(outcome, offset_ns)

    def _keep(self, outcome: Outcome, offset_ns: int) -> None:
        bids, asks = (side.levels() for side in self._sides[outcome])
        kept = self._snapshots[outcome]
        kept.append(Snapshot(offset_ns=offset_ns, bids=bids, asks=asks))

    def snapshots(self) -> tuple[Snapshot, ...]:
        """The Up token's books so far."""
        if self._snapshots[Outcome.UP]:
            return tuple(self._snapshots[Outcome.UP])
        return tuple(
            msgspec.structs.replace(kept, bids=mirror(kept.asks), asks=mirror(kept.bids))
            for kept in self._snapshots[Outcome.DOWN]
        )


def mirror(levels: Levels) -> Levels:
    """The other token's bids of these asks, or its asks of these bids, in the same order."""
    return tuple((WHOLE - price, size) for price, size in levels)


def fine_tick_of(snapshots: Iterable[Snapshot]) -> int | None:
    """Time of the first price off the cent grid, after the market's start, in ns; None if all are on it."""
    for kept in snapshots:
        if any(price % 10 for price, _ in (*kept.bids, *kept.asks)):
            return max(0, kept.offset_ns)
    return None
