"""What a settlement records: payouts once each, and the comparison with the venue's cash."""

import asyncio
import threading
from decimal import Decimal

import pytest
from ledger_builders import buy, market, open_ledger, settlement

from errors import Temporary
from events import CashChecked, Redeemed
from execution.ledger import LedgerReader
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.settlement.bookkeeping import (
    CashComparison,
    RecordedPayouts,
    SettledMarket,
    SettlementBookkeeper,
)
from models import Outcome

ONE, TWO, THREE = (market(number).slug for number in (1, 2, 3))
SHARES = {1: Decimal("1.1"), 2: Decimal("1.2"), 3: Decimal("1.3")}
"""Of each purchase, at 0.90 with a fee of $0.00693."""
CASH = Decimal("6.73921")
"""$10 minus three purchases: 3.6 × 0.90 + 3 × 0.00693."""


class Books:
    """A ledger with three purchases, and a venue whose balance is set by a test."""

    def __init__(self, path) -> None:
        self.thread = LedgerThread(lambda error: pytest.fail(repr(error)))
        self.path = path
        self.balance = CASH
        self.events = []

    async def __aenter__(self) -> "Books":
        self.ledger, self.reader = await self.thread.call(
            lambda: (open_ledger(self.path, cash="10"), LedgerReader(self.path))
        )
        for number, shares in SHARES.items():
            await self.thread.call(lambda n=number, s=shares: buy(self.ledger, n, shares=str(s)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.thread.call(self.reader.close)
        await self.thread.call(self.ledger.close)
        self.thread.close()

    def bookkeeper(
        self, *, pays_by_itself=False, publish=True, observe_orders=lambda: lambda: True
    ) -> SettlementBookkeeper:
        return SettlementBookkeeper(
            self.ledger,
            self.reader,
            self.thread,
            lambda: self.balance,
            pays_by_itself=pays_by_itself,
            publish=self.events.append if publish else None,
            observe_orders=observe_orders,
        )


@pytest.fixture
async def books(tmp_path):
    async with Books(tmp_path / "ledger.sqlite") as books:
        yield books


async def settle(bookkeeper, number, outcome=Outcome.UP) -> SettledMarket:
    return await bookkeeper.settle(market(number), settlement(number, outcome))


async def test_a_venue_that_pays_by_itself_has_paid(books):
    """Settling a won market records its payout once, and gives the market's P&L and the total P&L."""
    bookkeeper = books.bookkeeper(pays_by_itself=True)
    assert await settle(bookkeeper, 1) == SettledMarket(pnl=Decimal("0.10307"), total_pnl=Decimal("0.10307"))
    assert await settle(bookkeeper, 2, Outcome.DOWN) == SettledMarket(
        pnl=Decimal("-1.08693"), total_pnl=Decimal("-0.98386")
    )
    assert await settle(bookkeeper, 1) == SettledMarket(pnl=Decimal("0.10307"), total_pnl=Decimal("-0.98386"))
    assert books.events == [Redeemed(slug=ONE, amount=Decimal("1.1"))]
    assert await bookkeeper.owed() == {}


async def test_a_market_that_was_not_bought_has_no_result(books):
    """Its P&L is None, not zero, and nothing is paid."""
    await books.thread.call(books.ledger.record_market, market(4))
    assert await settle(books.bookkeeper(pays_by_itself=True), 4) == SettledMarket(
        pnl=None, total_pnl=Decimal(0)
    )
    assert books.events == []


async def test_a_venue_that_does_not_pay_owes(books):
    """Winnings are owed until their payout is recorded, which happens once; a lost market owes nothing."""
    bookkeeper = books.bookkeeper()
    for number, outcome in ((1, Outcome.UP), (2, Outcome.DOWN), (3, Outcome.UP)):
        await settle(bookkeeper, number, outcome)
    assert await bookkeeper.owed() == {ONE: Decimal("1.1"), THREE: Decimal("1.3")}
    assert await bookkeeper.bought() == {ONE, TWO, THREE}
    assert [await bookkeeper.record_payout(slug) for slug in (ONE, ONE, TWO, "unknown")] == [
        True,
        False,
        False,
        False,
    ]
    assert books.events == [Redeemed(slug=ONE, amount=Decimal("1.1"))]
    assert await bookkeeper.owed() == {THREE: Decimal("1.3")}


async def test_a_payout_that_another_process_booked_is_booked_once(books, monkeypatch):
    """A ledger that has the payout already refuses it, and no event repeats it."""
    bookkeeper = books.bookkeeper()
    await settle(bookkeeper, 1)
    monkeypatch.setattr(Ledger, "record_redemption", lambda ledger, slug, amount: False)
    assert await bookkeeper.record_payout(ONE) is False
    assert books.events == []


@pytest.mark.parametrize(("pays_by_itself", "booked"), [(True, [ONE, TWO]), (False, [])])
async def test_the_payouts_of_an_earlier_process(books, pays_by_itself, booked):
    """At its start a process records the payouts of a venue that pays by itself, and only those."""
    for number in (1, 2):
        await settle(books.bookkeeper(), number)
    await books.bookkeeper(pays_by_itself=pays_by_itself).record_old_payouts()
    assert [event.slug for event in books.events] == booked


NOTHING = RecordedPayouts(recorded=(), arrived=())


@pytest.mark.parametrize(
    ("more", "held", "expected"),
    [
        # more money than in the ledger, positions still listed, recorded payouts
        ("0", [], NOTHING),
        ("1.1", [], RecordedPayouts(recorded=(ONE,), arrived=())),
        ("2.3", [], RecordedPayouts(recorded=(ONE, TWO), arrived=())),
        ("1.1", [TWO], RecordedPayouts(recorded=(ONE,), arrived=())),
        ("1.1", [ONE], RecordedPayouts(recorded=(), arrived=(ONE,))),
        ("2.3", [ONE, TWO], RecordedPayouts(recorded=(), arrived=(ONE, TWO))),
        ("0", [ONE, TWO], NOTHING),
        ("0.5", [], NOTHING),
        ("-1.1", [], NOTHING),
        ("1.10001", [], RecordedPayouts(recorded=(ONE,), arrived=())),
        ("1.100011", [], NOTHING),
    ],
)
async def test_payouts_that_arrive(books, more, held, expected):
    """A payout is recorded when its position is gone and its money has arrived; either alone is not
    enough."""
    bookkeeper = books.bookkeeper()
    for number in (1, 2):
        await settle(bookkeeper, number)
    books.balance = CASH + Decimal(more)
    assert await bookkeeper.record_arrived_payouts(held, lambda: True) == expected
    assert tuple(event.slug for event in books.events) == expected.recorded
    assert tuple(await bookkeeper.owed()) == tuple(
        slug for slug in (ONE, TWO) if slug not in expected.recorded
    )


async def test_a_balance_that_an_order_may_have_moved_books_nothing(books):
    """Open orders are checked after the balance was read, because one may have begun meanwhile."""
    bookkeeper = books.bookkeeper()
    await settle(bookkeeper, 1)
    asked = []

    def balance() -> Decimal:
        asked.append("balance")
        return CASH + Decimal("1.1")

    def undisturbed() -> bool:
        asked.append("undisturbed")
        return False

    bookkeeper._balance = balance
    assert await bookkeeper.record_arrived_payouts([], undisturbed) is None
    assert asked == ["balance", "undisturbed"]
    assert await bookkeeper.owed() == {ONE: Decimal("1.1")}


@pytest.mark.parametrize(
    ("more", "paid", "matches"),
    [("0", (), True), ("0.00001", (), True), ("1.1", (ONE,), True), ("0.000011", None, False)],
)
async def test_the_cash_check(books, more, paid, matches):
    """The difference to the venue is stored and published; it matches if payouts explain all of it."""
    bookkeeper = books.bookkeeper()
    await settle(bookkeeper, 1)
    books.balance = CASH + Decimal(more)
    found = await bookkeeper.check_cash()
    assert (found.paid, found.matches) == (paid, matches)
    assert (found.check.ledger_cash, found.check.venue_cash) == (CASH, books.balance)
    unexplained = Decimal(0) if paid == (ONE,) else Decimal(more)
    assert books.events == [
        CashChecked(difference=Decimal(more), unexplained=unexplained, venue_cash=books.balance)
    ]
    assert await books.thread.call(books.reader.last_cash_check) == found.check


@pytest.mark.parametrize(
    ("before", "after", "asked", "difference"),
    [("0", "1", 0, "0"), ("1.1", "1", 0, "1.1"), ("-0.00002", "0", 1, "0"), ("-1", "-1", 1, "-1")],
    ids=["equal", "a payout", "explained", "unexplained"],
)
async def test_orders_are_looked_up_before_a_difference_is_stored(books, before, after, asked, difference):
    """Only for a difference that no payout explains; the balance is read again, and the second one stored."""
    bookkeeper, calls = books.bookkeeper(), []
    await settle(bookkeeper, 1)
    books.balance = CASH + Decimal(before)

    async def look_up_orders() -> None:
        calls.append(await books.thread.call(books.reader.last_cash_check))
        books.balance = CASH + Decimal(after)

    found = await bookkeeper.check_cash(look_up_orders)
    assert calls == [None] * asked, "nothing is stored before"
    assert found.check.difference == Decimal(difference)


async def test_nobody_has_to_listen(books):
    """Without an observer the same rows are written."""
    bookkeeper = books.bookkeeper(pays_by_itself=True, publish=False)
    await settle(bookkeeper, 1)
    assert isinstance(await bookkeeper.check_cash(), CashComparison)
    assert await bookkeeper.owed() == {}


async def test_a_ledger_without_a_run_has_no_cash(tmp_path):
    """Before the first run the ledger has no money, and an empty account has no difference."""
    path, thread = tmp_path / "ledger.sqlite", LedgerThread(lambda error: pytest.fail(repr(error)))
    ledger, reader = await thread.call(lambda: (Ledger(path), LedgerReader(path)))
    bookkeeper = SettlementBookkeeper(
        ledger, reader, thread, lambda: Decimal(0), pays_by_itself=False, observe_orders=lambda: lambda: True
    )
    assert await bookkeeper.record_arrived_payouts([], lambda: True) == NOTHING
    await thread.call(reader.close)
    await thread.call(ledger.close)
    thread.close()


@pytest.mark.parametrize(("more", "matches"), [("1.1", True), ("2.3", True), ("1.3", True), ("1.0", False)])
async def test_markets_that_end_together_may_be_paid_before_they_are_recorded(books, more, matches):
    """A surplus may be the shares of markets that are over; another one is a difference."""
    bookkeeper = books.bookkeeper(pays_by_itself=True)
    books.balance = CASH + Decimal(more)
    found = await bookkeeper.check_cash()
    assert found.matches is matches
    assert found.unexplained == (0 if matches else Decimal(more))


async def test_a_balance_that_an_order_may_have_moved_is_not_compared(books):
    """An order of another market between two readings is no difference; nothing is recorded."""
    bookkeeper = books.bookkeeper(observe_orders=lambda: lambda: False)
    with pytest.raises(Temporary, match="an order of another market was under way"):
        await bookkeeper.check_cash()
    assert await books.thread.call(books.reader.last_cash_check) is None


async def test_a_payout_is_not_recorded_while_the_cash_is_compared(books):
    """A market that settles meanwhile waits: the balance that was read does not have its payout."""
    bookkeeper = books.bookkeeper(pays_by_itself=True)
    reading, go_on = threading.Event(), threading.Event()

    def slowly() -> Decimal:
        reading.set()
        assert go_on.wait(10)
        return CASH

    bookkeeper._balance = slowly
    check = asyncio.ensure_future(bookkeeper.check_cash())
    await asyncio.to_thread(reading.wait, 10)
    settling = asyncio.ensure_future(settle(bookkeeper, 1))
    await asyncio.sleep(0)
    go_on.set()
    assert (await check).check.difference == 0
    await settling
    assert Redeemed(slug=ONE, amount=Decimal("1.1")) in books.events


async def test_payouts_are_recorded_while_orders_are_looked_up(books):
    """The look-up before a difference is stored may record what was won meanwhile; the check then ends."""
    bookkeeper = books.bookkeeper(pays_by_itself=True)
    await books.thread.call(books.ledger.record_settlement, settlement(1, Outcome.UP))
    books.balance = CASH + Decimal("5")
    async with asyncio.timeout(10):
        found = await bookkeeper.check_cash(bookkeeper.record_old_payouts)
    assert found.check.difference == Decimal("3.9")
    assert Redeemed(slug=ONE, amount=Decimal("1.1")) in books.events
