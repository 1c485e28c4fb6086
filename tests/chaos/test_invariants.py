"""Each invariant holds for the evidence of a right run, and names the violation in a wrong one."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from ledger_comparison import Trade

from tests.chaos.evidence import (
    Decision,
    Evidence,
    Halt,
    Intent,
    Mode,
    Observed,
    Order,
    Purchase,
    Reading,
    Recovery,
    Resolution,
    Settled,
)
from tests.chaos.invariants import INVARIANTS, violations

S = 10**9
START = 1_800_000_000
SLUG = f"btc-updown-15m-{START}"
WALL = 1_790_000_000 * S
"""Wall time at the market's start; the market runs 15 times as fast."""
TRADE = Trade("0xa", Decimal("1.1"), Decimal("0.9"), Decimal("0.00693"))


def wall(second: float) -> int:
    """Wall time at a market second."""
    return WALL + int(second / 15 * S)


ORDER = Order("0xa", START, wall(700), "MATCHED", Decimal("1.1"))
PURCHASE = Purchase(
    order_id="0xa",
    start=START,
    outcome="Up",
    shares=Decimal("1.1"),
    price=Decimal("0.9"),
    usd=Decimal("0.99"),
    fee=Decimal("0.00693"),
    match_ns=wall(701),
)
INTENT = Intent("i1", 1, SLUG, Decimal("1.00"), Decimal("0.92"), "matched", "0xa", wall(699))
RIGHT = Evidence(
    observed=Observed(
        clocks=(Reading(WALL, START * S, 15.0),), covered=(SLUG,), recoveries=(Recovery("kill_worker", 3.0),)
    ),
    orders=(ORDER,),
    purchases=(PURCHASE,),
    trades={"t": TRADE},
    resolutions={START: Resolution(Decimal(1), wall(950))},
    balance=Decimal("1000.10307"),
    starts={SLUG: START},
    decisions=(Decision(1, SLUG, 699.0, None),),
    intents=(INTENT,),
    fills={"t": [TRADE]},
    positions=(Settled(SLUG, Decimal("0.99693"), Decimal("1.1")),),
)


def with_(record: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(record, **changes)


def observed(**changes: Any) -> dict[str, Any]:
    return {"observed": with_(RIGHT.observed, **changes)}


LIVE = (Mode(wall(600), "live", True),)
HALTED = (Halt(wall(650), "halt", "three refusals"),)
MAY_HALT = observed(halts=("another", "refusals"))
SECOND = with_(ORDER, id="0xb")
MANY = tuple(
    with_(PURCHASE, start=START + 900 * number, order_id=f"0x{number}", match_ns=wall(701) + number)
    for number in range(6)
)
WRONG: list[tuple[str, dict[str, Any], str]] = [
    (
        "bought_once",
        {"orders": (ORDER, SECOND)},
        f"the market that starts at {START} was bought by 2 orders: 0xa, 0xb",
    ),
    (
        "orders_intended",
        {"orders": (ORDER, with_(SECOND, bought=Decimal(0)))},
        "order 0xb is not in the ledger",
    ),
    (
        "spend_within_limits",
        {"purchases": (with_(PURCHASE, usd=Decimal("1.01")),)},
        "order 0xa spent $1.01, the limit is $1.00",
    ),
    (
        "spend_within_limits",
        {"purchases": (with_(PURCHASE, price=Decimal("0.93")),)},
        "order 0xa bought at 0.93, its limit is 0.92",
    ),
    (
        "spend_within_limits",
        {"purchases": MANY, "limits": with_(RIGHT.limits, day_loss=Decimal(10))},
        "6 positions were open, the limit is 5",
    ),
    (
        "spend_within_limits",
        {"purchases": MANY[:1], "limits": with_(RIGHT.limits, exposure=Decimal("0.99"))},
        "$0.99693 were at stake, the limit is $0.99",
    ),
    (
        "spend_within_limits",
        {
            "purchases": (with_(PURCHASE, match_ns=wall(100)), MANY[1]),
            "resolutions": {START: Resolution(Decimal(0), wall(200))},
            "limits": with_(RIGHT.limits, day_loss=Decimal("1.5")),
        },
        "the day could have lost $1.99386, the limit is $1.5",
    ),
    ("fills_recorded_once", {"fills": {}}, "trade t of order 0xa is lost"),
    ("fills_recorded_once", {"trades": {}}, "fill t is no trade of the venue"),
    (
        "fills_recorded_once",
        {"fills": {"t": [TRADE._replace(fee=Decimal(0))]}},
        f"trade t is {TRADE} at the venue and {[TRADE._replace(fee=Decimal(0))]} in the ledger",
    ),
    ("orders_final", {"intents": (with_(INTENT, state="unknown"),)}, "order 0xa is 'unknown' in the ledger"),
    (
        "decisions_accounted",
        observed(covered=(SLUG, "another")),
        "no decision in the window of another",
    ),
    (
        "decisions_accounted",
        {"decisions": (*RIGHT.decisions, Decision(2, "another", 700.0, None))},
        "decision 2 in another buys, and there is no order",
    ),
    (
        "decisions_accounted",
        {"decisions": (Decision(1, SLUG, 699.0, "risk"),)},
        "intent i1 has no decision that buys",
    ),
    (
        "cash_agrees",
        {"balance": Decimal("1000.10309")},
        "the ledger gives $1000.10307, the venue has $1000.10309 and $0 to redeem",
    ),
    ("cash_agrees", {"drifts": (Decimal(0), Decimal(-1))}, "$-1 were booked as a deposit or withdrawal"),
    ("cash_agrees", {"cash_differences": (Decimal("0.0001"),)}, "a cash check differs by $0.0001"),
    (
        "cash_agrees",
        {"cash_differences": (Decimal("1.1"), Decimal("1.1")), "paid_after": (Decimal("1.1"), Decimal(0))},
        "a cash check differs by $1.1",
    ),
    (
        "cash_agrees",
        {"balance": Decimal("999.00307"), **observed(flipped=True)},
        "the ledger gives $1000.10307, the venue has $999.00307 and $0 to redeem",
    ),
    (
        # found during a halt that was lifted: trading goes on with a cash that differs
        "cash_agrees",
        {
            "cash_differences": (Decimal("-1.1"),),
            "halts": (
                Halt(wall(950), "halt", "halted by the operator"),
                Halt(wall(990), "resume", "halted by the operator"),
            ),
            **observed(flipped=True, halts=("by the operator",)),
        },
        "a cash check differs by $-1.1",
    ),
    (
        "cash_agrees",
        {"cash_differences": (Decimal(-4),), "balance": Decimal("995.10307"), **observed(moved=Decimal(-5))},
        "a cash check differs by $-4",
    ),
    (
        "orders_in_window",
        {"decisions": (Decision(1, SLUG, 880.0, None),)},
        "decision 1 buys at second 880.0, outside of 320 to 880",
    ),
    (
        "orders_in_window",
        {"orders": (with_(ORDER, created_ns=wall(903)),)},
        "order 0xa reached the venue at second 903.0 of its market",
    ),
    (
        "orders_in_window",
        {"orders": (with_(ORDER, created_ns=wall(185)),), **observed(ahead_s=10.0)},
        "order 0xa reached the venue at second 185.0 of its market",
    ),
    (
        "none_unarmed",
        {"live_orders": ("0xc",)},
        "order 0xc of the live path, which was not armed",
    ),
    (
        "none_unarmed",
        {
            "live_orders": ("0xa",),
            "modes": (*LIVE, Mode(wall(650), "simulation", True)),
            **observed(armed=True),
        },
        "order 0xa was decided while the mode did not allow live orders",
    ),
    (
        "none_unarmed",
        {
            "live_orders": ("0xa",),
            "modes": (
                *LIVE,
                Mode(wall(650), "live", False),
                Mode(INTENT.created_ns + 1_600_000_000, "live", True),
            ),
            **observed(armed=True),
        },
        "order 0xa was decided while the mode did not allow live orders",
    ),
    (
        "none_while_halted",
        {"halts": HALTED, **MAY_HALT},
        "order 0xa was decided after the halt: three refusals",
    ),
    (
        "halts_explained",
        {"halts": (Halt(wall(800), "halt", "a defect"), *HALTED), **MAY_HALT, "orders": ()},
        "halt without a reason: a defect",
    ),
    (
        "recovered",
        observed(recoveries=(Recovery("kill_worker", 35.2, True, 5.0), Recovery("kill_venue", 1.0))),
        "the bot recovered 35.2 s after the end of kill_worker, of which it waited 5.0 s for a processor",
    ),
    (
        "recovered",
        observed(recoveries=(Recovery("wire_hang", 90.0, False),)),
        "the bot had not recovered 90.0 s after the end of wire_hang, of which it"
        " waited 0.0 s for a processor",
    ),
    ("recovered", observed(recoveries=()), "the bot was not found healthy"),
    (
        "none_while_halted",
        observed(operator_halts=((wall(650), wall(720)),)),
        "order 0xa reached the venue 3.3 s after the operator halted trading",
    ),
    (
        "decisions_accounted",
        {"decisions": (*RIGHT.decisions, Decision(2, SLUG, 700.0, None))},
        f"decision 2 in {SLUG} buys, and there is no order",
    ),
    ("ended_cleanly", observed(exit_code=1), "the exit code is 1"),
    (
        "ended_cleanly",
        {"cash_differences": (Decimal(-1), Decimal(0)), **observed(exit_code=1)},
        "the exit code is 1",
    ),
    ("ended_cleanly", observed(output="x\nTraceback (most recent call last):\n"), "a traceback was shown"),
    ("ended_cleanly", observed(problems=("not at rest",)), "not at rest"),
    ("ledger_intact", {"damage": ("row 1 missing",)}, "the ledger is damaged: row 1 missing"),
    ("none_left", observed(orphans=("worker, process 7",)), "a process was left: worker, process 7"),
    (
        "none_left",
        observed(held_locks=("running.lock, by process 7",)),
        "a lock was left: running.lock, by process 7",
    ),
]


def test_a_right_run_violates_nothing() -> None:
    """A market bought once in its window, won, settled and paid."""
    assert violations(RIGHT) == {}
    nothing = Evidence(observed=Observed(recoveries=(Recovery("the last fault", 1.0),)))
    assert violations(nothing) == {}, "nor does a run without an order"


@pytest.mark.parametrize(("name", "changes", "text"), WRONG, ids=[name for name, _, _ in WRONG])
def test_a_violation_is_named(name: str, changes: dict[str, Any], text: str) -> None:
    """The invariant's own function returns the sentence."""
    assert INVARIANTS[name](with_(RIGHT, **changes)) == [text]


def test_every_invariant_has_a_violation() -> None:
    assert {name for name, _, _ in WRONG} == INVARIANTS.keys()


@pytest.mark.parametrize(
    "changes",
    [
        # the order was decided before the halt, and after its lifting
        {"halts": (Halt(wall(700), "halt", "later refusals"),), **MAY_HALT},
        {"halts": (*HALTED, Halt(wall(660), "resume", "three refusals")), **MAY_HALT},
        # an order that never reached the venue is looked up by the next process
        {"intents": (INTENT, with_(INTENT, intent_id="i2", order_id="0xz", state="unknown"))},
        # another client paid out five: the check shows it, and a new process books it
        {
            "balance": Decimal("995.10307"),
            "cash_differences": (Decimal(0), Decimal("-5.00000")),
            "drifts": (Decimal(0), Decimal(-5)),
            **observed(moved=Decimal(-5)),
        },
        # paid, and recorded a moment after the check
        {"cash_differences": (Decimal("1.1"), Decimal(0)), "paid_after": (Decimal("1.1"), Decimal(0))},
        # not redeemed yet, and not settled yet
        {"balance": Decimal("999.00307"), "unpaid": Decimal("1.1")},
        {
            "balance": Decimal("999.00307"),
            "positions": (Settled(SLUG, Decimal("0.99693"), None),),
            "resolutions": {},
        },
        {"live_orders": ("0xa",), "modes": LIVE, **observed(armed=True)},
        # the order found the end of a refusal before the worker had recorded it
        {
            "live_orders": ("0xa",),
            "modes": (
                *LIVE,
                Mode(wall(650), "live", False),
                Mode(INTENT.created_ns + 900_000_000, "live", True),
            ),
            **observed(armed=True),
        },
        # by the bot's clock, which is ahead, the window had begun
        {"orders": (with_(ORDER, created_ns=wall(315)),), **observed(ahead_s=10.0)},
        # 4 of 33 seconds the machine was busy
        observed(recoveries=(Recovery("kill_worker", 33.0, True, 4.0),)),
        # a result that was corrected: the difference has halted the bot, and is its exit code
        {
            "balance": Decimal("999.00307"),
            "cash_differences": (Decimal("-1.1"),),
            "halts": (Halt(wall(960), "halt", "the ledger's cash is $1, the venue's $0"),),
            **observed(flipped=True, halts=("cash is",), exit_code=1),
        },
        # the difference was found during another halt, after which trading is halted again
        {
            "balance": Decimal("999.00307"),
            "cash_differences": (Decimal("-1.1"),),
            "halts": (Halt(wall(950), "halt", "halted by the operator"),),
            **observed(flipped=True, halts=("by the operator",), exit_code=1),
        },
        # the venue refused the balance until the end of the run, which is shown
        {
            "balance": Decimal("999.00307"),
            "cash_differences": (),
            **observed(
                flipped=True, output="Cash  998.9 pUSD by the ledger; not yet compared with the venue"
            ),
        },
        # the same on the live path, where a market that was recorded as lost pays only when it is redeemed
        {
            "balance": Decimal("999.00307"),
            "unpaid": Decimal("1.1"),
            "positions": (Settled(SLUG, Decimal("0.99693"), Decimal(0)),),
            "halts": (Halt(wall(1050), "halt", f"the result of {SLUG} was corrected: Down won"),),
            **observed(flipped=True, halts=("was corrected",)),
        },
        # a result of 0.7 and 0.3, which the operator has to book
        {
            "balance": Decimal("999.77"),
            "cash_differences": (Decimal("0.77"),),
            "halts": (
                Halt(
                    wall(960), "halt", f"{SLUG} cannot be settled: closed without a winner: Up 0.7, Down 0.3"
                ),
            ),
            **observed(unbookable=True, halts=("cannot be settled",), exit_code=1),
        },
        # an earlier attempt in the same market found no match
        {
            "orders": (ORDER, with_(SECOND, bought=Decimal(0))),
            "intents": (INTENT, with_(INTENT, intent_id="i2", order_id="0xb", state="no_fill")),
        },
    ],
)
def test_what_is_right_is_not_a_violation(changes: dict[str, Any]) -> None:
    """Cases that are close to a violation."""
    assert violations(with_(RIGHT, **changes)) == {}


def test_the_clock_of_the_venue_that_ran_then_counts() -> None:
    """A venue that was started again runs in another market; orders of the first one keep their second."""
    later = Reading(WALL + 60 * S, (START + 1020) * S, 15.0)
    first = RIGHT.observed.clocks[0]
    second = Order("0xb", START + 900, WALL + 75 * S, "MATCHED", Decimal(1))  # at 1020 + 225 − 900
    evidence = with_(RIGHT, orders=(ORDER, second), **observed(clocks=(first, later)))
    assert INVARIANTS["orders_in_window"](evidence) == []
