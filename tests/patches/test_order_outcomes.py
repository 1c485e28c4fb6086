"""The table of outcomes, one test per row: a real order, the venue's verbatim answer, and the recorded
result.

In every row, in the end no order is stuck: Nautilus' order is closed with the venue's quantity, the ledger
has the venue's fills once and its cash to a millionth, and an order that may exist is never sent again.
"""

import asyncio
import socket
import threading
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import pytest
from httpcore._async.connection import AsyncHTTPConnection
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.identifiers import ClientOrderId

from common import bounded_http, thread_http
from errors import Fatal
from execution.order_records import OrderEntry
from models import OrderState

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLIPPAGE = Decimal("0.02")
FAK_MISS = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)
CLOSED_ONLY = "'0x1' address in closed only mode"
DELAYED = "order match delayed due to market conditions"
TWICE = "order 0x1 is invalid. Duplicated."
PROXY = {"text": "upstream gave no answer in time"}
BAD_KEY = "Unauthorized/Invalid api key"


class Row(NamedTuple):
    """A fault, and the expected result: states in the ledger at the end, whether anything was bought."""

    fault: str
    parameters: dict[str, Any]
    state: OrderState
    bought: bool
    text: str = ""


M, N, R, U = OrderState.MATCHED, OrderState.NO_FILL, OrderState.REFUSED, OrderState.UNKNOWN
ROWS = {
    "delayed, then matched": Row("delayed", {}, M, True, "status delayed"),
    "success false, delayed, then matched": Row("delayed", {"success": False}, M, True, DELAYED),
    "408, executed": Row("refused_4xx", {**PROXY, "status": 408, "executed": True}, M, True, "HTTP 408"),
    "408, not executed": Row("refused_4xx", {**PROXY, "status": 408}, U, False, "HTTP 408"),
    "499, executed": Row("refused_4xx", {**PROXY, "status": 499, "executed": True}, M, True, "HTTP 499"),
    "live from a FAK": Row("live_fak", {}, M, True, "status live"),
    "200 with success false": Row("success_false", {}, R, False, "not enough balance / allowance"),
    "425, not executed": Row("too_early_425", {}, U, False, "HTTP 425"),
    "425, executed": Row("too_early_425", {"executed": True}, M, True, "HTTP 425"),
    "200 with status unmatched": Row("unmatched", {}, N, False, "status unmatched"),
    "200 with success false, no match": Row("success_false", {"text": FAK_MISS}, N, False, FAK_MISS),
    "400 not ready": Row("refused_4xx", {}, R, False, "the market is not yet ready to process new orders"),
    "400 closed only": Row("refused_4xx", {"text": CLOSED_ONLY}, R, False, CLOSED_ONLY),
    "400 delayed, executed": Row("refused_4xx", {"text": DELAYED, "executed": True}, M, True, DELAYED),
    "400 duplicated, executed": Row("refused_4xx", {"text": TWICE, "executed": True}, M, True, TWICE),
    "401": Row("refused_4xx", {"status": 401, "text": BAD_KEY}, R, False, f"HTTP 401: {BAD_KEY}"),
    "404": Row("refused_4xx", {"status": 404, "text": "market not found"}, R, False, "market not found"),
    "429": Row("rate_limit_429", {}, R, False, "HTTP 429"),
    "500 order timed out, not executed": Row(
        "error_500", {"text": "order timed out"}, U, False, "order timed out"
    ),
    "500 order timed out, executed": Row("error_500", {"executed": True}, M, True, "order timed out"),
    "500 could not run the execution": Row(
        "error_500", {"text": "could not run the execution"}, U, False, "could not run the execution"
    ),
    "500 rounding": Row(
        "error_500",
        {"text": "the trade contains rounding issues"},
        U,
        False,
        "the trade contains rounding issues",
    ),
    "500 no matching orders": Row(
        "error_500", {"text": "there are no matching orders"}, N, False, "there are no matching orders"
    ),
    "500 FOK killed": Row(
        "error_500", {"text": "FOK orders are filled or killed"}, N, False, "FOK orders are filled or killed"
    ),
    "503 trading disabled": Row("unavailable_503", {}, R, False, "trading is disabled"),
    "503 cancel-only": Row("unavailable_503", {"variant": "cancel_only"}, R, False, "cancel-only"),
    "503 post-only": Row("unavailable_503", {"variant": "post_only"}, R, False, "post-only mode"),
    "503 without a reason, not executed": Row(
        "unavailable_503", {"variant": "overloaded"}, U, False, "service unavailable"
    ),
    "503 without a reason, executed": Row(
        "unavailable_503", {"variant": "overloaded", "executed": True}, M, True, "service unavailable"
    ),
    "403 blocked region": Row("geoblocked", {}, R, False, "Trading restricted in your region"),
    "HTML 403": Row("html_403", {}, R, False, "HTTP 403"),
    "reset before the body was read": Row("drop_before_read", {}, U, False, "Request exception"),
    "reset after the body was read": Row("drop_after_accept", {}, M, True, "Request exception"),
    "timeout after acceptance": Row("hang", {"seconds": 8.0}, M, True, "seen on the user stream"),
    "trade before response": Row("trade_before_response", {}, M, True),
    "user feed silent": Row("user_feed_silent", {}, M, True),
    "user feed cut off": Row("user_feed_drop", {}, M, True),
    "duplicate trade": Row("duplicate_trade", {}, M, True),
    "out-of-order trade": Row("out_of_order_trade", {}, M, True),
    "retried on the chain": Row("retrying", {}, M, True),
    "failed after matched": Row("failed_after_match", {}, OrderState.REVERSED, False),
}


QUICK = {
    "200 with success false",
    "200 with status unmatched",
    "400 not ready",
    "401",
    "425, not executed",
    "429",
    "500 no matching orders",
    "503 trading disabled",
    "503 without a reason, not executed",
    "reset before the body was read",
    "reset after the body was read",
    "user feed silent",
    "duplicate trade",
    "failed after matched",
}
"""Rows of the quick suite: each outcome by at least one answer, none that waits for the venue's time."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ROWS]
)
async def test_row(rig, attempt, name):
    """The answer is classified correctly, the purchase is recorded once, and nothing is sent again."""
    await check_row(rig, attempt, ROWS[name], ROWS[name].text)


async def check_row(rig, attempt, row, text):
    """Buy with the row's fault, and compare states, books, reason and number of POSTs."""
    rig.venue.fault(row.fault, 1, **row.parameters)
    if row.bought and row.text:
        # The user stream would otherwise report the trade, in a race with the answer.
        rig.venue.fault("user_feed_silent", 3)
    before = rig.orders_posted()
    ask = rig.asks()[0][0]
    attempt.follow_orders()
    await attempt.decide(ask, ask + SLIPPAGE)
    await attempt.until(lambda: attempt.states == [row.state])
    if row.state is not OrderState.UNKNOWN:
        await attempt.until(lambda: bool(attempt.traded()) is row.bought)
        if row.state is not OrderState.REVERSED:
            await attempt.until(attempt.closed)
    assert await attempt.written() == [row.state]
    await attempt.balanced()
    assert text in " ".join(attempt.reasons)
    may_go_on = row.state in (OrderState.NO_FILL, OrderState.REFUSED)
    assert attempt.engine.has_open_order(rig.market.slug) is not may_go_on
    # The venue logs a request when it is answered, which may be long after the bot stopped waiting for it.
    await attempt.until(lambda: rig.orders_posted() == before + 1)
    if not may_go_on:
        await attempt.decide(ask, ask + SLIPPAGE)
        assert rig.orders_posted() == before + 1
        assert "an order in this market exists or may exist" in attempt.events[-1].decision.detail


async def test_matched_in_full(rig, attempt):
    """A dollar buys its full amount at the ask, and the fee is the venue's to the fifth decimal."""
    ask = rig.asks()[0][0]
    await attempt.decide(ask, ask)
    await attempt.until(attempt.closed)
    await attempt.balanced()
    (trade,) = await attempt.thread.call(attempt.reader.trades)
    assert trade.price <= ask
    assert Decimal("0.99") < trade.cost <= 1


@pytest.mark.slow
async def test_price_improvement_gives_more_shares(rig, attempt):
    """A better price than the limit gives more shares for the same dollar; none is lost as an overfill."""
    ask = rig.asks()[0][0]
    await attempt.decide(ask, ask + Decimal("0.05"))
    await attempt.until(attempt.closed)
    await attempt.balanced()
    (trade,) = await attempt.thread.call(attempt.reader.trades)
    assert trade.shares > 1 / (ask + Decimal("0.05")) + Decimal("0.05")
    assert trade.cost <= 1


async def test_partial_fill_is_over_when_it_is_answered(rig, attempt):
    """When less is offered than a dollar buys, the filled part is the position; the rest ends at once."""
    left = rig.leave_less_than_a_share()
    ask = rig.asks()[0][0]
    await attempt.decide(ask, ask)
    await attempt.until(attempt.closed)
    await attempt.balanced()
    (trade,) = await attempt.thread.call(attempt.reader.trades)
    assert trade.shares == left
    assert await attempt.written() == [OrderState.MATCHED]


@pytest.mark.slow
async def test_a_fill_of_several_trades_without_an_answer_is_whole(rig, attempt):
    """An order that took two levels and whose answer is lost is recorded with both, and closed with them."""
    left = rig.leave_less_than_a_share()
    rig.venue.fault("drop_after_accept", 1)
    ask = rig.asks()[0][0]
    attempt.follow_orders()
    await attempt.decide(ask, ask + SLIPPAGE)
    await attempt.until(lambda: attempt.states == [OrderState.MATCHED])
    await attempt.until(attempt.closed)
    await attempt.balanced()
    shares = [Decimal(trade["shares"]) for trade in attempt.traded()]
    assert len(shares) == 2
    assert left in shares


@pytest.mark.slow
async def test_delayed_and_then_killed_is_a_clean_no_fill(rig, attempt):
    """The venue delays an order, then has nothing to match: it is over, and the next tick may buy."""
    rig.venue.fault("delayed", 1)
    ask = rig.asks()[0][0]
    attempt.follow_orders()
    await attempt.decide(ask - Decimal("0.10"), ask - Decimal("0.08"))
    await attempt.until(lambda: attempt.states == [OrderState.NO_FILL])
    await attempt.until(attempt.closed)
    assert "status delayed" in " ".join(attempt.reasons)
    assert attempt.engine.may_order(rig.market.slug)
    await attempt.balanced()


@pytest.mark.slow
async def test_an_order_that_never_arrived_is_given_up_long_after_its_market(rig, attempt):
    """Without a trade minutes after its market was settled, an unknown order is ended, for Nautilus too."""
    rig.venue.fault("drop_before_read", 1)
    attempt.engine._lifecycle._rules = msgspec.structs.replace(
        attempt.engine._lifecycle._rules, give_up_after_ns=0
    )
    ask = rig.asks()[0][0]
    await attempt.decide(ask, ask + SLIPPAGE)
    await attempt.until(lambda: attempt.states == [OrderState.UNKNOWN])
    attempt.follow_orders()
    attempt.engine.market_settled(rig.market.slug)
    await attempt.until(lambda: attempt.states == [OrderState.NO_FILL])
    await attempt.until(attempt.closed)
    await attempt.balanced()


@pytest.mark.slow
async def test_a_trade_of_an_order_called_dead_counts_and_halts(rig, attempt):
    """If a venue refuses an order and still trades it, the trades count; then trading halts."""
    rig.venue.fault("unavailable_503", 1, executed=True)
    ask = rig.asks()[0][0]
    await attempt.decide(ask, ask + SLIPPAGE)
    await attempt.until(lambda: attempt.states == [OrderState.MATCHED])
    await attempt.until(lambda: "that had ended as refused" in (attempt.engine.halted or ""))
    assert await attempt.written() == [OrderState.MATCHED]
    await attempt.balanced()


@pytest.mark.slow
async def test_winnings_can_be_staked_again(rig, tmp_path):
    """A balance too low for an order is refused by the bot; winnings since are detected without a trade."""
    ask, wealth = rig.asks()[0][0], rig.client.balance()
    rig.venue.set_account(rig.client.address, balance="1.20")
    try:
        async with rig.attempt(tmp_path / "last") as last:
            await last.decide(ask, ask + SLIPPAGE)
            await last.until(lambda: last.closed() and rig.nautilus_balance() < 1)
        posted = rig.orders_posted()
        async with rig.attempt(tmp_path / "poor") as poor:
            await poor.decide(ask, ask + SLIPPAGE)
            await poor.until(lambda: poor.states == [OrderState.REFUSED])
        await poor.engine.drain()
        assert "NOTIONAL_EXCEEDS_FREE_BALANCE" in poor.events[-1].reason
        assert rig.orders_posted() == posted
    finally:
        rig.venue.set_account(rig.client.address, balance=str(wealth))
        await last.until(lambda: rig.nautilus_balance() > 1)
    async with rig.attempt(tmp_path / "rich") as rich:
        await rich.decide(ask, ask + SLIPPAGE)
        await rich.until(rich.closed)
        assert rich.states == [OrderState.MATCHED]


@pytest.mark.slow
async def test_no_match_may_be_tried_again_within_the_limit(rig, attempt):
    """400 with an order id and "no orders found to match" is a clean no-fill; five of them end the market."""
    ask = rig.asks()[0][0]
    stale = ask - Decimal("0.10")
    for number in range(1, attempt.attempts + 1):
        await attempt.decide(stale, stale + SLIPPAGE)
        await attempt.until(lambda n=number: attempt.states == [OrderState.NO_FILL] * n)
    await attempt.engine.drain()
    assert "no orders found to match with FAK order" in attempt.events[-1].reason
    posted = rig.orders_posted()
    await attempt.decide(ask, ask + SLIPPAGE)
    assert rig.orders_posted() == posted
    assert "ORDER_MAX_ATTEMPTS" in attempt.events[-1].decision.detail
    await attempt.until(attempt.closed)
    await attempt.balanced()


async def test_a_no_fill_is_followed_by_a_fill(rig, attempt):
    """After a clean no-fill the next tick may buy, and the market is bought once."""
    ask = rig.asks()[0][0]
    await attempt.decide(ask - Decimal("0.10"), ask - Decimal("0.08"))
    await attempt.until(lambda: attempt.states == [OrderState.NO_FILL])
    await attempt.decide(ask, ask + SLIPPAGE)
    await attempt.until(lambda: attempt.states == [OrderState.NO_FILL, OrderState.MATCHED])
    await attempt.until(attempt.closed)
    await attempt.balanced()


@pytest.mark.slow
async def test_no_allowance_is_refused_with_the_venues_text(rig, attempt, monkeypatch):
    """400 "not enough balance / allowance" is a refusal with the venue's own text, not tried again; so is an
    allowance that was revoked after the bot read it.
    """
    client = rig.execution_client
    monkeypatch.setattr(client, "_check_allowance", lambda *_: None)
    # What a read of the account finds here must not reach the next order.
    await rig.stop_account_reads(monkeypatch)
    rig.venue.set_account(rig.client.address, allowance="0")
    try:
        ask = rig.asks()[0][0]
        await attempt.decide(ask, ask + SLIPPAGE)
        await attempt.until(lambda: attempt.states == [OrderState.REFUSED])
        await attempt.engine.drain()
        assert "not enough balance / allowance" in attempt.events[-1].reason
        posted = rig.orders_posted()
        await attempt.decide(ask, ask + SLIPPAGE)
        assert rig.orders_posted() == posted
        assert "an order in this market was refused" in attempt.events[-1].decision.detail
    finally:
        rig.venue.set_account(rig.client.address, allowance="1000000")
        await client._read_account()


@pytest.mark.slow
async def test_response_lost_and_user_feed_down(rig, attempt):
    """Filled, but the answer and the feed are lost: the trades list has it, and it is recorded once at its
    price."""
    rig.venue.fault("drop_after_accept", 1)
    rig.venue.fault("user_feed_silent", None)
    ask = rig.asks()[0][0]
    attempt.follow_orders()
    await attempt.decide(ask, ask + SLIPPAGE)
    await attempt.until(lambda: attempt.states == [OrderState.MATCHED])
    await attempt.until(attempt.closed)
    await attempt.balanced()
    (trade,) = await attempt.thread.call(attempt.reader.trades)
    assert abs(trade.price - ask) < Decimal("0.0001")


@pytest.mark.parametrize(
    ("ask", "cap", "usd", "fragment"),
    [
        ("0.63", "0.65", "0.99", "below the venue's minimum"),
        ("0.63", "0.65", "5.00", "above MARKET_BUY_USD"),
        ("0.99", "1.00", "1.00", "outside the venue's range"),
        ("0.63", "0.60", "1.00", "could not match"),
    ],
)
async def test_what_the_venue_would_reject_is_refused_before_it_is_signed(
    rig, attempt, ask, cap, usd, fragment
):
    """Below a dollar, above the ceiling, off the range, below the ask: denied by the bot, nothing is sent."""
    posted = rig.orders_posted()
    await attempt.decide(Decimal(ask), Decimal(cap), usd)
    await attempt.until(lambda: attempt.states == [OrderState.REFUSED])
    await attempt.until(attempt.closed)
    assert rig.orders_posted() == posted
    await attempt.engine.drain()
    assert fragment in attempt.events[-1].reason


async def test_three_refusals_in_a_row_halt_trading(rig, tmp_path):
    """After three refused orders in a row only a person can resume trading, also in another process."""
    async with rig.attempt(tmp_path) as attempt:
        ask = rig.asks()[0][0]
        for number in range(1, 4):
            rig.venue.fault("success_false", 1)
            intent = await _intend(attempt, number, ask)
            await attempt.until(lambda i=intent: attempt.engine.states[i] is OrderState.REFUSED)
        assert "3 orders in a row were refused" in (attempt.engine.halted or "")
        await attempt.engine.check_halt()  # by now the halt is on disk
        assert (tmp_path / "HALTED").read_text().count("refused") >= 1


async def _intend(attempt, number: int, ask: Decimal) -> str:
    """Buy in the market as if it were another one each time."""
    before = set(attempt.engine.states)
    decision = attempt.rig.decision(ask, ask + SLIPPAGE, "1.00")
    attempt.engine._lifecycle._by_market.clear()
    await attempt.engine.handle_decision(decision)
    (intent_id,) = set(attempt.engine.states) - before
    return intent_id


async def test_a_signature_made_beside_the_checks_is_used_once_and_for_its_order_only(
    rig, attempt, monkeypatch
):
    """One signature an order, made before it is submitted; for other amounts a new one is made."""
    client, signed = rig.execution_client, []
    sign = client._orders.sign

    async def counted(*order):
        made = await sign(*order)
        signed.append((made.order_id, order[1]))
        return made

    monkeypatch.setattr(client._orders, "sign", counted)
    ask = rig.asks()[0][0]
    await attempt.decide(ask, ask)
    await attempt.until(attempt.closed)
    assert attempt.engine.order_ids == [signed[0][0]]
    assert len(signed) == 1
    assert client._prepared.keys().isdisjoint(attempt.engine.states)

    prepare = client.prepare_order

    def other(client_order_id, decision):
        prepare(client_order_id, msgspec.structs.replace(decision, price_cap=ask + SLIPPAGE))

    monkeypatch.setattr(client, "prepare_order", other)
    async with rig.attempt(attempt.folder / "second") as second:
        await second.decide(ask, ask)
        await second.until(second.closed)
        *_, (order_id, amounts) = signed
        assert second.engine.order_ids == [order_id]
        assert (len(signed), signed[1][1] == amounts) == (3, False)


async def test_the_venue_is_asked_nothing_between_decision_and_post(rig, attempt, monkeypatch):
    """The only request from a decision to its answer is the POST, on a connection that is open already."""
    await rig.execution_client.keep_connection()
    requests, connected = [], []
    send, send_in_thread = bounded_http.bounded_request, thread_http.ThreadHttp.request
    connect, connect_in_thread = AsyncHTTPConnection._connect, socket.create_connection

    async def noted(client, method, url, **request):
        requests.append((method, urlsplit(url).path))
        return await send(client, method, url, **request)

    def noted_in_thread(http, method, url, **request):
        requests.append((method, urlsplit(url).path))
        return send_in_thread(http, method, url, **request)

    async def noted_connect(connection, request):
        connected.append(request.url.target)
        return await connect(connection, request)

    def noted_connect_in_thread(address, *rest):
        connected.append(address)
        return connect_in_thread(address, *rest)

    await rig.stop_account_reads(monkeypatch)
    monkeypatch.setattr(bounded_http, "bounded_request", noted)
    monkeypatch.setattr(thread_http.ThreadHttp, "request", noted_in_thread)
    monkeypatch.setattr(AsyncHTTPConnection, "_connect", noted_connect)
    monkeypatch.setattr(socket, "create_connection", noted_connect_in_thread)
    ask = rig.asks()[0][0]
    requests.clear()
    await attempt.decide(ask, ask)
    await attempt.until(lambda: attempt.states == [OrderState.MATCHED])
    assert (requests, connected) == ([("POST", "/order")], [])


async def test_no_byte_is_sent_before_the_commit_and_none_without_one(rig, attempt, monkeypatch):
    """While the write of an order waits, its request is built and not sent; if the write fails, it never is.

    Nautilus then has a denied order, and the lifecycle one that was refused.
    """
    released, building = threading.Event(), threading.Event()
    write, refusal = attempt.engine._ledger.write, attempt.engine.refusal_before_sending

    def fail(rows):
        if any(isinstance(row, OrderEntry) for row in rows):
            assert released.wait(20)
            raise Fatal("the disk is full", "free it")
        return write(rows)

    def noted(client_order_id):
        building.set()
        return refusal(client_order_id)

    monkeypatch.setattr(attempt.engine._ledger, "write", fail)
    monkeypatch.setattr(attempt.engine, "refusal_before_sending", noted)
    before, ask = rig.orders_posted(), rig.asks()[0][0]
    deciding = asyncio.ensure_future(attempt.decide(ask, ask))
    assert await asyncio.to_thread(building.wait, 10)
    assert rig.orders_posted() == before
    released.set()
    await asyncio.wait([deciding])
    await attempt.until(lambda: list(attempt.engine.states.values()) == [OrderState.REFUSED])
    await attempt.until(attempt.closed)
    (intent_id,) = attempt.engine.states
    assert rig.strategy.cache.order(ClientOrderId(intent_id)).status == OrderStatus.DENIED
    assert rig.orders_posted() == before
