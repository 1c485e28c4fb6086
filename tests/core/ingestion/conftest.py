import sys
from pathlib import Path

import pytest

# The servers and payloads of the sources' own tests are used here too.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "data_sources"))

from feed_servers import Host


@pytest.fixture
async def host():
    server = await Host().start()
    yield server
    await server.aclose()
