"""Reports what the mirror of a paper run shows about the mirrored venue."""

import asyncio

import httpx

from common.bounded_http import BoundedHttp
from execution.venue_facts.observations import OutcomeWitnessed
from execution.venue_facts.recorder import Observe

REQUEST_LIMIT_S = 5.0
PAUSE_S = 60.0


class MirrorEvidence:
    """Asks the practice venue which source had the outcomes first; without an answer it asks again later.

    Parameters
    ----------
    url : str
        The practice venue that mirrors the real one's books.
    observe : Observe
        Of the mirrored venue.
    """

    def __init__(self, url: str, observe: Observe) -> None:
        self._http = BoundedHttp(url, total_s=REQUEST_LIMIT_S)
        self._observe = observe
        self._reported: set[str] = set()

    async def run(self) -> None:
        """Ask periodically, without an end."""
        while True:
            await asyncio.sleep(PAUSE_S)
            await self.check()

    async def check(self) -> None:
        """Report each market once."""
        try:
            answer = await self._http.request_async("GET", "/practice/info")
            resolved_by = answer.raise_for_status().json()["source"]["resolved_by"]
            found = {str(slug): str(source) for slug, source in resolved_by.items()}
        except (httpx.HTTPError, httpx.InvalidURL, AttributeError, KeyError, TypeError, ValueError):
            return
        for slug, source in found.items():
            if slug not in self._reported:
                self._reported.add(slug)
                self._observe(OutcomeWitnessed(slug, source))
