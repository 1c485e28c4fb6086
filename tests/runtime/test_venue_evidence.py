"""What a worker reports as evidence of the venue: the fees by its events, the terms of each market."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
from canned_server import CannedServer
from ledger_builders import fill, market, open_ledger

from events import CashChecked, Filled, FillMoved, TermsChanged
from execution.ledger_thread import LedgerThread
from execution.venue_facts.observations import CashCompared, ChargedFill, OutcomeWitnessed, TermsStated
from models import FillStatus
from runtime.worker.fact_events import FactEvents
from runtime.worker.market_terms import MarketTermsReader, terms_of
from runtime.worker.mirror_evidence import MirrorEvidence

D = Decimal
MARKET = msgspec.structs.replace(market(2), minimum_shares=D(5))
CLOB = {"mts": 0.01, "mos": 5, "fd": {"r": 0.07, "e": 1, "to": True}, "itode": True}


def checked(unexplained: str) -> CashChecked:
    return CashChecked(difference=D(unexplained), unexplained=D(unexplained), venue_cash=D(999))


def test_each_check_has_the_fills_and_the_change_since_the_last_one():
    """Fills count once, a failed one never, and a standing difference is not counted again."""
    seen: list[CashCompared] = []
    one, two, three = (fill(number) for number in (1, 2, 3))
    events = FactEvents(seen.append, lambda slug: market(1))
    for event in (
        *(Filled(fill=one), Filled(fill=two), FillMoved(fill=two, status=FillStatus.FAILED)),
        *(FillMoved(fill=one, status=FillStatus.MINED), checked("-0.00002"), checked("-0.00002")),
        *(Filled(fill=three), checked("-0.00005")),
    ):
        events.handle(event)
    charged = [
        ChargedFill(shares=each.shares, price=each.price, rate=D("0.07"), fee=each.fee)
        for each in (one, three)
    ]
    assert seen == [
        CashCompared(change=D("-0.00002"), fills=(charged[0],), venue_cash=D(999)),
        CashCompared(change=D(0), fills=(), venue_cash=D(999)),
        CashCompared(change=D("-0.00003"), fills=(charged[1],), venue_cash=D(999)),
    ]


def test_fills_of_an_unknown_market_are_no_evidence():
    """Without the rate of one fill, the sum of the fees shows nothing."""
    seen: list[CashCompared] = []
    one, two = fill(1), fill(2)
    events = FactEvents(seen.append, lambda slug: market(1) if slug == one.slug else None)
    events.handle(Filled(fill=one))
    events.handle(Filled(fill=two))
    events.handle(checked("0"))
    assert seen == [CashCompared(change=D(0), fills=(), venue_cash=D(999))]


@pytest.mark.parametrize(
    ("clob", "delay"),
    [
        (CLOB, {"taker_delay": "true"}),
        (CLOB | {"itode": False}, {"taker_delay": "false"}),
        ({}, {}),
        (None, {}),
    ],
)
def test_the_terms_of_a_market(clob, delay):
    """Fee rate, tick and minimum size by Gamma, the delay by `/clob-markets` if that states it."""
    stated = {"fee_rate": "0.07", "tick": "0.01", "minimum_shares": "5"}
    assert terms_of(MARKET, clob) == stated | delay


async def test_a_change_between_two_markets_is_recorded_and_published(tmp_path):
    """Each market is read once, before it starts; another fee rate is a row and an event; no answer ends
    nothing."""
    events, seen, registered, published = [], [], [], asyncio.Event()
    thread = LedgerThread(lambda error: pytest.fail(repr(error)))
    ledger = await thread.call(open_ledger, tmp_path / "ledger.sqlite")

    def publish(event):
        events.append(event)
        published.set()

    def register(one):
        registered.append(one.slug)
        thread.post(ledger.record_market, one)

    first, second, third = market(1), MARKET, msgspec.structs.replace(market(3), fee_rate=D("0.072"))
    started = market(4, fee_rate=D("0.5"))
    with CannedServer() as server:
        server.answers["GET", f"/clob-markets/{second.condition_id}"] = (200, CLOB)
        reader = MarketTermsReader(
            server.url, lambda one: one == started, register, ledger, thread, publish, seen.append
        )
        for one in (first, second, second, started, third):
            reader.market_listed(one)
        task = asyncio.create_task(reader.run())
        async with asyncio.timeout(10):
            await published.wait()
        task.cancel()
    await thread.call(ledger.close)
    thread.close()
    assert seen == [TermsStated(second, CLOB)]
    assert events == [
        TermsChanged(slug=third.slug, term="fee_rate", value="0.072", before="0.07", before_slug=first.slug)
    ]
    assert registered.count(second.slug) == 2


async def test_the_mirror_names_the_source_of_each_outcome_once():
    """Each ended market is reported once; an answer of another form reports nothing."""
    seen: list[OutcomeWitnessed] = []
    with CannedServer() as server:
        mirror = MirrorEvidence(server.url, seen.append)
        for source in (
            *({"resolved_by": {"a": "stream"}}, {"resolved_by": {"a": "stream", "b": "catalogue"}}),
            *({}, {"resolved_by": ["a"]}),
        ):
            server.answers["GET", "/practice/info"] = (200, {"source": source})
            await mirror.check()
        server.answers["GET", "/practice/info"] = (500, {})
        await mirror.check()
    assert seen == [OutcomeWitnessed("a", "stream"), OutcomeWitnessed("b", "catalogue")]
