"""The shadow source: another venue's live books, fees and official outcomes, for orders on paper."""

import asyncio
import logging
from collections import defaultdict
from typing import Any

from venue.amounts import MICRO, decimal_text
from venue.catalogue import Catalogue
from venue.clock import SECOND, VenueClock
from venue.ledger import VenueLedger
from venue.market import VenueMarket
from venue.order_book import VenueBook
from venue.series import Series
from venue.sources.shadow.listing import UnsupportedMarket, clob_outcome, gamma_outcome, listed
from venue.sources.shadow.mirror import BookMirror
from venue.sources.shadow.stream import UpstreamStream
from venue.sources.shadow.upstream import UpstreamReader, UpstreamUnreachable, UpstreamVenue

log = logging.getLogger("venue.shadow")

AHEAD = 4
"""Number of markets mirrored before they start: the next one is subscribed long before the running ends."""
LOOK_SECONDS = 3.0
"""Time between two checks of what is due; requests to Gamma are not more frequent."""
FAR_SECONDS = 60.0
"""Time between two requests for markets that are neither running nor next."""
PATIENCE = 20
"""An outcome is requested again after this fraction of the time it has been missing..."""
RAREST_SECONDS = 60.0
"""...but at least at this interval."""
BATCH = 20
"""Markets per request to Gamma."""
QUIET_NS = 10 * SECOND
"""After this silence a running market's book is requested, to detect a stream that omits changes."""
KEPT_SECONDS = 900
"""Time for which an ended market stays subscribed, for the event of its resolution."""
SHORTEST_WAIT = 0.01
MINUTE = 60
"""Resolution of the recorded prices in seconds."""

SHOWN_OUTCOMES = 20
"""Number of ended markets whose source of the outcome is shown."""


class ShadowSource:
    """Mirrors the running and the coming markets of an upstream.

    Parameters
    ----------
    upstream : UpstreamVenue
        Its addresses, and which of its markets.
    clock : VenueClock
        The venue's clock, which runs at the machine's speed.
    ledger : VenueLedger
        Stores the markets, so that they can be settled whenever their outcome is published.
    """

    def __init__(self, upstream: UpstreamVenue, clock: VenueClock, ledger: VenueLedger) -> None:
        self._upstream = upstream
        self._clock = clock
        self._ledger = ledger
        self._reader = UpstreamReader(upstream)
        self._stream = UpstreamStream(
            lambda: self._reader.session, f"{upstream.ws}market", self._on_event, self._disconnected
        )
        self._mirrors: dict[int, BookMirror] = {}
        self._by_condition: dict[str, BookMirror] = {}
        self._outcomes: dict[int, int] = {}
        self._resolved_by: dict[str, str] = {}
        """Which source had the outcome first, for each market that was on the stream until then, by slug."""
        self._new: list[VenueMarket] = []
        self._reasons: dict[str, str] = {}
        self._requested_s: dict[int, float] = {}
        self._compared_ns: dict[int, int] = {}
        self._recorded: dict[int, dict[int, VenueBook]] = defaultdict(dict)
        self._changed = asyncio.Event()
        known = ledger.markets()
        running = upstream.series[0].running_start(clock.market_s())
        self.catalogue = Catalogue(known[0].start if known else running)
        for market in known:
            self.catalogue.add(market)

    # --- called by the server ----------------------------------------------------------------

    def info(self) -> dict[str, Any]:
        upstream, now = self._upstream, self._clock.wall_ns()
        return {
            "name": "shadow",
            "note": f"the live books of {upstream.clob}; orders are on paper",
            "series": [series.name for series in upstream.series],
            "upstream": {"gamma": upstream.gamma, "clob": upstream.clob, "ws": upstream.ws},
            "resolved_by": dict(list(self._resolved_by.items())[-SHOWN_OUTCOMES:]),
            "doubts": {mirror.market.slug: mirror.doubt(now) for mirror in self._mirrors.values()},
        }

    def listed(self) -> list[VenueMarket]:
        new, self._new = self._new, []
        return new

    def describe(self, market: VenueMarket) -> str:
        return (
            f"{market.description} Practice market: mirrors {market.slug} of {self._upstream.clob}.".strip()
        )

    def origin(self, market: VenueMarket) -> str:
        return market.slug

    def book(self, market: VenueMarket) -> VenueBook | None:
        mirror = self._mirrors.get(market.key)
        return None if mirror is None else mirror.book

    def book_at(self, market: VenueMarket, market_s: float) -> VenueBook | None:
        """The best prices of that minute, if the market was running and its book was certain."""
        return self._recorded.get(market.key, {}).get(int(market_s) // MINUTE)

    def tick(self, market: VenueMarket) -> int:
        return self._mirrors[market.key].tick if market.key in self._mirrors else 1

    def next_change(self, market: VenueMarket) -> float | None:
        """None: unpredictable."""
        del market
        return None

    def outcome(self, market: VenueMarket) -> int | None:
        return self._outcomes.get(market.key)

    def priced(self, market: VenueMarket) -> bool:
        """False: a mirror has no external services."""
        del market
        return False

    def certain(self, market: VenueMarket) -> bool:
        mirror = self._mirrors.get(market.key)
        return mirror is not None and mirror.certain(self._clock.wall_ns())

    async def confirm(self, market: VenueMarket) -> bool:
        """Read the book from `/book` if the mirror is uncertain; False if that fails too."""
        mirror = self._mirrors.get(market.key)
        if mirror is None:
            return False
        return mirror.certain(self._clock.wall_ns()) or await self._read(mirror)

    # --- running -----------------------------------------------------------------------------

    async def start(self) -> None:
        """Check that the upstream answers, list its markets, and read the outcomes published meanwhile.

        Raises
        ------
        UpstreamUnreachable
            If any of its three services does not answer.
        """
        await self._reader.check()
        await self._stream.check()
        await self.look_for_markets()
        await self.look_for_outcomes()

    async def stop(self) -> None:
        await self._reader.close()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stream.run())
            group.create_task(self._look())

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(SHORTEST_WAIT)
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return
        self._changed.clear()

    async def _look(self) -> None:
        while True:
            await self.look_for_markets()
            await self.look_for_outcomes()
            await self.look_at_doubts()
            self.record_books()
            await asyncio.sleep(LOOK_SECONDS)

    # --- markets -----------------------------------------------------------------------------

    async def look_for_markets(self) -> None:
        """List the running and the coming markets that are not mirrored yet, and drop old ones."""
        now = self._clock.market_s()
        for mirror in list(self._mirrors.values()):
            market = mirror.market
            if market.key in self._outcomes or now > market.end + KEPT_SECONDS:
                await self._let_go(mirror)
        for series in self._upstream.series:
            await self._look_for_series(series, now)

    async def _look_for_series(self, series: Series, now: float) -> None:
        number = self._upstream.number(series)
        running = series.running_start(now)
        starts = [series.next_start(running, ahead) for ahead in range(AHEAD + 1)]
        missing = [start for start in starts if start + number not in self._mirrors]
        far = starts[1]
        if not any(start <= far or self._due(start + number, FAR_SECONDS) for start in missing):
            return
        try:
            rows = await self._reader.gamma_markets([series.slug(start) for start in missing], closed=False)
        except UpstreamUnreachable as error:
            log.warning("new markets cannot be listed: %s", error)
            return
        by_slug = {slug: row for row in rows if isinstance(slug := row.get("slug"), str)}
        for start in missing:
            self._requested_s[start + number] = now
            row = by_slug.get(series.slug(start))
            if row is not None:
                await self._list(row, series, start)

    async def _list(self, row: dict[str, Any], series: Series, start: int) -> None:
        try:
            found = listed(row, series, start, self._upstream.number(series))
        except UnsupportedMarket as error:
            self._refuse(series.slug(start), str(error))
            return
        market = found.market
        if (why := self._contradiction(market)) is not None:
            self._refuse(market.slug, why)
            return
        if self.catalogue.at(market.key) is None:
            self._new.append(market)
        self._ledger.add_market(market)
        self.catalogue.add(market)
        mirror = BookMirror(market, found.tick)
        self._mirrors[market.key] = self._by_condition[market.condition_id] = mirror
        await self._stream.subscribe(market.tokens)

    def _contradiction(self, market: VenueMarket) -> str | None:
        """How a market's ids contradict its earlier ones or another market's; None if they do not."""
        ids = (market.condition_id, *market.tokens)
        known = self.catalogue.at(market.key)
        if known is not None and (known.condition_id, *known.tokens) != ids:
            return "its condition and token ids are not those that it had before"
        owners = (self.catalogue.by_condition(ids[0]), *map(self.catalogue.by_token, ids))
        others = [each.slug for each in owners if each is not None and each.key != market.key]
        return f"an id of it is one of {others[0]}, too" if others else None

    def _refuse(self, slug: str, reason: str) -> None:
        """Skip an unsupported market: it is not listed, so orders for it are refused."""
        if self._reasons.get(slug) != reason:
            self._reasons[slug] = reason
            log.warning("%s is not tradable here: %s", slug, reason)

    async def _let_go(self, mirror: BookMirror) -> None:
        market = mirror.market
        del self._mirrors[market.key], self._by_condition[market.condition_id]
        self._compared_ns.pop(market.key, None)
        await self._stream.unsubscribe(market.tokens)

    # --- books -------------------------------------------------------------------------------

    def _on_event(self, event: dict[str, Any]) -> None:
        mirror = self._by_condition.get(str(event.get("market")))
        if mirror is None:
            return
        if event.get("event_type") == "market_resolved":
            self._resolved(mirror.market, event)
        else:
            mirror.handle_event(event, self._clock.wall_ns())
        self._changed.set()

    def _disconnected(self) -> None:
        for mirror in self._mirrors.values():
            mirror.disconnected()

    async def look_at_doubts(self) -> None:
        """Repair books that a change did not fit, and check whether a silent stream omits changes."""
        now_ns, now = self._clock.wall_ns(), self._clock.market_s()
        for mirror in list(self._mirrors.values()):
            market = mirror.market
            running = market.start <= now < market.end
            since = max(mirror.updated_ns, self._compared_ns.get(market.key, 0))
            if mirror.broken or (running and mirror.streamed and now_ns - since > QUIET_NS):
                self._compared_ns[market.key] = now_ns
                await self._read(mirror)

    def record_books(self) -> None:
        """Store the best prices of running markets, the first ones of each minute."""
        now = self._clock.market_s()
        for mirror in self._mirrors.values():
            book, market = mirror.book, mirror.market
            if book is not None and market.start <= now <= market.end and self.certain(market):
                best = VenueBook(bids=book.bids[:1], asks=book.asks[:1])
                self._recorded[market.key].setdefault(int(now) // MINUTE, best)

    async def _read(self, mirror: BookMirror) -> bool:
        """Replace the mirror's book with the one of `/book`."""
        updated, intact = mirror.updated_ns, mirror.streamed and not mirror.broken
        try:
            differs = mirror.read(await self._reader.book(mirror.market.up_token))
        except (UpstreamUnreachable, UnsupportedMarket) as error:
            log.warning("%s: its book cannot be read: %s", mirror.market.slug, error)
            return False
        self._changed.set()
        silent = mirror.updated_ns == updated and mirror.silent(self._clock.wall_ns())
        if differs and intact and silent:
            self._stream.reconnect(f"it is silent while the book of {mirror.market.slug} changes")
        return True

    # --- outcomes ----------------------------------------------------------------------------

    async def look_for_outcomes(self) -> None:
        """Request the official outcomes of ended markets, recently ended ones more often."""
        now = self._clock.market_s()
        ended = [
            market
            for market in self.catalogue.unresolved()
            if market.end <= now and market.key not in self._outcomes
        ]
        due = [m for m in ended if self._due(m.start, min(RAREST_SECONDS, (now - m.end) / PATIENCE))]
        for first in range(0, len(due), BATCH):
            batch = due[first : first + BATCH]
            outcomes = await self._gamma_outcomes(batch)
            for market in batch:
                self._requested_s[market.key] = now
                self._record_outcome(market, outcomes.get(market.slug), "catalogue")
                if market.key not in self._outcomes:
                    # Gamma removes short markets after a while; the order API keeps them.
                    self._record_outcome(market, await self._clob_outcome(market), "order API")

    async def _gamma_outcomes(self, markets: list[VenueMarket]) -> dict[str, int | None]:
        try:
            rows = await self._reader.gamma_markets([market.slug for market in markets], closed=True)
        except UpstreamUnreachable as error:
            log.warning("the catalogue has no outcomes: %s", error)
            return {}
        return {str(row.get("slug")): gamma_outcome(row) for row in rows}

    async def _clob_outcome(self, market: VenueMarket) -> int | None:
        try:
            return clob_outcome(await self._reader.clob_market(market.condition_id))
        except UpstreamUnreachable as error:
            log.warning("%s: the order API has no outcome: %s", market.slug, error)
            return None

    def _resolved(self, market: VenueMarket, event: dict[str, Any]) -> None:
        winner = event.get("winning_asset_id")
        if winner in market.tokens:
            self._record_outcome(market, MICRO if winner == market.up_token else 0, "stream")
        else:
            log.warning("%s: resolved to %r, which is none of its tokens", market.slug, winner)

    def _record_outcome(self, market: VenueMarket, up_pays: int | None, witness: str) -> None:
        if up_pays is not None and market.key not in self._outcomes:
            log.info("%s: an Up share pays %s by the %s", market.slug, decimal_text(up_pays), witness)
            self._outcomes[market.key] = up_pays
            mirror = self._mirrors.get(market.key)
            if mirror is not None and mirror.streamed:
                self._resolved_by[market.slug] = witness
            self._changed.set()

    def _due(self, key: int, pause: float) -> bool:
        """Whether the request for a market is due again."""
        asked = self._requested_s.get(key)
        return asked is None or self._clock.market_s() - asked >= pause
