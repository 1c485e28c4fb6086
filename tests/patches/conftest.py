"""One rig per module and process: a node takes a second, an order a fifth of one."""

import sys
from pathlib import Path

import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "venue"))
sys.path.insert(0, str(Path(__file__).parents[1] / "data_sources"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory):
    # Imported only here: NautilusTrader takes seconds.
    from rig import Rig

    async with Rig(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def attempt(rig, tmp_path):
    from rig import Attempt

    async with Attempt(rig, tmp_path) as one:
        yield one
        rig.venue.clear_faults()
