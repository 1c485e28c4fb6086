"""The evidence of a run is what its two databases contain, read without the code that wrote them."""

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from ledger_builders import buy, market, open_ledger, settlement

from models import Outcome
from tests.chaos.evidence import Halt, Limits, Observed, Resolution, Settled, collect
from venue.ledger import VenueLedger
from venue.records import Counterparty, VenueAccount, VenueOrder, VenueTrade

MICRO = 1_000_000
ADDRESS = "0x" + "ab" * 20


def venue_database(folder: Path) -> None:
    """An account that bought the first market, which Up won, and was paid."""
    start = market(1).start
    order = VenueOrder(
        id="0xo1-1", address=ADDRESS, wallet=ADDRESS, owner="key", start=start, condition_id="0xc1",
        token="11", outcome="Up", side="BUY", kind="FAK", price=920, maker_amount=MICRO,
        taker_amount=1_100_000, left=0, matched_shares=1_100_000, matched_usd=990_000, status="MATCHED",
        expiration=0, created_ns=7,
    )  # fmt: skip
    trade = VenueTrade(
        id="t1-1", address=ADDRESS, order_id="0xo1-1", wallet=ADDRESS, owner="key", role="TAKER", start=start,
        condition_id="0xc1", token="11", outcome="Up", side="BUY", price=900, shares=1_100_000, usd=990_000,
        fee=6_930, status="CONFIRMED", match_ns=8, update_ns=9, transaction_hash="0x",
        other=Counterparty("0x", ADDRESS, "key", "11", "Up", "SELL"),
    )  # fmt: skip
    ledger = VenueLedger(folder)
    ledger.add_account(VenueAccount(ADDRESS, 1_000_103_070, 0, 0, 1))
    ledger.put_order(order)
    ledger.put_trade(trade)
    ledger.add_resolution(start, MICRO, start + 950, 10)
    ledger.close()


def test_both_databases_are_read(tmp_path: Path) -> None:
    """Order, trade, result and balance of the venue; decision, intent, fill, position and halt of the bot."""
    state = tmp_path / "state" / "synthetic"
    (state / "venue").mkdir(parents=True)
    venue_database(state / "venue")
    with open_ledger(state / "ledger.sqlite") as ledger:
        buy(ledger, 1)
        buy(ledger, 2)
        ledger.record_settlement(settlement(1, Outcome.UP))
        ledger.record_halt("by hand")
    found = collect(tmp_path, "synthetic", Limits(), Observed())
    slugs = [market(number).slug for number in (1, 2)]
    assert [(order.id, order.bought) for order in found.orders] == [("0xo1-1", Decimal("1.1"))]
    assert [(one.usd, one.fee, one.price) for one in found.purchases] == [
        (Decimal("0.99"), Decimal("0.00693"), Decimal("0.9"))
    ]
    assert found.resolutions == {market(1).start: Resolution(Decimal(1), 10)}
    assert (found.balance, found.unpaid, found.live_orders) == (Decimal("1000.10307"), 0, ())
    assert [decision.slug for decision in found.decisions] == slugs
    assert [(intent.order_id, intent.price_cap) for intent in found.intents] == [
        ("0xo1-1", Decimal("0.92")),
        ("0xo2-1", Decimal("0.92")),
    ]
    assert found.trades["t1-1"] == found.fills["t1-1"][0]
    assert found.positions == (
        Settled(slugs[0], Decimal("0.99693"), Decimal("1.1")),
        Settled(slugs[1], Decimal("0.99693"), None),
    )
    assert [(halt.event, halt.why) for halt in found.halts] == [("halt", "by hand")]
    assert isinstance(found.halts[0], Halt)
    assert found.damage == ()


def test_a_missing_row_is_damage(tmp_path: Path) -> None:
    """A reference to a row that does not exist is reported, although every page of the file is right."""
    state = tmp_path / "state" / "synthetic"
    (state / "venue").mkdir(parents=True)
    with open_ledger(state / "ledger.sqlite") as ledger:
        buy(ledger, 1)
    with closing(sqlite3.connect(state / "ledger.sqlite")) as database:
        database.execute("DROP TABLE markets")
        database.commit()
    # The table's foreign keys now name a table that is not there.
    with closing(sqlite3.connect(state / "ledger.sqlite")) as database:
        columns = "session TEXT, slug TEXT, start INTEGER, PRIMARY KEY (session, slug)"
        database.execute(f"CREATE TABLE markets ({columns})")
        database.commit()
    assert "decisions" in collect(tmp_path, "synthetic", Limits(), Observed()).damage
