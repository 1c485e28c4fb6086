"""Rows of the table of outcomes with the venue's current library as signer and transport.

The answers whose body decides: the library itself raises for them without the body.
"""

import pytest
import pytest_asyncio
from rig import Rig
from test_order_outcomes import ROWS, SLIPPAGE, check_row

from models import OrderState

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

CHOSEN = (
    "delayed, then matched",
    "200 with success false",
    "200 with status unmatched",
    "425, executed",
    "429",
    "500 no matching orders",
    "503 trading disabled",
    "503 without a reason, executed",
    "HTML 403",
    "reset before the body was read",
    "reset after the body was read",
    "timeout after acceptance",
)


class SdkRig(Rig):
    """The node with the venue's current library."""

    order_client = "polymarket-client"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory):
    async with SdkRig(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.mark.parametrize("name", CHOSEN)
async def test_the_outcome_is_the_same(rig, attempt, name):
    """Classified as with the library of live orders, recorded once, and one POST at the venue."""
    # The trade of an executed order may be known before the answer.
    text = "" if ROWS[name].bought else ROWS[name].text.replace("Request exception", "TransportError")
    await check_row(rig, attempt, ROWS[name], text)


async def test_an_order_is_filled_once(rig, attempt):
    """Without a fault: one POST, one fill, equal books, under the id that was known before."""
    posted, ask = rig.orders_posted(), rig.asks()[0][0]
    await attempt.decide(ask, ask + SLIPPAGE)
    await attempt.until(lambda: attempt.states == [OrderState.MATCHED])
    await attempt.until(attempt.closed)
    await attempt.balanced()
    assert rig.orders_posted() == posted + 1
    (stored,) = await attempt.thread.call(attempt.reader.attempts, rig.market.slug)
    assert {trade["order_id"] for trade in attempt.traded()} == {stored.order_id}
