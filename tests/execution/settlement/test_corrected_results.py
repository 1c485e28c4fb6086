"""A result that the venue corrects after the ledger has recorded it halts the live path."""

import asyncio
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from ledger_builders import decision, fill, intent, market

from execution.ledger import LedgerReader, Mode, Venue
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.order_records import OrderEntry
from execution.polymarket_client import Redeemable
from execution.settlement.bookkeeping import SettlementBookkeeper
from execution.settlement.corrected_results import contradiction
from execution.settlement.redemption import Redemption, RedemptionTiming
from models import OrderState, Outcome, Settlement, Split

SLUG = "btc-updown-15m-1790597700"
"""Of the builders' market 1."""
HOUR_NS = 3_600_000_000_000
WON = Redeemable(
    condition_id="0xc1", slug=SLUG, outcome="Up", shares=Decimal("1.1"), pays=Decimal(1), token_id="11"
)


def result(outcome: Outcome | None, settled_ns: int = 0, split: Split | None = None) -> Settlement:
    return Settlement(slug=SLUG, outcome=outcome, source="gamma", settled_ns=settled_ns, split=split)


@pytest.mark.parametrize(
    ("outcome", "listed", "pays", "contradicts"),
    [
        (Outcome.UP, "Up", "1", False),
        (Outcome.UP, "Down", "0", False),
        (Outcome.UP, "Up", "0", True),
        (Outcome.DOWN, "Up", "1", True),
        (Outcome.DOWN, "Up", "0.5", True),
        (Outcome.DOWN, "Up", "0.97", False),  # a price of the open market
        (Outcome.DOWN, "", "1", False),
        (None, "Up", "0.5", False),
        (None, "Up", "1", True),
    ],
)
def test_a_listed_payout_is_compared_with_the_recorded_result(
    outcome: Outcome | None, listed: str, pays: str, contradicts: bool
) -> None:
    halves = Split(up=Decimal("0.5"), down=Decimal("0.5")) if outcome is None else None
    row = msgspec.structs.replace(WON, outcome=listed, pays=Decimal(pays))
    assert (contradiction(row, result(outcome, split=halves)) is not None) is contradicts


Check = Callable[[list[Redeemable]], list[str]]


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[Callable[[int], Check]]:
    """Makes a ledger with a market that was bought Up and recorded as lost at a time; returns a function that
    checks once, with these listed positions, and returns the reasons of the halts so far."""
    thread = LedgerThread(lambda error: pytest.fail(repr(error)))
    ledger, reader = thread.submit(_opened, tmp_path / "ledger.sqlite").result()

    def record(settled_ns: int) -> None:
        bought = intent(0, 1)
        ledger.write([OrderEntry(decision(1), bought, "0xo1", OrderState.SENT)])
        ledger.record_market(market(1))
        ledger.record_fill(fill(1))
        ledger.record_state(bought.intent_id, OrderState.MATCHED)
        ledger.record_settlement(result(Outcome.DOWN, settled_ns))

    def make(settled_ns: int) -> Check:
        thread.submit(record, settled_ns).result()
        halts: list[str] = []
        listed: list[Redeemable] = []

        async def nothing_open() -> bool:
            return True

        redemption = Redemption(
            SettlementBookkeeper(
                ledger,
                reader,
                thread,
                lambda: Decimal(1000),
                pays_by_itself=False,
                observe_orders=lambda: lambda: True,
            ),
            lambda: listed,
            "no redeemer was chosen",
            nothing_open,
            lambda: True,
            lambda event: None,
            halts.append,
            RedemptionTiming(),
        )

        def check(rows: list[Redeemable]) -> list[str]:
            listed[:] = rows
            asyncio.run(redemption.check())
            return halts

        return check

    yield make
    thread.submit(reader.close).result()
    thread.submit(ledger.close).result()
    thread.close()


def _opened(path: Path) -> tuple[Ledger, LedgerReader]:
    ledger = Ledger(path)
    ledger.open_run(
        mode=Mode.SIMULATION, venue=Venue.RECORDED, clock_speed=1, starting_cash=Decimal("1000.99693")
    )
    return ledger, LedgerReader(path)


def test_a_lost_market_that_pays_halts_once_with_its_reason(lost: Callable[[int], Check]) -> None:
    """The ledger expects no payout, so that the cash agrees: the list of positions is the only evidence."""
    check = lost(time.time_ns())
    assert check([]) == []
    assert check([msgspec.structs.replace(WON, pays=Decimal(0))]) == []
    assert check([msgspec.structs.replace(WON, slug="btc-updown-15m-0")]) == []
    why = (
        "the result of btc-updown-15m-1790597700 was corrected: Down won by gamma, but the account's"
        " positions list 1.1 shares of Up that pay 1 each, not 0"
    )
    assert check([WON]) == [why]
    assert check([WON]) == [why]


def test_an_old_result_is_not_compared(lost: Callable[[int], Check]) -> None:
    """A worker does not request the list for as long as it runs, for every market it ever lost."""
    assert lost(time.time_ns() - HOUR_NS - 1)([WON]) == []
