"""Serves a bench on loopback, and sends its traders' requests."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from venue_builders import Bench, Trader

from venue.wire.app import make_app

Answer = tuple[int, Any]


class ServedBench:
    """A bench and a client of its routes."""

    def __init__(self, bench: Bench, client: TestClient[Any, Any]) -> None:
        self.bench = bench
        self._client = client

    async def get(self, path: str, trader: Trader | None = None, **query: Any) -> Answer:
        """Status and JSON of a GET request, authenticated if a trader is given."""
        return await self._send("GET", path, trader, None, query)

    async def post(self, path: str, content: Any, trader: Trader | None = None) -> Answer:
        """Status and JSON of a POST request, authenticated if a trader is given."""
        return await self._send("POST", path, trader, content, {})

    async def _send(
        self, method: str, path: str, trader: Trader | None, content: Any, query: dict[str, Any]
    ) -> Answer:
        body = "" if content is None else json.dumps(content)
        now = self.bench.venue.clock.wall_s()
        headers = {} if trader is None else trader.headers(method, path, body, at=now)
        sent = self._client.request(
            method, path, data=body or None, headers=headers, params={k: str(v) for k, v in query.items()}
        )
        async with sent as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def served(bench: Bench) -> AsyncIterator[ServedBench]:
    """The routes of a bench's venue, whose loops do not run."""
    async with TestClient(TestServer(make_app(bench.venue))) as client:
        yield ServedBench(bench, client)
    await bench.venue.lifecycle.stop()
    bench.venue.close()
