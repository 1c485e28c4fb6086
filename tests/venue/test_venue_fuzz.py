"""The whole venue, fuzzed from outside by seeds: it never dies, and answers no internal error."""

import json
import re
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, TextIO

import httpx
import message_samples as samples
import pytest
from process import HTTP, VenueProcess
from venue_builders import Trader, trader_at
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from venue.mutations import ALL, INVALID, mutated_body, mutated_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

REQUESTS, FRAMES, STREAMS = 1500, 25, 24
DELIBERATE = (501, 503)
"""Answers of routes that the venue does not have, and of its maintenance."""
STRANGE = (
    "",
    "nan",
    "-inf",
    "1e308",
    "-1",
    "9" * 30,
    "9" * 5000,
    "0x10",
    "٠",
    "\x00",
    "\x1b[2J",
    "<script>",
    "a,b,,c",
    "LTE=",
    "////",
    "AAAA",
    "é\u202e",
    "' OR 1=1 --",
    "../../etc/passwd",
)
ETH_CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "eth_call",
    "params": [{"to": samples.WALLET, "data": "0x70a08231"}],
}


def requests(
    token: str, condition: str, slug: str, address: str
) -> list[tuple[str, str, dict[str, str], Any]]:
    """Every kind of request: method, path, query and body, with the ids of a running market."""
    user = {"user": address}
    rows = [{"token_id": token, "side": "BUY"}]
    get = [
        *(("/time", {}), ("/version", {}), ("/markets", {"next_cursor": "MTAw"}), ("/api/geoblock", {})),
        *(
            (f"/markets/{condition}", {}),
            (f"/clob-markets/{condition}", {}),
            (f"/markets-by-token/{token}", {}),
        ),
        *((path, {"token_id": token}) for path in ("/book", "/midpoint", "/spread", "/last-trade-price")),
        *((path, {"token_id": token}) for path in ("/tick-size", "/neg-risk", "/fee-rate")),
        ("/price", {"token_id": token, "side": "BUY"}),
        ("/prices", {"token_ids": token, "sides": "BUY"}),
        ("/prices-history", {"market": token, "startTs": "0", "endTs": "1", "fidelity": "1"}),
        ("/prices-history", {"market": token, "interval": "1h"}),
        *(
            (path, {"next_cursor": "", "id": "", "market": condition})
            for path in ("/data/orders", "/data/trades")
        ),
        ("/data/trades", {"after": "0", "before": "99"}),
        (f"/data/order/{samples.ORDER_ID}", {}),
        ("/balance-allowance", {"asset_type": "CONDITIONAL", "token_id": token, "signature_type": "0"}),
        ("/order-scoring", {"order_id": samples.ORDER_ID}),
        ("/gamma/markets", {"slug": slug, "closed": "false", "limit": "5", "offset": "0"}),
        ("/gamma/markets/keyset", {"condition_ids": condition, "limit": "5", "after_cursor": ""}),
        *(
            (f"/gamma/markets/slug/{slug}", {}),
            (f"/gamma/events/slug/{slug}", {}),
            ("/gamma/events", {"limit": "5"}),
        ),
        ("/data-api/positions", {**user, "sizeThreshold": "0", "sortBy": "CURRENT", "limit": "5"}),
        ("/data-api/trades", {**user, "market": condition, "offset": "0"}),
        ("/data-api/v2/positions", {**user, "status": "OPEN", "limit": "5", "cursor": ""}),
        ("/data-api/v2/trades", {**user, "start": "0", "end": "9", "side": "BUY", "event_id": "1"}),
        ("/data-api/v2/activity", {**user, "type": "TRADE", "sort_direction": "ASC"}),
        *((path, user) for path in ("/data-api/v2/value", "/data-api/v2/approvals")),
        ("/data-api/v2/resolutions", {"condition_id": condition}),
        (
            "/data-api/v2/prices-history",
            {"token_id": token, "start": "0", "end": "9", "bucket_seconds": "60"},
        ),
        ("/data-api/v2/prices-history", {"token_id": token, "as_of": "9"}),
        ("/practice/account", {"address": address}),
        ("/external/binance/api/v3/aggTrades", {"symbol": "BTCUSDT", "limit": "5", "fromId": "0"}),
        ("/external/fng/fng/", {"limit": "2"}),
        (
            "/external/deribit/api/v2/public/get_book_summary_by_currency",
            {"currency": "BTC", "kind": "option"},
        ),
    ]
    post = [
        *(("/books", rows), ("/prices", rows), ("/midpoints", rows), ("/spreads", rows)),
        ("/batch-prices-history", {"markets": [token], "start_ts": 0, "end_ts": 9, "fidelity": 1}),
        *(("/v1/heartbeats", {"heartbeat_id": ""}), ("/orders-scoring", [samples.ORDER_ID])),
        *(("/chain", ETH_CALL), ("/chain", [ETH_CALL, {**ETH_CALL, "method": "eth_sendRawTransaction"}])),
        ("/external/solana", {"jsonrpc": "2.0", "id": 1, "method": "getBlockTime", "params": [300_000_000]}),
        ("/practice/accounts", {"address": address, "balance": "1000", "allowances": {samples.WALLET: "7"}}),
        ("/practice/redeem", {"address": address, "position_id": token, "shares": "1"}),
        ("/practice/faults", {"name": "fee_offset", "count": 1, "parameters": {"basis_points": 1}}),
        ("/practice/clock", {"held": False, "speed": 2.0}),
    ]
    cancel = [
        ("/order", {"orderID": samples.ORDER_ID}),
        ("/orders", [samples.ORDER_ID]),
        ("/cancel-market-orders", {"market": condition, "asset_id": token}),
    ]
    return [
        *(("GET", path, query, None) for path, query in get),
        *(("POST", path, {}, body) for path, body in post),
        *(("DELETE", path, {}, body) for path, body in cancel),
    ]


class Fuzzer:
    """Sends mutated requests of a wallet; `answers` counts (path, status)."""

    def __init__(self, venue: VenueProcess, random: Random) -> None:
        self.venue = venue
        self.random = random
        self.trader: Trader = trader_at(venue.url)
        slug = venue.get("/practice/info")["current"]
        market = venue.get(f"/gamma/markets/slug/{slug}")
        self.token = json.loads(market["clobTokenIds"])[0]
        self.known = requests(self.token, market["conditionId"], slug, self.trader.address)
        self.answers: Counter[tuple[str, int]] = Counter()

    def send(self) -> None:
        """One request: an order, or any other, with a mutated body, query, path or header."""
        random = self.random
        if random.random() < 0.25:
            method, path, query, content = "POST", random.choice(("/order", "/orders")), {}, self.order()
            content = [content] if path == "/orders" else content
        else:
            method, path, query, content = random.choice(self.known)
        query, body = dict(query), b""
        if content is not None:
            # Of a control route only what it refuses: it would step the clock or arm a fault.
            kinds = INVALID if path.startswith("/practice") else ALL
            body = mutated_body(content, random, kinds, most=2)
        elif query and random.random() < 0.9:
            query[random.choice(list(query))] = random.choice(STRANGE)
        else:
            path += random.choice(("", "/", "%00", "%FF", "/" + "9" * 300))
        headers: dict[str, Any] = self.trader.headers(method, path, body.decode(errors="replace"))
        if random.random() < 0.1:
            headers[random.choice(list(headers))] = random.choice((b"", b"\xff", b"-1", b"9" * 5000, b"0x"))
        if random.random() < 0.05:
            headers["Content-Encoding"] = random.choice(("gzip", "deflate", "br", "x"))
        try:
            answer = HTTP.request(method, self.venue.url + path, content=body, headers=headers, params=query)
        except httpx.TransportError:  # aiohttp closes the connection at a body that it cannot decompress
            self.answers[path, 0] += 1
            return
        self.answers[path.split("?")[0][:40], answer.status_code] += 1

    def order(self) -> dict[str, Any]:
        """A signed order with unusual amounts, price, kind or expiration."""
        random = self.random
        price = random.choice((1, 10, 500, 990, 999))
        shares = random.choice((1, 5, 7, 10**6, 10**12))
        kind = random.choice(("FAK", "FOK", "GTC", "GTD"))
        expiration = random.choice((0, 1, 2**40, 2**63))
        side = random.choice(("BUY", "SELL"))
        return self.trader.limit(self.token, side, shares, price, kind=kind, expiration=expiration)


GARBAGE = (
    b"\x00" * 100,
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /order HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /order HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{",
)
"""Bytes that are no requests, or only the beginning of one."""


@pytest.mark.parametrize("seed", [1])
def test_no_request_is_an_internal_error(seed: int, tmp_path: Path) -> None:
    """Thousands of mutated requests and frames: the same process, no 500, no traceback, and a correct order
    is matched afterwards."""
    log = tmp_path / "errors"
    with log.open("w") as errors, running(errors) as venue:
        pid, random = venue.pid, Random(seed)
        fuzzer = Fuzzer(venue, random)
        for _ in range(REQUESTS):
            fuzzer.send()
        for number in range(STREAMS):
            fuzz_stream(venue, fuzzer.trader, random, number)
        for garbage in GARBAGE:
            with socket.create_connection(
                ("127.0.0.1", int(venue.url.rpartition(":")[2])), timeout=10
            ) as raw:
                raw.sendall(garbage)
                raw.shutdown(socket.SHUT_WR)
                raw.recv(4096)
        failed = {key: n for key, n in fuzzer.answers.items() if key[1] >= 500 and key[1] not in DELIBERATE}
        assert (failed, errors_in(log)) == ({}, [])
        assert sum(n for (_, status), n in fuzzer.answers.items() if 400 <= status < 500) > REQUESTS / 3
        venue.clear_faults()
        assert venue.get("/ok") == "OK"
        assert venue.get("/practice/info")["current"]
        venue.set_account(fuzzer.trader.address, balance="1000")
        answer = fuzzer.trader.post(venue.url, fuzzer.trader.buy(fuzzer.token, 100, 990)).json()
        assert answer.get("status") == "matched", answer
        assert venue._process is not None
        assert venue._process.pid == pid
    assert errors_in(log) == []


def errors_in(log: Path) -> list[str]:
    """The exceptions in a log, except those of aiohttp about requests that it refuses itself."""
    found = re.findall(
        r"^(?!aiohttp\.|zlib\.)[\w.]*(?:Error|Exception|Warning)\b.*", log.read_text(), re.MULTILINE
    )
    return [line[:200] for line in found]


@contextmanager
def running(errors: TextIO) -> Iterator[VenueProcess]:
    """A venue with generated markets and the external services, whose standard error is stored."""
    started = subprocess.Popen

    def start(*arguments: Any, **options: Any) -> Any:
        return started(*arguments, **{**options, "stderr": errors})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("process.subprocess.Popen", start)
        venue = VenueProcess.start("--source", "synthetic", "--speed", "1", "--start-at", "100")
    with venue:
        yield venue


def fuzz_stream(venue: VenueProcess, trader: Trader, random: Random, number: int) -> None:
    """Send mutated subscriptions and other frames on a stream; it may close the connection."""
    api = trader.api
    assert api is not None
    auth = {"apiKey": api.key, "secret": api.secret, "passphrase": api.passphrase}
    token = json.loads(venue.get("/gamma/markets")[0]["clobTokenIds"])[0]
    streams: list[tuple[str, Any]] = [
        ("/ws/market", {"type": "market", "assets_ids": [token], "custom_feature_enabled": True}),
        ("/ws/market", {"operation": "unsubscribe", "assets_ids": [token]}),
        ("/ws/user", {"type": "user", "auth": auth, "markets": ["0xc1"]}),
        (
            "/external/rtds",
            {"action": "subscribe", "subscriptions": [{"topic": "crypto_prices", "filters": "{}"}]},
        ),
        ("/external/polybolt/ws", {"op": "auth", "rid": "1", "auth": auth}),
        ("/external/binance/ws", {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1}),
    ]
    path, sample = streams[number % len(streams)]
    try:
        with connect(venue.url.replace("http", "ws") + path, proxy=None, open_timeout=20) as stream:
            stream.send(json.dumps(sample))
            for _ in range(FRAMES):
                text = mutated_text(sample, random, ALL)
                stream.send(text.encode() if random.random() < 0.1 else text)
    except (ConnectionClosed, InvalidStatus, OSError):
        return
