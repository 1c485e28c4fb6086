"""Loads markets by slug with one limited request to a configurable catalogue; a bad market affects no other.

The stock provider requests a hard-coded host, once per slug, follows pages without a limit, fails for all
markets if one is malformed, and never removes an instrument.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from nautilus_trader.adapters.polymarket.common.gamma_markets import normalize_gamma_market_to_clob_format
from nautilus_trader.adapters.polymarket.common.symbol import get_polymarket_instrument_id
from nautilus_trader.adapters.polymarket.providers import PolymarketInstrumentProvider
from nautilus_trader.model.identifiers import InstrumentId

from common.bounded_http import AnswerTooLarge, BoundedHttp
from common.plain_text import escaped_json, one_line
from core.nautilus_core.instruments.outcome_ids import outcome_ids
from errors import Temporary
from execution.venue_facts.observations import MarketsListed
from execution.venue_facts.recorder import Observe, ignore

REQUEST_LIMIT_S = 10.0
"""Maximum seconds of a request to the catalogue, from connecting to the last byte."""
PAGE = 100
"""Markets of one request: the catalogue lists a hundred at most."""
SHOWN_NAMES = 5
UNUSABLE = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError)
"""Errors that the library raises if a row has an unexpected content."""

Admit = Callable[[Sequence[Any], Sequence[str]], Mapping[str, Mapping[str, Any]]]
Report = Callable[[str, str], None]


class UnreadableAnswer(Temporary):
    """The catalogue's answer cannot be read."""


def _unusable(error: Exception) -> str:
    return f"the catalogue gave no usable answer: {type(error).__name__}: {one_line(error)}"


class SlugProvider(PolymarketInstrumentProvider):
    """Loads exactly the markets whose slugs `slugs()` returns.

    Parameters
    ----------
    slugs : Callable[[], list[str]]
        The slugs to load now.
    gamma_url : str
        Base URL of the catalogue.
    admit : Callable
        Selects from the rows of an answer, given the requested slugs, those that may be loaded.
    neighbours : Callable[[str], list[str]]
        Slugs of the markets with other starts that overlap one of the calendar.
    report : Callable[[str, str], None]
        Called with slug and reason for a market whose instruments cannot be created.
    received : Callable[[bytes], None], optional
        Called with each answer of the catalogue.
    observe : Observe
        Receives each answer as evidence of the catalogue's rules.
    """

    def __init__(
        self,
        *args: Any,
        slugs: Callable[[], list[str]],
        gamma_url: str,
        admit: Admit,
        neighbours: Callable[[str], list[str]],
        report: Report,
        received: Callable[[bytes], None] | None = None,
        observe: Observe = ignore,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._slugs = slugs
        self._catalogue = BoundedHttp(gamma_url, total_s=REQUEST_LIMIT_S)
        self._admit = admit
        self._neighbours = neighbours
        self._report = report
        self._received = received
        self._observe = observe

    async def load_all_async(self, filters: dict | None = None) -> None:
        """Load the requested markets and remove all others.

        Raises
        ------
        Temporary
            If the catalogue does not answer, or its answer cannot be read.
        """
        slugs = self._slugs()
        listed = await self._ask(slugs)
        self._log_differences(slugs, listed)
        names = {
            row.get("slug") for row in listed if isinstance(row, dict) and isinstance(row.get("slug"), str)
        }
        for running in _first_of_each_series(slugs):
            if running not in names:
                await self._compare_calendar(running)
        wanted: set[InstrumentId] = set()
        for slug, market in self._admit(listed, slugs).items():
            try:
                wanted |= self._load(market)
            except UNUSABLE as error:
                self._report(slug, f"its instruments cannot be created: {one_line(repr(error))}")
        # Loaded instruments are kept: the streams have a newer tick size than the catalogue.
        for instrument_id in [known for known in self._instruments if known not in wanted]:
            del self._instruments[instrument_id]

    async def _ask(self, slugs: list[str]) -> list[Any]:
        """The rows of these markets; one market that makes the answer unreadable is omitted.

        Raises
        ------
        Temporary
            If there is no readable answer, neither for all markets together nor for any of them alone.
        """
        try:
            return await self._request(slugs)
        except UnreadableAnswer as error:
            alone = await asyncio.gather(
                *(self._request([slug]) for slug in slugs if len(slugs) > 1), return_exceptions=True
            )
            answers = {slug: rows for slug, rows in zip(slugs, alone, strict=False) if isinstance(rows, list)}
            if not answers:
                raise error
        for slug in slugs:
            if slug not in answers:
                self._report(slug, "the catalogue's answer about it cannot be used")
        return [row for rows in answers.values() for row in rows]

    async def _request(self, slugs: list[str]) -> list[Any]:
        """The rows of these markets, in as many requests as pages."""
        pages = [slugs[first : first + PAGE] for first in range(0, len(slugs), PAGE)] or [slugs]
        return [row for page in pages for row in await self._request_page(page)]

    async def _request_page(self, slugs: list[str]) -> list[Any]:
        try:
            answer = await self._catalogue.request_async(
                "GET", "/markets/keyset", params={"slug": slugs, "limit": str(PAGE)}
            )
            if answer.status_code != 200:
                raise Temporary(
                    f"the catalogue answered HTTP {answer.status_code}: {one_line(answer.text, 120)}"
                )
            if self._received is not None:
                self._received(answer.content)
            rows = list(answer.json()["markets"])
        except (AnswerTooLarge, KeyError, TypeError, ValueError) as error:
            raise UnreadableAnswer(_unusable(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Temporary(_unusable(error)) from None
        self._observe(MarketsListed(tuple(slugs), tuple(rows)))
        return rows

    def _log_differences(self, slugs: list[str], listed: list[Any]) -> None:
        names = {str(row.get("slug")) if isinstance(row, dict) else repr(row)[:40] for row in listed}
        missing = [slug for slug in slugs if slug not in names]
        if missing:
            self._log.warning(f"not in the catalogue yet: {', '.join(missing)}")
        if strange := sorted(names.difference(slugs)):
            shown = ", ".join(one_line(name, 80) for name in strange[:SHOWN_NAMES])
            self._log.warning(
                f"the catalogue returned {len(strange)} markets that were not requested: {shown}"
            )

    async def _compare_calendar(self, running: str) -> None:
        """Report the markets of the catalogue that overlap the running one that it lacks."""
        expected = self._neighbours(running)
        try:
            listed = await self._ask(expected) if expected else []
        except Temporary as error:
            self._log.warning(f"the catalogue was not compared with the calendar: {error}")
            return
        names = {str(row.get("slug")) for row in listed if isinstance(row, dict)}
        if found := [slug for slug in expected if slug in names][:SHOWN_NAMES]:
            shift = int(found[0].rpartition("-")[2]) - int(running.rpartition("-")[2])
            shown = ", ".join(found)
            self._report(running, f"not in the catalogue, which has {shown}: {shift:+d} s off the calendar")

    def _load(self, market: Mapping[str, Any]) -> set[InstrumentId]:
        """Create the instruments of a market unless they are loaded; returns the ids of both."""
        # Nautilus logs instruments with their complete content.
        row = escaped_json(dict(market))
        # Nautilus reads the ids from one field, whatever the protocol version.
        normalized = normalize_gamma_market_to_clob_format({**row, "clobTokenIds": outcome_ids(row)})
        found: set[InstrumentId] = set()
        for token in normalized["tokens"]:
            instrument_id = get_polymarket_instrument_id(normalized["condition_id"], token["token_id"])
            if instrument_id not in self._instruments:
                self._load_instrument(normalized, token["token_id"], token["outcome"])
            found.add(instrument_id)
        return found


def _first_of_each_series(slugs: Sequence[str]) -> list[str]:
    """The first slug of each series: its running market."""
    first: dict[str, str] = {}
    for slug in slugs:
        first.setdefault(slug.rpartition("-")[0], slug)
    return list(first.values())
