"""The ledger's only writer: one method per kind of event; the event is on the disk when it returns."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Self

import msgspec
from isal import isal_zlib
from loguru import logger

from errors import Fatal, Refused
from events import TermsChanged
from execution.ledger import order_states, queries
from execution.ledger.connection import money, open_writer, reserve_log, transaction
from execution.ledger.rows import CashCheck, Mode, Venue
from execution.ledger.writer_lock import WriterLock
from execution.order_records import DecisionEntry, Entry, FillEntry, OrderEntry, StateEntry
from execution.order_transitions import DEAD, FORWARD, NEXT
from models import Decision, Fill, FillStatus, Market, OrderStage, OrderState, Outcome, Settlement, Strike

PREPARED = 32
"""Decisions whose evidence is kept encoded."""
MARKETS = 128
"""Markets that are known to be stored; a worker registers about five of each series when it starts."""
FAST = 1
"""Compression of the evidence, which is part of the time to an order: for the 60 kB of a decision in minute
13 it takes 0.08 ms, zlib's fastest level 0.3 ms and more bytes; with empty caches 0.12 and 0.37 ms. zlib can
decompress it."""


class Ledger:
    """A profile's ledger, open for writing. Used by one thread at a time; each method is one transaction.

    Events may be reported twice, late or out of order: methods that return a bool return whether the event
    was new, and write nothing if it was not.

    Parameters
    ----------
    path : Path
        The file; it and its folder are created if missing.
    clock_ns : Callable[[], int]
        The machine's clock, nanoseconds since the epoch.

    Raises
    ------
    Fatal
        Here and in every method: another writer has locked the file, it is damaged or newer than this
        program, or it cannot be written. Nothing is partly written.
    """

    def __init__(self, path: Path, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.path = path
        self._clock_ns = clock_ns
        self._run_id: int | None = None
        self._session = ""
        self.drift_is_open = False
        """Whether the cash differed before this run, and orders that may explain it are looked up first."""
        self._locked_since: float | None = None
        self._stop_waiting = threading.Event()
        self._evidence: dict[int, tuple[Decision, bytes]] = {}
        """Encoded evidence of decisions that are not written yet, by the identity of its context."""
        self._stored_markets: dict[tuple[str, str], Market] = {}
        """Markets as they are stored, by session and slug: a decision need not store its market again."""
        self.money_changes = 0
        """Number of the writes so far that may have changed orders, fills, results or the account."""
        self._lock = WriterLock(path)
        try:
            self._connection = open_writer(path)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop_waiting(self) -> None:
        """Stop waiting for a lock of another program from now on; may be called from any thread."""
        self._stop_waiting.set()

    def close(self) -> None:
        """Close the file. An open run keeps no end, as after a crash."""
        self._connection.close()
        self._lock.release()

    # --- runs ------------------------------------------------------------------------------------

    def open_run(
        self,
        *,
        mode: Mode,
        venue: Venue,
        clock_speed: float,
        starting_cash: Decimal,
        session: str = "",
        note: str = "",
    ) -> int:
        """Start a run and return its id; all following rows belong to it.

        Parameters
        ----------
        clock_speed : float
            Market-clock seconds per machine second.
        starting_cash : Decimal
            The venue's current pUSD balance. If it differs from the ledger's while no order is in flight, the
            difference is stored as the run's `cash_drift`: a deposit or a withdrawal. If an order of an
            earlier run has to be looked up first, `book_drift` stores it afterwards.
        session : str
            Names the account on a practice venue: a new one for a new account. Empty, and always the same, on
            Polymarket and for real money.
        note : str
            Remarks on the results, such as the date of recorded markets.
        """
        mode, venue = Mode(mode), Venue(venue)
        with self._write(moves_money=True) as db:
            self._check_account(db, mode, venue)
            drift = self._drift(db, session, starting_cash)
            self.drift_is_open = drift != 0 and queries.looks_up_orders(db, session)
            cursor = db.execute(
                "INSERT INTO runs (session, started_ns, mode, venue, clock_speed, starting_cash, cash_drift,"
                " note) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    session,
                    self._clock_ns(),
                    mode,
                    venue,
                    clock_speed,
                    money(starting_cash),
                    money(queries.ZERO if self.drift_is_open else drift),
                    note,
                ),
            )
        self._run_id, self._session = cursor.lastrowid, session
        return self._run

    def book_drift(self) -> None:
        """Store the difference that `open_run` left open; every order of earlier runs has been looked up."""
        if not self.drift_is_open:
            return
        with self._write() as db:
            run = queries.last_run(db)
            assert run is not None, "a run is open"
            drift = self._drift(db, self._session, run.starting_cash)
            db.execute("UPDATE runs SET cash_drift = ? WHERE id = ?", (money(drift), self._run))
        self.drift_is_open = False

    def join_last_run(self) -> None:
        """Add to the newest run without starting one: for manual records while no bot runs.

        Raises
        ------
        Fatal
            If there is none.
        """
        with self._write() as db:
            last = queries.last_run(db)
        if last is None:
            raise Fatal(f"the ledger {self.path} has no run", "There is nothing to book")
        self._run_id, self._session = last.id, last.session

    def annotate_run(self, note: str) -> None:
        """Replace the remarks on the run's results."""
        with self._write() as db:
            db.execute("UPDATE runs SET note = ? WHERE id = ?", (note, self._run))

    def close_run(self) -> None:
        """Mark the run as ended normally."""
        with self._write() as db:
            db.execute("UPDATE runs SET ended_ns = ? WHERE id = ?", (self._clock_ns(), self._run))
        self._run_id = None

    def _check_account(self, db: sqlite3.Connection, mode: Mode, venue: Venue) -> None:
        before = queries.last_run(db)
        if before is not None and (before.mode, before.venue) != (mode, venue):
            raise Fatal(
                f"the ledger {self.path} keeps {before.mode} runs on {before.venue}, not {mode} on {venue}",
                "Choose another state folder with STATE_DIR",
            )

    @staticmethod
    def _drift(db: sqlite3.Connection, session: str, starting_cash: Decimal) -> Decimal:
        flow = queries.cash_flow(db, session)
        # An open position may have been paid out while the bot did not run: that is not a deposit.
        under_way = (
            queries.in_flight(db, session)
            or queries.claimable(db, session)
            or any(trade.pnl is None for trade in queries.trades(db, "AND i.session = ?", (session,)))
        )
        return queries.ZERO if flow is None or under_way else starting_cash - flow.cash

    @property
    def _run(self) -> int:
        if self._run_id is None:
            raise Fatal("ledger cannot be written: no run is open", "Call open_run first")
        return self._run_id

    # --- markets and decisions -------------------------------------------------------------------

    def record_market(self, market: Market) -> None:
        """Store a market, or its changed tick, fee rate or title.

        Raises
        ------
        Fatal
            If the slug is stored with other tokens or times: no order in it can be trusted.
        """
        with self._write() as db:
            self._put_market(db, market)
        # After the commit.
        self._stored_markets[self._session, market.slug] = market
        while len(self._stored_markets) > MARKETS:
            del self._stored_markets[next(iter(self._stored_markets))]

    def _put_market(self, db: sqlite3.Connection, market: Market) -> None:
        identity = (market.start, market.interval, market.condition_id, market.up_token, market.down_token)
        known = db.execute(
            "SELECT start, interval, condition_id, up_token, down_token FROM markets"
            " WHERE session = ? AND slug = ?",
            (self._session, market.slug),
        ).fetchone()
        if known is not None and known != identity:
            raise Fatal(
                f"market {market.slug} is {identity} now and was {known} before",
                "On a practice venue start a new session; on Polymarket check the market before you continue",
            )
        db.execute(
            "INSERT INTO markets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " fee_rate = excluded.fee_rate, tick = excluded.tick, rule = excluded.rule,"
            " title = excluded.title, origin = excluded.origin",
            (
                *(self._session, market.slug, *identity),
                *(money(market.fee_rate), money(market.tick), market.rule, market.title, market.origin),
                market.version,
            ),
        )

    def record_terms(self, slug: str, terms: Mapping[str, str]) -> list[TermsChanged]:
        """Store the terms of a market that differ from the last ones of this session; return the changes.

        The first value of a term is stored too, and is no change.

        Parameters
        ----------
        terms : mapping
            The values that the venue states, by `fee_rate`, `tick`, `minimum_shares` and `taker_delay`.
        """
        changes = []
        with self._write() as db:
            for term, value in terms.items():
                known = db.execute(
                    "SELECT value, slug FROM terms WHERE session = ? AND term = ? ORDER BY id DESC LIMIT 1",
                    (self._session, term),
                ).fetchone()
                before, before_slug = known or (None, None)
                if value == before:
                    continue
                db.execute(
                    "INSERT INTO terms (run_id, session, slug, ts_ns, term, value, before, before_slug)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (self._run, self._session, slug, self._clock_ns(), term, value, before, before_slug),
                )
                if before is not None and before_slug is not None:
                    changes.append(
                        TermsChanged(
                            slug=slug, term=term, value=value, before=before, before_slug=before_slug
                        )
                    )
        return changes

    def prepare(self, decision: Decision, evidence: bytes | None = None) -> None:
        """Keep the evidence of a decision that may be written soon, so that its write need not encode it.

        Parameters
        ----------
        evidence : bytes, optional
            From `encode_evidence`; otherwise it is encoded now.
        """
        self._evidence[id(decision.context)] = (decision, evidence or encode_evidence(decision))
        while len(self._evidence) > PREPARED:
            del self._evidence[next(iter(self._evidence))]

    def record_decision(self, decision: Decision) -> int:
        """Store a decision with its evidence, and its market if it is new; return the decision's id."""
        with self._write() as db:
            return self._put_decision(db, decision)

    def _put_decision(self, db: sqlite3.Connection, decision: Decision) -> int:
        context, fused = decision.context, decision.fused
        values = (
            *(self._run, self._session, context.market.slug, context.second, context.now_ns),
            *(decision.outcome, decision.reason, decision.detail, money(context.p)),
            None if decision.ask is None else money(decision.ask),
            None if decision.price_cap is None else money(decision.price_cap),
            *(decision.fair, decision.edge),
            *((None, None, None) if fused is None else (fused.score, fused.confidence, fused.weight)),
            context.market.rule,
            self._encoded(decision),
        )
        if self._stored_markets.get((self._session, context.market.slug)) != context.market:
            self._put_market(db, context.market)
        cursor = db.execute(
            "INSERT INTO decisions (run_id, session, slug, second, now_ns, outcome, reason, detail, p,"
            " ask, price_cap, fair, edge, score, confidence, weight, rule, evidence)"
            f" VALUES ({queries.placeholders(values)})",
            values,
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _encoded(self, decision: Decision) -> bytes:
        # A decision that was refused since has the same context.
        prepared = self._evidence.pop(id(decision.context), None)
        return prepared[1] if prepared is not None and prepared[0] is decision else encode_evidence(decision)

    def record_strike(self, slug: str, strike: Strike, source_ns: int | None) -> None:
        """Store the strike of a market, for this process and later ones.

        Parameters
        ----------
        source_ns : int or None
            Time of the venue's observation; None for a strike from our own prices.
        """
        values = (
            *(self._run, self._session, slug, self._clock_ns()),
            *(strike.rule, money(strike.price), strike.source, source_ns),
        )
        with self._write() as db:
            db.execute(
                "INSERT INTO strikes (run_id, session, slug, ts_ns, rule, price, source, source_ns)"
                f" VALUES ({queries.placeholders(values)})",
                values,
            )

    # --- orders ----------------------------------------------------------------------------------

    def write(self, entries: Sequence[Entry]) -> int | None:
        """Write the entries of the order lifecycle in one transaction; return the id of its decision, if any.

        A state that cannot follow the current one and a known trade write nothing.

        Raises
        ------
        Refused
            If an order may have spent money and its market already has another such one: it would be bought
            twice.
        """
        decision_id = None
        moves_money = not all(isinstance(entry, DecisionEntry) for entry in entries)
        with self._write(moves_money=moves_money) as db:
            for entry in entries:
                match entry:
                    case DecisionEntry(decision=decision):
                        decision_id = self._put_decision(db, decision)
                    case OrderEntry():
                        decision_id = self._put_order(db, entry)
                    case StateEntry(intent_id=intent_id, state=state, detail=detail):
                        self._put_state(db, intent_id, state, detail)
                    case FillEntry(fill=fill, status=status):
                        if not self._put_fill(db, fill, status):
                            self._put_fill_status(db, fill.trade_id, status)
        return decision_id

    def _put_order(self, db: sqlite3.Connection, entry: OrderEntry) -> int:
        intent = entry.intent
        living = order_states.living_intent(db, self._session, intent.slug)
        if living is not None and entry.state not in DEAD:
            raise Refused(f"{intent.slug} already has intent {living[0]} in state {living[1]}")
        decision_id = self._put_decision(db, entry.decision)
        values = (
            *(intent.intent_id, self._run, decision_id, self._session, intent.slug),
            *(intent.condition_id, intent.token_id, intent.outcome, money(intent.usd), money(intent.ask)),
            *(money(intent.price_cap), intent.attempt, intent.created_ns),
            *(entry.state, entry.order_id, entry.detail),
            *(intent.version, intent.position_id),
        )
        db.execute(f"INSERT INTO intents VALUES ({queries.placeholders(values)})", values)
        # The history has both states, although both reach the disk at once.
        order_states.log_state(db, intent.intent_id, OrderState.INTENT, "", intent.created_ns)
        if entry.state is not OrderState.INTENT:
            detail = entry.detail or entry.order_id or ""
            order_states.log_state(db, intent.intent_id, entry.state, detail, self._clock_ns())
        return decision_id

    def record_state(self, intent_id: str, state: OrderState, detail: str = "") -> bool:
        """Change an intent's state; False, and nothing is written, if the change is not allowed.

        A dead intent is not revived in a market with another living one: that is added to its history, and
        the money is counted through the fills.
        """
        with self._write(moves_money=True) as db:
            return self._put_state(db, intent_id, state, detail)

    def _put_state(self, db: sqlite3.Connection, intent_id: str, state: OrderState, detail: str) -> bool:
        if state not in NEXT[order_states.state_of(db, intent_id)]:
            return False
        return order_states.move(db, intent_id, state, detail, self._clock_ns())

    def record_trace(self, intent_id: str, stages: Mapping[OrderStage, int]) -> bool:
        """Store when an order reached the steps of its path; False if it has such a record.

        Parameters
        ----------
        stages : Mapping[OrderStage, int]
            Nanoseconds from the quote.
        """
        with self._write() as db:
            if db.execute("SELECT 1 FROM order_stages WHERE intent_id = ?", (intent_id,)).fetchone():
                return False
            db.executemany(
                "INSERT INTO order_stages VALUES (?, ?, ?)",
                [(intent_id, stage, ns) for stage, ns in stages.items()],
            )
            return True

    # --- fills and settlement --------------------------------------------------------------------

    def record_fill(self, fill: Fill, status: FillStatus = FillStatus.MATCHED) -> bool:
        """Store a fill; False if its trade is known. A fill of an order recorded as dead revives it."""
        with self._write(moves_money=True) as db:
            return self._put_fill(db, fill, status)

    def _put_fill(self, db: sqlite3.Connection, fill: Fill, status: FillStatus) -> bool:
        if order_states.fill_status(db, self._session, fill.trade_id) is not None:
            return False
        values = (
            *(self._session, fill.trade_id, self._run, fill.order_id, fill.intent_id),
            *(fill.slug, fill.outcome, money(fill.shares), money(fill.price), money(fill.fee)),
            *(fill.ts_ns, status),
        )
        before = order_states.state_of(db, fill.intent_id)
        db.execute(f"INSERT INTO fills VALUES ({queries.placeholders(values)})", values)
        if status is not FillStatus.FAILED and before in (*DEAD, OrderState.REVERSED):
            late = f"fill {fill.trade_id} came late"
            order_states.move(db, fill.intent_id, OrderState.MATCHED, late, self._clock_ns())
        return True

    def record_fill_status(self, trade_id: str, status: FillStatus) -> bool:
        """Advance the status of a fill; False if it has that status or a later one.

        FAILED removes the fill from every sum; if no fill of the order is left, the order is reversed.

        Raises
        ------
        Fatal
            If the trade is not in the ledger.
        """
        with self._write(moves_money=True) as db:
            return self._put_fill_status(db, trade_id, status)

    def _put_fill_status(self, db: sqlite3.Connection, trade_id: str, status: FillStatus) -> bool:
        before = order_states.fill_status(db, self._session, trade_id)
        if before is None:
            raise Fatal(f"trade {trade_id} is not in the ledger {self.path}", "Report this with the log")
        if before not in FORWARD[status]:
            return False
        db.execute(
            "UPDATE fills SET status = ? WHERE session = ? AND trade_id = ?",
            (status, self._session, trade_id),
        )
        if status is FillStatus.FAILED:
            order_states.reverse_if_empty(db, self._session, trade_id, self._clock_ns())
        return True

    def record_settlement(self, settlement: Settlement) -> bool:
        """Store the venue's official outcome; False if it is known.

        Raises
        ------
        Fatal
            If the stored outcome differs.
        """
        with self._write(moves_money=True) as db:
            known = queries.settlement(db, self._session, settlement.slug)
            pays = tuple(money(settlement.pays(outcome).normalize()) for outcome in Outcome)
            if known is not None and any(known.pays(each) != settlement.pays(each) for each in Outcome):
                raise Fatal(
                    f"{settlement.slug} was settled by {known.source}, {known.result},"
                    f" and is by {settlement.source}: {settlement.result}",
                    "Check the market on the venue before you continue",
                )
            if known is None:
                db.execute(
                    "INSERT INTO settlements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(self._session, settlement.slug, self._run, settlement.outcome, *pays),
                        *(settlement.source, settlement.reason, settlement.settled_ns),
                    ),
                )
            return known is None

    def record_mark(self, slug: str, second: float, p: Decimal, at_ns: int | None = None) -> None:
        """Store the price of the Up token at a market second while a position is open.

        A position's value is its shares × the probability of its outcome; only a settlement makes it a
        result. `at_ns` is the time of that second, which is before its row is written; None: now.
        """
        with self._write() as db:
            db.execute(
                "INSERT INTO marks (run_id, session, slug, ts_ns, second, p) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    *(self._run, self._session, slug, self._clock_ns() if at_ns is None else at_ns),
                    *(second, money(p)),
                ),
            )

    def record_delay(self, slug: str, why: str) -> bool:
        """Store why an ended market is not resolved yet; False if that is the last stored reason."""
        with self._write() as db:
            known = db.execute(
                "SELECT why FROM delays WHERE session = ? AND slug = ? ORDER BY id DESC LIMIT 1",
                (self._session, slug),
            ).fetchone()
            if known is not None and known[0] == why:
                return False
            db.execute(
                "INSERT INTO delays (run_id, session, slug, ts_ns, why) VALUES (?, ?, ?, ?, ?)",
                (self._run, self._session, slug, self._clock_ns(), why),
            )
            return True

    def record_redemption(self, slug: str, amount: Decimal) -> bool:
        """Store that a settled market's payout reached the account; False if it is known."""
        with self._write(moves_money=True) as db:
            cursor = db.execute(
                "INSERT INTO redemptions VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (self._session, slug, self._run, money(amount), self._clock_ns()),
            )
            return cursor.rowcount > 0

    def record_cash_check(self, venue_cash: Decimal) -> CashCheck:
        """Compare the venue's pUSD balance with the ledger's, and store both."""
        with self._write() as db:
            run = self._run
            flow = queries.cash_flow(db, self._session)
            assert flow is not None, "an open run has a starting cash"
            check = CashCheck(
                ts_ns=self._clock_ns(),
                ledger_cash=flow.cash,
                venue_cash=venue_cash,
                difference=venue_cash - flow.cash,
            )
            db.execute(
                "INSERT INTO cash_checks (run_id, ts_ns, ledger_cash, venue_cash, difference)"
                " VALUES (?, ?, ?, ?, ?)",
                (run, check.ts_ns, *map(money, (check.ledger_cash, venue_cash, check.difference))),
            )
        return check

    # --- events of the bot itself ----------------------------------------------------------------

    def record_mode(self, mode: Mode, allows_orders: bool, why: str) -> None:
        """Store whether the run may order from now on, in which mode and for which reason."""
        with self._write() as db:
            db.execute(
                "INSERT INTO mode_changes (run_id, ts_ns, mode, allows_orders, why) VALUES (?, ?, ?, ?, ?)",
                (self._run, self._clock_ns(), Mode(mode), int(allows_orders), why),
            )

    def record_halt(self, why: str, at_ns: int | None = None) -> bool:
        """Store a halt; False if there is one already.

        `at_ns` is when it began, which is before its row is written; None: now.
        """
        return self._record_halt("halt", why, at_ns)

    def record_resume(self, why: str, at_ns: int | None = None) -> bool:
        """Store that a halt was lifted, with its reason `why`; False if there is none.

        `at_ns` is when it was lifted: an order that was decided after that may be older than this row.
        """
        return self._record_halt("resume", why, at_ns)

    def _record_halt(self, event: str, why: str, at_ns: int | None) -> bool:
        with self._write() as db:
            last = db.execute("SELECT event FROM halts ORDER BY id DESC LIMIT 1").fetchone()
            if event == ("resume" if last is None else last[0]):
                return False
            db.execute(
                "INSERT INTO halts (run_id, ts_ns, event, why) VALUES (?, ?, ?, ?)",
                (self._run, self._clock_ns() if at_ns is None else at_ns, event, why),
            )
            return True

    def record_weights(
        self, markets: int, before: Mapping[str, float], after: Mapping[str, float], series: str = ""
    ) -> None:
        """Store a change of the processors' weights, computed from `markets` settled markets.

        `series` is its name, where several are traded.
        """
        now_ns = self._clock_ns()
        with self._write() as db:
            db.executemany(
                "INSERT INTO weights (run_id, ts_ns, markets, source, before, after, series)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (self._run, now_ns, markets, source, before[source], weight, series)
                    for source, weight in after.items()
                ],
            )

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the file, as far as no reader prevents it.

        SQLite does that inside the commit after which the log has `connection.CHECKPOINT_PAGES`: an order
        would wait for it.
        """
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            # Nothing is lost: the log has every commit, and the next one reports a disk that fails.
            logger.warning(f"the write-ahead log of {self.path} is not copied: {error}")

    def reserve_log(self) -> None:
        """Enlarge the write-ahead log, if there is room: the commits of the next orders are faster."""
        try:
            reserve_log(self._connection, self.path)
        except (sqlite3.Error, OSError) as error:
            # Nothing was written, and the next commit reports a disk that fails.
            logger.debug(f"the write-ahead log of {self.path} is not enlarged: {error}")

    @contextmanager
    def _write(self, *, moves_money: bool = False) -> Iterator[sqlite3.Connection]:
        self.money_changes += moves_money
        if self._stop_waiting.is_set():
            self._connection.execute("PRAGMA busy_timeout = 0")
        with transaction(self._connection, self.path, self._go_on_waiting) as db:
            if self._locked_since is not None:
                waited = time.monotonic() - self._locked_since
                logger.info(f"the ledger {self.path} can be written again, after {waited:.0f} s")
                self._locked_since = None
            yield db

    def _go_on_waiting(self) -> bool:
        """Wait for another program's lock as long as the process runs; nothing is sent in the meantime."""
        if self._locked_since is None:
            self._locked_since = time.monotonic()
            logger.warning(
                f"the ledger {self.path} is locked by another program: no order is sent until it is released"
            )
        return not self._stop_waiting.is_set()


def encode_evidence(decision: Decision) -> bytes:
    """A decision as it is stored; may be called in any thread."""
    # A fifth of the size of the text, which is mostly digits of books and price paths.
    return isal_zlib.compress(msgspec.json.encode(decision), FAST)
