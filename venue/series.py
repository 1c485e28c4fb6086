"""Series of up/down markets: an asset and a length, as in `btc-15m`, and their names at the real venue."""

import re
from datetime import UTC, datetime

import msgspec

from venue import starts

LENGTHS = {"5m": 300, "15m": 900, "4h": 14_400}
"""Lengths of the markets in seconds, by the name in their slugs."""

ASSETS = {"btc": "Bitcoin", "eth": "Ethereum", "sol": "Solana", "xrp": "XRP", "doge": "Dogecoin"}
"""Names of the assets in titles and rules, by the name in the slugs."""

GAMMA_IDS = {
    "btc-15m": "10192",
    "btc-5m": "10684",
    "btc-4h": "10331",
    "eth-15m": "10191",
    "eth-5m": "10683",
    "eth-4h": "10332",
    "sol-15m": "10423",
    "sol-5m": "10686",
    "sol-4h": "10333",
    "xrp-15m": "10422",
    "xrp-5m": "10685",
    "xrp-4h": "10327",
    "doge-15m": "11328",
    "doge-5m": "11325",
    "doge-4h": "11331",
}
"""The series that can be generated and replayed, with their ids at the real venue's Gamma.

The places in this table are stored in state folders: new series are added at its end.
"""
KNOWN = tuple(GAMMA_IDS)
NAME = re.compile(rf"[a-z0-9]{{1,12}}-({'|'.join(LENGTHS)})")
"""A mirror may also have series that are not known here."""


class Series(msgspec.Struct, frozen=True):
    """The markets of one asset and one length."""

    asset: str
    timeframe: str

    @property
    def name(self) -> str:
        return f"{self.asset}-{self.timeframe}"

    @property
    def length(self) -> int:
        """Length of a market in market seconds; an hour more or less when clocks of New York change."""
        return LENGTHS[self.timeframe]

    @property
    def number(self) -> int:
        """A number for each series, 0 for btc-15m, less than the grid of the starts.

        `start + number` therefore identifies a market, and equals the start for btc-15m.
        """
        return KNOWN.index(self.name)

    def running_start(self, market_s: float) -> int:
        """Start of the market that runs at a market time."""
        return starts.running_start(market_s, self.length)

    def next_start(self, start: int, markets: int = 1) -> int:
        """Start of the market that is some markets after one, or before it if negative."""
        return starts.next_start(start, self.length, markets)

    def slug(self, start: int) -> str:
        return f"{self.asset}-updown-{self.timeframe}-{start}"

    def title(self, start: int) -> str:
        """The question of the market that starts at a market time."""
        begin, end = (datetime.fromtimestamp(at, UTC) for at in (start, self.next_start(start)))
        asset = ASSETS[self.asset]
        return f"{asset} Up or Down - {begin:%B} {begin.day}, {begin:%H:%M}-{end:%H:%M} UTC"


BTC_15M = Series("btc", "15m")
DEFAULT_SERIES = (BTC_15M,)


class SeriesMissing(ValueError):
    """A source has no markets of a series. The text begins with its name."""


def parse_series(text: str) -> tuple[Series, ...]:
    """The series named in a text, as in "btc-15m,eth-5m", in that order.

    Raises
    ------
    ValueError
        If a name is not one of a series, or there twice.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is not a series, such as btc-15m: an asset and {', '.join(LENGTHS)}")
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is named twice")
    return tuple(Series(*name.split("-")) for name in names)


def series_text(series: tuple[Series, ...]) -> str:
    """The text that `parse_series` reads."""
    return ",".join(each.name for each in series)
