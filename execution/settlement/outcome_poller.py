"""Polls the venue's official outcomes until they are published, and has them recorded."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from common.bounded_http import bounded_request
from execution.venue_answers import ResolutionStatus, clob_outcome, clob_pays_halves, gamma_resolution
from execution.venue_facts.observations import EndedMarketListed
from execution.venue_facts.recorder import Observe, ignore
from models import Market, Settlement

REQUEST_LIMIT_S = 5.0
"""Maximum seconds of one request, from connecting to the last byte."""
OLD_S = 3600.0
"""Wall-clock seconds after a market's end from which it is polled less often."""
SELDOM = 3
"""Factor of the longer pause: with 3 s, an outcome is still recorded within 10 s of its publication."""


class ResolutionSource:
    """Reads official outcomes from the catalogue and, as a second source, the order API's `winner`.

    The catalogue hides closed markets unless they are requested, and removes short ones some time later; the
    order API keeps them. If both have an outcome they have to agree.

    Parameters
    ----------
    client : httpx.AsyncClient
    gamma_url, clob_url : str
        Catalogue and order API.
    received : Callable[[bytes], None], optional
        Called with each answer of the catalogue.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        gamma_url: str,
        clob_url: str,
        received: Callable[[bytes], None] | None = None,
        observe: Observe = ignore,
    ) -> None:
        self._client = client
        self._received = received
        self._observe = observe
        self._gamma_url = gamma_url
        self._clob_url = clob_url

    async def resolution(self, market: Market) -> tuple[ResolutionStatus, str]:
        """(the status, where it was read); never raises: a missing answer is a status too."""
        found, answer = await asyncio.gather(
            self._catalogue(market),
            self._get(f"{self._clob_url}/markets/{market.condition_id}", {}),
        )
        clob, again = clob_outcome(answer), found
        official = gamma_resolution(_row_of(market, found)).official
        if clob is not None and isinstance(found, list) and not official:
            # It may have been published between the two answers: then the catalogue has it by now, and has to
            # agree.
            again = await self._catalogue(market)
            found = again if isinstance(again, list) else found
        own = _row_of(market, found)
        gamma = gamma_resolution(own)
        if isinstance(again, list) and (gamma.official or clob is not None):
            self._observe(EndedMarketListed(market.slug, own))
        if found is None and clob is None:
            return ResolutionStatus(None, "neither the catalogue nor the order API answers"), ""
        if gamma.official and clob is not None and clob is not gamma.outcome:
            why = f"the catalogue's outcome is {gamma.outcome or 'a split'}, the order API's is {clob}"
            return ResolutionStatus(None, why, grave=True), ""
        if gamma.split is not None and not clob_pays_halves(answer):
            why = "the catalogue reports 0.5 per share, the order API does not yet"
            return ResolutionStatus(None, why), ""
        if gamma.official:
            return gamma, "gamma"
        if clob is not None and gamma.why.startswith("the resolution is"):
            return gamma, ""
        return (ResolutionStatus(clob), "clob") if clob is not None else (gamma, "")

    async def _catalogue(self, market: Market) -> object:
        return await self._get(f"{self._gamma_url}/markets", {"slug": market.slug, "closed": "true"})

    async def _get(self, url: str, params: dict[str, str]) -> object:
        try:
            answer = await bounded_request(self._client, "GET", url, total_s=REQUEST_LIMIT_S, params=params)
            if answer.status_code != 200:
                return None
            if self._received is not None and url.startswith(self._gamma_url):
                self._received(answer.content)
            return answer.json()
        except (httpx.HTTPError, ValueError):
            return None


def _row_of(market: Market, answer: object) -> dict[str, Any] | None:
    """The market in an answer of the catalogue; None if it is not there."""
    listed = answer if isinstance(answer, list) else []
    return next((row for row in listed if isinstance(row, dict) and row.get("slug") == market.slug), None)


class OutcomePoller:
    """Waits for the official outcome of each market, one task per market, without a time limit.

    Parameters
    ----------
    source : ResolutionSource
    settle : Callable[[Market, Settlement], Awaitable[None]]
        Awaited when a market's outcome is known.
    late : Callable[[Market, ResolutionStatus], Awaitable[None]]
        Awaited with the status each time a late market has a new reason.
    failed : Callable[[BaseException], None]
        Called with every error of `settle` or `late`: that market is not polled any more.
    until_end : Callable[[Market], float]
        Wall-clock seconds until a market ends; negative afterwards.
    now_ns : Callable[[], int]
    poll_seconds : float
        Pause between two requests; well below the 10 s within which an outcome must be recorded.
    late_after_s : float
        Wall-clock seconds after its end from which a market without an outcome is late.
    """

    def __init__(
        self,
        source: ResolutionSource,
        settle: Callable[[Market, Settlement], Awaitable[None]],
        late: Callable[[Market, ResolutionStatus], Awaitable[None]],
        failed: Callable[[BaseException], None],
        until_end: Callable[[Market], float],
        now_ns: Callable[[], int],
        poll_seconds: float,
        late_after_s: float,
    ) -> None:
        self._source = source
        self._settle = settle
        self._late = late
        self._failed = failed
        self._until_end = until_end
        self._now_ns = now_ns
        self._poll_seconds = poll_seconds
        self._late_after_s = late_after_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._markets: dict[str, Market] = {}

    def add(self, market: Market) -> None:
        """Settle this market when it has ended. Repeated calls for the same market have no effect."""
        if market.slug not in self._tasks:
            self._markets[market.slug] = market
            task = asyncio.get_running_loop().create_task(self._wait(market))
            task.add_done_callback(self._ended)
            self._tasks[market.slug] = task

    @property
    def waiting(self) -> list[str]:
        """Slugs without an official outcome yet."""
        return [slug for slug, task in self._tasks.items() if not task.done()]

    @property
    def longest_s(self) -> float | None:
        """Seconds since the end of the oldest waiting market; None if no ended market is waiting."""
        return max((age for age in map(self._age_s, self.waiting) if age > 0), default=None)

    @property
    def expected(self) -> list[str]:
        """Slugs of markets whose outcome is expected soon: they wait and are not late."""
        return [slug for slug in self.waiting if self._age_s(slug) <= self._late_after_s]

    async def close(self) -> None:
        """Stop polling; the next start polls the unsettled markets again."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _age_s(self, slug: str) -> float:
        return -self._until_end(self._markets[slug])

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    async def _wait(self, market: Market) -> None:
        await asyncio.sleep(max(0.0, self._until_end(market)))
        resolution, source = await self._published(market)
        settlement = Settlement(
            slug=market.slug,
            outcome=resolution.outcome,
            source=source,
            settled_ns=self._now_ns(),
            split=resolution.split,
        )
        await self._settle(market, settlement)

    async def _published(self, market: Market) -> tuple[ResolutionStatus, str]:
        reported = ""
        while True:
            resolution, source = await self._source.resolution(market)
            if resolution.official:
                return resolution, source
            age_s = self._age_s(market.slug)
            if resolution.why != reported and age_s > self._late_after_s:
                reported = resolution.why
                await self._late(market, resolution)
            await asyncio.sleep(self._poll_seconds * (SELDOM if age_s > OLD_S else 1))
