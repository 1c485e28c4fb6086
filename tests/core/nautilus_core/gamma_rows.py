"""Rows of the catalogue in its own format, for consecutive markets."""

from typing import Any

FIRST = 1_790_586_000


def row(number: int, **changes: Any) -> dict[str, Any]:
    """The catalogue's row of the market `number` intervals after the first, with ids of its own."""
    start = FIRST + 900 * number
    return {
        "slug": f"btc-updown-15m-{start}",
        "question": "Bitcoin Up or Down",
        "conditionId": f"0xc{number}",
        "outcomes": '["Up", "Down"]',
        "clobTokenIds": f'["{number}1", "{number}2"]',
        "outcomePrices": '["0.5", "0.5"]',
        "orderPriceMinTickSize": 0.01,
        "feesEnabled": True,
        "feeSchedule": {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2},
        "cryptoMarketConfig": {"twapEnabled": True, "twapLookbackSeconds": 60},
        "negRisk": False,
        "version": "v1",
        "endDate": "2026-09-28T10:15:00Z",
        **changes,
    }


def v2_row(number: int, **changes: Any) -> dict[str, Any]:
    """The same market in Protocol V2: module 1, a hash, zeros, and the index of the outcome."""
    first = int("01" + f"{number:02x}" * 18 + "00" * 13, 16)
    return row(number, **{"version": "v2", "positionIds": [str(first), str(first + 1)], **changes})


def slug(number: int) -> str:
    return f"btc-updown-15m-{FIRST + 900 * number}"
