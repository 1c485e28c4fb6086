"""Settlement by the venue's official outcome: asks until it is published, then closes the books."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx

from execution.venue_answers import clob_outcome, gamma_outcome
from models import Market, Outcome, Settlement

REQUEST_TIMEOUT_S = 5.0


class OutcomeSource:
    """Reads official outcomes: the catalogue first, the order API's `winner` as the second witness.

    The catalogue hides closed markets unless asked for them, and forgets short ones some time after;
    the order API keeps them.
    """

    def __init__(self, client: httpx.AsyncClient, gamma_url: str, clob_url: str) -> None:
        self._client = client
        self._gamma_url = gamma_url
        self._clob_url = clob_url

    async def outcome(self, market: Market) -> tuple[Outcome, str] | None:
        """(official outcome, where it was read), or None while there is none or nobody answers."""
        found = await self._get(f"{self._gamma_url}/markets", {"slug": market.slug, "closed": "true"})
        for candidate in found if isinstance(found, list) else []:
            if isinstance(candidate, dict) and candidate.get("slug") == market.slug:
                outcome = gamma_outcome(candidate)
                if outcome is not None:
                    return outcome, "gamma"
        outcome = clob_outcome(await self._get(f"{self._clob_url}/markets/{market.condition_id}", {}))
        return None if outcome is None else (outcome, "clob")

    async def _get(self, url: str, params: dict[str, str]) -> object:
        try:
            answer = await self._client.get(url, params=params, timeout=REQUEST_TIMEOUT_S)
            return answer.json() if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            return None


class SettlementWatcher:
    """Waits for the official outcome of each market it is given, one task a market.

    Parameters
    ----------
    source : OutcomeSource
    settle : Callable[[Market, Settlement], Awaitable[None]]
        Awaited once a market's outcome is known.
    until_end : Callable[[Market], float]
        Wall-clock seconds until a market ends; negative once it has.
    now_ns : Callable[[], int]
    poll_seconds : float
        Pause between two questions; well below the 10 s within which a result must be taken up.
    """

    def __init__(
        self,
        source: OutcomeSource,
        settle: Callable[[Market, Settlement], Awaitable[None]],
        until_end: Callable[[Market], float],
        now_ns: Callable[[], int],
        poll_seconds: float,
    ) -> None:
        self._source = source
        self._settle = settle
        self._until_end = until_end
        self._now_ns = now_ns
        self._poll_seconds = poll_seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def watch(self, market: Market) -> None:
        """Settle this market when it is over. Asking twice for the same market is the same as once."""
        if market.slug not in self._tasks:
            self._tasks[market.slug] = asyncio.get_running_loop().create_task(self._wait(market))

    @property
    def waiting(self) -> list[str]:
        """Slugs without an official outcome yet."""
        return [slug for slug, task in self._tasks.items() if not task.done()]

    async def close(self) -> None:
        """Stop asking; unsettled markets are taken up by the next start."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _wait(self, market: Market) -> None:
        await asyncio.sleep(max(0.0, self._until_end(market)))
        outcome, source = await self._published(market)
        await self._settle(
            market,
            Settlement(slug=market.slug, outcome=outcome, source=source, settled_ns=self._now_ns()),
        )

    async def _published(self, market: Market) -> tuple[Outcome, str]:
        while True:
            found = await self._source.outcome(market)
            if found is not None:
                return found
            await asyncio.sleep(self._poll_seconds)
