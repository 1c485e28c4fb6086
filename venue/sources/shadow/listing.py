"""Parses the upstream's description of a market: its terms, or why it is skipped, and its outcome."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from venue.amounts import CENT_MILLS, MICRO, micro
from venue.market import DOWN, UP, VenueMarket
from venue.position_ids import is_position_id
from venue.series import Series

TICKS = {"0.01": CENT_MILLS, "0.001": 1}
"""Supported price grids in mills."""
CONDITION_ID = re.compile(r"0x[0-9a-fA-F]{1,64}")
TOKEN_ID = re.compile(r"[0-9]{1,78}")


class UnsupportedMarket(Exception):
    """A property of a market is not supported by this venue's rules."""


HALF = Decimal("0.5")
FEE_TYPES = (None, "", "crypto_fees", "crypto_fees_v2")
"""Values of `feeType` under which takers pay shares × rate × p × (1 − p)."""


class _Fees(msgspec.Struct, forbid_unknown_fields=True):
    rate: float
    exponent: float = 1
    takerOnly: bool = True
    rebateRate: float = 0


class _Market(msgspec.Struct):
    slug: str
    conditionId: str
    outcomes: str
    orderPriceMinTickSize: float
    orderMinSize: float
    clobTokenIds: str | None = None
    positionIds: list[str] | None = None
    questionID: str | None = None
    question: str | None = None
    description: str | None = None
    resolutionSource: str | None = None
    version: str = "v1"
    negRisk: bool | None = None
    enableOrderBook: bool | None = None
    feesEnabled: bool = True
    feeType: str | None = None
    feeSchedule: _Fees | None = None


class ListedMarket(msgspec.Struct, frozen=True):
    """A market with its present price grid in mills."""

    market: VenueMarket
    tick: int


def listed(row: dict[str, Any], series: Series, start: int, number: int = 0) -> ListedMarket:
    """The market of a Gamma object; Up and Down are identified by their labels.

    Parameters
    ----------
    series, start
        Which market it should be.
    number : int
        The number of the series in the keys of markets.

    Raises
    ------
    UnsupportedMarket
        With the unsupported field and its value.
    """
    try:
        known = msgspec.convert(row, _Market)
        names = msgspec.json.decode(known.outcomes, type=list[str])
        tokens = dict(zip(names, _outcome_ids(known), strict=True))
        minimum = micro(known.orderMinSize)
    except ValueError as error:
        raise UnsupportedMarket(f"it is malformed: {error}") from error
    _check(known, series.slug(start), tokens)
    return ListedMarket(
        VenueMarket(
            start=start,
            slug=known.slug,
            condition_id=known.conditionId,
            question_id=known.questionID or "",
            up_token=tokens[UP],
            down_token=tokens[DOWN],
            question=known.question or "",
            interval=series.next_start(start) - start,
            asset=series.asset,
            timeframe=series.timeframe,
            fee_rate=_fee_rate(known),
            minimum_shares=minimum,
            resolution_source=known.resolutionSource or "",
            description=known.description or "",
            version="v2" if known.version == "v2" else "v1",
            series_number=number,
        ),
        tick_of(known.orderPriceMinTickSize),
    )


def tick_of(value: object) -> int:
    """A price grid in mills, from a number or a text.

    Raises
    ------
    UnsupportedMarket
    """
    try:
        tick = TICKS.get(str(Decimal(str(value)).normalize()))
    except InvalidOperation:
        tick = None
    if tick is None:
        raise UnsupportedMarket(f"its tick size is {value}, not one of {', '.join(TICKS)}")
    return tick


def gamma_outcome(row: dict[str, Any]) -> int | None:
    """Payout of an Up share in micro pUSD according to a Gamma object.

    It is closed, and one price is exactly 1 and the other 0; or both are 0.5 and it is marked as resolved.
    """
    if row.get("closed") is not True:
        return None
    try:
        names = msgspec.json.decode(str(row.get("outcomes")), type=list[str])
        texts = msgspec.json.decode(str(row.get("outcomePrices")), type=list[str])
        prices = dict(zip(names, map(Decimal, texts), strict=True))
    except (ValueError, InvalidOperation):
        return None
    up, down = prices.get(UP), prices.get(DOWN)
    if up is None or down is None or not (up.is_finite() and down.is_finite()):
        return None
    if {up, down} == {Decimal(0), Decimal(1)}:
        return MICRO if up == 1 else 0
    split = up == down == HALF and row.get("umaResolutionStatus") == "resolved"
    return MICRO // 2 if split else None


def clob_outcome(row: dict[str, Any]) -> int | None:
    """Payout of an Up share in micro pUSD according to the order API: exactly one token is the winner."""
    tokens = row.get("tokens")
    if not isinstance(tokens, list):
        return None
    won = [row.get("outcome") for row in tokens if isinstance(row, dict) and row.get("winner") is True]
    if len(won) != 1 or won[0] not in (UP, DOWN):
        return None
    return MICRO if won[0] == UP else 0


def _check(known: _Market, slug: str, tokens: dict[str, str]) -> None:
    names = list(tokens)
    wrong = {
        f"its slug is {known.slug}": known.slug != slug,
        f"its outcomes are {names}, not Up and Down": sorted(names) != [DOWN, UP],
        f"it is of protocol version {known.version}, only v1 and v2 are supported": known.version
        not in ("v1", "v2"),
        f"its condition id is {known.conditionId:.100}": CONDITION_ID.fullmatch(known.conditionId) is None,
        f"its token ids are {', '.join(tokens.values()):.300}": not _valid_ids(known.version, tokens),
        "it is a negRisk market": known.negRisk is True,
        "it has no order book": known.enableOrderBook is False,
    }
    for reason, holds in wrong.items():
        if holds:
            raise UnsupportedMarket(reason)


def _outcome_ids(known: _Market) -> list[str]:
    """The ids that are traded, in the order of the outcomes."""
    if known.version == "v2":
        return known.positionIds or []
    return msgspec.json.decode(known.clobTokenIds or "[]", type=list[str])


def _valid_ids(version: str, tokens: dict[str, str]) -> bool:
    """Whether the ids are numbers in the form of the version; of positions, of one condition and in order."""
    ids = list(tokens.values())
    if not all(map(TOKEN_ID.fullmatch, ids)):
        return False
    if version != "v2":
        return not any(map(is_position_id, ids))
    first = int(ids[0])
    return all(is_position_id(text) and int(text) == first + index for index, text in enumerate(ids))


def _fee_rate(known: _Market) -> Decimal:
    if not known.feesEnabled:
        return Decimal(0)
    fees = known.feeSchedule
    if known.feeType not in FEE_TYPES:
        raise UnsupportedMarket(f"its feeType is {known.feeType}, whose formula is not known")
    if fees is None or fees.exponent != 1 or not fees.takerOnly or not 0 <= fees.rate < 1:
        raise UnsupportedMarket(f"its fees are {fees}, not rate × p × (1 − p) of takers")
    return Decimal(str(fees.rate))
