"""What must hold after every run, whatever went wrong in it. Pure functions of the evidence.

Each returns one sentence per violation. `INVARIANTS` has all of them; `violations` checks all.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from itertools import zip_longest

from ledger_comparison import differences

from tests.chaos.evidence import Evidence, Intent

RECOVERY_S = 30.0
"""Longest time from the end of a fault until the bot is healthy, wall seconds."""
HALTED_NS = 1_000_000_000
"""Longest time from the operator's halt until the last order that had passed its check reaches the venue."""
CASH_TOLERANCE = Decimal("0.00001")
"""Largest difference of two amounts of cash, pUSD."""
FOLLOWED_NS = 1_500_000_000
"""Longest time until the worker has followed a change of the mode, with the delay of a busy machine."""
MARKET_S = 900
NOT_SENT = ("intent", "no_fill", "refused")
"""States of an intent that may never have reached the venue."""
OPEN = ("intent", "sent", "unknown")

Check = Callable[[Evidence], list[str]]


def bought_once(evidence: Evidence) -> list[str]:
    """No market is bought by more than one order."""
    orders = defaultdict(list)
    for order in evidence.orders:
        if order.bought > 0:
            orders[order.start].append(order.id)
    return [
        f"the market that starts at {start} was bought by {len(ids)} orders: {', '.join(ids)}"
        for start, ids in orders.items()
        if len(ids) > 1
    ]


def orders_intended(evidence: Evidence) -> list[str]:
    """Every order at the venue is in the ledger with its hash."""
    known = {intent.order_id for intent in evidence.intents}
    return [f"order {order.id} is not in the ledger" for order in evidence.orders if order.id not in known]


def spend_within_limits(evidence: Evidence) -> list[str]:
    """No order, no price, no exposure, no number of positions and no loss is above its limit."""
    return [*_orders_above_limits(evidence), *_account_above_limits(evidence)]


def _orders_above_limits(evidence: Evidence) -> list[str]:
    intents = {intent.order_id: intent for intent in evidence.intents if intent.order_id}
    spent: dict[str, Decimal] = defaultdict(Decimal)
    wrong = []
    for purchase in evidence.purchases:
        spent[purchase.order_id] += purchase.usd
        intent = intents.get(purchase.order_id)
        if intent is not None and purchase.price > intent.price_cap:
            wrong.append(
                f"order {purchase.order_id} bought at {purchase.price}, its limit is {intent.price_cap}"
            )
    wrong += [
        f"order {order} spent ${usd}, the limit is ${evidence.limits.order}"
        for order, usd in spent.items()
        if usd > evidence.limits.order
    ]
    return wrong


def _account_above_limits(evidence: Evidence) -> list[str]:
    """Exposure, positions and worst loss at each purchase, from the venue's database alone."""
    limits, wrong = evidence.limits, []
    for place, purchase in enumerate(evidence.purchases):
        before = evidence.purchases[: place + 1]
        results = {
            start: result
            for start, result in evidence.resolutions.items()
            if result.wall_ns <= purchase.match_ns
        }
        open_ones = [one for one in before if one.start not in results]
        exposure = sum((one.cost for one in open_ones), Decimal(0))
        realised = sum(
            (
                one.shares * results[one.start].pays(one.outcome) - one.cost
                for one in before
                if one.start in results
            ),
            Decimal(0),
        )
        positions = len({one.start for one in open_ones})
        if exposure > limits.exposure:
            wrong.append(f"${exposure} were at stake, the limit is ${limits.exposure}")
        if positions > limits.positions:
            wrong.append(f"{positions} positions were open, the limit is {limits.positions}")
        if exposure - realised > limits.day_loss:
            wrong.append(f"the day could have lost ${exposure - realised}, the limit is ${limits.day_loss}")
    return wrong


def fills_recorded_once(evidence: Evidence) -> list[str]:
    """Every trade of the venue is one fill in the ledger, at its price and fee, and there is no other."""
    return differences(evidence.trades, evidence.fills)


def orders_final(evidence: Evidence) -> list[str]:
    """Every order that the venue has is in a final state in the ledger."""
    known = {order.id for order in evidence.orders}
    return [
        f"order {intent.order_id} is {intent.state!r} in the ledger"
        for intent in evidence.intents
        if intent.state in OPEN and intent.order_id in known
    ]


def decisions_accounted(evidence: Evidence) -> list[str]:
    """Every window in which a worker ran has a decision, and every decision to buy its order."""
    decided = {decision.slug for decision in evidence.decisions}
    ordered = {intent.decision_id for intent in evidence.intents}
    wrong = [
        f"no decision in the window of {slug}" for slug in evidence.observed.covered if slug not in decided
    ]
    wrong += [
        f"decision {decision.id} in {decision.slug} buys, and there is no order"
        for decision in evidence.decisions
        if decision.reason is None and decision.id not in ordered
    ]
    buying = {decision.id for decision in evidence.decisions if decision.reason is None}
    wrong += [
        f"intent {intent.intent_id} has no decision that buys"
        for intent in evidence.intents
        if intent.decision_id not in buying
    ]
    return wrong


def cash_agrees(evidence: Evidence) -> list[str]:
    """The venue's cash is the starting cash, the P&L of the ledger's fills and results, and what another
    client paid in.

    A check between a payout and its record differs by the payout. After a result that was corrected, it is
    enough that this halted the bot, that its check of the cash found the difference during a halt that is not
    lifted, or that the bot reports that it could not compare the cash; and after one that the operator has to
    book, that the bot halted because of it.
    """
    if evidence.observed.flipped and _knows_of_correction(evidence):
        return []
    if evidence.observed.unbookable and _is_halted(evidence, "cannot be settled: closed without a winner"):
        return []
    moved = evidence.observed.moved
    result = sum(((one.paid or Decimal(0)) - one.cost for one in evidence.positions), Decimal(0))
    expected = evidence.starting_cash + result + moved
    wrong = []
    if abs(expected - evidence.balance - evidence.unpaid) > CASH_TOLERANCE:
        wrong.append(
            f"the ledger gives ${expected}, the venue has ${evidence.balance}"
            f" and ${evidence.unpaid} to redeem"
        )
    wrong += [
        f"${drift} were booked as a deposit or withdrawal"
        for drift in evidence.drifts
        if drift not in (0, moved)
    ]
    wrong += [
        f"a cash check differs by ${difference}"
        for difference, later in zip_longest(
            evidence.cash_differences, evidence.paid_after, fillvalue=Decimal(0)
        )
        if min(abs(difference - part) for part in (0, moved, later, moved + later)) > CASH_TOLERANCE
    ]
    return wrong


def _knows_of_correction(evidence: Evidence) -> bool:
    """Whether the bot halted because of a corrected result, found the difference while it was halted, or
    shows that nothing was compared."""
    if any(_is_halted(evidence, reason) for reason in ("the ledger's cash is", "was corrected")):
        return True
    if not evidence.cash_differences:
        return "not yet compared with the venue" in evidence.observed.output
    stands = bool(evidence.halts) and evidence.halts[-1].event == "halt"
    return stands and evidence.cash_differences[-1] != 0


def _is_halted(evidence: Evidence, reason: str) -> bool:
    return any(reason in halt.why for halt in evidence.halts if halt.event == "halt")


def orders_in_window(evidence: Evidence) -> list[str]:
    """Every decision to buy is made in the window, and its order reaches the venue before the market ends.

    The window is that of the bot's clock.
    """
    begin, end = evidence.limits.window
    earliest = begin - max(0.0, evidence.observed.ahead_s)
    wrong = [
        f"decision {decision.id} buys at second {decision.second:.1f}, outside of {begin:g} to {end:g}"
        for decision in evidence.decisions
        if decision.reason is None and not begin <= decision.second < end
    ]
    for order in evidence.orders:
        second = _market_s(evidence, order.created_ns) - order.start
        if not earliest <= second < MARKET_S:
            wrong.append(f"order {order.id} reached the venue at second {second:.1f} of its market")
    return wrong


def _market_s(evidence: Evidence, wall_ns: int) -> float:
    """Market time at a wall time, by the venue that ran then."""
    clocks = evidence.observed.clocks
    reading = next((one for one in reversed(clocks) if one.wall_ns <= wall_ns), clocks[0])
    return reading.market_s(wall_ns)


def none_unarmed(evidence: Evidence) -> list[str]:
    """No order on the live path without arming, or while the mode does not allow it."""
    if not evidence.observed.armed:
        return [f"order {order} of the live path, which was not armed" for order in evidence.live_orders]
    if not evidence.live_orders:
        return []
    return [
        f"order {intent.order_id} was decided while the mode did not allow live orders"
        for intent in _sent(evidence)
        if not _allowed(evidence, intent.created_ns)
    ]


def _sent(evidence: Evidence) -> list[Intent]:
    """The intents whose order the venue has."""
    known = {order.id for order in evidence.orders}
    return [intent for intent in evidence.intents if intent.order_id in known]


def _allowed(evidence: Evidence, at_ns: int) -> bool:
    """Whether the mode allowed an order at a time.

    The ledger has a change when the worker has followed it, once a second. An order reads the mode itself
    and may find the end of a refusal before.
    """
    before = [mode for mode in evidence.modes if mode.ts_ns <= at_ns]
    after = [mode for mode in evidence.modes if at_ns < mode.ts_ns <= at_ns + FOLLOWED_NS]
    found = before[-1:] + after
    return bool(before) and any(mode.mode == "live" and mode.allows_orders for mode in found)


def none_while_halted(evidence: Evidence) -> list[str]:
    """No order that was decided between a halt and its lifting reaches the venue, and none at all while the
    operator halts trading, but for one that had passed its last check before."""
    wrong = [
        f"order {order.id} reached the venue {(order.created_ns - begin) / 1e9:.1f} s after the operator"
        " halted trading"
        for begin, end in evidence.observed.operator_halts
        for order in evidence.orders
        if begin + HALTED_NS < order.created_ns < end
    ]
    for intent in _sent(evidence):
        before = [halt for halt in evidence.halts if halt.ts_ns <= intent.created_ns]
        if before and before[-1].event == "halt":
            wrong.append(f"order {intent.order_id} was decided after the halt: {before[-1].why}")
    return wrong


def halts_explained(evidence: Evidence) -> list[str]:
    """Trading is halted only for a reason that a fault of the schedule gives."""
    return [
        f"halt without a reason: {halt.why}"
        for halt in evidence.halts
        if halt.event == "halt" and not any(reason in halt.why for reason in evidence.observed.halts)
    ]


def recovered(evidence: Evidence) -> list[str]:
    """Within 30 s of the end of each fault, while no other one lasts, a worker runs and has fresh quotes.

    The time is the bot's own: without that in which a busy machine kept it waiting for a processor.
    """
    if not evidence.observed.recoveries:
        return ["the bot was not found healthy"]
    return [
        f"the bot {'recovered' if one.healthy else 'had not recovered'} {one.seconds:.1f} s after the end of"
        f" {one.fault}, of which it waited {one.waited_s:.1f} s for a processor"
        for one in evidence.observed.recoveries
        if one.own_s > RECOVERY_S
    ]


def ended_cleanly(evidence: Evidence) -> list[str]:
    """Nothing was waited for in vain, Ctrl-C ends the bot with exit code 0, and no traceback was shown.

    If the cash differs at the end, the exit code is 1.
    """
    observed = evidence.observed
    wrong = list(observed.problems)
    differs = any(abs(difference) > CASH_TOLERANCE for difference in evidence.cash_differences[-1:])
    if observed.exit_code not in ((0, 1) if differs else (0,)):
        wrong.append(f"the exit code is {observed.exit_code}")
    if re.search(r"^Traceback ", observed.output, re.MULTILINE):
        wrong.append("a traceback was shown")
    return wrong


def ledger_intact(evidence: Evidence) -> list[str]:
    """SQLite finds no damage and no reference to a missing row in the ledger."""
    return [f"the ledger is damaged: {text}" for text in evidence.damage]


def none_left(evidence: Evidence) -> list[str]:
    """No process outlives the run, and no lock stays held."""
    wrong = [f"a process was left: {text}" for text in evidence.observed.orphans]
    return wrong + [f"a lock was left: {text}" for text in evidence.observed.held_locks]


INVARIANTS: dict[str, Check] = {
    check.__name__: check
    for check in (
        bought_once,
        orders_intended,
        spend_within_limits,
        fills_recorded_once,
        orders_final,
        decisions_accounted,
        cash_agrees,
        orders_in_window,
        none_unarmed,
        none_while_halted,
        halts_explained,
        recovered,
        ended_cleanly,
        ledger_intact,
        none_left,
    )
}


def violations(evidence: Evidence) -> dict[str, list[str]]:
    """The violations by the name of the invariant; empty if all hold."""
    found = {name: check(evidence) for name, check in INVARIANTS.items()}
    return {name: wrong for name, wrong in found.items() if wrong}
