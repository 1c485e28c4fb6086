"""Every REST answer of the venue, mutated by its structure: read as a whole, or the declared error."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import Any

import httpx
import message_samples as samples
import pytest
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_builders import intent, market
from py_clob_client_v2.clob_types import ApiCreds
from py_clob_client_v2.exceptions import PolyApiException

from common.bounded_http import BoundedHttp, BoundedResponse
from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.pairing import market_of, suspension_of
from errors import Fatal, Refused, Temporary
from execution.order_lookup import look_up, read_trade
from execution.order_messages import LookUp, TradeReported
from execution.outcomes import OutcomeKind, classify
from execution.polymarket_client import Funds, PolymarketClient, Redeemable, geoblock
from execution.settlement import outcome_poller
from execution.settlement.outcome_poller import ResolutionSource
from execution.settlement.redeemers import PracticeRedeemer
from execution.venue_answers import ResolutionStatus, clob_outcome, clob_pays_halves, gamma_resolution
from execution.venue_facts.observations import OutcomeWitnessed
from models import Outcome
from runtime.worker.market_terms import terms_of
from runtime.worker.mirror_evidence import MirrorEvidence

CALENDAR = SlugCalendar(asset="btc", kind="updown", timeframe="15m", interval=900)
BOUGHT, TRADED = intent(1), market()
SETTLED = {**samples.GAMMA, "slug": TRADED.slug}
CLOB_DOWN = {
    **samples.CLOB_MARKET,
    "tokens": [{**row, "winner": not row["winner"]} for row in samples.CLOB_MARKET["tokens"]],
}
SEEDS, MARKET_SEEDS = 200, 2000
LARGEST_TIME_NS = 2**63 - 1
"""The ledger's integers."""


@cache
def client() -> PolymarketClient:
    """A wallet of a test key, whose requests are answered by `answering`."""
    made = PolymarketClient("http://127.0.0.1:9", "0x" + "11" * 32)
    made._client.set_api_creds(ApiCreds("key", "c2VjcmV0", "phrase"))
    return made


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[None]:
    """Each HTTP request of this process gets this answer."""

    def request(_: BoundedHttp, method: str, url: str, **__: Any) -> BoundedResponse:
        return BoundedResponse(status, content=body, request=httpx.Request(method, url))

    async def request_async(http: BoundedHttp, method: str, url: str, **more: Any) -> BoundedResponse:
        return request(http, method, url, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BoundedHttp, "request", request)
        patch.setattr(BoundedHttp, "request_async", request_async)
        yield


def create_key() -> ApiCreds:
    """The key of a wallet whose key the venue cannot derive; the answer becomes its key."""
    made = client.__wrapped__()

    def refuse() -> ApiCreds:
        raise PolyApiException(httpx.Response(400, json={"error": "Could not derive api key!"}))

    made._client.derive_api_key = refuse
    return made.credentials()


def redeemed() -> Decimal:
    """What the practice venue paid, by the redeemer's text."""
    text = PracticeRedeemer("http://127.0.0.1:9", samples.WALLET).redeem(samples.MARKET)
    paid = re.fullmatch(r"the practice venue paid ([0-9.]+) pUSD", text)
    assert paid is not None, text
    return Decimal(paid[1])


def amounts(value: Any) -> list[Decimal]:
    """The amounts in what a call returned."""
    if isinstance(value, Funds):
        return [value.balance, *value.allowances.values()]
    if isinstance(value, Redeemable):
        return [value.shares, value.pays]
    if isinstance(value, list):
        return [amount for row in value for amount in amounts(row)]
    return [Decimal(value)] if isinstance(value, int | float | Decimal) else []


CALLS: dict[str, Callable[[], Any]] = {
    "/time": lambda: client().clock_skew_s(),
    "/version": lambda: client().clob_version(),
    "/auth/api-key": create_key,
    # A client of its own: the answer becomes its key.
    "/auth/derive-api-key": lambda: client.__wrapped__().credentials(),
    "/auth/ban-status/closed-only": lambda: client().closed_only(),
    "/balance-allowance": lambda: client().funds(),
    "/data/orders": lambda: client().open_orders(),
    "/data/order": lambda: client().killed(samples.ORDER_ID),
    "/data/trades": lambda: client().trades(samples.MARKET),
    "/data-api/v2/positions": lambda: client().redeemable("http://127.0.0.1:9/data-api"),
    "/api/geoblock": lambda: geoblock("http://127.0.0.1:9/api/geoblock"),
    "/practice/redeem": redeemed,
}
BY_OTHERS = {
    "/order",
    "/gamma/markets",
    "/gamma/markets/keyset",
    "/markets",
    "/clob-markets",
    # Its answer is not used, and with "/balance-allowance" it is mutated in the same way.
    "/balance-allowance/update",
    # Read by the official client before a redemption: `settlement/test_redeemer_fuzz.py`.
    "/auth/api-keys",
}
"""The answers that other tests mutate: those below, and of the catalogue `patches/test_stream_fuzz.py`."""


def test_every_answer_is_mutated() -> None:
    """A request that is added to the samples is also added to a test."""
    assert set(samples.REST) == CALLS.keys() | BY_OTHERS


@pytest.mark.parametrize("path", CALLS)
def test_the_samples_are_read(path: str) -> None:
    """Each unchanged answer is read without an error, so that the mutations begin with a valid one."""
    with answering(json.dumps(samples.REST[path]).encode()):
        CALLS[path]()


@pytest.mark.parametrize("cursor", [None, 7, {}, [], False])
def test_a_list_without_a_cursor_ends(cursor: Any) -> None:
    """The library repeats the request for a page until its cursor is the last one: without one, for ever."""
    with answering(json.dumps({"data": [], "next_cursor": cursor}).encode()):
        for path in ("/data/orders", "/data/trades"):
            with pytest.raises(Temporary, match="no cursor"):
                CALLS[path]()


def require_read(path: str, body: bytes) -> None:
    """Amounts of an accepted answer are finite; everything else is an error that the caller handles."""
    with answering(body):
        try:
            found = CALLS[path]()
        except (Temporary, Fatal):
            return
    for amount in amounts(found):
        assert amount.is_finite()
        # A difference of clocks may be negative; a version is compared with the supported one.
        assert amount >= 0 or path in ("/time", "/version")


@settings(max_examples=examples(400))
@given(
    st.sampled_from(sorted(CALLS)).flatmap(
        lambda path: st.tuples(st.just(path), samples.mutations(samples.REST[path]))
    )
)
def test_an_answer_is_read_or_temporary(case: tuple[str, bytes]) -> None:
    """A mutated answer of each route gives finite amounts, or the error that its caller handles."""
    require_read(*case)


@pytest.mark.slow
@pytest.mark.parametrize("path", CALLS)
def test_many_answers_are_read_or_temporary(path: str) -> None:
    """The same for many seeds; a failing one is in the message."""
    for seed in range(SEEDS):
        try:
            require_read(path, samples.seeded(samples.REST[path], f"{path} {seed}"))
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error


@settings(max_examples=examples(250))
@given(samples.mutations(samples.REST["/data/trades"]))
def test_a_look_up_is_complete_or_fails(body: bytes) -> None:
    """Trades found by a look-up have amounts that the ledger can store; an unreadable one is reported."""
    asked = LookUp(order_id=samples.ORDER_ID, condition_id=samples.MARKET, fate=True)
    with answering(body):
        try:
            record = asyncio.run(look_up(client(), asked, BOUGHT, TRADED))
        except Temporary:
            return
    assert record.found.unreadable is None or record.found.unreadable.isprintable()
    for trade in record.found.trades:
        require_storable(trade)


@settings(max_examples=examples(250))
@given(samples.mutations(samples.TRADE).map(samples.decoded))
def test_a_trade_is_storable_or_asked_for_again(trade: Any) -> None:
    """Shares, price, fee and time of a trade fit the ledger, whatever the message was."""
    if not isinstance(trade, dict):
        return
    try:
        found = read_trade(trade, BOUGHT, TRADED)
    except Temporary:
        return
    require_storable(found)


def require_storable(trade: TradeReported) -> None:
    assert trade.fills
    for fill in trade.fills:
        assert 0 < fill.price < 1
        assert Decimal("0.000001") <= fill.shares < 10**12
        assert fill.fee.is_finite()
        assert 0 <= fill.ts_ns <= LARGEST_TIME_NS
        assert fill.trade_id.isprintable()


@settings(max_examples=examples(250))
@given(st.sampled_from([200, 400, 403, 425, 500, 503]), samples.mutations(samples.POSTED))
def test_an_order_is_matched_only_by_a_whole_answer(status: int, body: bytes) -> None:
    """A mutated answer to an order never kills it while its id, hash or amounts are in it."""
    answer = samples.decoded(body)
    outcome = classify(status, answer)
    assert outcome.reason.isprintable()
    if outcome.kind is OutcomeKind.MATCHED:
        assert (status, answer["success"]) == (200, True)
        assert outcome.taking is not None
        assert 0 < outcome.taking < 10**12
    if outcome.kind in (OutcomeKind.REFUSED, OutcomeKind.NO_FILL) and isinstance(answer, dict):
        assert not answer.get("orderID")


def require_market(row: Any) -> None:
    """Tick, fee, ids and texts of an admitted market are usable; every other row is refused by name."""
    suspension = suspension_of(row) if isinstance(row, dict) else None
    assert suspension is None or suspension.isprintable()
    why = ""
    try:
        found = market_of(row, CALENDAR)
    except Refused as error:
        found, why = None, str(error)
    assert why.isprintable()
    if found is None:
        return
    assert 0 < found.tick < 1
    assert 0 <= found.fee_rate < 1
    assert found.up_token.isdecimal()
    assert found.down_token.isdecimal()
    assert found.up_token != found.down_token
    assert found.start == CALENDAR.start_of(found.slug)
    assert found.title.isprintable()
    assert found.minimum_shares is None or found.minimum_shares.is_finite()


@settings(max_examples=examples(400))
@given(st.sampled_from([samples.GAMMA, samples.GAMMA_V2]).flatmap(samples.mutations).map(samples.decoded))
def test_a_market_is_valid_or_refused(row: Any) -> None:
    """The same for mutated markets of both protocol versions."""
    require_market(row)


@pytest.mark.slow
@pytest.mark.parametrize("sample", [samples.GAMMA, samples.GAMMA_V2])
def test_many_markets_are_valid_or_refused(sample: dict[str, Any]) -> None:
    """The same for many seeds: a market has many fields that the bot does not read."""
    assert market_of(sample, CALENDAR).start == 1_790_597_700
    for seed in range(MARKET_SEEDS):
        try:
            require_market(samples.decoded(samples.seeded(sample, f"{sample['version']} {seed}")))
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error


@settings(max_examples=examples(400))
@given(samples.mutations(samples.GAMMA).map(samples.decoded))
def test_an_outcome_needs_prices_of_one_and_zero(row: Any) -> None:
    """A result of the catalogue is official only for a closed market with one winner, or two halves."""
    status = gamma_resolution(row)
    assert status.why.isprintable()
    if status.official:
        assert row["closed"] is True
        assert status.outcome in (None, *Outcome)


@settings(max_examples=examples(250))
@given(
    samples.mutations(samples.CLOB_MARKET).map(samples.decoded),
    samples.mutations(samples.CLOB_INFO).map(samples.decoded),
)
def test_the_order_apis_markets_raise_nothing(row: Any, info: Any) -> None:
    """A winner, halves and terms are read from any answer, or are absent."""
    assert clob_outcome(row) in (None, *Outcome)
    assert clob_pays_halves(row) in (True, False)
    assert set(terms_of(TRADED, info)) <= {"fee_rate", "tick", "minimum_shares", "taker_delay"}


def resolved(listed: bytes, clob: bytes) -> tuple[ResolutionStatus, str]:
    """The result of a market by these answers of catalogue and order API, and where it was read."""

    async def request(_: Any, method: str, url: str, **__: Any) -> BoundedResponse:
        body = listed if "/gamma/" in url else clob
        return BoundedResponse(200, content=body, request=httpx.Request(method, url))

    unused: Any = None
    reader = ResolutionSource(unused, "http://127.0.0.1:9/gamma", "http://127.0.0.1:9")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcome_poller, "bounded_request", request)
        return asyncio.run(reader.resolution(TRADED))


def test_the_samples_resolve_a_market() -> None:
    """The unchanged answers of both agree on a result; with the other winner in one of them there is none."""
    listed = json.dumps([SETTLED]).encode()
    status, source = resolved(listed, json.dumps(samples.CLOB_MARKET).encode())
    assert (status.outcome, source) == (Outcome.UP, "gamma")
    status, source = resolved(listed, json.dumps(CLOB_DOWN).encode())
    assert (status.outcome, source, status.grave) == (None, "", True)
    status, source = resolved(
        json.dumps([{**SETTLED, "slug": "btc-updown-15m-1"}]).encode(), json.dumps(CLOB_DOWN).encode()
    )
    assert (status.outcome, source) == (Outcome.DOWN, "clob"), "a row of another market contradicts nothing"


@settings(max_examples=examples(150))
@given(
    st.sampled_from(['["1", "0"]', '["0", "1"]']).flatmap(
        lambda prices: samples.mutations([{**SETTLED, "outcomePrices": prices}])
    ),
    st.sampled_from([samples.CLOB_MARKET, CLOB_DOWN]).flatmap(samples.mutations),
)
def test_an_outcome_is_that_of_both_answers(listed: bytes, clob: bytes) -> None:
    """Whatever catalogue and order API answer, no error is raised, and an outcome contradicts neither.

    Half of the answers contradict each other before they are changed.
    """
    status, source = resolved(listed, clob)
    assert status.why.isprintable()
    assert bool(source) is status.official
    if status.official:
        rows, other = samples.decoded(listed), clob_outcome(samples.decoded(clob))
        listed_rows = rows if isinstance(rows, list) else []
        own = [row for row in listed_rows if isinstance(row, dict) and row.get("slug") == TRADED.slug]
        stated = {gamma_resolution(row).outcome for row in own if gamma_resolution(row).official} | {other}
        assert stated - {None} <= {status.outcome}
        assert status.outcome is not None or status.split is not None


@settings(max_examples=examples(150))
@given(samples.mutations(samples.MIRROR))
def test_a_witness_is_a_text_or_absent(body: bytes) -> None:
    """Which source had an outcome first is read from any answer of a practice venue, or is absent."""
    seen: list[Any] = []
    with answering(body):
        asyncio.run(MirrorEvidence("http://127.0.0.1:9", seen.append).check())
    for witness in seen:
        assert isinstance(witness, OutcomeWitnessed)
        assert isinstance(witness.slug, str)
        assert isinstance(witness.source, str)
