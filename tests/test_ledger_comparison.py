"""The comparison of the venue's trades with the ledger's fills finds every kind of difference."""

from decimal import Decimal

import pytest
from ledger_comparison import Trade, differences

REAL = Trade("0xa", Decimal("1.724137"), Decimal("0.58"), Decimal("0.02940"))


def test_equal_records_differ_in_nothing() -> None:
    """A trade that was recorded as one fill, or as one for each of two makers, is no difference."""
    halves = [
        REAL._replace(shares=Decimal("0.7"), fee=Decimal("0.01")),
        REAL._replace(shares=Decimal("1.024137"), fee=Decimal("0.0194")),
    ]
    assert differences({"t": REAL}, {"t": [REAL]}) == []
    assert differences({"t": REAL}, {"t": halves}) == []


@pytest.mark.parametrize(
    ("fills", "text"),
    [
        ({}, "trade t of order 0xa is lost"),
        ({"t": [REAL], "u": [REAL]}, "fill u is no trade of the venue"),
        ({"t": [REAL, REAL]}, "trade t is"),
        ({"t": [REAL._replace(price=Decimal("0.59"))]}, "trade t is"),
        ({"t": [REAL._replace(fee=Decimal("0.0295"))]}, "trade t is"),
        ({"t": [REAL._replace(order_id="0xb")]}, "trade t is"),
    ],
)
def test_a_difference_is_named(fills: dict[str, list[Trade]], text: str) -> None:
    """Lost, invented and doubled fills, another price, fee or order: one sentence each."""
    (found,) = differences({"t": REAL}, fills)
    assert found.startswith(text)
