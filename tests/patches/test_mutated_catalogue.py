"""A provider that reads mutated catalogues over HTTP."""

import pytest

from errors import Temporary
from models import Outcome

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timeout(180)]

ANSWERS = 150


async def test_no_mutated_catalogue_loads_another_instrument(rig):
    """Each answer is used or Temporary; no instrument but those that the venue lists is loaded by any."""
    provider = rig.execution_client._instrument_provider
    listed = set()
    for slug in rig.slugs():
        market = rig.board.by_slug(slug).market
        listed |= {f"{market.condition_id}-{market.token(outcome)}.POLYMARKET" for outcome in Outcome}
    rig.venue.fault("mutated_answer", ANSWERS, path="/gamma/markets/keyset", seed=1)
    used = 0
    while rig.venue.get("/practice/faults"):
        try:
            await provider.load_all_async()
            used += 1
        except Temporary:
            pass
        assert {str(instrument_id) for instrument_id in provider.get_all()} <= listed
    assert used
    await provider.load_all_async()
