"""Reads rows: SQL on a connection, frozen rows as the result. Sums are computed here, in Decimal."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any

from execution.ledger.rows import (
    CASH_TOLERANCE,
    CashFlow,
    DecisionRow,
    IntentRow,
    Mark,
    Mode,
    ModeRow,
    Position,
    RiskedTrade,
    RunRow,
    TradeRow,
    Venue,
    WeightRow,
)
from execution.order_records import StoredOrder
from execution.order_transitions import DEAD, unconfirmed_since
from models import (
    MICRO,
    SCALE_SECONDS,
    FillStatus,
    Market,
    OrderIntent,
    OrderStage,
    OrderState,
    OrderTrace,
    Outcome,
    ProtocolVersion,
    Reason,
    Rule,
    Settlement,
    Split,
    fill_cost,
)

ZERO = Decimal(0)
IN_FLIGHT = (OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN)
"""States in which money may have been spent; INTENT too, because a crash may hide what followed."""

Row = tuple[Any, ...]


def _pays(bought: str) -> str:
    """SQL: payout per share of the outcome of table `bought` by settlement `s`; NULL without one."""
    return f"CASE {bought}.outcome WHEN 'Up' THEN s.up_pays ELSE s.down_pays END"


def rows(
    connection: sqlite3.Connection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> list[Row]:
    return connection.execute(sql, parameters).fetchall()


def placeholders(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def total(amounts: Iterable[tuple[str]]) -> Decimal:
    return sum((Decimal(text) for (text,) in amounts), ZERO)


def decimal_or_none(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def last_run(connection: sqlite3.Connection) -> RunRow | None:
    found = rows(
        connection,
        "SELECT id, session, started_ns, ended_ns, mode, venue, clock_speed, starting_cash, cash_drift, note"
        " FROM runs ORDER BY id DESC LIMIT 1",
    )
    if not found:
        return None
    run_id, session, started, ended, mode, venue, speed, cash, drift, note = found[0]
    return RunRow(
        id=run_id,
        session=session,
        started_ns=started,
        ended_ns=ended,
        mode=Mode(mode),
        venue=Venue(venue),
        clock_speed=speed,
        starting_cash=Decimal(cash),
        cash_drift=Decimal(drift),
        note=note,
    )


def market(connection: sqlite3.Connection, session: str, slug: str) -> Market:
    """A market of the ledger."""
    ((start, interval, condition_id, up, down, fee_rate, tick, rule, title, origin, version),) = rows(
        connection,
        "SELECT start, interval, condition_id, up_token, down_token, fee_rate, tick, rule, title, origin,"
        " version"
        " FROM markets WHERE session = ? AND slug = ?",
        (session, slug),
    )
    return Market(
        slug=slug,
        start=start,
        interval=interval,
        condition_id=condition_id,
        up_token=up,
        down_token=down,
        fee_rate=Decimal(fee_rate),
        tick=Decimal(tick),
        rule=Rule(rule),
        title=title,
        origin=origin,
        version=ProtocolVersion(version),
    )


_SETTLED = "SELECT slug, outcome, up_pays, down_pays, source, reason, settled_ns FROM settlements"


def settlement(connection: sqlite3.Connection, session: str, slug: str) -> Settlement | None:
    """The recorded result of a market, if there is one."""
    found = rows(connection, f"{_SETTLED} WHERE session = ? AND slug = ?", (session, slug))
    return _settlement(*found[0]) if found else None


def results_since(connection: sqlite3.Connection, session: str, settled_ns: int) -> dict[str, Settlement]:
    """The results that were recorded since a time, of markets with a fill that did not fail, by slug."""
    bought = "SELECT slug FROM fills WHERE session = :session AND status <> 'FAILED'"
    found = rows(
        connection,
        f"{_SETTLED} WHERE session = :session AND settled_ns >= :since AND slug IN ({bought})",
        {"session": session, "since": settled_ns},
    )
    return {row[0]: _settlement(*row) for row in found}


def _settlement(
    slug: str, outcome: str | None, up: str, down: str, source: str, reason: str, settled_ns: int
) -> Settlement:
    return Settlement(
        slug=slug,
        outcome=None if outcome is None else Outcome(outcome),
        source=source,
        settled_ns=settled_ns,
        split=Split(up=Decimal(up), down=Decimal(down)) if outcome is None else None,
        reason=reason,
    )


def deposits(connection: sqlite3.Connection, session: str) -> tuple[Decimal, Decimal] | None:
    """(starting cash, drift) of the session's account, or None before its first run."""
    starts = rows(
        connection, "SELECT starting_cash, cash_drift FROM runs WHERE session = ? ORDER BY id", (session,)
    )
    return (Decimal(starts[0][0]), total((drift,) for _, drift in starts)) if starts else None


def cash_flow(connection: sqlite3.Connection, session: str) -> CashFlow | None:
    """The session's account, or None before its first run."""
    opened = deposits(connection, session)
    if opened is None:
        return None
    fills = rows(
        connection,
        f"SELECT f.slug, f.shares, f.price, f.fee, {_pays('f')} FROM fills f"
        " LEFT JOIN settlements s USING (session, slug) WHERE f.session = ? AND f.status <> 'FAILED'",
        (session,),
    )
    return CashFlow(
        starting=opened[0],
        drift=opened[1],
        cost=sum((fill_cost(Decimal(shares), Decimal(price)) for _, shares, price, _, _ in fills), ZERO),
        fees=total((fee,) for *_, fee, _ in fills),
        payouts=sum(_payouts((slug, shares, pays) for slug, shares, _, _, pays in fills).values(), ZERO),
        redeemed=total(rows(connection, "SELECT amount FROM redemptions WHERE session = ?", (session,))),
    )


def claimable(connection: sqlite3.Connection, session: str) -> dict[str, Decimal]:
    """The outstanding payout of each settled market of the session, by slug."""
    found = rows(
        connection,
        f"SELECT f.slug, f.shares, {_pays('f')} FROM fills f JOIN settlements s USING (session, slug)"
        " WHERE f.session = ? AND f.status <> 'FAILED'"
        " AND NOT EXISTS (SELECT 1 FROM redemptions r WHERE r.session = f.session AND r.slug = f.slug)"
        " ORDER BY s.settled_ns, f.slug",
        (session,),
    )
    return {slug: amount for slug, amount in _payouts(found).items() if amount}


def _payouts(fills: Iterable[tuple[str, str, str | None]]) -> dict[str, Decimal]:
    """The payout of each market for its fills of (slug, shares, payout per share), by slug.

    Rounded down to a millionth, as on the chain for a position.
    """
    sums: dict[str, Decimal] = {}
    for slug, shares, pays in fills:
        if pays is not None:
            sums[slug] = sums.get(slug, ZERO) + Decimal(shares) * Decimal(pays)
    return {slug: amount.quantize(MICRO, ROUND_DOWN) for slug, amount in sums.items()}


def settled_results(connection: sqlite3.Connection, session: str) -> list[Decimal]:
    """P&L of each settled market of the session, fees included, in the order of the settlements.

    It is called before every order and reads only what it needs, so that it stays fast with years of trades.
    """
    fills = rows(
        connection,
        f"SELECT f.slug, f.shares, f.price, f.fee, {_pays('f')} FROM fills f"
        " JOIN settlements s USING (session, slug) WHERE f.session = ? AND f.status <> 'FAILED'"
        " ORDER BY s.settled_ns, f.slug",
        (session,),
    )
    found = _payouts((slug, shares, pays) for slug, shares, _, _, pays in fills)
    for slug, shares, price, fee, _ in fills:
        found[slug] -= fill_cost(Decimal(shares), Decimal(price)) + Decimal(fee)
    return list(found.values())


def in_flight(connection: sqlite3.Connection, session: str) -> list[tuple[str, Decimal]]:
    """(slug, maximum cost) of every order whose outcome is unknown, or that is matched without its fills
    recorded.

    The fee is rate × shares × a × (1 − a) = rate × usd × (1 − a): at most rate × usd for every price.
    """
    found = rows(
        connection,
        "SELECT i.slug, i.usd, m.fee_rate FROM intents i JOIN markets m USING (session, slug)"
        f" WHERE i.session = ? AND (i.state IN ({placeholders(IN_FLIGHT)}) OR i.state = 'matched'"
        " AND NOT EXISTS (SELECT 1 FROM fills f WHERE f.intent_id = i.intent_id))",
        (session, *IN_FLIGHT),
    )
    return [(slug, Decimal(usd) * (1 + Decimal(rate))) for slug, usd, rate in found]


def risked(connection: sqlite3.Connection, session: str, day_start_ns: int) -> list[RiskedTrade]:
    """The session's trades that are unsettled, or were settled at `day_start_ns` or later.

    It is called after every change of the ledger's money and reads only what the limits need.
    """
    grouped: dict[str, list[Row]] = {}
    for intent_id, *row in rows(
        connection,
        f"SELECT i.intent_id, i.slug, i.state, {_pays('i')}, f.shares, f.price, f.fee"
        " FROM fills f JOIN intents i USING (intent_id)"
        " LEFT JOIN settlements s ON s.session = i.session AND s.slug = i.slug"
        " WHERE f.status <> 'FAILED' AND i.session = ? AND (s.settled_ns IS NULL OR s.settled_ns >= ?)",
        (session, day_start_ns),
    ):
        grouped.setdefault(intent_id, []).append(tuple(row))
    return [_risked(group) for group in grouped.values()]


def _risked(group: list[Row]) -> RiskedTrade:
    slug, state, pays = group[0][:3]
    spent = sum(
        (fill_cost(Decimal(shares), Decimal(price)) + Decimal(fee) for *_, shares, price, fee in group), ZERO
    )
    payout = None if pays is None else fill_cost(total((row[3],) for row in group), Decimal(pays))
    return RiskedTrade(
        slug=slug,
        final=OrderState(state).final,
        spent=spent,
        pnl=None if payout is None else payout - spent,
    )


_INTENT = (
    "i.intent_id, i.decision_id, i.slug, i.condition_id, i.token_id, i.outcome, i.usd, i.ask, i.price_cap,"
    " i.attempt, i.created_ns, i.state, i.order_id, i.detail, i.version"
)


def intents(connection: sqlite3.Connection, where: str, parameters: Sequence[Any]) -> list[IntentRow]:
    found = rows(
        connection,
        f"SELECT {_INTENT} FROM intents i WHERE {where} ORDER BY i.created_ns, i.intent_id",
        parameters,
    )
    return [_intent(row) for row in found]


_UNCONFIRMED = f"i.state IN ({placeholders(DEAD)}) AND i.order_id IS NOT NULL AND i.created_ns >= ?"
"""SQL: an order that was signed and ended without a trade, and no check of the cash has agreed since."""


def cash_agreed_ns(connection: sqlite3.Connection, session: str) -> int:
    """When the venue's cash last agreed with the ledger's; 0 if it never has."""
    checks = connection.execute(
        "SELECT c.ts_ns, c.difference FROM cash_checks c JOIN runs r ON r.id = c.run_id WHERE r.session = ?"
        " ORDER BY c.id DESC",
        (session,),
    )
    agreed = (ts_ns for ts_ns, difference in checks if abs(Decimal(difference)) <= CASH_TOLERANCE)
    return next(agreed, 0)


def stored_orders(connection: sqlite3.Connection, session: str) -> list[StoredOrder]:
    """The orders that a new process restores.

    These are the orders of unsettled markets, and of the others those that may still move money, whose fills
    are not final on the chain, or that ended without a trade and are covered by no check of the cash.
    """
    states = placeholders(IN_FLIGHT)
    found = intents(
        connection,
        f"i.session = ? AND (i.state IN ({states}) OR NOT EXISTS"
        " (SELECT 1 FROM settlements s WHERE s.session = i.session AND s.slug = i.slug)"
        " OR i.state = 'matched' AND NOT EXISTS (SELECT 1 FROM fills f WHERE f.intent_id = i.intent_id)"
        " OR i.state = 'matched' AND EXISTS (SELECT 1 FROM fills f WHERE f.intent_id = i.intent_id"
        " AND f.status IN ('MATCHED', 'MINED'))"
        f" OR {_UNCONFIRMED})",
        (session, *IN_FLIGHT, *DEAD, unconfirmed_since(cash_agreed_ns(connection, session))),
    )
    return [
        StoredOrder(
            intent=row.intent,
            state=row.state,
            order_id=row.order_id,
            detail=row.detail,
            market=market(connection, session, row.intent.slug),
            settled=_is_settled(connection, session, row.intent.slug),
            trades=_recorded_trades(connection, row.intent.intent_id),
        )
        for row in found
    ]


def looks_up_orders(connection: sqlite3.Connection, session: str) -> bool:
    """Whether a new process looks up an order, so that a difference of the cash may be its cost."""
    since_ns = unconfirmed_since(cash_agreed_ns(connection, session))
    return any(
        order.state not in DEAD or (order.order_id is not None and order.intent.created_ns >= since_ns)
        for order in stored_orders(connection, session)
    )


def _is_settled(connection: sqlite3.Connection, session: str, slug: str) -> bool:
    return bool(rows(connection, "SELECT 1 FROM settlements WHERE session = ? AND slug = ?", (session, slug)))


def _recorded_trades(
    connection: sqlite3.Connection, intent_id: str
) -> tuple[tuple[str, FillStatus, Decimal], ...]:
    """(trade id, status, shares) of an order's trades; a fill's id ends with the number of the maker leg."""
    recorded: dict[str, tuple[FillStatus, Decimal]] = {}
    for leg, status, shares in rows(
        connection, "SELECT trade_id, status, shares FROM fills WHERE intent_id = ?", (intent_id,)
    ):
        trade_id = leg.rpartition("#")[0] or leg
        recorded[trade_id] = FillStatus(status), recorded.get(trade_id, (None, ZERO))[1] + Decimal(shares)
    return tuple((trade_id, status, shares) for trade_id, (status, shares) in recorded.items())


def _intent(row: Row) -> IntentRow:
    (
        intent_id,
        decision,
        slug,
        condition,
        token,
        outcome,
        usd,
        ask,
        cap,
        attempt,
        created,
        state,
        order,
        detail,
        version,
    ) = row
    intent = OrderIntent(
        intent_id=intent_id,
        decision_id=decision,
        slug=slug,
        condition_id=condition,
        token_id=token,
        outcome=Outcome(outcome),
        usd=Decimal(usd),
        ask=Decimal(ask),
        price_cap=Decimal(cap),
        attempt=attempt,
        created_ns=created,
        version=ProtocolVersion(version),
    )
    return IntentRow(intent=intent, state=OrderState(state), order_id=order, detail=detail)


_PLAN = (
    "i.intent_id, i.decision_id, i.run_id, i.session, i.slug, i.condition_id, m.start, m.start + m.interval,"
    " i.outcome, i.state, i.created_ns, i.usd, i.ask, i.price_cap,"
    f" d.p, d.fair, d.edge, d.score, d.confidence, d.rule, s.outcome, s.settled_ns, {_pays('i')}"
)
_JOINS = """
JOIN decisions d ON d.id = i.decision_id
JOIN runs r ON r.id = d.run_id
JOIN markets m ON m.session = i.session AND m.slug = i.slug
LEFT JOIN settlements s ON s.session = i.session AND s.slug = i.slug"""
_ORIGIN = "m.origin, d.now_ns, d.second, r.clock_speed, i.version"


def trades(connection: sqlite3.Connection, where: str = "", parameters: Sequence[Any] = ()) -> list[TradeRow]:
    """Every intent with a fill that did not fail, oldest first; `where` starts with AND."""
    grouped: dict[str, list[Row]] = {}
    select = f"SELECT {_PLAN}, f.shares, f.price, f.fee, f.ts_ns, {_ORIGIN}"
    filled = f"FROM fills f JOIN intents i USING (intent_id) {_JOINS} WHERE f.status <> 'FAILED'"
    order = "ORDER BY i.created_ns, i.intent_id, f.ts_ns"
    for row in rows(connection, f"{select} {filled} {where} {order}", parameters):
        grouped.setdefault(row[0], []).append(row)
    return [_trade(group) for group in grouped.values()]


def unfilled(connection: sqlite3.Connection, session: str) -> list[TradeRow]:
    """The session's intents without such a fill, as trades of zero shares."""
    found = rows(
        connection,
        f"SELECT {_PLAN}, '0', '0', '0', 0, {_ORIGIN} FROM intents i{_JOINS}"
        " WHERE i.session = ? AND NOT EXISTS"
        " (SELECT 1 FROM fills f WHERE f.intent_id = i.intent_id AND f.status <> 'FAILED')",
        (session,),
    )
    return [_trade([row]) for row in found]


def _trade(group: list[Row]) -> TradeRow:
    (intent_id, decision, run, session, slug, condition, start, end, side, state, created, usd, ask, cap) = (
        group[0][:14]
    )
    p, fair, edge, score, confidence, rule, winner, settled, pays = group[0][14:23]
    shares = total((row[23],) for row in group)
    cost = sum((fill_cost(Decimal(row[23]), Decimal(row[24])) for row in group), ZERO)
    fee = total((row[25],) for row in group)
    payout = None if pays is None else fill_cost(shares, Decimal(pays))
    decided_ns, second, speed = group[0][28:31]
    left = (SCALE_SECONDS - second) * (end - start) / SCALE_SECONDS
    return TradeRow(
        intent_id=intent_id,
        decision_id=decision,
        run_id=run,
        session=session,
        slug=slug,
        condition_id=condition,
        market_start=start,
        market_end=end,
        side=Outcome(side),
        state=OrderState(state),
        created_ns=created,
        filled_ns=group[0][26],
        usd=Decimal(usd),
        ask=Decimal(ask),
        price_cap=Decimal(cap),
        shares=shares,
        cost=cost,
        fee=fee,
        p=Decimal(p),
        fair=fair,
        edge=edge,
        score=score,
        confidence=confidence,
        rule=Rule(rule),
        winner=None if winner is None else Outcome(winner),
        settled_ns=settled,
        payout=payout,
        pnl=None if payout is None else payout - cost - fee,
        origin=group[0][27],
        end_ns=decided_ns + int(left / speed * 1e9),
        version=ProtocolVersion(group[0][31]),
    )


def positions(connection: sqlite3.Connection, session: str) -> list[Position]:
    """The session's unsettled trades, each with its newest mark and the reason of a late resolution."""
    pending = trades(connection, "AND i.session = ? AND s.slug IS NULL", (session,))
    return [
        Position(
            trade=trade,
            mark=_mark(connection, session, trade.slug),
            delay=_delay(connection, session, trade.slug),
        )
        for trade in pending
    ]


def _mark(connection: sqlite3.Connection, session: str, slug: str) -> Mark | None:
    found = rows(
        connection,
        "SELECT p, second, ts_ns FROM marks WHERE session = ? AND slug = ? ORDER BY id DESC LIMIT 1",
        (session, slug),
    )
    return Mark(p=Decimal(found[0][0]), second=found[0][1], ts_ns=found[0][2]) if found else None


def _delay(connection: sqlite3.Connection, session: str, slug: str) -> str:
    found = rows(
        connection,
        "SELECT why FROM delays WHERE session = ? AND slug = ? ORDER BY id DESC LIMIT 1",
        (session, slug),
    )
    return found[0][0] if found else ""


def order_traces(connection: sqlite3.Connection, since_ns: int, newest: int = -1) -> list[OrderTrace]:
    """The traces of the orders created since a time, oldest first; the stages in the order of the path.

    Of all these orders, or only of the `newest` ones.
    """
    found = rows(
        connection,
        "SELECT i.intent_id, i.slug, i.created_ns, json_group_object(s.stage, s.ns) FROM order_stages s"
        " JOIN (SELECT intent_id, slug, created_ns FROM intents WHERE created_ns >= ?"
        " ORDER BY created_ns DESC, intent_id DESC LIMIT ?) i USING (intent_id)"
        " GROUP BY i.intent_id ORDER BY i.created_ns, i.intent_id",
        (since_ns, newest),
    )
    return [
        OrderTrace(intent_id=intent_id, slug=slug, created_ns=created_ns, stages=_stages(json.loads(stages)))
        for intent_id, slug, created_ns, stages in found
    ]


def _stages(reached: dict[str, int]) -> dict[OrderStage, int]:
    return {stage: reached[stage] for stage in OrderStage if stage in reached}


def last_mode(connection: sqlite3.Connection) -> ModeRow | None:
    found = rows(
        connection, "SELECT ts_ns, mode, allows_orders, why FROM mode_changes ORDER BY id DESC LIMIT 1"
    )
    if not found:
        return None
    ts_ns, mode, allows, why = found[0]
    return ModeRow(since_ns=ts_ns, mode=Mode(mode), allows_orders=bool(allows), why=why)


def weights(connection: sqlite3.Connection) -> list[WeightRow]:
    """Every change of a weight, oldest first."""
    return [
        WeightRow(ts_ns=ts_ns, markets=markets, source=source, before=before, after=after, series=series)
        for ts_ns, markets, source, before, after, series in rows(
            connection, "SELECT ts_ns, markets, source, before, after, series FROM weights ORDER BY id"
        )
    ]


_DECISION = (
    "id, run_id, slug, second, now_ns, outcome, reason, detail, p, ask, price_cap, fair, edge, score,"
    " confidence, rule, weight"
)


def decisions(connection: sqlite3.Connection, tail: str, parameters: Sequence[Any] = ()) -> list[DecisionRow]:
    """Decision rows without their evidence; `tail` follows FROM decisions."""
    return [
        _decision(row) for row in rows(connection, f"SELECT {_DECISION} FROM decisions {tail}", parameters)
    ]


def _decision(row: Row) -> DecisionRow:
    (
        number,
        run,
        slug,
        second,
        now,
        outcome,
        reason,
        detail,
        p,
        ask,
        cap,
        fair,
        edge,
        score,
        confidence,
        rule,
        weight,
    ) = row
    return DecisionRow(
        id=number,
        run_id=run,
        slug=slug,
        second=second,
        now_ns=now,
        outcome=None if outcome is None else Outcome(outcome),
        reason=None if reason is None else Reason(reason),
        detail=detail,
        p=Decimal(p),
        ask=decimal_or_none(ask),
        price_cap=decimal_or_none(cap),
        fair=fair,
        edge=edge,
        score=score,
        confidence=confidence,
        rule=Rule(rule),
        weight=weight,
    )
