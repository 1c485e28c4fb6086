"""Reads the evidence of a settled market about each source: its vote, the price at the vote, and the
winner."""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence

import msgspec

from errors import Fatal
from execution.ledger import LedgerReader
from execution.ledger.connection import open_reader, snapshot
from models import Direction, Frozen, Outcome, Series

PRICE_FLOOR = 0.001
"""The venue's finest tick: no vote has a higher probability than a price can have."""

_SETTLED = """
SELECT m.origin, m.condition_id, s.slug, s.settled_ns, s.outcome, d.p, d.id,
    EXISTS (SELECT 1 FROM fills f WHERE f.session = s.session AND f.slug = s.slug AND f.status <> 'FAILED')
FROM settlements s
JOIN markets m ON m.session = s.session AND m.slug = s.slug
JOIN decisions d ON d.id = (SELECT max(v.id) FROM decisions v
    WHERE v.session = s.session AND v.slug = s.slug AND v.score IS NOT NULL)
WHERE s.outcome IS NOT NULL AND s.slug GLOB ?
ORDER BY s.settled_ns, s.session, s.slug"""
"""Each market with a winner, with its latest decision that had votes."""
_EVIDENCE = "SELECT evidence FROM decisions WHERE id = ?"


class MarketEvidence(Frozen, frozen=True):
    """The evidence of one settled market.

    Attributes
    ----------
    event : str
        Id of the event, the same when a practice venue replays it.
    slug : str
    settled_ns : int
        When the official outcome was recorded, nanoseconds since the epoch on the machine's clock.
    winner : Outcome
    p : float
        The Up token's price when the votes were cast, 0 to 1.
    votes : dict[str, Outcome]
        The outcome each source voted for; those that abstained or stayed neutral are missing.
    traded : bool
        Whether this ledger has a fill in the market that did not fail.
    """

    event: str
    slug: str
    settled_ns: int
    winner: Outcome
    p: float
    votes: dict[str, Outcome]
    traded: bool = True

    def chance(self, vote: Outcome) -> float:
        """The market's own probability of the side voted for, at the time of the vote."""
        p = min(max(self.p, PRICE_FLOOR), 1 - PRICE_FLOOR)
        return p if vote is Outcome.UP else 1 - p


class _Signal(Frozen, frozen=True):
    direction: Direction


class _Vote(Frozen, frozen=True):
    source: str
    signal: _Signal | None = None


class _Votes(Frozen, frozen=True):
    """The required part of a stored `models.Decision`; the rest is not decoded."""

    votes: tuple[_Vote, ...] = ()


_DECODER = msgspec.json.Decoder(_Votes)


def evidence_of(reader: LedgerReader, series: Series | None = None) -> list[MarketEvidence]:
    """Every settled event of the ledger in which a source voted, in the order of settlement.

    With `series`, only those of its markets.

    An event counts once, however often a recorded market is replayed: with its first settlement. Of several
    decisions in a market the latest with a vote is used, whether or not it led to an order.

    Raises
    ------
    Fatal
        If the ledger cannot be read, or a decision in it is damaged.
    """
    connection = open_reader(reader.path)
    try:
        with snapshot(connection, reader.path):
            return _first_of_each_event(_settled(connection, series))
    finally:
        connection.close()


def in_order(evidence: Sequence[MarketEvidence]) -> list[MarketEvidence]:
    """The same markets in the order of learning, each event once."""
    return _first_of_each_event(iter(sorted(evidence, key=lambda market: (market.settled_ns, market.event))))


def _settled(connection: sqlite3.Connection, series: Series | None) -> Iterator[MarketEvidence]:
    slugs = "*" if series is None else f"{series.asset}-*-{series.timeframe}-*"
    for origin, condition_id, slug, settled_ns, winner, p, decision_id, traded in connection.execute(
        _SETTLED, (slugs,)
    ):
        # One after the other: SQLite would sort the evidence of all decisions in memory.
        (packed,) = connection.execute(_EVIDENCE, (decision_id,)).fetchone()
        yield MarketEvidence(
            event=origin or condition_id,
            slug=slug,
            settled_ns=settled_ns,
            winner=Outcome(winner),
            p=float(p),
            votes=_votes(packed, slug),
            traded=bool(traded),
        )


def _votes(packed: bytes, slug: str) -> dict[str, Outcome]:
    try:
        votes = _DECODER.decode(zlib.decompress(packed)).votes
    except (zlib.error, msgspec.MsgspecError) as error:
        raise Fatal(f"the ledger's evidence for {slug} is damaged: {error}", "Restore a backup") from error
    directions = {vote.source: vote.signal.direction for vote in votes if vote.signal is not None}
    return {source: outcome for source, way in directions.items() if (outcome := way.outcome) is not None}


def _first_of_each_event(markets: Iterator[MarketEvidence]) -> list[MarketEvidence]:
    first: dict[str, MarketEvidence] = {}
    for market in markets:
        if market.votes:
            first.setdefault(market.event, market)
    return list(first.values())
