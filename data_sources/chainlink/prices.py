"""Parses one observation of either relay; they use different notations for the exact value."""

from decimal import Decimal
from typing import Any

from data_sources.parsing import MS, epoch_ns, mapping, positive, sequence, shown
from data_sources.types import ChainPrice, MalformedPayload, PriceKind

SOURCE = "chainlink"
WINDOW_S = 60

_E18 = -18
_SMALLEST_E18 = Decimal(10) ** 15
_TOLERANCE = Decimal("0.01")


def exact_price(feed: str, entry: dict[str, Any]) -> Decimal:
    """The observation's price in USD.

    `full_accuracy_value` is an integer in units of 1e-18 USD on one relay and a decimal number on the other.
    It is interpreted in the way that agrees with the rounded `value`; without a `value` it is in 1e-18 USD if
    it is 1e15 or more, which is above the price of any asset.
    """
    full = entry.get("full_accuracy_value")
    if full is None:
        return positive(feed, "value", entry.get("value"))
    exact = positive(feed, "full_accuracy_value", full)
    if entry.get("value") is None:
        return exact.scaleb(_E18) if exact >= _SMALLEST_E18 else exact
    rounded = positive(feed, "value", entry["value"])
    for candidate in (exact, exact.scaleb(_E18)):
        if abs(candidate - rounded) <= rounded * _TOLERANCE:
            return candidate
    raise MalformedPayload(f"{feed}: full_accuracy_value {shown(full)} contradicts value {rounded}")


def read_payload(
    feed: str, kind: PriceKind, payload: dict[str, Any], symbol: str, received_ns: int
) -> tuple[ChainPrice, ...]:
    """The observations of a payload: one, or those of a snapshot in `data`; none for other symbols."""
    if payload.get("symbol") != symbol:
        return ()
    window = payload.get("window_s", payload.get("window_seconds"))
    if kind is PriceKind.TWAP60 and window is not None and window != WINDOW_S:
        raise MalformedPayload(f"{feed}: an average over {shown(window)} s, {WINDOW_S} s were requested")
    entries = sequence(feed, "data", payload["data"]) if "data" in payload else [payload]
    return tuple(_observation(feed, kind, mapping(feed, "entry", e), symbol, received_ns) for e in entries)


def _observation(
    feed: str, kind: PriceKind, entry: dict[str, Any], symbol: str, received_ns: int
) -> ChainPrice:
    return ChainPrice(
        source=SOURCE,
        feed=feed,
        kind=kind,
        symbol=symbol,
        price=exact_price(feed, entry),
        source_ns=epoch_ns(feed, "timestamp", entry.get("timestamp"), MS),
        received_ns=received_ns,
    )
