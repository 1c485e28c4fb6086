"""A recorded market: its object in the catalogue, the Up token's order books, its result, its rule era."""

from decimal import Decimal
from typing import Any

from models import Frozen, Outcome, ProtocolVersion, Rule
from research.recordings.externals import RecordedExternals

TAKER_DELAY_NS = 150_000_000
"""The venue matches an order that takes liquidity this long after it arrived, since 2026-09-04."""


class Snapshot(Frozen, frozen=True):
    """The Up token's order book from `offset_ns` after the market's start on, best level first.

    Levels are (price in thousandths of a pUSD, size in millionths of a share).
    """

    offset_ns: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


class RuleEra(Frozen, frozen=True):
    """The rules under which a market was traded. Results of different eras are not comparable."""

    rule: Rule
    protocol: ProtocolVersion
    fee_rate: Decimal
    delay_ns: int

    @property
    def label(self) -> str:
        """The era as one word, as in `--era`: twap60-v1-fee0.07-150ms."""
        return f"{self.rule}-{self.protocol}-fee{self.fee_rate.normalize():f}-{self.delay_ns // 1_000_000}ms"


class RecordedMarket(Frozen, frozen=True):
    """One recorded market.

    Attributes
    ----------
    start : int
        Market-clock seconds since the epoch.
    gamma : dict
        The market's object in the catalogue.
    fine_tick_ns : int or None
        Time after the start from which prices are on a grid of 0.001; None if never.
    timeframe : str
        5m, 15m or 4h.
    delay_ns : int
        The venue's delay before it matched an order that takes liquidity.
    source : str
        The file it was read from.
    defects : tuple of str
        What is wrong with it, with file and row.
    externals : RecordedExternals
        The values of the external sources; none if they were not recorded, or are not this market's own.
    """

    slug: str
    start: int
    gamma: dict[str, Any]
    won: Outcome
    fine_tick_ns: int | None
    snapshots: tuple[Snapshot, ...]
    timeframe: str = "15m"
    delay_ns: int = TAKER_DELAY_NS
    source: str = ""
    defects: tuple[str, ...] = ()
    externals: RecordedExternals = RecordedExternals()
