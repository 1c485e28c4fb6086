"""A market in the JSON formats of Gamma and the CLOB."""

import json
from datetime import UTC, datetime
from typing import Any

from venue.amounts import MICRO, MILL, decimal_text
from venue.market import DOWN, UP, VenueMarket
from venue.order_book import VenueBook
from venue.series import GAMMA_IDS
from venue.sources.price_path import UNIT, WINDOW
from venue.venue import PracticeVenue

STALE_SECONDS = 60
"""Delay of Gamma's best bid and ask, market seconds; they are delayed on the real venue as well."""
STRIKE_AFTER = 60
"""Market seconds from the start until Gamma publishes the strike: about a minute on the real venue."""
ACCEPTS_BEFORE = 23 * 3600 + 52 * 60
"""Seconds from accepting orders to the start, as in a live sample: markets are listed about a day ahead."""


def iso(seconds: float) -> str:
    """Market time in Gamma's date format."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _closed_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S+00")


def tick_number(venue: PracticeVenue, market: VenueMarket) -> float:
    """The tick as a JSON number."""
    return venue.exchange.tick(market) / MILL


def published_up_pays(venue: PracticeVenue, resolution: tuple[int, int]) -> int:
    """The payout of an Up share that is published, micro pUSD; while a result is flipped, not what is paid.

    `resolution` is that payout and the market time of the resolution.
    """
    up_pays, resolved_s = resolution
    flipped = venue.faults.armed("resolution_flipped")
    if flipped is not None and venue.clock.market_s() < resolved_s + flipped["seconds"]:
        return MICRO - up_pays
    return up_pays


def outcome_prices(venue: PracticeVenue, market: VenueMarket) -> tuple[str, str]:
    """The two tokens' prices: the payouts of their shares after the resolution, the book's mid before."""
    resolution = venue.exchange.resolutions.get(market.key)
    if resolution is not None:
        up_pays = published_up_pays(venue, resolution)
        return decimal_text(up_pays), decimal_text(MICRO - up_pays)
    mids = []
    book = venue.exchange.visible(market)
    for own in (book, book.mirrored()):
        mids.append(own.mid_text or "0.5")
    return mids[0], mids[1]


def gamma_event(venue: PracticeVenue, market: VenueMarket) -> dict[str, Any]:
    """The event of a market, without its markets."""
    closed = venue.exchange.resolved(market)
    series = f"{market.asset}-up-or-down-{market.timeframe}"
    return {
        "id": str(market.key),
        "ticker": market.slug,
        "slug": market.slug,
        "title": market.question,
        "description": venue.source.describe(market),
        "resolutionSource": market.resolution_source,
        "startDate": iso(market.start - ACCEPTS_BEFORE),
        "creationDate": iso(market.start - ACCEPTS_BEFORE),
        "endDate": iso(market.end),
        "startTime": iso(market.start),
        "eventStartTime": iso(market.start),
        "active": True,
        "closed": closed,
        "archived": False,
        "negRisk": False,
        "enableOrderBook": True,
        "seriesSlug": series,
        "series": [{"id": _series_id(market), "slug": series, "recurrence": market.timeframe}],
        **_settlement_prices(venue, market),
    }


def _series_id(market: VenueMarket) -> str:
    """The id of the market's series; empty for a mirrored one that is not in the table."""
    return GAMMA_IDS.get(market.series.name, "")


def _settlement_prices(venue: PracticeVenue, market: VenueMarket) -> dict[str, Any]:
    """Strike (some time after the start) and final price (with the outcome); none if the source has none."""
    feeds = venue.external
    if feeds is None or not venue.source.priced(market) or venue.exchange.offset(market) < STRIKE_AFTER:
        return {}
    prices = {"priceToBeat": feeds.mean(market.start, WINDOW, market.asset)}
    if venue.exchange.resolved(market):
        prices["finalPrice"] = feeds.mean(market.end, WINDOW, market.asset)
    return {"eventMetadata": {name: float(decimal_text(price, UNIT)) for name, price in prices.items()}}


def gamma_market(venue: PracticeVenue, market: VenueMarket) -> dict[str, Any]:
    """A market in Gamma's format; lists inside it are JSON strings, as on the real venue."""
    exchange = venue.exchange
    resolution = exchange.resolutions.get(market.key)
    body: dict[str, Any] = {
        "id": str(market.key),
        "question": market.question,
        "conditionId": market.condition_id,
        "questionID": market.question_id,
        "slug": market.slug,
        "description": venue.source.describe(market),
        # Not part of Polymarket's format: lets statistics detect that a recording was shown before.
        "practiceOrigin": venue.source.origin(market),
        "resolutionSource": market.resolution_source,
        "version": market.version,
        "outcomes": json.dumps([UP, DOWN]),
        "outcomePrices": json.dumps(list(outcome_prices(venue, market))),
        **_outcome_ids(market),
        "active": True,
        "closed": resolution is not None,
        "archived": False,
        "acceptingOrders": exchange.accepting(market),
        "enableOrderBook": True,
        "negRisk": False,
        "orderPriceMinTickSize": tick_number(venue, market),
        "orderMinSize": _number(market.minimum_shares),
        "secondsDelay": 0,
        "umaResolutionStatuses": "[]",
        **_rule(market),
        **_dates(market),
        **_fees(market),
        **_stale_quote(venue, market),
        "events": [gamma_event(venue, market)],
    }
    if resolution is not None:
        disputed = venue.faults.armed("resolution_disputed") is not None
        body["umaResolutionStatus"] = "disputed" if disputed else "resolved"
        body["closedTime"] = _closed_time(resolution[1])
    return body


def _outcome_ids(market: VenueMarket) -> dict[str, Any]:
    """The ids of the outcomes. A v2 market also shows CTF tokens, which are not traded."""
    if market.version == "v1":
        return {"clobTokenIds": json.dumps(list(market.tokens))}
    return {"positionIds": list(market.tokens), "clobTokenIds": json.dumps(list(market.ctf_tokens))}


def _rule(market: VenueMarket) -> dict[str, Any]:
    config = f"{market.asset}-{market.timeframe}-twap-60"
    return {
        "cryptoMarketConfigId": config,
        "cryptoMarketConfig": {
            "id": config,
            "asset": market.asset,
            "duration": market.timeframe,
            "twapEnabled": True,
            "twapLookbackSeconds": 60,
        },
    }


def _dates(market: VenueMarket) -> dict[str, str]:
    return {
        "startDate": iso(market.start - ACCEPTS_BEFORE),
        "startDateIso": iso(market.start)[:10],
        "acceptingOrdersTimestamp": iso(market.start - ACCEPTS_BEFORE),
        "eventStartTime": iso(market.start),
        "endDate": iso(market.end),
        "endDateIso": iso(market.end)[:10],
    }


def _fees(market: VenueMarket) -> dict[str, Any]:
    rate = float(market.fee_rate)
    return {
        "makerBaseFee": 1000,
        "takerBaseFee": 1000,
        "feesEnabled": True,
        "feeType": "crypto_fees_v2",
        "feeSchedule": {"exponent": 1, "rate": rate, "takerOnly": True, "rebateRate": 0.2},
        "makerRebatesFeeShareBps": 10000,
    }


def _stale_quote(venue: PracticeVenue, market: VenueMarket) -> dict[str, Any]:
    source, at = venue.source, venue.clock.market_s() - STALE_SECONDS
    old = source.book_at(market, at) or source.book(market) or VenueBook()
    quote = {"bestBid": old.best_bid, "bestAsk": old.best_ask}
    return {name: price / MILL for name, price in quote.items() if price is not None}


def clob_tokens(venue: PracticeVenue, market: VenueMarket) -> list[dict[str, Any]]:
    """The tokens with price and winner, as in the CLOB's market."""
    resolution = venue.exchange.resolutions.get(market.key)
    up_pays = None if resolution is None else published_up_pays(venue, resolution)
    up_won = up_pays == MICRO if up_pays in (0, MICRO) else None
    up_price, down_price = outcome_prices(venue, market)
    if up_won is not None and venue.faults.armed("clob_contradicts") is not None:
        up_won = not up_won
    return [
        {
            "token_id": market.up_token,
            "outcome": UP,
            "price": float(up_price),
            "winner": up_won is True,
        },
        {
            "token_id": market.down_token,
            "outcome": DOWN,
            "price": float(down_price),
            "winner": up_won is False,
        },
    ]


def clob_market(venue: PracticeVenue, market: VenueMarket) -> dict[str, Any]:
    """A market in the format of `/markets/{condition_id}`."""
    closed = venue.exchange.resolved(market)
    return {
        "enable_order_book": True,
        "active": True,
        "closed": closed,
        "archived": False,
        "accepting_orders": venue.exchange.accepting(market),
        "accepting_order_timestamp": iso(market.start - ACCEPTS_BEFORE),
        "minimum_order_size": _number(market.minimum_shares),
        "minimum_tick_size": tick_number(venue, market),
        "condition_id": market.condition_id,
        "question_id": market.question_id,
        "question": market.question,
        "description": venue.source.describe(market),
        "market_slug": market.slug,
        "end_date_iso": iso(market.end),
        "game_start_time": iso(market.start),
        "seconds_delay": 0,
        "fpmm": "",
        "maker_base_fee": 1000,
        "taker_base_fee": 1000,
        "notifications_enabled": False,
        "neg_risk": False,
        "neg_risk_market_id": "",
        "neg_risk_request_id": "",
        "icon": "",
        "image": "",
        "rewards": {"rates": None, "min_size": 50, "max_spread": 4.5},
        "is_50_50_outcome": venue.exchange.up_pays(market) == MICRO // 2,
        "tokens": clob_tokens(venue, market),
        "tags": ["Crypto"],
    }


def clob_info(venue: PracticeVenue, market: VenueMarket) -> dict[str, Any]:
    """The compact format of `/clob-markets/{condition_id}`; `fd` contains the real fee."""
    return {
        "c": market.condition_id,
        "t": [{"t": market.up_token, "o": UP}, {"t": market.down_token, "o": DOWN}],
        "mts": tick_number(venue, market),
        "mos": _number(market.minimum_shares),
        "mbf": 1000,
        "tbf": 1000,
        "fd": {"r": float(market.fee_rate), "e": 1, "to": True},
        "nr": False,
        "itode": venue.options.taker_delay > 0,
        "oas": 0,
    }


def _number(amount: int) -> int | float:
    """Micro units as the shortest JSON number."""
    return amount // MICRO if amount % MICRO == 0 else amount / MICRO


def decimal_shares(amount: int) -> float:
    """Micro units as the Data API's JSON number."""
    return float(decimal_text(amount))
