"""Checks of the venue's public services (order API, clock, catalogue, books) and of the external feeds."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import httpx
import msgspec
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from common.bounded_http import BoundedHttp
from common.constants import DERIBIT_PCR, PRICE_DIVERGENCE, SENTIMENT_ANALYSIS
from config import Settings
from core.ingestion.factory import FeedSettings, build_data_adapter
from core.ingestion.feed_urls import FeedUrls
from core.ingestion.managers.rate_limiter import RateLimiter
from core.nautilus_core.instruments.market_clock import MarketClock
from core.nautilus_core.instruments.pairing import market_of
from errors import Refused, Temporary
from execution.polymarket_client import PolymarketClient, geoblock
from execution.venue_facts.observations import LocationChecked
from execution.venue_facts.recorder import Observe, ignore
from models import Frozen, Market
from runtime.doctor.file_checks import host_of
from runtime.doctor.finding import Finding, fail, ok, warn
from settings_mapping import market_calendar

MOST_MARKETS = 100
"""Markets per page of the catalogue."""
TIMEOUT_S = 5.0
FEED_TIMEOUT_S = 3.0
ORDER_VERSION = 2
"""Version of the orders that the installed client signs."""
SKEW_WARN_S = 2.0
"""A clock with this error is not synchronised, and its error will grow."""
SKEW_FAIL_S = 20.0
"""Signed requests carry the time, and the venue rejects those that are 30 s old."""
SMALLEST_USD = Decimal("1.00")
"""The venue's minimum for a marketable buy order, pUSD."""
UNSUPPORTED = "The bot does not trade such markets: check for a newer version"
UNREACHABLE = "Check the network, or run without it: python runner.py --test-mode"
VOTERS = {"coinbase": PRICE_DIVERGENCE, "deribit": DERIBIT_PCR, "fear_greed": SENTIMENT_ANALYSIS}


def order_api(url: str) -> Iterator[Finding]:
    """Check that it answers, accepts orders of the version that this bot signs, and has the same time."""
    # A temporary key: these requests need no account.
    venue = PolymarketClient(url, secrets.token_hex(32))
    try:
        version, skew = venue.clob_version(), venue.clock_skew_s()
    except Temporary as error:
        yield fail("order API", f"{host_of(url)}: {error}", UNREACHABLE)
        return
    if version == ORDER_VERSION:
        yield ok("order API", f"{host_of(url)} accepts orders of version {version}")
    else:
        what = f"{host_of(url)} accepts orders of version {version}, this bot signs version {ORDER_VERSION}"
        yield fail("order API", what, "Update the bot before it trades")
    text = f"this machine's clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the venue's"
    todo = "Set the clock: timedatectl set-ntp true"
    if abs(skew) > SKEW_FAIL_S:
        yield fail("clock", text, todo)
    else:
        yield warn("clock", text, todo) if abs(skew) > SKEW_WARN_S else ok("clock", text)


def geoblock_check(url: str, observe: Observe = ignore) -> Iterator[Finding]:
    """Check that orders are accepted from this machine's location."""
    try:
        answer = geoblock(url)
    except Temporary as error:
        yield fail("geoblock", f"{host_of(url)}: {error}", UNREACHABLE)
        return
    observe(LocationChecked(msgspec.structs.asdict(answer)))
    where = " ".join(filter(None, (answer.country, answer.region))) or "an unknown location"
    if answer.blocked:
        what = f"the venue accepts no orders from {where}, the location of this machine's address"
        yield fail("geoblock", what, "Live trading is not allowed from this location; simulation is")
    else:
        yield ok("geoblock", f"orders are accepted from {where}, the location of this machine's address")


class CatalogueEndpoints(Frozen, frozen=True):
    """Where a profile's markets come from, and their clock."""

    gamma: str
    ws: str
    clock: MarketClock


def markets(settings: Settings, where: CatalogueEndpoints) -> Iterator[Finding]:
    """Check that the running and the next market of each series exist, are supported, and have a book."""
    for series in settings.series:
        yield from _markets_of_series(settings.of_series(series), where)


def _markets_of_series(settings: Settings, where: CatalogueEndpoints) -> Iterator[Finding]:
    now, calendar = where.clock.market_time(time.time_ns()), market_calendar(settings)
    slugs = calendar.upcoming(now)[:2]
    try:
        listed = _listed(where.gamma, slugs)
        others = [] if slugs[0] in listed else sorted(_listed(where.gamma, calendar.neighbours(slugs[0])))
    except (httpx.HTTPError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        yield fail("catalogue", f"{host_of(where.gamma)}: {type(error).__name__}", UNREACHABLE)
        return
    for slug in slugs:
        if slug not in listed:
            instead = f", but {', '.join(others[:3])}" if others else ""
            what = f"{host_of(where.gamma)} has no market {slug}{instead}"
            yield fail("catalogue", what, "Check MARKET_*, GAMMA_URL and the clock")
            return
    understood, refused = [], []
    for slug in slugs:
        try:
            understood.append(market_of(listed[slug], calendar))
        except Refused as error:
            refused.append(str(error))
    for why in refused:
        yield (warn if understood else fail)("market", why, UNSUPPORTED)
    if understood:
        yield from _terms(settings, understood[-1], listed[understood[-1].slug])
        yield from _stream(where.ws, understood)


def listed_markets(settings: Settings, where: CatalogueEndpoints) -> list[Market]:
    """The running and the next market of each series, without those that are not supported.

    None if there is no answer.
    """
    return [market for series in settings.series for market in _listed_of(settings.of_series(series), where)]


def _listed_of(settings: Settings, where: CatalogueEndpoints) -> list[Market]:
    calendar = market_calendar(settings)
    slugs = calendar.upcoming(where.clock.market_time(time.time_ns()))[:2]
    try:
        listed = _listed(where.gamma, slugs)
    except (httpx.HTTPError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
    found = []
    for row in listed.values():
        with suppress(Refused):
            found.append(market_of(row, calendar))
    return found


def _listed(gamma_url: str, slugs: list[str]) -> dict[str, dict[str, Any]]:
    """The catalogue's open markets with these slugs."""
    if not slugs:
        return {}
    asked = {"slug": slugs, "limit": str(MOST_MARKETS)}
    answer = BoundedHttp(total_s=TIMEOUT_S).get(f"{gamma_url}/markets", params=asked)
    found = msgspec.json.decode(answer.raise_for_status().content, type=list[dict[str, Any]])
    return {str(row.get("slug")): row for row in found}


def _terms(settings: Settings, market: Market, gamma: dict[str, Any]) -> Iterator[Finding]:
    """Report fee, tick and minimum order of the next market."""
    size = settings.position_size_usd
    yield ok(
        "market",
        f"{market.slug}: version {market.version}, settles by {market.rule}, tick {market.tick},"
        f" fee rate {market.fee_rate}",
    )
    resting = gamma.get("orderMinSize")
    text = f"${size} of ${SMALLEST_USD} minimum for a marketable order"
    yield ok("order size", f"{text} ({resting} shares for a resting order, which this bot does not use)")


def _stream(url: str, wanted: list[Market]) -> Iterator[Finding]:
    """Check that the market stream sends the book of the running or the next market (one may be resolved)."""
    tokens = [token for market in wanted for token in (market.up_token, market.down_token)]
    try:
        with connect(f"{url}market", open_timeout=TIMEOUT_S, close_timeout=1.0) as socket:
            socket.send(msgspec.json.encode({"type": "market", "assets_ids": tokens}).decode())
            frame = str(socket.recv(timeout=TIMEOUT_S))
    except (OSError, WebSocketException) as error:  # a timeout is an OSError
        what = f"{host_of(url)} sends no book: {type(error).__name__}"
        yield fail("market stream", what, "Check that the network lets WebSockets through")
        return
    if '"bids"' in frame:
        yield ok("market stream", f"{host_of(url)} sends the books")
    else:
        yield fail("market stream", f"{host_of(url)} sends another message than a book", "Check WS_URL")


def feeds(settings: Settings, urls: FeedUrls | None) -> Iterator[Finding]:
    """Check the external sources that processors use; a processor without its source does not vote."""
    assets = {series.asset: series for series in reversed(settings.series)}
    for asset, series in reversed(assets.items()):
        yield from _feeds_of_asset(settings.of_series(series), urls, f"{asset}: " if len(assets) > 1 else "")
        if urls is None:
            return


def _feeds_of_asset(settings: Settings, urls: FeedUrls | None, name: str) -> Iterator[Finding]:
    if urls is None:
        yield ok("feeds", "none: recorded markets have no external feeds")
        return
    absent = asyncio.run(_absent(settings, urls))
    for source, processor in VOTERS.items():
        if source in absent:
            why = f"{name}{absent[source].partition(';')[0]}"
            yield warn("feeds", why, f"{processor} abstains until it recovers")
    if missing := VOTERS.keys() - absent.keys():
        yield ok("feeds", f"{name}{', '.join(sorted(missing))} answer")


async def _absent(settings: Settings, urls: FeedUrls) -> dict[str, str]:
    adapter = build_data_adapter(
        FeedSettings(
            asset=settings.market_asset,
            interval=settings.interval_seconds,
            urls=urls,
            deribit_max_dte=settings.deribit_max_dte,
        ),
        # Sources of its own: those of the process would belong to a loop that ends here.
        limiter=RateLimiter(),
    )
    try:
        return (await adapter.refresh(FEED_TIMEOUT_S)).absent
    finally:
        await adapter.aclose()
