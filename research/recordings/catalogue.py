"""Reads the objects of recorded markets in the venue's catalogue: terms, tokens and the official result."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from core.nautilus_core.instruments.pairing import market_of
from errors import Refused
from models import Market, Outcome, ProtocolVersion, Rule
from research.recording_file import RecordingError
from research.recordings.calendars import INTERVALS, calendar_of

FILES = ("markets.jsonl", "markets.json")
"""Objects of Gamma beside recordings that do not have them: one a line, or a list."""
TWAP_SECONDS = {Rule.TWAP30: 30, Rule.TWAP60: 60}

Gamma = dict[str, Any]


def load_objects(folder: Path) -> dict[str, Gamma]:
    """The objects of a folder by slug; the last one of a market counts.

    Raises
    ------
    RecordingError
        If a file is not JSON.
    """
    found: dict[str, Gamma] = {}
    for name in FILES:
        file = folder / name
        if not file.is_file():
            continue
        for row, text in enumerate(_texts(file), 1):
            if isinstance(text, dict) and isinstance(text.get("slug"), str):
                found[text["slug"]] = text
            else:
                raise RecordingError(file, row, "it is not an object with a slug", "Give objects of Gamma")
    return found


def _texts(file: Path) -> list[Any]:
    if file.suffix == ".json":
        try:
            content = msgspec.json.decode(file.read_bytes())
        except msgspec.DecodeError as error:
            raise RecordingError(file, None, f"it is not JSON: {error}", "Download it again") from None
        return content if isinstance(content, list) else [content]
    rows = []
    for row, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            rows.append(msgspec.json.decode(line))
        except msgspec.DecodeError as error:
            raise RecordingError(file, row, f"it is not JSON: {error}", "Download it again") from None
    return rows


def market_from(gamma: Gamma, file: Path, row: int | None = None) -> tuple[Market, Gamma]:
    """The market of an object, and the object as the strategy reads it.

    Objects from before Protocol V2 state no version; it is v1.

    Raises
    ------
    RecordingError
        If the market cannot be traded.
    """
    stated = gamma if "version" in gamma else {**gamma, "version": ProtocolVersion.V1.value}
    # A recording's object may be from after the market's end. The strategy saw it while it was open.
    opened = {**stated, "active": True, "archived": False, "closed": False, "acceptingOrders": True}
    try:
        return market_of(opened, calendar_of(str(gamma.get("slug")))), opened
    except (Refused, ValueError) as error:
        raise RecordingError(file, row, str(error), "Leave the market out") from None


def winner_of(gamma: Mapping[str, Any]) -> Outcome | None:
    """The official result in an object; None if it has none."""
    try:
        names, prices = (_list(gamma.get(field)) for field in ("outcomes", "outcomePrices"))
        paid = dict(zip(map(str, names), map(Decimal, map(str, prices)), strict=True))
    except (ArithmeticError, ValueError, TypeError, msgspec.DecodeError):
        return None
    if not gamma.get("closed") or sorted(paid.values()) != [0, 1]:
        return None
    return next((outcome for outcome in Outcome if paid.get(outcome.value) == 1), None)


def _list(value: Any) -> list[Any]:
    found = msgspec.json.decode(value) if isinstance(value, str) else value
    if not isinstance(found, list):
        raise TypeError("not a list")
    return found


def object_of(
    slug: str,
    rule: Rule,
    fee_rate: Decimal,
    protocol: ProtocolVersion,
    tick: Decimal,
    *,
    condition_id: str = "",
    question: str = "",
) -> Gamma:
    """An object of a market for recordings that have none, with ids in the place of those that they lack."""
    asset, _, timeframe, _ = slug.split("-")
    condition_id = condition_id or "0x" + hashlib.sha256(slug.encode()).hexdigest()
    tokens = [
        str(int.from_bytes(hashlib.sha256(f"{condition_id}{side}".encode()).digest())) for side in Outcome
    ]
    if protocol is ProtocolVersion.V2:
        # The form of a position id: the module's number first, and 64 zero bits.
        event = int.from_bytes(hashlib.sha256(condition_id.encode()).digest()[:18])
        tokens = [str((1 << 248) + (event << 104) + side) for side in range(2)]
    gamma: Gamma = {
        "slug": slug,
        "version": protocol.value,
        "question": question or slug,
        "conditionId": condition_id,
        "outcomes": '["Up", "Down"]',
        "clobTokenIds": msgspec.json.encode(tokens).decode(),
        "orderPriceMinTickSize": float(tick),
        "feesEnabled": True,
        "feeType": "crypto_fees_v2",
        "feeSchedule": {"exponent": 1, "rate": float(fee_rate), "takerOnly": True, "rebateRate": 0.2},
    }
    if protocol is ProtocolVersion.V2:
        gamma["positionIds"] = gamma["clobTokenIds"]
    if rule is not Rule.SPOT:
        gamma["cryptoMarketConfig"] = {
            "asset": asset,
            "duration": timeframe,
            "twapEnabled": True,
            "twapLookbackSeconds": TWAP_SECONDS[rule],
        }
    return gamma


def interval_of(slug: str) -> int:
    """Seconds from start to end of a market, by its slug."""
    return INTERVALS[slug.split("-")[2]]
