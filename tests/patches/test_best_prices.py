"""Whether the best prices of a book are those that the venue sent beside a change."""

from decimal import Decimal

import pytest

from patches.best_prices import differing_best

BID, ASK = Decimal("0.62"), Decimal("0.63")


@pytest.mark.parametrize(
    ("quoted", "known"),
    [
        (("0.62", "0.63"), (BID, ASK)),
        ((".620", "0.630"), (BID, ASK)),
        (("", "0.63"), (None, ASK)),
        (("0", "0.63"), (None, ASK)),
        (("0.62", "1"), (BID, None)),
        (("0.62", "0"), (BID, None)),
        ((None, None), (BID, ASK)),
        (("NaN", "-1"), (BID, ASK)),
        (("1e-1", "\x1b[2J"), (BID, ASK)),
    ],
)
def test_best_prices_that_agree(quoted, known):
    """In any spelling; a side without orders has three, and what is no price states nothing."""
    assert differing_best(quoted, known) is None


@pytest.mark.parametrize(
    ("quoted", "known", "difference"),
    [
        (("0.61", "0.63"), (BID, ASK), "best bid 0.62, the venue's is 0.61"),
        (("0.62", "0.64"), (BID, ASK), "best ask 0.63, the venue's is 0.64"),
        (("0.62", "0.63"), (None, ASK), "best bid none, the venue's is 0.62"),
        (("0.62", ""), (BID, ASK), "best ask 0.63, the venue's is none"),
        ((None, "0.631"), (BID, ASK), "best ask 0.63, the venue's is 0.631"),
    ],
)
def test_a_best_price_that_differs_is_named(quoted, known, difference):
    """With both prices; also where one side is not sent, or has no orders."""
    assert differing_best(quoted, known) == difference
