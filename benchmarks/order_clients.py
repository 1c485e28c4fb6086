"""Compares the two libraries that sign and send orders: how long they take, and what they do under faults.

    python benchmarks/order_clients.py [--orders 300] [--seed 7] [--skip-faults]

Speed: both behind the bot's port, by turns in one run, with equal amounts, against one practice venue that
answers each order without matching it: milliseconds of signing, of the POST, and of both, and the processor
time of this process per order.

Faults: an order of $1 under each of the venue's faults, through the port and through the libraries' own
functions, which make and send an order in one call: number of POSTs, number of fills, seconds until the
function returned, and what it reported. The exit code is 1 if the port sent an order twice, or reported an
order as ended that was filled.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), *(str(ROOT / folder) for folder in ("tests", "tests/venue"))]

import httpx
from canned_server import CannedServer
from eth_account import Account
from loguru import logger
from polymarket import PRODUCTION, ApiKeyCreds, AsyncSecureClient
from polymarket._internal.environment import get_environment_config, with_environment_config
from process import VenueProcess
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import ApiCreds, MarketOrderArgsV2, OrderType
from py_clob_client_v2.http_helpers import helpers
from rich.console import Console
from rich.table import Table

from benchmarks.results import Measurement
from execution.amounts import MarketBuy, market_buy
from execution.clob_http import PromptClobClient, bound_requests
from execution.order_clients.clob_client_v2 import ClobClientV2Orders
from execution.order_clients.polymarket_sdk import PolymarketSdkOrders
from execution.order_clients.port import OrderClient
from execution.outcomes import OutcomeKind
from execution.polymarket_client import EXCHANGES, PolymarketClient
from models import ProtocolVersion

WORLD = ("--source", "synthetic", "--hold-clock", "--start-at", "700", "--first", "2", "--protocol", "v1")
BENCH_ORDERS = 100
LONGEST_S = 15.0
"""A function that has not returned by then is abandoned."""
OLDER, CURRENT = "py-clob-client-v2", "polymarket-client"
PORTS = (f"port, {OLDER}", f"port, {CURRENT}")
FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("", {}),
    "500, not executed": ("error_500", {}),
    "500, executed": ("error_500", {"executed": True}),
    "503, executed": ("unavailable_503", {"variant": "overloaded", "executed": True}),
    "425, executed": ("too_early_425", {"executed": True}),
    "429": ("rate_limit_429", {}),
    "400 with success false": ("success_false", {}),
    "reset before it was read": ("drop_before_read", {}),
    "reset after acceptance": ("drop_after_accept", {}),
    "no answer for 12 s": ("hang", {"seconds": 12.0}),
    "one byte per second": ("drip_answer", {"path": "/order", "seconds": 1.0}),
    "no allowance": ("", {}),
}


class Wallet:
    """A new practice wallet, its API key, and the addresses of its venue and its chain node."""

    def __init__(self, venue: VenueProcess, chain: str) -> None:
        self.venue, self.chain = venue, chain
        self.key = "0x" + bytes(Account.create().key).hex()  # a test key, never holds money
        account = PolymarketClient(venue.url, self.key)
        self.creds, self.address = account.credentials(), account.address

    def older(self) -> ClobClientV2Orders:
        client = PromptClobClient(self.venue.url, chain_id=137, key=self.key, creds=self.creds)
        return ClobClientV2Orders(client)

    def current(self) -> PolymarketSdkOrders:
        creds = self.creds
        return PolymarketSdkOrders(
            self.venue.url,
            private_key=self.key,
            funder=self.address,
            signature_type=0,
            api_key=creds.api_key,
            api_secret=creds.api_secret,
            passphrase=creds.api_passphrase,
        )

    def library_older(self, retry: bool) -> ClobClient:
        """The older library as published."""
        creds = ApiCreds(self.creds.api_key, self.creds.api_secret, self.creds.api_passphrase)
        return ClobClient(self.venue.url, 137, key=self.key, creds=creds, retry_on_error=retry)

    async def library_current(self) -> AsyncSecureClient:
        """The current library as published, with the addresses of the practice venue."""
        url = self.venue.url
        config = replace(
            get_environment_config(PRODUCTION),
            clob_url=url,
            gamma_url=f"{url}/gamma",
            data_url=f"{url}/data-api",
            rpc_url=f"{self.chain}/rpc",
        )
        creds = self.creds
        keys = ApiKeyCreds(key=creds.api_key, secret=creds.api_secret, passphrase=creds.api_passphrase)
        environment = with_environment_config(PRODUCTION, config=config)
        return await AsyncSecureClient.create(
            private_key=self.key, wallet=self.address, environment=environment, credentials=keys
        )

    def posts(self) -> int:
        """Number of orders sent to the venue, by all wallets."""
        log = self.venue.get("/practice/log")
        return sum(entry["method"] == "POST" and entry["path"] == "/order" for entry in log)

    def fills(self) -> int:
        return len({trade["order_id"] for trade in self.venue.account(self.address)["trades"]})


def favourite(venue: VenueProcess) -> tuple[str, Decimal]:
    """Token and best ask of the running market's Down side."""
    market = venue.get(f"/gamma/markets/slug/{venue.get('/practice/info')['current']}")
    token = json.loads(market["clobTokenIds"])[1]
    book = venue.get("/book", token_id=token)
    return token, min(Decimal(level["price"]) for level in book["asks"])


def order_at(venue: VenueProcess) -> tuple[str, MarketBuy]:
    """A token, and the amounts of an order for it that the venue would match."""
    token, ask = favourite(venue)
    return token, market_buy(Decimal(1), ask, ask + Decimal("0.05"), Decimal("0.01"), Decimal("0.07"))


# --- speed -----------------------------------------------------------------------------------


async def timed(client: OrderClient, token: str, amounts: MarketBuy) -> tuple[float, float, float]:
    """Milliseconds of the signature, of the POST, and of this process' processors."""
    used, began = time.process_time(), time.perf_counter()
    signed = await client.sign(token, amounts, ProtocolVersion.V1)
    made = time.perf_counter()
    await client.post(signed, lambda: None)
    ended = time.perf_counter()
    return (made - began) * 1e3, (ended - made) * 1e3, (time.process_time() - used) * 1e3


async def durations(
    wallet: Wallet, token: str, amounts: MarketBuy, orders: int, seed: int
) -> dict[str, list[tuple[float, float, float]]]:
    """By library, the milliseconds of each order as `timed` gives them, without those of the first orders."""
    clients: dict[str, OrderClient] = {OLDER: wallet.older(), CURRENT: wallet.current()}
    wallet.venue.fault("unmatched", None)
    order = random.Random(seed)
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in clients}
    for _ in range(orders + 5):
        for name in order.sample(list(clients), 2):
            results[name].append(await timed(clients[name], token, amounts))
    wallet.venue.clear_faults()
    return {name: rows[5:] for name, rows in results.items()}


async def speed(wallet: Wallet, token: str, amounts: MarketBuy, orders: int, seed: int) -> Table:
    results = await durations(wallet, token, amounts, orders, seed)
    table = Table(title=f"{orders} orders each, by turns: median (95 % below), milliseconds")
    for heading in ("", "sign", "POST", "both", "processor time"):
        table.add_column(heading, justify="right")
    medians = []
    for name, warm in results.items():
        columns = [[row[0] for row in warm], [row[1] for row in warm]]
        columns += [[row[0] + row[1] for row in warm], [row[2] for row in warm]]
        medians.append([statistics.median(column) for column in columns])
        high = [statistics.quantiles(column, n=20)[-1] for column in columns]
        cells = (f"{m:.2f} ({h:.2f})" for m, h in zip(medians[-1], high, strict=True))
        table.add_row(name, *cells)
    ratios = (f"{new / old:.2f}" for old, new in zip(*medians, strict=True))
    table.add_row("current / older", *ratios)
    return table


# --- faults ----------------------------------------------------------------------------------


async def through_port(client: OrderClient, token: str, amounts: MarketBuy) -> str:
    signed = await client.sign(token, amounts, ProtocolVersion.V1)
    return (await client.post(signed, lambda: None)).outcome.kind.value


async def through_older(wallet: Wallet, token: str, cap: Decimal, retry: bool) -> str:
    wanted = MarketOrderArgsV2(token_id=token, amount=1, side="BUY", price=float(cap))
    client = wallet.library_older(retry)
    kind: Any = OrderType.FAK
    answer: Any = await asyncio.to_thread(
        lambda: client.create_and_post_market_order(wanted, order_type=kind)
    )
    return f"success {answer.get('success')}, {answer.get('status') or answer.get('errorMsg')}"


async def through_current(wallet: Wallet, token: str, cap: Decimal) -> str:
    client = await wallet.library_current()
    try:
        answer: Any = await client.place_market_order(
            asset_id=token, side="BUY", amount=Decimal(1), max_price=cap, order_type="FAK"
        )
        return f"{type(answer).__name__}, {getattr(answer, 'status', None) or getattr(answer, 'code', '')}"
    finally:
        await client.close()


async def returned(work: Awaitable[str]) -> tuple[str, float]:
    """What a function reported, and the seconds until it returned."""
    began = time.perf_counter()
    try:
        what = await asyncio.wait_for(work, LONGEST_S)
    except TimeoutError:
        what = "not returned"
    except Exception as error:  # noqa: BLE001  the error is the result
        status = getattr(error, "status", None) or getattr(error, "status_code", None)
        what = f"{type(error).__name__} {status or ''}".strip()
    return what, time.perf_counter() - began


async def faults(venue: VenueProcess, token: str, ask: Decimal) -> tuple[Table, bool]:
    """Send an order under each fault through each way; also whether the port broke a guarantee."""
    cap = ask + Decimal("0.05")
    amounts = market_buy(Decimal(1), ask, cap, Decimal("0.01"), Decimal("0.07"))
    table = Table(title="POSTs / fills / seconds / report")
    table.add_column("fault")
    ways = (*PORTS, OLDER, f"{OLDER}, retry_on_error", CURRENT)
    for way in ways:
        table.add_column(way)
    broken = False
    for name, (fault, parameters) in FAULTS.items():
        cells = []
        for way in ways:
            with CannedServer() as chain:
                chain.answers["POST", "/rpc"] = _node
                wallet = Wallet(venue, chain.url)
                if name == "no allowance":
                    allowances: Any = dict.fromkeys(EXCHANGES.values(), "0")
                    venue.set_account(wallet.address, allowances=allowances)
                before = wallet.posts()
                if fault:
                    # Each POST of this order meets the fault once; a second one meets the venue itself.
                    venue.fault(fault, 1, **parameters)
                what, seconds = await returned(_way(way, wallet, token, cap, amounts))
                if fault == "hang":
                    # The venue logs a request when it has answered.
                    await asyncio.sleep(max(0.0, parameters["seconds"] + 1 - seconds))
                posts, fills = await _settled(wallet, before)
                venue.clear_faults()
                sent = sum(b"eth_sendRawTransaction" in body for _, _, body in chain.asked)
            approved = f", {sent} approval sent" if sent else ""
            cells.append(f"{posts} / {fills} / {seconds:.1f} / {what}{approved}")
            ended = what in (OutcomeKind.NO_FILL, OutcomeKind.REFUSED)
            broken |= way in PORTS and (posts > 1 or (ended and fills > 0))
        table.add_row(name, *cells)
    return table, broken


def _way(way: str, wallet: Wallet, token: str, cap: Decimal, amounts: MarketBuy) -> Awaitable[str]:
    bound_requests()
    if way in PORTS:
        make: Callable[[], OrderClient] = wallet.older if way == PORTS[0] else wallet.current
        return through_port(make(), token, amounts)
    if way == CURRENT:
        return through_current(wallet, token, cap)
    # The library's own client, without the bot's limits.
    helpers._http_client = httpx.Client(http2=True)
    return through_older(wallet, token, cap, retry=way != OLDER)


async def _settled(wallet: Wallet, before: int) -> tuple[int, int]:
    """POSTs and fills once the venue has logged a POST."""
    for _ in range(int(LONGEST_S / 0.25)):
        await asyncio.sleep(0.25)
        if wallet.posts() > before:
            break
    await asyncio.sleep(0.5)
    return wallet.posts() - before, wallet.fills()


def _node(body: bytes) -> tuple[int, Any]:
    """A chain node that accepts each transaction."""
    asked = json.loads(body)
    receipt = {"status": "0x1", "transactionHash": "0x" + "ab" * 32, "blockNumber": "0x1"}
    answers = {
        "eth_chainId": "0x89",
        "eth_getTransactionCount": "0x7",
        "eth_gasPrice": "0x1",
        "eth_getBlockByNumber": {"timestamp": hex(int(time.time())), "baseFeePerGas": "0x1"},
        "eth_estimateGas": "0x5208",
        "eth_sendRawTransaction": "0x" + "ab" * 32,
        "eth_getTransactionReceipt": receipt,
        "eth_call": f"0x{0:064x}",
    }
    return 200, {"jsonrpc": "2.0", "id": asked["id"], "result": answers.get(asked["method"], "0x1")}


async def measured() -> list[Measurement]:
    with VenueProcess.start(*WORLD) as venue:
        token, amounts = order_at(venue)
        found = await durations(Wallet(venue, venue.url), token, amounts, BENCH_ORDERS, seed=7)
    older, current = (zip(*found[name], strict=True) for name in (OLDER, CURRENT))
    return [
        Measurement(
            name="order_clients",
            what=f"{step} of an order with {CURRENT}, median of {BENCH_ORDERS}",
            value=statistics.median(new),
            unit="ms",
            reference=statistics.median(old),
            reference_name=OLDER,
            no_target="both are kept: docs/upgrades.md states when which one is used",
        )
        for step, new, old in zip(("signature", "POST", "processor time"), current, older, strict=True)
    ]


def measure() -> Sequence[Measurement]:
    """The short form, for `./bot bench`."""
    logger.remove()
    return asyncio.run(measured())


async def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--skip-faults", action="store_true")
    given = parser.parse_args()
    logger.remove()
    console = Console(width=200)
    with VenueProcess.start(*WORLD) as venue:
        token, amounts = order_at(venue)
        console.print(await speed(Wallet(venue, venue.url), token, amounts, given.orders, given.seed))
        if given.skip_faults:
            return 0
        table, broken = await faults(venue, *favourite(venue))
        console.print(table)
        return int(broken)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
