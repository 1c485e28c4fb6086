"""The catalogue of faults that a test can inject into the venue.

A fault is armed with a count and applies that many times, or until it is cleared if the count is null. The
code that a fault affects calls `Faults.consume` for it at that point only.
"""

from fnmatch import fnmatchcase
from random import Random
from typing import Any

import msgspec

from venue.external.services import named


class FaultSpec(msgspec.Struct, frozen=True):
    """The effect of a fault, and its parameters with their defaults."""

    does: str
    defaults: dict[str, Any] = {}


TRADING_DISABLED = {"error": "trading is disabled"}
CANCEL_ONLY = {
    "error": "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
}
POST_ONLY = {
    "error": "post-only mode: only post-only orders and cancels are allowed",
    "code": "post_only_mode",
    "retry_after_seconds": 79,
}
UNAVAILABLE = {
    "trading_disabled": TRADING_DISABLED,
    "cancel_only": CANCEL_ONLY,
    "post_only": POST_ONLY,
    "overloaded": {"error": "service unavailable"},
}
"""Bodies of the three kinds of 503 seen at the venue, and of one without information."""

CONTROL = "\x1b[2J\x1b[31m\x1b]0;title\x07\r\x9b5n\u202e"
"""Control sequences for a terminal: clear, colour, window title, carriage return, C1 query, reversed text."""

FOREIGN_IDS = ("condition", "tokens", "both", "previous")
"""The ids that `gamma_foreign_ids` replaces; `previous`: both, by those of the previous market."""
FEEDS = ("market", "user")
LOST = ("event", "book", "both")

CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("unavailable_503", "variant"): tuple(UNAVAILABLE),
    ("gamma_foreign_ids", "ids"): FOREIGN_IDS,
    ("stray_frame", "feed"): FEEDS,
    ("tick_size_change_lost", "lost"): LOST,
}
"""Parameters with a fixed set of values."""

CATALOG: dict[str, FaultSpec] = {
    # POST /order, before the order exists
    "drop_before_read": FaultSpec("POST /order: the connection is dropped before the body is read"),
    "too_early_425": FaultSpec("POST /order: 425 with Retry-After", {"executed": False}),
    "rate_limit_429": FaultSpec("POST /order: 429 with Retry-After"),
    "error_500": FaultSpec(
        "POST /order: 500 with a text; the order is executed all the same if `executed`",
        {"text": "order timed out", "executed": False},
    ),
    "refused_4xx": FaultSpec(
        "POST /order: a 4xx with a text; the order is executed all the same if `executed`",
        {"status": 400, "text": "the market is not yet ready to process new orders", "executed": False},
    ),
    "unavailable_503": FaultSpec(
        f"POST /order: 503; variant is one of {', '.join(UNAVAILABLE)}",
        {"variant": "trading_disabled", "executed": False},
    ),
    "html_403": FaultSpec("POST /order: 403 with an HTML page instead of JSON"),
    "tick_changed": FaultSpec(
        "POST /order: the market's price grid is `tick` for this order, which no message has announced",
        {"tick": 0.1},
    ),
    "success_false": FaultSpec(
        "POST /order: 200 with success false and a text; no order exists",
        {"text": "not enough balance / allowance"},
    ),
    "unmatched": FaultSpec("POST /order: 200 with status unmatched; no order exists"),
    "geoblocked": FaultSpec(
        "GET /api/geoblock answers blocked, POST /order answers 403", {"country": "US", "region": "NY"}
    ),
    # POST /order, after the order was accepted
    "delayed": FaultSpec(
        "POST /order: answers status delayed, with success false and a text unless `success`; matched later, "
        "published on the user feed",
        {"seconds": 0.5, "success": True},
    ),
    "live_fak": FaultSpec("POST /order: answers status live although the order was matched"),
    "hang": FaultSpec(
        "POST /order: executes the order, then does not answer for `seconds`", {"seconds": 60.0}
    ),
    "drop_after_accept": FaultSpec("POST /order: executes the order, then drops the connection"),
    "trade_before_response": FaultSpec(
        "POST /order: the trade is on the user feed `seconds` before the answer", {"seconds": 0.3}
    ),
    # trades and the user feed
    "user_feed_silent": FaultSpec("user feed: an event is not sent"),
    "duplicate_trade": FaultSpec("user feed: the trade's MATCHED event is sent twice"),
    "out_of_order_trade": FaultSpec("user feed: the trade's events arrive last first"),
    "failed_after_match": FaultSpec(
        "the trade fails on chain after MATCHED: FAILED, money and shares go back"
    ),
    "fee_offset": FaultSpec(
        "taking orders are charged `basis_points` above the fee rate that the market states, while armed",
        {"basis_points": 1},
    ),
    "retrying": FaultSpec("the trade is RETRYING between MATCHED and MINED"),
    "killed_event": FaultSpec(
        "user feed: a killed order is published with the venue's free-text CANCELED status"
    ),
    "user_feed_refused": FaultSpec("user feed: a connection is refused with 503"),
    "user_feed_drop": FaultSpec("user feed: all connections are closed, once, at the next order event"),
    # data
    "market_feed_stall": FaultSpec("market feed: no updates while armed", {}),
    "price_change_lost": FaultSpec("market feed: the changes of a book are not sent once"),
    "tick_size_change_lost": FaultSpec(
        "market feed: when a market goes to a finer price grid, the tick_size_change (`event`), the book "
        "that follows it (`book`) or both are not sent; no book names its tick while armed",
        {"lost": "event"},
    ),
    "gamma_500": FaultSpec("Gamma: a request answers 500"),
    "order_lookup_404": FaultSpec("GET /data/order: an existing order is not found (index lag)"),
    "resolution_delay": FaultSpec(
        "a market's resolution is published `seconds` market seconds later", {"seconds": 300.0}
    ),
    "resolution_never": FaultSpec("a market is not resolved until the fault is cleared"),
    "resolution_disputed": FaultSpec("Gamma: resolved markets are disputed at the oracle while armed"),
    "resolution_split": FaultSpec(
        "a market is resolved without a winner: an Up share pays `up`, a Down share the rest of 1",
        {"up": 0.5},
    ),
    "resolution_flipped": FaultSpec(
        "Gamma, CLOB and the resolutions of the Data API have the other winner in the first `seconds` market "
        "seconds after a resolution, while armed; what is paid does not change",
        {"seconds": 60.0},
    ),
    "gamma_forgets": FaultSpec("Gamma: resolved markets are not found while armed"),
    "clob_contradicts": FaultSpec("GET /markets/{condition_id}: the winner is the other one while armed"),
    "book_empty": FaultSpec(
        "every book of a source is empty while armed: on the market feed, by REST and for orders"
    ),
    "market_closes_early": FaultSpec(
        "a market accepts no order in its last `seconds` (market seconds) while armed", {"seconds": 300.0}
    ),
    "api_key_revoked": FaultSpec(
        "private requests and new connections of the user feed are refused as with an unknown API key, while "
        "armed"
    ),
    "stale_balance": FaultSpec(
        "GET /balance-allowance: balance and allowances are 0 until /balance-allowance/update is asked for"
    ),
    "future_refused": FaultSpec(
        "POLY_TIMESTAMP: a request from this many `seconds` ahead of the venue's clock is refused with 401, "
        "while old ones are taken",
        {"seconds": 1},
    ),
    "clock_skew": FaultSpec("GET /time is wrong by `seconds` while armed", {"seconds": 30}),
    # answers, frames and values that a client must limit or reject
    "drip_answer": FaultSpec(
        "answers to `path` are sent one byte every `seconds`; the request is carried out first",
        {"path": "/order", "seconds": 1.0},
    ),
    "nested_answer": FaultSpec(
        "answers to `path` are JSON arrays nested `depth` deep; the request is carried out first",
        {"path": "/order", "depth": 100_000},
    ),
    "huge_answer": FaultSpec(
        "answers to `path` are one JSON object of so many megabytes, streamed without a length, as gzip if "
        "`compressed`; the request is carried out first",
        {"path": "/order", "megabytes": 100, "compressed": False},
    ),
    "market_feed_value": FaultSpec(
        "market feed: `field` has `value` wherever it occurs in the next event that has it, or the next "
        "`event`; not quoted if `raw`",
        {"event": "", "field": "price", "value": "NaN", "raw": False},
    ),
    "user_feed_value": FaultSpec(
        "user feed: `field` has `value` wherever it occurs in the next `event`, while REST answers are "
        "right; not quoted if `raw`",
        {"event": "trade", "field": "price", "value": "7", "raw": False},
    ),
    "market_feed_mutated": FaultSpec(
        "market feed: an event is changed by its structure: a field dropped, doubled, of another type or "
        "with an impossible value; drawn from `seed`, which grows by one each time",
        {"seed": 1},
    ),
    "user_feed_mutated": FaultSpec("user feed: the same", {"seed": 1}),
    "mutated_answer": FaultSpec(
        "answers to `path` are changed in the same way; the request is carried out first",
        {"path": "/order", "seed": 1},
    ),
    "stray_frame": FaultSpec(
        f"a text frame on every subscribed connection of a `feed` ({' or '.join(FEEDS)}): `text`, or JSON "
        "arrays nested `depth` deep if that is not 0",
        {"feed": "market", "text": CONTROL, "depth": 0},
    ),
    "gamma_value": FaultSpec(
        "Gamma: `field` has `value` wherever it occurs in the market `slug`, or in every one if that is "
        "empty, while armed; not quoted if `raw`",
        {"slug": "", "field": "slug", "value": CONTROL, "raw": False},
    ),
    "gamma_foreign_ids": FaultSpec(
        "Gamma: the market `slug`, or the first that has not started if that is empty, has other `ids` while "
        f"armed: {', '.join(FOREIGN_IDS)}",
        {"slug": "", "ids": "condition"},
    ),
    # external services: `service` is a name, several separated by commas, or all
    "external_down": FaultSpec("external: connections are dropped, open streams closed", {"service": "all"}),
    "external_slow": FaultSpec(
        "external: answers and streams come `seconds` later", {"service": "all", "seconds": 2.0}
    ),
    "external_html": FaultSpec(
        "external: an HTML page instead of an answer", {"service": "all", "status": 403}
    ),
    "external_429": FaultSpec("external: 429 with Retry-After", {"service": "all", "retry_after": 5}),
    "external_stale": FaultSpec(
        "external: answers are `seconds` old by their own stamps and an Age header, streams are silent",
        {"service": "all", "seconds": 300.0},
    ),
}

EXTERNAL = frozenset(name for name in CATALOG if name.startswith("external_"))

TWISTED = ("resolution_disputed", "gamma_forgets", "clob_contradicts")
"""Answers about a finished market other than its winner."""

STANDING = EXTERNAL | {
    "geoblocked",
    "fee_offset",
    "market_feed_stall",
    "tick_size_change_lost",
    "book_empty",
    "market_closes_early",
    "api_key_revoked",
    "stale_balance",
    "future_refused",
    "clock_skew",
    "resolution_never",
    "resolution_flipped",
    "gamma_value",
    "gamma_foreign_ids",
    *TWISTED,
}
"""Faults that are a state, not an event: armed without a count they last until cleared."""


class ArmedFault(msgspec.Struct):
    """A fault that applies `left` more times; None: until cleared."""

    name: str
    left: int | None
    parameters: dict[str, Any]
    struck: int = 0


class UnknownFault(ValueError):
    """The name or a parameter does not exist in the catalogue."""


class Faults:
    """The faults that are armed at present."""

    def __init__(self) -> None:
        self._armed: dict[str, ArmedFault] = {}

    def arm(self, name: str, count: int | None, parameters: dict[str, Any]) -> ArmedFault:
        """Arm a fault, replacing an earlier one with this name.

        Raises
        ------
        UnknownFault
            If there is no such fault, it has no such parameter, or the value has another type.
        """
        spec = CATALOG.get(name)
        if spec is None:
            raise UnknownFault(f"unknown fault {name!r}; known: {', '.join(CATALOG)}")
        for key, value in parameters.items():
            default = spec.defaults.get(key)
            if default is None:
                raise UnknownFault(f"fault {name} has no parameter {key!r}")
            number = isinstance(default, (int, float)) and not isinstance(default, bool)
            if not isinstance(value, (int, float) if number else type(default)):
                raise UnknownFault(f"fault {name}: {key}={value!r} is not like {default!r}")
            choices = CHOICES.get((name, key))
            if choices is not None and value not in choices:
                raise UnknownFault(f"{name}: {key} must be one of {', '.join(choices)}")
        if name in EXTERNAL:
            _check_services(name, parameters.get("service", "all"))
        if count is not None and count < 1:
            raise UnknownFault(f"count must be at least 1 or null, not {count}")
        self._armed[name] = ArmedFault(name, count, {**spec.defaults, **parameters})
        return self._armed[name]

    def clear(self, name: str | None = None) -> None:
        """Disarm one fault, or all."""
        if name is None:
            self._armed.clear()
        else:
            self._armed.pop(name, None)

    def armed(self, name: str) -> dict[str, Any] | None:
        """The parameters of a fault if it is armed, without consuming it."""
        fault = self._armed.get(name)
        return None if fault is None else fault.parameters

    def consume(self, name: str) -> dict[str, Any] | None:
        """Consume a fault if it is armed: its parameters, or None."""
        fault = self._armed.get(name)
        if fault is None:
            return None
        fault.struck += 1
        if fault.left is not None:
            fault.left -= 1
            if fault.left == 0:
                del self._armed[name]
        return fault.parameters

    def consume_for(self, name: str, path: str) -> dict[str, Any] | None:
        """Consume a fault if its parameter `path` (wildcards: * and ?) matches a path."""
        armed = self.armed(name)
        return self.consume(name) if armed is not None and fnmatchcase(path, armed["path"]) else None

    def mutation(self, name: str, path: str | None = None) -> Random | None:
        """Consume a fault that mutates messages if it is armed, for this path if given: its numbers."""
        armed = self.armed(name)
        if armed is None or (path is not None and not fnmatchcase(path, armed["path"])):
            return None
        self.consume(name)
        random = Random(armed["seed"])
        armed["seed"] += 1
        return random

    def listing(self) -> list[ArmedFault]:
        return list(self._armed.values())


def _check_services(name: str, text: str) -> None:
    try:
        named(text)
    except ValueError as error:
        raise UnknownFault(f"fault {name}: {error}") from error
