"""Reads the ledger: from any process, at any time, also while the bot writes."""

import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Self

import msgspec

from errors import Fatal
from execution.ledger import connection, queries
from execution.ledger.rows import (
    CashCheck,
    CashFlow,
    DecisionRow,
    IntentRow,
    ModeRow,
    Position,
    RiskedTrade,
    RiskFigures,
    RunRow,
    StrikeRow,
    TradeRow,
    WeightRow,
)
from execution.order_records import StoredOrder
from models import Decision, Market, OrderTrace, Rule, Settlement, Strike, series_of


def _risk_figures(flight: Sequence[tuple[str, Decimal]], trades: Sequence[RiskedTrade]) -> RiskFigures:
    """The figures of some orders in flight, as (slug, maximum cost), and of some trades."""
    # An order in flight counts with its maximum cost, which includes the fills it has had so far.
    final = [trade for trade in trades if trade.final]
    unsettled = [trade for trade in final if trade.pnl is None]
    return RiskFigures(
        realised=sum((trade.pnl for trade in final if trade.pnl is not None), queries.ZERO),
        unsettled=sum((worst for _, worst in flight), queries.ZERO)
        + sum((trade.spent for trade in unsettled), queries.ZERO),
        open_positions=len({slug for slug, _ in flight} | {trade.slug for trade in unsettled}),
    )


class LedgerReader:
    """A profile's ledger, read-only.

    Methods about trades cover the whole ledger; methods about money and about what may be traded cover one
    session, by default the newest run's (see `schema`).

    Raises
    ------
    Fatal
        Here and in every method: the file does not exist, is damaged, or has another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = connection.open_reader(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads inside see the same instant."""
        with connection.snapshot(self._connection, self.path):
            yield

    # --- the whole ledger ------------------------------------------------------------------------

    def last_run(self) -> RunRow | None:
        with self.snapshot():
            return queries.last_run(self._connection)

    def own_orders(self, order_ids: Sequence[str]) -> set[str]:
        """Those of the order ids that belong to an intent of this ledger."""
        with self.snapshot():
            found = queries.rows(
                self._connection,
                "SELECT order_id FROM intents WHERE order_id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(order_ids)),),
            )
            return {order_id for (order_id,) in found}

    def trades(self, since_ns: int = 0) -> list[TradeRow]:
        """Every intent created since `since_ns` with a fill that did not fail, oldest first, settled or
        not."""
        with self.snapshot():
            return queries.trades(self._connection, "AND i.created_ns >= ?", (since_ns,))

    def order_traces(self, since_ns: int = 0) -> list[OrderTrace]:
        """When each order created since `since_ns` reached the steps of its path, oldest order first.

        Orders without a record are missing: those of earlier versions, and those that were never recorded as
        sent.
        """
        with self.snapshot():
            return queries.order_traces(self._connection, since_ns)

    def recent_decisions(self, count: int) -> list[DecisionRow]:
        """The last decisions without their evidence, newest first."""
        with self.snapshot():
            return queries.decisions(self._connection, "ORDER BY id DESC LIMIT ?", (count,))

    def decisions(self, since_ns: int = 0) -> list[DecisionRow]:
        """Decisions without their evidence, oldest first."""
        with self.snapshot():
            return queries.decisions(self._connection, "WHERE now_ns >= ? ORDER BY id", (since_ns,))

    def decision(self, decision_id: int) -> Decision:
        """A decision with its complete evidence: context, parameters, votes.

        Raises
        ------
        Fatal
            If there is no such decision.
        """
        with self.snapshot():
            found = queries.rows(
                self._connection, "SELECT evidence FROM decisions WHERE id = ?", (decision_id,)
            )
        if not found:
            raise Fatal(
                f"decision {decision_id} is not in the ledger {self.path}", "Report this with the log"
            )
        return msgspec.json.decode(zlib.decompress(found[0][0]), type=Decision)

    def last_mode(self) -> ModeRow | None:
        """The last mode change of the last run; None before the first."""
        with self.snapshot():
            return queries.last_mode(self._connection)

    def weights(self) -> list[WeightRow]:
        """Every change of a source's weight, oldest first."""
        with self.snapshot():
            return queries.weights(self._connection)

    # --- one session -----------------------------------------------------------------------------

    def positions(self, session: str | None = None) -> list[Position]:
        """Unsettled trades, oldest first, with their marks."""
        with self.snapshot():
            return queries.positions(self._connection, self._session(session))

    def open_intents(self, session: str | None = None) -> list[IntentRow]:
        """Orders in flight: intended, sent or unknown. After a crash these have to be looked up."""
        with self.snapshot():
            states = queries.placeholders(queries.IN_FLIGHT)
            return queries.intents(
                self._connection,
                f"i.session = ? AND i.state IN ({states})",
                (self._session(session), *queries.IN_FLIGHT),
            )

    def stored_orders(self, session: str | None = None) -> list[StoredOrder]:
        """The orders that the order lifecycle of a new process restores, oldest first."""
        with self.snapshot():
            return queries.stored_orders(self._connection, self._session(session))

    def cash_agreed_ns(self, session: str | None = None) -> int:
        """When the venue's cash last agreed with the ledger's; 0 if it never has."""
        with self.snapshot():
            return queries.cash_agreed_ns(self._connection, self._session(session))

    def attempts(self, slug: str, session: str | None = None) -> list[IntentRow]:
        """Every intent of a market, in the order of their creation."""
        with self.snapshot():
            return queries.intents(
                self._connection, "i.session = ? AND i.slug = ?", (self._session(session), slug)
            )

    def traded_slugs(self, session: str | None = None) -> frozenset[str]:
        """Markets with an intent that is not dead, or with a fill that did not fail: not to be bought
        again."""
        with self.snapshot():
            found = queries.rows(
                self._connection,
                "SELECT slug FROM intents WHERE session = :session AND state NOT IN ('no_fill', 'refused')"
                " UNION SELECT slug FROM fills WHERE session = :session AND status <> 'FAILED'",
                {"session": self._session(session)},
            )
        return frozenset(slug for (slug,) in found)

    def pending_settlements(self, session: str | None = None) -> list[str]:
        """Slugs that were or may have been bought and are not settled, oldest market first."""
        with self.snapshot():
            traded = self.traded_slugs(session)
            found = queries.rows(
                self._connection,
                "SELECT slug FROM markets m WHERE session = ? AND NOT EXISTS"
                " (SELECT 1 FROM settlements s WHERE s.session = m.session AND s.slug = m.slug)"
                " ORDER BY start, slug",
                (self._session(session),),
            )
        return [slug for (slug,) in found if slug in traded]

    def pending_markets(self, session: str | None = None) -> list[Market]:
        """The markets of `pending_settlements`."""
        with self.snapshot():
            slugs = self.pending_settlements(session)
            return [queries.market(self._connection, self._session(session), slug) for slug in slugs]

    def decided_markets(self, start: int, session: str | None = None) -> list[Market]:
        """Markets without a result that start at a market time or later and have a decision with a vote."""
        with self.snapshot():
            session = self._session(session)
            found = queries.rows(
                self._connection,
                "SELECT slug FROM markets m WHERE session = ? AND start >= ? AND EXISTS"
                " (SELECT 1 FROM decisions d WHERE d.session = m.session AND d.slug = m.slug"
                " AND d.score IS NOT NULL)"
                " AND NOT EXISTS"
                " (SELECT 1 FROM settlements s WHERE s.session = m.session AND s.slug = m.slug)"
                " ORDER BY start",
                (session, start),
            )
            return [queries.market(self._connection, session, slug) for (slug,) in found]

    def markets_since(self, start: int, session: str | None = None) -> list[Market]:
        """The markets that start at or after a market time, in seconds."""
        with self.snapshot():
            found = queries.rows(
                self._connection,
                "SELECT slug FROM markets WHERE session = ? AND start >= ? ORDER BY start",
                (self._session(session), start),
            )
            return [queries.market(self._connection, self._session(session), slug) for (slug,) in found]

    def strikes(self, slug: str, session: str | None = None) -> list[StrikeRow]:
        """The strikes of a market in the order in which they became known."""
        with self.snapshot():
            found = queries.rows(
                self._connection,
                "SELECT rule, price, source, source_ns FROM strikes"
                " WHERE session = ? AND slug = ? ORDER BY id",
                (self._session(session), slug),
            )
        return [
            StrikeRow(
                strike=Strike(price=Decimal(price), rule=Rule(rule), source=source), source_ns=source_ns
            )
            for rule, price, source, source_ns in found
        ]

    def settled_markets(self) -> int:
        """Number of settled markets in the whole ledger."""
        with self.snapshot():
            ((count,),) = queries.rows(self._connection, "SELECT count(*) FROM settlements")
        return count

    def settlement(self, slug: str, session: str | None = None) -> Settlement | None:
        """The recorded result of a market, if there is one."""
        with self.snapshot():
            return queries.settlement(self._connection, self._session(session), slug)

    def results_since(self, settled_ns: int, session: str | None = None) -> dict[str, Settlement]:
        """The results that were recorded since a time, of markets with a fill that did not fail, by slug."""
        with self.snapshot():
            return queries.results_since(self._connection, self._session(session), settled_ns)

    def market_pnl(self, slug: str, session: str | None = None) -> Decimal | None:
        """P&L of a settled market's trades; None without a trade or a settlement."""
        with self.snapshot():
            where = "AND i.session = ? AND i.slug = ?"
            trades = queries.trades(self._connection, where, (self._session(session), slug))
        results = [trade.pnl for trade in trades if trade.pnl is not None]
        return sum(results, queries.ZERO) if results else None

    def balances(self, session: str | None = None) -> tuple[Decimal, Decimal]:
        """(balance, its maximum so far): starting cash, drift and settled P&L, open trades at cost."""
        with self.snapshot():
            session = self._session(session)
            opened = queries.deposits(self._connection, session)
            results = queries.settled_results(self._connection, session)
        balance = peak = queries.ZERO if opened is None else sum(opened, queries.ZERO)
        for pnl in results:
            balance += pnl
            peak = max(peak, balance)
        return balance, peak

    def settled_pnl(self, session: str | None = None) -> Decimal:
        """P&L of all settled trades of the session, fees included."""
        with self.snapshot():
            return sum(queries.settled_results(self._connection, self._session(session)), queries.ZERO)

    def claimable(self, session: str | None = None) -> dict[str, Decimal]:
        """Outstanding payouts in pUSD by slug, oldest settlement first."""
        with self.snapshot():
            return queries.claimable(self._connection, self._session(session))

    def payouts_since(self, ts_ns: int, session: str | None = None) -> dict[str, Decimal]:
        """Payouts in pUSD that were recorded at or after a time, by slug."""
        with self.snapshot():
            found = queries.rows(
                self._connection,
                "SELECT slug, amount FROM redemptions WHERE session = ? AND ts_ns >= ?",
                (self._session(session), ts_ns),
            )
        return {slug: Decimal(amount) for slug, amount in found}

    def cash_flow(self, session: str | None = None) -> CashFlow | None:
        """The account, or None before the first run."""
        with self.snapshot():
            return queries.cash_flow(self._connection, self._session(session))

    def last_cash_check(self, session: str | None = None) -> CashCheck | None:
        """The newest comparison with the venue's balance."""
        with self.snapshot():
            found = queries.rows(
                self._connection,
                "SELECT c.ts_ns, c.ledger_cash, c.venue_cash, c.difference FROM cash_checks c"
                " JOIN runs r ON r.id = c.run_id WHERE r.session = ? ORDER BY c.id DESC LIMIT 1",
                (self._session(session),),
            )
        if not found:
            return None
        ts_ns, *amounts = found[0]
        ledger_cash, venue_cash, difference = map(Decimal, amounts)
        return CashCheck(ts_ns=ts_ns, ledger_cash=ledger_cash, venue_cash=venue_cash, difference=difference)

    def risk_figures(self, day_start_ns: int, session: str | None = None) -> RiskFigures:
        """Current inputs of the risk limits; `day_start_ns` is the last UTC midnight."""
        with self.snapshot():
            session = self._session(session)
            flight = queries.in_flight(self._connection, session)
            trades = queries.risked(self._connection, session, day_start_ns)
        slugs = [*(slug for slug, _ in flight), *(trade.slug for trade in trades)]
        return msgspec.structs.replace(
            _risk_figures(flight, trades),
            series={
                series: _risk_figures(
                    [each for each in flight if series_of(each[0]) == series],
                    [trade for trade in trades if series_of(trade.slug) == series],
                )
                for series in dict.fromkeys(map(series_of, slugs))
            },
        )

    def _session(self, session: str | None) -> str:
        if session is not None:
            return session
        run = queries.last_run(self._connection)
        return "" if run is None else run.session
