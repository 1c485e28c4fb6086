"""Reads a `models.Market` from the catalogue's description, or gives the reason why it is not traded."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from common.plain_text import one_line
from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.outcome_ids import json_list, outcome_ids, version_of
from errors import Refused, UnknownVersion
from models import Market, Outcome, Rule

RULES = {(False, 0): Rule.SPOT, (True, 30): Rule.TWAP30, (True, 60): Rule.TWAP60}
FEE_TYPES = (None, "", "crypto_fees", "crypto_fees_v2")
"""Values of `feeType` with the taker fee shares × rate × p × (1 − p)."""
FEE_TERMS = {"rate", "exponent", "takerOnly", "rebateRate"}
"""Fields of `feeSchedule` with a known meaning; the rebate goes to makers."""
CONDITION_ID = re.compile(r"0x[0-9a-fA-F]{1,64}")
TICK_DECIMALS = 6
"""Maximum decimals of a tick; the venue's finest has four."""
LONGEST_TITLE = 200
FLAGS = {
    "active": True,
    "archived": False,
    "closed": False,
    "enableOrderBook": True,
    "acceptingOrders": True,
}
"""Fields of the catalogue that state whether a market accepts orders, with the value that means yes."""


def market_of(gamma: Mapping[str, Any], calendar: SlugCalendar) -> Market:
    """Read the market from a Gamma object; Up and Down are identified by their labels.

    Raises
    ------
    Refused
        If this bot does not support the market; the message has the field and its value, on one line without
        control characters.
    """
    slug = ""
    try:
        slug = one_line(gamma.get("slug", ""), LONGEST_TITLE)
        return _read(str(gamma.get("slug", "")), gamma, calendar)
    except UnknownVersion:
        raise
    except Refused as error:
        raise Refused(one_line(error)) from None
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        what = one_line(f"{type(error).__name__}: {error}")
        raise Refused(f"market {slug or '(no slug)'} is malformed: {what}") from None


def suspension_of(gamma: Mapping[str, Any]) -> str | None:
    """Why the venue accepts no orders in a market, by its own flags; None if it does.

    A missing flag is ignored.
    """
    for name, usual in FLAGS.items():
        value = gamma.get(name)
        if value is not None and value is not usual:
            return f"the catalogue has {name} {one_line(repr(value), 40)}"
    return None


def _read(slug: str, gamma: Mapping[str, Any], calendar: SlugCalendar) -> Market:
    start = calendar.start_of(slug)
    version = version_of(gamma)
    outcomes = json_list(gamma, "outcomes")
    if sorted(map(str, outcomes)) != [Outcome.DOWN, Outcome.UP]:
        raise Refused(f"market {slug} has outcomes {outcomes}, not Up and Down")
    tokens = dict(zip(outcomes, outcome_ids(gamma), strict=True))
    if gamma.get("negRisk"):
        raise Refused(f"market {slug} is a negRisk market, which up/down markets are not")
    tick = Decimal(str(gamma["orderPriceMinTickSize"]))
    if not (tick.is_finite() and 0 < tick < 1):
        raise Refused(f"market {slug} has tick {tick}, which is outside the valid range")
    if tick != tick.quantize(Decimal(1).scaleb(-TICK_DECIMALS)):
        raise Refused(f"market {slug} has tick {tick}, which has more than {TICK_DECIMALS} decimals")
    return Market(
        slug=slug,
        start=start,
        interval=_length(slug, gamma, start, calendar),
        condition_id=_condition_id(gamma["conditionId"]),
        up_token=tokens[Outcome.UP.value],
        down_token=tokens[Outcome.DOWN.value],
        fee_rate=_fee_rate(slug, gamma),
        tick=tick,
        rule=_rule(slug, gamma.get("cryptoMarketConfig"), calendar),
        title=one_line(gamma.get("question", ""), LONGEST_TITLE),
        origin=one_line(gamma.get("practiceOrigin", ""), LONGEST_TITLE),
        version=version,
        minimum_shares=_minimum(gamma.get("orderMinSize")),
    )


def _minimum(value: Any) -> Decimal | None:
    """The minimum size as a number; None if there is none. The bot's orders do not depend on it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        least = Decimal(str(value))
    except InvalidOperation:
        return None
    return least if least.is_finite() and least >= 0 else None


def _length(slug: str, gamma: Mapping[str, Any], start: int, calendar: SlugCalendar) -> int:
    """The market's length by the calendar, which on a day of a clock change the catalogue has to confirm."""
    length = calendar.length(start)
    if length != calendar.interval:
        ends = datetime.fromisoformat(str(gamma["endDate"])).timestamp()
        if ends != start + length:
            raise Refused(f"market {slug} has endDate {gamma['endDate']}, {length} s by the calendar")
    return length


def _fee_rate(slug: str, gamma: Mapping[str, Any]) -> Decimal:
    """The rate of the only supported fee formula; every field that could make it another one is checked."""
    enabled, kind, schedule = (gamma.get(name) for name in ("feesEnabled", "feeType", "feeSchedule"))
    if enabled is False:
        return Decimal(0)
    if enabled not in (True, None):
        raise Refused(f"market {slug} has feesEnabled {enabled!r}, which is neither true nor false")
    if kind not in FEE_TYPES:
        raise Refused(f"market {slug} has feeType {kind!r}, whose formula is not known")
    if not isinstance(schedule, dict) or "rate" not in schedule:
        raise Refused(f"market {slug} has feeSchedule {schedule!r}, which has no rate")
    rate, exponent = Decimal(str(schedule["rate"])), Decimal(str(schedule.get("exponent", 1)))
    if not (rate.is_finite() and 0 <= rate < 1):
        raise Refused(f"market {slug} has feeSchedule.rate {rate}, which is outside the valid range")
    if exponent != 1:
        raise Refused(f"market {slug} has feeSchedule.exponent {exponent}, only 1 is understood")
    if schedule.get("takerOnly", True) is not True:
        raise Refused(
            f"market {slug} has feeSchedule.takerOnly {schedule['takerOnly']!r}, only true is understood"
        )
    if unknown := sorted(set(schedule) - FEE_TERMS):
        raise Refused(
            f"market {slug} has feeSchedule.{unknown[0]} {schedule[unknown[0]]!r}, which is not known"
        )
    return rate


def _rule(slug: str, config: Any, calendar: SlugCalendar) -> Rule:
    if config is None:
        return Rule.SPOT
    for name, expected in (("asset", calendar.asset), ("duration", calendar.timeframe)):
        if config.get(name) not in (None, expected):
            raise Refused(f"market {slug} has cryptoMarketConfig.{name} {config[name]!r}, not {expected!r}")
    key = (bool(config.get("twapEnabled")), int(config.get("twapLookbackSeconds") or 0))
    rule = RULES.get(key if key[0] else (False, 0))
    if rule is None:
        raise Refused(f"market {slug} settles by an unknown rule: {config}")
    return rule


def _condition_id(value: Any) -> str:
    text = str(value)
    if CONDITION_ID.fullmatch(text) is None:
        raise ValueError(f"condition id {text[:100]!r}")
    return text
