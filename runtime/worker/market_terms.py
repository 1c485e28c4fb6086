"""Reads the terms of each market from the venue before it starts, and records their changes."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
from loguru import logger

from common.bounded_http import BoundedHttp
from common.plain_text import one_line
from errors import Fatal
from events import Event
from execution.ledger.writer import Ledger
from execution.ledger_thread import LedgerThread
from execution.venue_facts.observations import TermsStated
from execution.venue_facts.recorder import Observe
from models import Market

REQUEST_LIMIT_S = 5.0


class MarketTermsReader:
    """Compares Gamma's description of each market with `/clob-markets`, off the trading path.

    A market that has started is left out: its tick may have changed since it was listed.

    Parameters
    ----------
    clob_url : str
        The order API that the markets belong to.
    has_started : Callable[[Market], bool]
    register : Callable[[Market], None]
        Called first with each market: it stores it in the ledger.
    ledger, thread
        The ledger's writer and its thread.
    publish : Callable[[Event], None]
        Receives `TermsChanged`.
    observe : Observe
        Receives both descriptions.
    """

    def __init__(
        self,
        clob_url: str,
        has_started: Callable[[Market], bool],
        register: Callable[[Market], None],
        ledger: Ledger,
        thread: LedgerThread,
        publish: Callable[[Event], None],
        observe: Observe,
    ) -> None:
        self._http = BoundedHttp(clob_url, total_s=REQUEST_LIMIT_S)
        self._has_started = has_started
        self._register = register
        self._ledger = ledger
        self._thread = thread
        self._publish = publish
        self._observe = observe
        self._listed: asyncio.Queue[Market] = asyncio.Queue()
        self._known: set[str] = set()

    def market_listed(self, market: Market) -> None:
        """Register a market, and read its terms once."""
        self._register(market)
        if market.slug not in self._known:
            self._known.add(market.slug)
            self._listed.put_nowait(market)

    async def run(self) -> None:
        """Read the terms of the listed markets, in their order, without an end."""
        while True:
            market = await self._listed.get()
            if not self._has_started(market):
                await self._read(market)

    async def _read(self, market: Market) -> None:
        clob = await self._clob_market(market)
        if clob is not None:
            self._observe(TermsStated(market, clob))
        try:
            changes = await self._thread.call(self._ledger.record_terms, market.slug, terms_of(market, clob))
        except Fatal as error:
            self._thread.report(error)
            return
        for change in changes:
            self._publish(change)

    async def _clob_market(self, market: Market) -> Any:
        """`/clob-markets` of a market; None without a usable answer."""
        try:
            answer = await self._http.request_async("GET", f"/clob-markets/{market.condition_id}")
            return answer.raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            logger.warning(f"{market.slug}: /clob-markets gave no usable answer: {one_line(repr(error))}")
            return None


def terms_of(market: Market, clob: Any) -> dict[str, str]:
    """The terms that the venue states for a market, by name.

    Fee rate, tick and minimum size are Gamma's. Only `/clob-markets` states the taker delay, as `itode`.
    """
    found = {"fee_rate": _text(market.fee_rate), "tick": _text(market.tick)}
    if market.minimum_shares is not None:
        found["minimum_shares"] = _text(market.minimum_shares)
    delay = clob.get("itode") if isinstance(clob, dict) else None
    return found | ({"taker_delay": str(delay).lower()} if isinstance(delay, bool) else {})


def _text(value: Decimal) -> str:
    return f"{value.normalize():f}"
