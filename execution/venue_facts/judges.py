"""Decides whether an observation confirms or contradicts an assumption. Pure; None: it shows neither."""

import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from execution.amounts import FEE_STEP, MIN_NOTIONAL
from execution.outcomes import OutcomeKind
from execution.venue_facts.observations import (
    BestPricesCompared,
    BooksSeen,
    CashCompared,
    ChargedFill,
    EndedMarketListed,
    LocationChecked,
    MarketsListed,
    Observation,
    OrderAnswered,
    OutcomeWitnessed,
    PayoutArrived,
    PayoutOverdue,
    PermissionChecked,
    StreamSilence,
    StreamTradeSeen,
    TermsStated,
    TickChangeSeen,
    TradesLookedUp,
    WalletsFunded,
)
from models import Frozen, Outcome, ProtocolVersion

FINE_TICK = Decimal("0.001")
LONGEST_SILENCE_S = 3.0
MINIMUM_TEXTS = ("min size", "lower than the minimum")
PRECISION_TEXTS = ("max accuracy", "maximum lot size", "rounding issues")
TICK_TEXTS = ("breaks minimum tick size", "invalid price")
"""Parts of the venue's refusals that contradict the rules by which amounts and prices are computed."""
MOST_FEE = Decimal("0.1")
"""Fee per pUSD above which a difference of the balance is not taken for a fee."""


class Judgement(Frozen, frozen=True):
    """What an observation shows about one assumption.

    Attributes
    ----------
    holds : bool
        False: it contradicts it.
    seen : str
        What came.
    expected : str
        What the assumption had predicted.
    raw : Any
        The part of the message that shows it.
    """

    holds: bool
    seen: str
    expected: str
    raw: Any = None


def _judged(expected: object, seen: object, raw: Any) -> Judgement:
    return Judgement(holds=expected == seen, seen=str(seen), expected=str(expected), raw=raw)


# --- orders --------------------------------------------------------------------------------------


def _accepted(found: OrderAnswered) -> bool:
    """Whether the order passed the venue's checks: it was matched, is being matched, or found no match."""
    if found.outcome.kind in (OutcomeKind.MATCHED, OutcomeKind.NO_FILL):
        return True
    return isinstance(found.body, dict) and found.body.get("success") is True


def _refused_for(found: OrderAnswered, texts: Iterable[str]) -> bool:
    reason = found.outcome.reason.lower()
    return found.outcome.kind is OutcomeKind.REFUSED and any(text in reason for text in texts)


def _order_rule(found: OrderAnswered, expected: str, texts: Iterable[str], applies: bool) -> Judgement | None:
    """Confirmed by an accepted order to which the rule applies, contradicted by a refusal for its sake."""
    if _refused_for(found, texts):
        return Judgement(holds=False, seen=found.outcome.reason, expected=expected, raw=found.body)
    if applies and _accepted(found):
        seen = f"accepted: {_amounts(found)}, {found.outcome.kind}"
        return Judgement(holds=True, seen=seen, expected=expected, raw=found.body)
    return None


def _amounts(found: OrderAnswered) -> str:
    return f"${found.amounts.usd} for {found.amounts.shares} shares at tick {found.tick}"


def minimum_order(found: Observation) -> Judgement | None:
    if not isinstance(found, OrderAnswered) or found.amounts.usd < MIN_NOTIONAL:
        return None
    expected = f"an order of {_amounts(found)} is not below a minimum"
    return _order_rule(found, expected, MINIMUM_TEXTS, found.amounts.usd == MIN_NOTIONAL)


def share_decimals(found: Observation) -> Judgement | None:
    if not isinstance(found, OrderAnswered):
        return None
    expected = f"two decimals of pUSD and four of shares are accepted: {_amounts(found)}"
    fourth = found.amounts.taker % 1000 != 0
    return _order_rule(found, expected, PRECISION_TEXTS, found.tick == FINE_TICK and fourth)


def order_tick(found: Observation) -> Judgement | None:
    if not isinstance(found, OrderAnswered):
        return None
    expected = f"a price on the grid of {found.tick} is accepted: {_amounts(found)}"
    return _order_rule(found, expected, TICK_TEXTS, applies=True)


def _order_id(found: Observation, version: ProtocolVersion) -> Judgement | None:
    if not isinstance(found, OrderAnswered) or found.version is not version:
        return None
    stated = found.body.get("orderID") if isinstance(found.body, dict) else None
    if not isinstance(stated, str) or not stated:
        return None
    return _judged(found.order_id.lower(), stated.lower(), found.body)


def order_id(found: Observation) -> Judgement | None:
    return _order_id(found, ProtocolVersion.V1)


def order_id_v2(found: Observation) -> Judgement | None:
    return _order_id(found, ProtocolVersion.V2)


def order_status(found: Observation) -> Judgement | None:
    if not isinstance(found, OrderAnswered) or not isinstance(found.body, dict) or not _accepted(found):
        return None
    status = found.body.get("status")
    if status not in ("matched", "delayed", "live"):
        return None
    seen = f"status {status} after {found.seconds * 1000:.0f} ms"
    return Judgement(holds=status == "matched", seen=seen, expected="status matched", raw=found.body)


def user_stream(found: Observation) -> Judgement | None:
    if not isinstance(found, StreamTradeSeen):
        return None
    seen = f"trade {found.trade.get('id')}, status {found.trade.get('status')}"
    return Judgement(
        holds=True, seen=seen, expected="a trade without a subscription to its market", raw=found.trade
    )


def trades_v2(found: Observation) -> Judgement | None:
    if not isinstance(found, TradesLookedUp) or found.position_id is None or not found.trades:
        return None
    seen = f"{len(found.trades)} trades with asset_id {found.position_id}"
    return Judgement(
        holds=True, seen=seen, expected="the trades of an order, by position id", raw=found.trades[0]
    )


# --- fees ----------------------------------------------------------------------------------------


def _charged(found: Observation) -> tuple[CashCompared, Decimal, Decimal] | None:
    """The comparison, the fees booked and the fees charged; None if the change is not one of fees."""
    if not isinstance(found, CashCompared) or not found.fills:
        return None
    booked = sum((fill.fee for fill in found.fills), Decimal(0))
    charged = booked - found.change
    spent = sum((fill.shares * fill.price for fill in found.fills), Decimal(0))
    return (found, booked, charged) if 0 <= charged <= spent * MOST_FEE else None


def _possible(fills: Iterable[ChargedFill]) -> tuple[Decimal, Decimal]:
    """The smallest and the largest fee that rounding to five decimals, in whatever way, may produce."""
    exact = [fill.shares * fill.rate * fill.price * (1 - fill.price) for fill in fills]
    low = sum((fee.quantize(FEE_STEP, ROUND_FLOOR) for fee in exact), Decimal(0))
    return low, sum((fee.quantize(FEE_STEP, ROUND_CEILING) for fee in exact), Decimal(0))


def _fee_text(fees: Decimal, found: CashCompared) -> str:
    fills = ", ".join(f"{fill.shares.normalize():f} at {fill.price}" for fill in found.fills)
    return f"${fees} for {fills}, at rate {found.fills[0].rate}"


def _fee_judgement(found: CashCompared, booked: Decimal, charged: Decimal, holds: bool) -> Judgement:
    expected = f"a fee of {_fee_text(booked, found)}"
    return Judgement(holds=holds, seen=f"${charged} was charged", expected=expected, raw=found)


def fee_rate(found: Observation) -> Judgement | None:
    if (case := _charged(found)) is None:
        return None
    compared, booked, charged = case
    low, high = _possible(compared.fills)
    return _fee_judgement(compared, booked, charged, low <= charged <= high)


def fee_rounding(found: Observation) -> Judgement | None:
    if (case := _charged(found)) is None:
        return None
    compared, booked, charged = case
    low, high = _possible(compared.fills)
    # A fee that no rounding explains is another rate, and no evidence about the rounding.
    return _fee_judgement(compared, booked, charged, charged == booked) if low <= charged <= high else None


# --- terms and catalogue ---------------------------------------------------------------------------


def _number(value: Any) -> Decimal | None:
    """A JSON number as Decimal; None if it is none."""
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _clob(found: Observation) -> tuple[TermsStated, dict[str, Any]] | None:
    if isinstance(found, TermsStated) and isinstance(found.clob, dict):
        return found, found.clob
    return None


def stated_fee(found: Observation) -> Judgement | None:
    if (case := _clob(found)) is None or not isinstance(case[1].get("fd"), dict):
        return None
    stated, clob = case
    terms = clob["fd"]
    seen = (_number(terms.get("r")), _number(terms.get("e")), terms.get("to"))
    if None in seen:
        return None
    return Judgement(
        holds=seen == (stated.market.fee_rate, Decimal(1), True),
        seen=f"rate {seen[0]}, exponent {seen[1]}, takers only: {seen[2]}",
        expected=f"rate {stated.market.fee_rate}, exponent 1, takers only: True",
        raw={"slug": stated.market.slug, "fd": terms},
    )


def stated_tick(found: Observation) -> Judgement | None:
    if (case := _clob(found)) is None or (tick := _number(case[1].get("mts"))) is None:
        return None
    return _judged(case[0].market.tick, tick, {"slug": case[0].market.slug, "mts": case[1]["mts"]})


def stated_minimum(found: Observation) -> Judgement | None:
    if (case := _clob(found)) is None or (least := _number(case[1].get("mos"))) is None:
        return None
    known = case[0].market.minimum_shares
    if known is None:
        return None
    return _judged(known, least, {"slug": case[0].market.slug, "mos": case[1]["mos"]})


def stated_delay(found: Observation) -> Judgement | None:
    if (case := _clob(found)) is None:
        return None
    stated = case[1].get("itode")
    raw = {"slug": case[0].market.slug, "itode": stated}
    return Judgement(
        holds=isinstance(stated, bool), seen=f"itode {stated}", expected="itode true or false", raw=raw
    )


def outcome_order(found: Observation) -> Judgement | None:
    if (case := _clob(found)) is None or not isinstance(case[1].get("t"), list):
        return None
    market, named = case[0].market, case[1]["t"]
    if not all(isinstance(row, dict) and row.get("t") and row.get("o") for row in named):
        return None
    seen = {str(row["o"]): str(row["t"]) for row in named}
    expected = {str(outcome): market.token(outcome) for outcome in Outcome}
    return _judged(expected, seen, {"slug": market.slug, "t": named})


LISTED_FIELDS = ("slug", "version", "outcomes", "clobTokenIds", "positionIds")


def _shown(row: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in names if name in row}


def _own_rows(found: MarketsListed) -> list[dict[str, Any]]:
    return [row for row in found.rows if isinstance(row, dict) and row.get("slug") in found.asked]


def catalogue_version(found: Observation) -> Judgement | None:
    if not isinstance(found, MarketsListed) or not (rows := _own_rows(found)):
        return None
    strange = [row for row in rows if row.get("version") not in tuple(ProtocolVersion)]
    shown = (strange or rows)[0]
    seen = ", ".join(sorted({str(row.get("version")) for row in rows}))
    return Judgement(
        holds=not strange,
        seen=f"version {seen}",
        expected="version v1 or v2",
        raw=_shown(shown, LISTED_FIELDS),
    )


def several_slugs(found: Observation) -> Judgement | None:
    if not isinstance(found, MarketsListed) or len(rows := _own_rows(found)) < 2:
        return None
    seen = ", ".join(str(row["slug"]) for row in rows)
    return Judgement(
        holds=True, seen=seen, expected="several markets in one answer", raw=[row["slug"] for row in rows]
    )


def ended_market(found: Observation) -> Judgement | None:
    if not isinstance(found, EndedMarketListed):
        return None
    expected = f"{found.slug} with closed=true"
    if found.row is None:
        return Judgement(holds=False, seen="not listed", expected=expected)
    raw = _shown(found.row, ("slug", "closed", "outcomePrices", "umaResolutionStatus", "closedTime"))
    return Judgement(holds=True, seen=expected, expected=expected, raw=raw)


def market_resolved(found: Observation) -> Judgement | None:
    if not isinstance(found, OutcomeWitnessed):
        return None
    seen = f"{found.slug}: the outcome came by the {found.source} first"
    expected = "the outcome by the stream, not later than by the catalogue"
    return Judgement(holds=found.source == "stream", seen=seen, expected=expected, raw=found)


# --- the market stream -----------------------------------------------------------------------------


def mirrored_books(found: Observation) -> Judgement | None:
    if not isinstance(found, BooksSeen) or not (found.first_bids or found.first_asks):
        return None
    mirror = _mirrored(found.first_asks), _mirrored(found.first_bids)
    holds = mirror == (found.second_bids, found.second_asks)
    levels = len(found.first_bids) + len(found.first_asks)
    seen = f"{levels} levels at {found.timestamp}, {'all' if holds else 'not all'} mirrored"
    return Judgement(holds=holds, seen=seen, expected="each level at 1 − price", raw=found)


def _mirrored(side: dict[Decimal, Decimal]) -> dict[Decimal, Decimal]:
    return {1 - price: size for price, size in side.items()}


def best_prices(found: Observation) -> Judgement | None:
    if not isinstance(found, BestPricesCompared):
        return None
    expected = "the best prices of the book with the change"
    seen = found.difference or f"{found.agreed} changes agree"
    return Judgement(holds=found.difference is None, seen=seen, expected=expected)


def tick_change(found: Observation) -> Judgement | None:
    if not isinstance(found, TickChangeSeen):
        return None
    seen = f"tick {found.tick}: {'a' if found.followed else 'no'} complete book within a second"
    return Judgement(holds=found.followed, seen=seen, expected="a complete book after the change")


def stream_interval(found: Observation) -> Judgement | None:
    if not isinstance(found, StreamSilence):
        return None
    seen = f"a longest pause of {found.longest_s:.1f} s in {found.messages} messages"
    expected = f"a message at least every {LONGEST_SILENCE_S:g} s"
    return Judgement(holds=found.longest_s <= LONGEST_SILENCE_S, seen=seen, expected=expected)


# --- payouts ---------------------------------------------------------------------------------------


def automatic_payout(found: Observation) -> Judgement | None:
    if not isinstance(found, PayoutArrived) or found.attempts:
        return None
    seen = f"{found.amount} pUSD of {found.slug}, not redeemed by the bot"
    return Judgement(holds=True, seen=seen, expected="a payout without a redemption", raw=found)


def payout_time(found: Observation) -> Judgement | None:
    expected = "the payout before the bot redeems"
    if isinstance(found, PayoutOverdue):
        seen = f"{found.slug} was not paid after {found.waited_s:.0f} s"
        return Judgement(holds=False, seen=seen, expected=expected, raw=found)
    if isinstance(found, PayoutArrived) and not found.attempts:
        seen = f"{found.slug} was paid {found.waited_s:.0f} s after it was listed"
        return Judgement(holds=True, seen=seen, expected=expected, raw=found)
    return None


def redeemable_list(found: Observation) -> Judgement | None:
    if not isinstance(found, PayoutArrived) or not found.listed:
        return None
    seen = f"{found.slug} was listed with a price above 0, and is gone since it is paid"
    return Judgement(holds=True, seen=seen, expected="listed until it is paid", raw=found)


def redemption(found: Observation) -> Judgement | None:
    if not isinstance(found, PayoutArrived) or not found.attempts:
        return None
    seen = f"{found.amount} pUSD of {found.slug} arrived after {found.attempts} requests of the bot"
    return Judgement(holds=True, seen=seen, expected="a payout after a redemption", raw=found)


# --- the account -----------------------------------------------------------------------------------


def wallet_balance(found: Observation) -> Judgement | None:
    if not isinstance(found, WalletsFunded) or not found.balances.get(found.used):
        return None
    others = {kind: balance for kind, balance in found.balances.items() if kind != found.used and balance}
    # Several wallets of a key may have money, but not the same amount to a millionth.
    same = [kind for kind, balance in others.items() if balance == found.balances[found.used]]
    return Judgement(
        holds=not same,
        seen=", ".join(f"type {kind}: ${balance}" for kind, balance in sorted(found.balances.items())),
        expected="another balance for each signature type",
        raw={str(kind): str(balance) for kind, balance in found.balances.items()},
    )


def location(found: Observation) -> Judgement | None:
    if not isinstance(found, LocationChecked):
        return None
    body = found.body if isinstance(found.body, dict) else {}
    holds = isinstance(body.get("blocked"), bool) and bool(body.get("country"))
    seen = f"blocked {body.get('blocked')}, country {body.get('country')}, region {body.get('region')}"
    return Judgement(holds=holds, seen=seen, expected="blocked, country and region", raw=found.body)


GEOBLOCK = re.compile(r"restricted|region|geoblock", re.IGNORECASE)


def blocked_order(found: Observation) -> Judgement | None:
    if not isinstance(found, OrderAnswered) or not GEOBLOCK.search(found.outcome.reason):
        return None
    if found.outcome.kind is not OutcomeKind.REFUSED:
        return None
    seen = f"HTTP {found.status}: {found.outcome.reason}"
    return Judgement(holds=found.status == 403, seen=seen, expected="HTTP 403", raw=found.body)


def permission(found: Observation) -> Judgement | None:
    if not isinstance(found, PermissionChecked):
        return None
    seen = f"closed_only {found.closed_only}"
    return Judgement(holds=True, seen=seen, expected="closed_only true or false", raw=found)


def none(found: Observation) -> Judgement | None:
    """No passive observation decides it."""
    del found
    return None
