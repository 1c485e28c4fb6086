"""Won positions of real fills on a practice venue, from the result to the cash, through every crash."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eth_account import Account
from ledger_builders import decision, fill, intent, market
from process import VenueProcess
from venue_builders import Trader

from errors import Refused, Temporary
from events import Event, Payout
from execution.ledger import LedgerReader, Mode, Venue
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.order_records import OrderEntry
from execution.polymarket_client import PolymarketClient, Redeemable
from execution.settlement import redemption as module
from execution.settlement.bookkeeping import SettlementBookkeeper
from execution.settlement.redeemers import PracticeRedeemer
from execution.settlement.redemption import MOST_ATTEMPTS, Redemption, RedemptionTiming
from models import OrderState, Outcome, Settlement, fill_cost
from venue.auth import ApiKey

AT_ONCE = RedemptionTiming(interval_s=0.05, patience_s=0.0, retry_s=1000.0)
NEVER = RedemptionTiming(interval_s=0.05, patience_s=1000.0, retry_s=1000.0)
WINNERS = 17
PRICE, FEE = Decimal("0.9"), Decimal("0.00693")
"""Of the builders' fills."""


# --- accounts that have won two markets ------------------------------------------------------------


@pytest.fixture(scope="session")
def winners(shared_manual_venue: VenueProcess) -> Iterator[PolymarketClient]:
    """Accounts with two won positions each, one for every test."""
    made = [_client(shared_manual_venue.url) for _ in range(WINNERS)]
    for _ in range(2):
        with ThreadPoolExecutor(WINNERS) as pool:
            list(pool.map(lambda client: _buy_both(shared_manual_venue, client), made))
        shared_manual_venue.finish_market()
    for client in made:
        assert len(_won(shared_manual_venue, client)) == 2
    return iter(made)


def _client(url: str) -> PolymarketClient:
    client = PolymarketClient(url, "0x" + bytes(Account.create().key).hex())
    client.credentials()
    return client


def _buy_both(venue: VenueProcess, client: PolymarketClient) -> None:
    """Buy both tokens of the running market: whatever the outcome, one of them wins."""
    made = client.credentials()
    api = ApiKey(made.api_key, made.api_secret, made.api_passphrase, client.address, 0)
    trader = Trader(key=client._private_key, api=api)
    slug = f"btc-updown-15m-{venue.clock.current_start()}"
    up, down = json.loads(venue.get(f"/gamma/markets/slug/{slug}")["clobTokenIds"])
    orders = [trader.buy(up, 100, 990), trader.buy(down, 100, 990)]
    answers = trader.send(venue.url, "POST", "/orders", orders).json()
    assert [answer["status"] for answer in answers] == ["matched", "matched"]


def _won(venue: VenueProcess, client: PolymarketClient) -> list[Redeemable]:
    return [row for row in client.redeemable(venue.url + "/data-api") if row.won]


# --- a bot's ledger for such an account ------------------------------------------------------------


@dataclass
class Bot:
    """The parts of a worker of the live profile: ledger, settler, redemption; it can crash and start
    again."""

    venue: VenueProcess
    client: PolymarketClient
    path: Path
    won: list[Redeemable] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.won = sorted(_won(self.venue, self.client), key=lambda row: row.slug)[:2]
        self.start()
        # The amount that the ledger counts as spent, so that it agrees with the venue while nothing is paid.
        costs = (fill_cost(row.shares, PRICE) + FEE for row in self.won)
        self._open(self.client.balance() + sum(costs, Decimal(0)))
        for number, row in enumerate(self.won):
            self._record(number, row)

    def start(self) -> None:
        """A process starts with the ledger on disk."""
        self.thread = LedgerThread(lambda error: pytest.fail(repr(error)))
        self.ledger = self.do(Ledger, self.path)
        self.reader = self.do(LedgerReader, self.path)
        self.bookkeeper = SettlementBookkeeper(
            self.ledger,
            self.reader,
            self.thread,
            self.client.balance,
            pays_by_itself=False,
            observe_orders=lambda: lambda: True,
        )

    def crash(self) -> None:
        """The process ends without a shutdown; what it had written is on disk."""
        self.do(self.reader.close)
        self.do(self.ledger.close)
        self.thread.close()

    def restart(self) -> None:
        self.crash()
        self.start()
        self._open(self.client.balance())

    def do[T](self, function: Callable[..., T], *args: Any) -> T:
        return asyncio.run(self.thread.call(function, *args))

    def _open(self, cash: Decimal) -> None:
        def opened() -> None:
            self.ledger.open_run(
                mode=Mode.SIMULATION, venue=Venue.RECORDED, clock_speed=600, starting_cash=cash
            )

        self.do(opened)

    def _record(self, number: int, row: Redeemable) -> None:
        side = Outcome(row.outcome)
        known = market(number, slug=row.slug, condition_id=row.condition_id)
        bought = decision(number, outcome=side)
        bought = msgspec.structs.replace(
            bought, context=msgspec.structs.replace(bought.context, market=known)
        )
        wanted = intent(0, number, outcome=side)
        wanted = msgspec.structs.replace(wanted, slug=row.slug, condition_id=row.condition_id)
        self.do(self.ledger.write, [OrderEntry(bought, wanted, f"0xo{number}", OrderState.SENT)])
        filled = msgspec.structs.replace(fill(number, outcome=side, shares=str(row.shares)), slug=row.slug)
        self.do(self.ledger.record_fill, filled)
        self.do(self.ledger.record_state, wanted.intent_id, OrderState.MATCHED)
        comparison = Settlement(slug=row.slug, outcome=side, source="gamma", settled_ns=number)
        self.do(self.ledger.record_settlement, comparison)

    # --- actions of a test -----------------------------------------------------------------------

    def positions(self) -> list[Redeemable]:
        return self.client.redeemable(self.venue.url + "/data-api")

    def operator_pays(self, row: Redeemable) -> None:
        """The venue's own operator redeems a position."""
        PracticeRedeemer(self.venue.url, self.client.address).redeem(row.condition_id)

    def redemption(self, **changes: Any) -> Redemption:
        """A new process' redemption, with parts replaced by a test."""

        async def nothing_open() -> bool:
            return True

        parts: dict[str, Any] = {
            "bookkeeper": self.bookkeeper,
            "positions": self.positions,
            "redeemer": "no redeemer was chosen",
            "settled_orders": nothing_open,
            "undisturbed": lambda: True,
            "publish": self.events.append,
            "halt": pytest.fail,
            "timing": NEVER,
        }
        return Redemption(**parts | changes)

    @property
    def owed(self) -> dict[str, Decimal]:
        return self.do(self.reader.claimable)

    @property
    def difference(self) -> Decimal:
        """Venue minus ledger."""
        flow = self.do(self.reader.cash_flow)
        assert flow is not None
        return self.client.balance() - flow.cash

    def payout_texts(self) -> list[str]:
        return [event.what for event in self.events if isinstance(event, Payout)]


@pytest.fixture
def bot(
    winners: Iterator[PolymarketClient], shared_manual_venue: VenueProcess, tmp_path: Path
) -> Iterator[Bot]:
    """Two settled wins that wait to be paid."""
    made = Bot(shared_manual_venue, next(winners), tmp_path / "ledger.sqlite")
    assert made.owed == {row.slug: row.shares for row in made.won}
    assert made.difference == 0
    yield made
    made.crash()


class Counting:
    """A redeemer that counts its calls, and fails as configured."""

    def __init__(self, inner: PracticeRedeemer | None = None, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self.positions: list[str | None] = []
        self._inner = inner
        self._error = error

    def redeem(self, condition_id: str, position_id: str | None = None) -> str:
        self.asked.append(condition_id)
        self.positions.append(position_id)
        if self._error is not None:
            raise self._error
        return "as asked" if self._inner is None else self._inner.redeem(condition_id, position_id)


# --- the venue pays -------------------------------------------------------------------------------


def test_what_the_venue_has_paid_is_booked_and_nothing_else(bot: Bot) -> None:
    """One of two positions is gone and its money has arrived: that one is recorded, the other still owed."""
    first, second = bot.won
    owed = bot.owed[first.slug]
    bot.operator_pays(first)
    look = bot.redemption()
    asyncio.run(look.check())
    assert bot.owed == {second.slug: second.shares}
    assert bot.difference == 0
    assert bot.payout_texts() == [f"{first.slug} has paid {owed} pUSD"]
    asyncio.run(look.check())
    assert len(bot.payout_texts()) == 1


def test_a_payout_is_no_difference_to_halt_on_and_anything_else_is(bot: Bot) -> None:
    """The cash check passes with none, one or both paid and unrecorded; with one more cent it fails."""
    assert asyncio.run(bot.bookkeeper.check_cash()).paid == ()
    for count, row in enumerate(bot.won, 1):
        bot.operator_pays(row)
        comparison = asyncio.run(bot.bookkeeper.check_cash())
        assert comparison.matches
        assert comparison.paid == tuple(paid.slug for paid in bot.won[:count])
    cent_more = bot.client.balance() + Decimal("0.01")
    bot.venue.set_account(bot.client.address, balance=str(cent_more))
    assert not asyncio.run(bot.bookkeeper.check_cash()).matches
    asyncio.run(bot.redemption().check())
    assert len(bot.owed) == 2


def test_a_list_that_is_behind_books_nothing_and_redeems_nothing(bot: Bot) -> None:
    """Paid but still listed: wait, and send no second redemption. Gone from the list but not paid: wait."""
    stale = bot.positions()
    redeemer = Counting()
    late = bot.redemption(positions=lambda: stale, redeemer=redeemer, timing=AT_ONCE)
    bot.operator_pays(bot.won[0])
    asyncio.run(late.check())
    assert redeemer.asked == [bot.won[1].condition_id]
    assert len(bot.owed) == 2
    early = bot.redemption(positions=list, redeemer=redeemer, timing=AT_ONCE)
    asyncio.run(early.check())
    assert bot.owed == {bot.won[1].slug: bot.won[1].shares}
    asyncio.run(early.check())
    assert len(bot.owed) == 1


def test_nothing_is_asked_or_booked_while_an_order_may_move_the_balance(bot: Bot) -> None:
    """An order in flight before or during the request makes the balance unusable."""

    async def in_flight() -> bool:
        return False

    bot.operator_pays(bot.won[0])
    never = bot.redemption(settled_orders=in_flight, positions=lambda: pytest.fail("asked"))
    asyncio.run(never.check())
    redeemer = Counting()
    asyncio.run(bot.redemption(undisturbed=lambda: False, redeemer=redeemer, timing=AT_ONCE).check())
    assert (len(bot.owed), redeemer.asked) == (2, [])


# --- we redeem ------------------------------------------------------------------------------------


def test_what_the_venue_does_not_pay_is_redeemed_once_and_then_booked(bot: Bot) -> None:
    """Not before its time; then each once, recorded when the money has arrived."""
    redeemer = Counting(PracticeRedeemer(bot.venue.url, bot.client.address))
    asyncio.run(bot.redemption(redeemer=redeemer, timing=NEVER).check())
    assert redeemer.asked == []
    look = bot.redemption(redeemer=redeemer, timing=AT_ONCE)
    for _ in range(3):
        asyncio.run(look.check())
    assert sorted(redeemer.asked) == sorted(row.condition_id for row in bot.won)
    assert (bot.owed, bot.difference) == ({}, 0)
    assert sum("the practice venue paid" in what for what in bot.payout_texts()) == 2


def test_what_the_venue_pays_at_once_is_booked_before_the_cash_is_compared(bot: Bot) -> None:
    """One check redeems and records: the comparison that follows it has no difference."""
    redeemer = PracticeRedeemer(bot.venue.url, bot.client.address)
    asyncio.run(bot.redemption(redeemer=redeemer, timing=AT_ONCE).check())
    assert (bot.owed, bot.difference) == ({}, 0)


@pytest.mark.parametrize("point", ["redeemed", "between two bookings", "booked"])
def test_a_crash_at_any_point_pays_and_books_once(bot: Bot, point: str) -> None:
    """After the redemption, during the recording, or after it: the next process has the same result."""
    redeemer = Counting(PracticeRedeemer(bot.venue.url, bot.client.address))
    look = bot.redemption(redeemer=redeemer, timing=AT_ONCE)
    if point == "booked":
        asyncio.run(look.check())
    else:
        _die_after_bookings(bot, 0 if point == "redeemed" else 1)
        with pytest.raises(OSError, match="the power went"):
            asyncio.run(look.check())
    assert len(redeemer.asked) == 2
    assert len(bot.owed) == {"redeemed": 2, "between two bookings": 1, "booked": 0}[point]
    bot.restart()
    after = bot.redemption(redeemer=redeemer, timing=AT_ONCE)
    for _ in range(2):
        asyncio.run(after.check())
    assert len(redeemer.asked) == 2
    assert (bot.owed, bot.difference) == ({}, 0)
    flow = bot.do(bot.reader.cash_flow)
    assert flow is not None
    assert flow.redeemed == sum(row.shares for row in bot.won)


def _die_after_bookings(bot: Bot, number: int) -> None:
    really = bot.bookkeeper.record_payout
    done: list[str] = []

    async def redeemed(slug: str) -> bool:
        if len(done) == number:
            raise OSError("the power went")
        done.append(slug)
        return await really(slug)

    bot.bookkeeper.record_payout = redeemed  # pyright: ignore[reportAttributeAccessIssue]


def test_a_crash_before_the_answer_redeems_again_without_harm(bot: Bot) -> None:
    """The call arrived, its answer was lost, and the list is delayed: a second call pays nothing more."""
    stale = bot.positions()
    redeemer = Counting(PracticeRedeemer(bot.venue.url, bot.client.address))
    for row in bot.won:
        redeemer.redeem(row.condition_id)
    before = bot.client.balance()
    bot.restart()
    for row in bot.won:
        redeemer.redeem(row.condition_id)
    assert bot.client.balance() == before
    look = bot.redemption(positions=lambda: stale, redeemer=redeemer, timing=AT_ONCE)
    asyncio.run(look.check())
    assert len(redeemer.asked) == 4
    asyncio.run(bot.redemption().check())
    assert (bot.owed, bot.difference) == ({}, 0)


def test_a_failed_redemption_is_tried_a_few_times_and_then_reported(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not again before its pause, not more often than allowed, and one message with the next step."""
    redeemer = Counting(error=Temporary("the relayer is away"))
    look = bot.redemption(redeemer=redeemer, timing=AT_ONCE)
    for _ in range(3):
        asyncio.run(look.check())
    assert len(redeemer.asked) == 2
    now = time.monotonic
    for attempt in range(1, MOST_ATTEMPTS + 2):
        monkeypatch.setattr(module.time, "monotonic", lambda later=attempt: now() + 1001 * later)
        asyncio.run(look.check())
    monkeypatch.undo()
    assert len(redeemer.asked) == 2 * MOST_ATTEMPTS
    (text,) = bot.payout_texts()
    assert f"because {MOST_ATTEMPTS} redemption attempts failed" in text


def test_what_cannot_be_redeemed_is_reported_once_with_the_next_step(bot: Bot) -> None:
    """Without a redeemer, and with one that refuses: one message, with amount, market, reason and place."""
    without = bot.redemption(redeemer="the official client is not installed", timing=AT_ONCE)
    for _ in range(2):
        asyncio.run(without.check())
    refusing = Counting(error=Refused("the wallet is not deployed"))
    look = bot.redemption(redeemer=refusing, timing=AT_ONCE)
    for _ in range(2):
        asyncio.run(look.check())
    assert len(refusing.asked) == 2
    first, second = [event for event in bot.events if isinstance(event, Payout)]
    assert first.manual
    assert second.manual
    assert "polymarket.com/portfolio" in first.what
    assert "because the official client is not installed" in first.what
    assert any(f"{amount} pUSD won in {slug}" in first.what for slug, amount in bot.owed.items())
    assert "the wallet is not deployed" in second.what


def test_positions_bought_elsewhere_and_lost_ones_are_left_alone(bot: Bot) -> None:
    """A position that the ledger did not buy is not redeemed, nor one that pays nothing."""
    foreign = Redeemable(
        condition_id="0xforeign", slug="btc-updown-15m-0", outcome="Up", shares=Decimal(5), pays=Decimal(1)
    )
    redeemer = Counting(PracticeRedeemer(bot.venue.url, bot.client.address))
    look = bot.redemption(positions=lambda: [*bot.positions(), foreign], redeemer=redeemer, timing=AT_ONCE)
    asyncio.run(look.check())
    assert sorted(redeemer.asked) == sorted(row.condition_id for row in bot.won)
    lost = [msgspec.structs.replace(row, pays=Decimal(0)) for row in bot.won]
    asyncio.run(bot.redemption(positions=lambda: lost, redeemer=redeemer, timing=AT_ONCE).check())
    assert len(redeemer.asked) == 2


def test_a_position_of_a_market_without_a_winner_is_redeemed_at_what_it_pays(bot: Bot) -> None:
    """A position that pays one half per share waits like a win; the message has the money, not the shares."""
    halves = [msgspec.structs.replace(row, shares=Decimal("3"), pays=Decimal("0.5")) for row in bot.won]
    redeemer = Counting(error=Refused("the wallet is not deployed"))
    asyncio.run(bot.redemption(positions=lambda: halves, redeemer=redeemer, timing=AT_ONCE).check())
    assert sorted(redeemer.asked) == sorted(row.condition_id for row in bot.won)
    assert any(what.startswith("1.500000 pUSD won in") for what in bot.payout_texts())


def test_a_position_of_protocol_v2_is_named_to_the_redeemer(bot: Bot) -> None:
    """A won position whose id has the form of Protocol V2 is redeemed by that id, a CTF token without one."""
    position = str((1 << 248) + (7 << 104) + 1)
    first, second = bot.won
    held = [msgspec.structs.replace(first, token_id=position), second]
    redeemer = Counting()
    asyncio.run(bot.redemption(positions=lambda: held, redeemer=redeemer, timing=AT_ONCE).check())
    assert redeemer.asked == [first.condition_id, second.condition_id]
    assert redeemer.positions == [position, None]


def test_a_venue_that_does_not_answer_is_asked_again(bot: Bot) -> None:
    """Without the positions nothing is recorded and nothing fails; a redeemer without a venue reports
    that."""

    def away() -> list[Redeemable]:
        raise Temporary("away")

    asyncio.run(bot.redemption(positions=away).check())
    assert len(bot.owed) == 2
    with pytest.raises(Temporary, match="did not redeem"):
        PracticeRedeemer("http://127.0.0.1:9", bot.client.address).redeem("0x00")
