"""A market: its time, its names, and its trading terms."""

from decimal import Decimal
from typing import Literal

import msgspec

from venue.amounts import MICRO
from venue.series import Series
from venue.starts import GRID

INTERVAL = 900
"""Length of a market of btc-15m, and of a piece of a generated price path, in market seconds."""

UP, DOWN = "Up", "Down"

Version = Literal["v1", "v2"]
"""Protocol of a market: v1 trades CTF tokens, v2 positions of Protocol V2."""

FEE_RATE = Decimal("0.07")
"""Crypto markets' taker fee rate."""
MINIMUM_SHARES = 5 * MICRO
"""Minimum size of an order that may rest."""
RESOLUTION_SOURCE = "https://data.chain.link/streams/{asset}-usd-twap-60s-streams"


class VenueMarket(msgspec.Struct, frozen=True):
    """A market. `start` in market seconds since the epoch.

    `up_token` and `down_token` are the ids that are traded: CTF tokens of a v1 market, positions of a v2
    market. `ctf_tokens` are the ids that a v2 market shows besides and that have no book. `minimum_shares` in
    micro shares. `index` and `resolution_delay` belong to a scripted market: its position in the script, and
    the market seconds from its end to its resolution. `series_number` is that of its series, 0 for a mirror,
    which has one series only.
    """

    start: int
    slug: str
    condition_id: str
    question_id: str
    up_token: str
    down_token: str
    question: str
    index: int = 0
    resolution_delay: int = 0
    interval: int = INTERVAL
    asset: str = "btc"
    timeframe: str = "15m"
    fee_rate: Decimal = FEE_RATE
    minimum_shares: int = MINIMUM_SHARES
    resolution_source: str = RESOLUTION_SOURCE.format(asset="btc")
    description: str = ""
    version: Version = "v1"
    ctf_tokens: tuple[str, ...] = ()
    series_number: int = 0

    @property
    def series(self) -> Series:
        return Series(self.asset, self.timeframe)

    @property
    def key(self) -> int:
        """Identifies the market in the venue, in the order of the starts: that of btc-15m is its start."""
        return self.start + self.series_number

    @property
    def end(self) -> int:
        return self.start + self.interval

    @property
    def tokens(self) -> tuple[str, str]:
        return self.up_token, self.down_token

    def sibling(self, token: str) -> str:
        """The market's other token."""
        return self.down_token if token == self.up_token else self.up_token

    def outcome_of(self, token: str) -> str:
        return UP if token == self.up_token else DOWN


def start_of(key: int) -> int:
    """The start of the market with a key."""
    return key - key % GRID
