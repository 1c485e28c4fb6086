"""From the catalogue's words on a market to a `models.Market`, or a reason to leave it alone."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.nautilus_core.instruments.calendar import SlugCalendar
from errors import Refused
from models import Market, Outcome, Rule

RULES = {(False, 0): Rule.SPOT, (True, 30): Rule.TWAP30, (True, 60): Rule.TWAP60}


def market_of(gamma: Mapping[str, Any], calendar: SlugCalendar) -> Market:
    """The market that a Gamma object describes; Up and Down are told apart by their labels.

    Raises
    ------
    Refused
        If it is not a market that this bot understands; the message says which field and value.
    """
    slug = str(gamma.get("slug", ""))
    try:
        return _read(slug, gamma, calendar)
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise Refused(f"market {slug or '(no slug)'} is malformed: {error!r}") from None


def _read(slug: str, gamma: Mapping[str, Any], calendar: SlugCalendar) -> Market:
    start = calendar.start_of(slug)
    tokens = dict(zip(_json_list(gamma, "outcomes"), _json_list(gamma, "clobTokenIds"), strict=True))
    if set(tokens) != {Outcome.UP.value, Outcome.DOWN.value}:
        raise Refused(f"market {slug} has outcomes {list(tokens)}, not Up and Down")
    if (version := gamma.get("version", "v1")) != "v1":
        raise Refused(f"market {slug} is of protocol version {version}, only v1 is understood")
    if gamma.get("negRisk"):
        raise Refused(f"market {slug} is a negRisk market, which up/down markets are not")
    charges = gamma.get("feesEnabled", True)
    fee_rate = Decimal(str(gamma["feeSchedule"]["rate"])) if charges else Decimal(0)
    tick = Decimal(str(gamma["orderPriceMinTickSize"]))
    if not (fee_rate.is_finite() and tick.is_finite() and 0 <= fee_rate < 1 and 0 < tick < 1):
        raise Refused(f"market {slug} has fee rate {fee_rate} and tick {tick}, which cannot be")
    return Market(
        slug=slug,
        start=start,
        interval=calendar.interval,
        condition_id=str(gamma["conditionId"]),
        up_token=str(tokens[Outcome.UP.value]),
        down_token=str(tokens[Outcome.DOWN.value]),
        fee_rate=fee_rate,
        tick=tick,
        rule=_rule(slug, gamma.get("cryptoMarketConfig")),
        title=str(gamma.get("question", "")),
        origin=str(gamma.get("practiceOrigin", "")),
    )


def _rule(slug: str, config: Any) -> Rule:
    if config is None:
        return Rule.SPOT
    key = (bool(config.get("twapEnabled")), int(config.get("twapLookbackSeconds") or 0))
    rule = RULES.get(key if key[0] else (False, 0))
    if rule is None:
        raise Refused(f"market {slug} settles by an unknown rule: {config}")
    return rule


def _json_list(gamma: Mapping[str, Any], key: str) -> list[Any]:
    value = gamma[key]
    parsed = json.loads(value) if isinstance(value, str) else value
    if not isinstance(parsed, list):
        raise TypeError(f"{key} is not a list")
    return parsed
