import pytest
from feed_servers import Host


@pytest.fixture
async def host():
    server = await Host().start()
    yield server
    await server.aclose()
