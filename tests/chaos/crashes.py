"""The crash matrix: kill -9 of worker, supervisor and venue at every command of an order's and a settlement's
life, on paper, and at those of them that the live path has otherwise.

The commands are not listed here: each scenario passes its inputs to the order lifecycle, and what that
returns are the commands. A cell is a schedule, so that it is played, checked and repeated like any other.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from typing import NamedTuple

import msgspec
from ledger_builders import decision, market

from execution.order_lifecycle import OrderLifecycle, OrderRules
from execution.order_messages import (
    CashCompared,
    Command,
    DecisionMade,
    Input,
    LookedUp,
    PostAnswered,
    SignatureReady,
    TimeReached,
    TradeReported,
)
from execution.outcomes import OutcomeKind, PostOutcome
from models import Fill, FillStatus, Outcome
from tests.chaos.hooks.stop_points import LAST_WRITE, REDEMPTION, SETTLEMENT_WRITES, STOP, point_of
from tests.chaos.old_ledger import migration_points
from tests.chaos.schedule import COMMAND, RESTARTING, SWITCH_AT, SWITCHED, Injection, Schedule

VICTIMS = ("worker", "supervisor", "venue")
INTENT, ORDER = "i1", "0xi1"
LIVE_POINTS = ("sign", "write order sent", "post", "write state matched", "write fill MATCHED")
"""The points of an order that are cells of the live path, too: the other commands pass on what was written,
or follow a fault that is handled alike on both paths."""
NOW_NS = 1_800_000_000 * 10**9
SHARES = Decimal("1.1")


class Scenario(NamedTuple):
    """A way in which an order goes: the venue's faults that lead to it, and the inputs that follow."""

    name: str
    faults: tuple[Injection, ...]
    inputs: tuple[Input, ...]


def _answer(kind: OutcomeKind) -> PostAnswered:
    taking = SHARES if kind is OutcomeKind.MATCHED else None
    return PostAnswered(INTENT, PostOutcome(kind=kind, reason="the venue's text", taking=taking))


def _trade(status: FillStatus) -> TradeReported:
    fill = Fill(
        trade_id="t#0",
        order_id=ORDER,
        intent_id=INTENT,
        slug=market(1).slug,
        outcome=Outcome.UP,
        shares=SHARES,
        price=Decimal("0.9"),
        fee=Decimal("0.00693"),
        ts_ns=NOW_NS,
    )
    return TradeReported(ORDER, "t", status, (fill,))


SENT: tuple[Input, ...] = (DecisionMade(decision(1), INTENT), SignatureReady(INTENT, ORDER))
SCENARIOS = (
    Scenario("sent", (), SENT),
    Scenario(
        # Without the message, which a busy machine may process before the answer: then state and fill are one
        # write, and the two commands of this order of events do not come.
        "answer, no message",
        (Injection("user_feed_silent", lasts=300.0),),
        (
            *SENT,
            _answer(OutcomeKind.MATCHED),
            TimeReached(),
            LookedUp(ORDER, (_trade(FillStatus.MATCHED),)),
        ),
    ),
    Scenario(
        "matched",
        (),
        (
            *SENT,
            _answer(OutcomeKind.MATCHED),
            *(_trade(status) for status in (FillStatus.MATCHED, FillStatus.MINED, FillStatus.CONFIRMED)),
        ),
    ),
    Scenario(
        "no answer, no message",
        (Injection("drop_after_accept"), Injection("user_feed_silent", lasts=300.0)),
        (
            *SENT,
            _answer(OutcomeKind.UNKNOWN),
            TimeReached(),
            LookedUp(ORDER, (_trade(FillStatus.MATCHED),)),
            TimeReached(),
            LookedUp(ORDER, (_trade(FillStatus.MATCHED),)),
        ),
    ),
    Scenario("no match", (Injection("unmatched"),), (*SENT, _answer(OutcomeKind.NO_FILL))),
    Scenario("refused", (Injection("refused_4xx"),), (*SENT, _answer(OutcomeKind.REFUSED))),
    Scenario(
        "traded although refused",
        # Found when the cash is compared: its message may be processed before the answer.
        (
            Injection("refused_4xx", parameters={"executed": True}),
            Injection("user_feed_silent", lasts=700.0),
        ),
        (
            *SENT,
            _answer(OutcomeKind.REFUSED),
            CashCompared(agrees=False),
            LookedUp(ORDER, (_trade(FillStatus.MATCHED),)),
        ),
    ),
    Scenario(
        "failed on the chain",
        (Injection("failed_after_match"),),
        (*SENT, _answer(OutcomeKind.MATCHED), _trade(FillStatus.MATCHED), _trade(FillStatus.FAILED)),
    ),
)
"""Every kind of command occurs in one of them."""


def commands(scenario: Scenario) -> list[Command]:
    """The commands of a scenario, in their order, from the order lifecycle itself."""
    lifecycle = OrderLifecycle(OrderRules(max_attempts=3))
    found = []
    for number, message in enumerate(scenario.inputs):
        # A minute apart: every look-up is due.
        found += lifecycle.handle(message, NOW_NS + number * 60 * 10**9)
    return found


def points() -> Iterator[tuple[Scenario, str]]:
    """Every point once, with the first scenario that has it; then those of a settlement."""
    seen = set()
    for scenario in SCENARIOS:
        for command in commands(scenario):
            point = point_of(command)
            if point not in seen:
                seen.add(point)
                yield scenario, point
    for write in SETTLEMENT_WRITES:
        yield SCENARIOS[0], f"before {write}"
        yield SCENARIOS[0], f"after {write}"


def live_points() -> Iterator[tuple[Scenario, str]]:
    """The points that are cells of the live path: those of a sent order, and all of a settlement, where the
    venue pays only when a redemption is requested."""
    settled = {f"{when} {write}" for when in ("before", "after") for write in SETTLEMENT_WRITES}
    for scenario, point in points():
        if point == "write fill MATCHED":
            # From the message: a look-up is made when the venue has confirmed the trade already.
            yield SCENARIOS[0], point
        elif point in settled.union(LIVE_POINTS):
            yield scenario, point
    yield SCENARIOS[0], f"before {REDEMPTION}"
    yield SCENARIOS[0], f"after {REDEMPTION}"


def restart_points() -> tuple[str, ...]:
    """The points of a planned restart in the worker that ends: its decision to end, and its last write."""
    return f"before {STOP}", f"before {LAST_WRITE}"


def matrix() -> Iterator[Schedule]:
    """One schedule for each point and process; then kills during a restart, a recording, a mode switch and a
    migration of the ledger, which the supervisor makes before it starts another process."""
    found = [("paper", *each) for each in points()] + [("rehearsal", *each) for each in live_points()]
    cells = [
        Schedule(0, 0, path, injections=(*scenario.faults, Injection(f"kill_{victim}", on=COMMAND + point)))
        for path, scenario, point in found
        for victim in VICTIMS
    ]
    for victim in VICTIMS:
        for point in (*(COMMAND + point for point in restart_points()), RESTARTING):
            kill = Injection(f"kill_{victim}", on=point)
            cells.append(Schedule(0, 0, situation="restart", injections=(kill,)))
        kill = Injection(f"kill_{victim}", on="filled")
        cells.append(Schedule(0, 0, situation="recording", injections=(kill,)))
    for switch, victim in product(("switch_to_simulation", "switch_to_live"), VICTIMS):
        for point in (SWITCHED, RESTARTING):
            injections = (
                Injection(switch, at=SWITCH_AT),
                Injection(f"kill_{victim}", at=SWITCH_AT, on=point),
            )
            cells.append(Schedule(0, 0, "rehearsal", situation="switch", injections=injections))
    for point in migration_points():
        kill = Injection("kill_supervisor", on=COMMAND + point)
        cells.append(Schedule(0, 0, situation="migration", injections=(kill,)))
    for number, cell in enumerate(cells):
        yield msgspec.structs.replace(cell, number=number)
