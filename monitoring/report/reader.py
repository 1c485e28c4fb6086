"""Ledger queries for the results: the progress of each market, the votes, and the reasons of decisions."""

import json
import zlib
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from execution.ledger import FillStatus, LedgerReader, queries
from models import Frozen, OrderState, Outcome, Vote
from monitoring.funnel import MarketProgress
from monitoring.performance_tracker import SourceVote
from monitoring.report.decision_text import DecisionEvidence, UntradedMarket


class _Votes(Frozen, frozen=True):
    """The required part of a decision's evidence; the rest is not decoded."""

    votes: tuple[Vote, ...] = ()


class ReportReader(LedgerReader):
    """A ledger reader with the queries of the report. Raises like `LedgerReader`."""

    def market_progress(self, since_ns: int = 0) -> list[MarketProgress]:
        """The progress of each market and session with a decision, an order or an observation."""
        found: dict[tuple[str, str], _Steps] = {}
        with self.snapshot():
            self._add_decisions(found, since_ns)
            self._add_unquoted(found, since_ns)
            self._add_orders(found, since_ns)
        return [steps.progress() for steps in found.values()]

    def _add_decisions(self, found: dict[tuple[str, str], "_Steps"], since_ns: int) -> None:
        for session, slug, reason, count, last in queries.rows(
            self._connection,
            "SELECT session, slug, coalesce(reason, 'buy'), count(*), max(id) FROM decisions"
            " WHERE now_ns >= ? GROUP BY 1, 2, 3",
            (since_ns,),
        ):
            steps = found.setdefault((session, slug), _Steps())
            steps.decisions[reason] = count
            steps.latest[reason] = last

    def _add_unquoted(self, found: dict[tuple[str, str], "_Steps"], since_ns: int) -> None:
        """Markets that were observed until their settlement without a price to decide on."""
        for session, slug in queries.rows(
            self._connection,
            "SELECT session, slug FROM settlements s WHERE settled_ns >= ? AND NOT EXISTS"
            " (SELECT 1 FROM decisions d WHERE d.session = s.session AND d.slug = s.slug)",
            (since_ns,),
        ):
            found.setdefault((session, slug), _Steps())

    def _add_orders(self, found: dict[tuple[str, str], "_Steps"], since_ns: int) -> None:
        for session, slug, intent_id, state, status, won, paid in queries.rows(
            self._connection,
            "SELECT i.session, i.slug, i.intent_id, i.state, f.status,"
            " CAST(CASE f.outcome WHEN 'Up' THEN s.up_pays ELSE s.down_pays END AS REAL) > 0,"
            " r.slug IS NOT NULL FROM intents i LEFT JOIN fills f USING (intent_id)"
            " LEFT JOIN settlements s ON s.session = i.session AND s.slug = i.slug"
            " LEFT JOIN redemptions r ON r.session = i.session AND r.slug = i.slug"
            " WHERE i.created_ns >= ? ORDER BY i.created_ns, i.intent_id, f.ts_ns",
            (since_ns,),
        ):
            steps = found.setdefault((session, slug), _Steps())
            steps.orders[intent_id] = OrderState(state)
            steps.redeemed = bool(paid)
            if status is not None:
                steps.add_fill(FillStatus(status), won)

    def halt(self) -> str | None:
        """Why the newest run halted, if it did and has not been resumed."""
        with self.snapshot():
            found = queries.rows(
                self._connection,
                "SELECT event, why FROM halts WHERE run_id = (SELECT max(id) FROM runs)"
                " ORDER BY id DESC LIMIT 1",
            )
        return found[0][1] if found and found[0][0] == "halt" else None

    def votes(self, since_ns: int = 0) -> list[SourceVote]:
        """Every directional vote in a settled market: of the decision that was filled, otherwise of the last.

        Neutral votes and abstentions are not included.
        """
        with self.snapshot():
            found = self._connection.execute(
                "WITH bought AS (SELECT session, slug, decision_id FROM intents"
                "   WHERE state = 'matched' AND created_ns >= :since),"
                " voted AS (SELECT session, slug, max(id) AS decision_id FROM decisions"
                "   WHERE score IS NOT NULL AND now_ns >= :since GROUP BY session, slug)"
                " SELECT d.id, coalesce(nullif(m.origin, ''), m.condition_id), d.p, s.outcome"
                " FROM settlements s JOIN markets m USING (session, slug)"
                " LEFT JOIN bought b USING (session, slug) LEFT JOIN voted v USING (session, slug)"
                " JOIN decisions d ON d.id = coalesce(b.decision_id, v.decision_id)"
                " WHERE s.outcome IS NOT NULL"
                " ORDER BY d.id",
                {"since": since_ns},
            )
            # One after the other: the evidence of a thousand decisions is tens of megabytes.
            return [
                vote
                for decision_id, event, p, winner in found
                for vote in _side_votes(decision_id, event, p, winner, self._packed_evidence(decision_id))
            ]

    def _packed_evidence(self, decision_id: int) -> bytes:
        query = "SELECT evidence FROM decisions WHERE id = ?"
        packed: bytes = self._connection.execute(query, (decision_id,)).fetchone()[0]
        return packed

    def evidence(self, decision_ids: Iterable[int]) -> dict[int, DecisionEvidence]:
        """The evidence of decisions, by their ids, without the market data that they were made from."""
        with self.snapshot():
            found = queries.rows(
                self._connection,
                "SELECT id, evidence FROM decisions WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(decision_ids)),),
            )
        return {number: _evidence(packed) for number, packed in found}

    def untraded(self, count: int, since_ns: int = 0) -> list[UntradedMarket]:
        """The last decision of each market without a fill, and its order; the newest `count`, newest first.

        A market that is still being decided is one of them.
        """
        with self.snapshot():
            found = queries.rows(
                self._connection,
                "WITH last AS (SELECT max(id) AS id FROM decisions WHERE now_ns >= :since AND (session, slug)"
                "   NOT IN (SELECT session, slug FROM fills WHERE status <> 'FAILED')"
                "   GROUP BY session, slug ORDER BY 1 DESC LIMIT :count)"
                " SELECT d.id, d.slug, d.now_ns, d.evidence, i.state, i.detail"
                " FROM last JOIN decisions d USING (id) LEFT JOIN intents i ON i.decision_id = d.id"
                " ORDER BY d.id DESC",
                {"since": since_ns, "count": count},
            )
        return [
            UntradedMarket(
                decision_id=number,
                slug=slug,
                now_ns=now_ns,
                evidence=_evidence(packed),
                order=None if state is None else OrderState(state),
                order_detail=detail or "",
            )
            for number, slug, now_ns, packed, state, detail in found
        ]


class _Steps:
    """Builds a `MarketProgress`."""

    def __init__(self) -> None:
        self.decisions: dict[str, int] = {}
        self.latest: dict[str, int] = {}
        self.orders: dict[str, OrderState] = {}
        self.redeemed = False
        self._fills: set[FillStatus] = set()
        self._won: bool | None = None

    def add_fill(self, status: FillStatus, won: int | None) -> None:
        self._fills.add(status)
        if status is not FillStatus.FAILED and won is not None:
            self._won = bool(won)

    def progress(self) -> MarketProgress:
        return MarketProgress(
            decisions=self.decisions,
            latest=self.latest,
            orders=tuple(self.orders.values()),
            fills=frozenset(self._fills),
            won=self._won,
            redeemed=self.redeemed,
        )


def _evidence(packed: bytes) -> DecisionEvidence:
    return msgspec.json.decode(zlib.decompress(packed), type=DecisionEvidence)


def _side_votes(decision_id: int, event: str, p: str, winner: str, evidence: bytes) -> list[SourceVote]:
    up = float(Decimal(p))
    cast = []
    for vote in msgspec.json.decode(zlib.decompress(evidence), type=_Votes).votes:
        side = None if vote.signal is None else vote.signal.direction.outcome
        if side is not None:
            cast.append(
                SourceVote(
                    source=vote.source,
                    decision_id=decision_id,
                    event=event,
                    side=side,
                    chance=up if side is Outcome.UP else 1 - up,
                    winner=Outcome(winner),
                )
            )
    return cast
