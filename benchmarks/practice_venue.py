"""Measures how many messages and orders per second the practice venue serves.

    python -m benchmarks.practice_venue

The venue runs in a process of its own, its clients in another one: WebSocket clients that count what they
receive of a market at 60 times the real speed, and an HTTP client that posts signed orders on many
connections at once. The processor time of the venue's process is measured too: on a machine with fewer free
cores the clients take time from the venue, but not processor time.
"""

import asyncio
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), *(str(ROOT / folder) for folder in ("tests", "tests/venue"))]

import aiohttp
from process import VenueProcess
from venue_builders import Trader, trader_at

from benchmarks.bench_table import print_measurements
from benchmarks.results import Measurement, at_least
from models import Frozen

NAME = "venue"
WORLD = ("--source", "synthetic", "--hold-clock", "--first", "2", "--protocol", "v1", "--seed", "57")
SPEED = 60.0
SUBSCRIBERS = (1, 50)
COUNTED_S = 5.0
ORDERS, CONNECTIONS = 600, 200
ORDER_CENTS, HIGHEST_MILLS = 100, 990
HEAVIEST_LOAD = 1_000
"""Messages a second, of the benchmark with the most: footprint."""
FASTEST_ORDERS = 200
"""Orders a second of a bot that takes 5 ms for each, its target."""


class Served(Frozen, frozen=True):
    """Number of messages or orders, and the time it took: of the clock, and of the venue's processor."""

    number: int
    seconds: float
    processor_s: float


def processor_s(pid: int) -> float:
    """Processor time that a process has used, in seconds (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def running_tokens(venue: VenueProcess) -> list[str]:
    """Both tokens of the running market."""
    market = venue.get(f"/gamma/markets/slug/{venue.get('/practice/info')['current']}")
    return json.loads(market["clobTokenIds"])


# --- the clients, in a process of their own ----------------------------------------------------------


def receive(url: str, ws_url: str, pid: int, tokens: list[str], subscribers: int) -> Served:
    """Subscribe, let the market run, and count the messages of all subscribers."""
    return asyncio.run(_receive(url, ws_url, pid, tokens, subscribers))


async def _receive(url: str, ws_url: str, pid: int, tokens: list[str], subscribers: int) -> Served:
    counts = [0] * subscribers
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(f"{ws_url}market") for _ in range(subscribers)]
        for socket in sockets:
            await socket.send_json({"type": "market", "assets_ids": tokens})
            await socket.receive()  # the books

        async def count(number: int) -> None:
            async for _ in sockets[number]:
                counts[number] += 1

        tasks = [asyncio.create_task(count(number)) for number in range(subscribers)]
        async with session.post(f"{url}/practice/clock", json={"held": False, "speed": SPEED}) as answer:
            answer.raise_for_status()
        before, used, began = sum(counts), processor_s(pid), time.perf_counter()
        await asyncio.sleep(COUNTED_S)
        served = Served(sum(counts) - before, time.perf_counter() - began, processor_s(pid) - used)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return served


def post(url: str, pid: int, token: str, trader: Trader) -> Served:
    """Sign the orders, then post them on many connections, and count those that were executed."""
    orders = [trader.buy(token, ORDER_CENTS, HIGHEST_MILLS) for _ in range(ORDERS)]
    bodies = [json.dumps(order, separators=(",", ":")) for order in orders]
    return asyncio.run(_post(url, pid, bodies, trader))


async def _post(url: str, pid: int, bodies: Sequence[str], trader: Trader) -> Served:
    executed = 0
    slots = asyncio.Semaphore(CONNECTIONS)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(body: str) -> None:
            nonlocal executed
            async with slots:
                headers = trader.headers("POST", "/order", body) | {"Content-Type": "application/json"}
                async with session.post(f"{url}/order", data=body, headers=headers) as answer:
                    result: dict[str, Any] = await answer.json()
                    executed += result.get("success") is True

        used, began = processor_s(pid), time.perf_counter()
        await asyncio.gather(*(one(body) for body in bodies))
        return Served(executed, time.perf_counter() - began, processor_s(pid) - used)


# --- the measurement ---------------------------------------------------------------------------------


def in_own_process(function: Callable[..., Served], *arguments: object) -> Served:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def messages(subscribers: int) -> Served:
    with VenueProcess.start(*WORLD, "--start-at", "100") as venue:
        tokens = running_tokens(venue)
        return in_own_process(receive, venue.url, venue.ws_url, venue.pid, tokens, subscribers)


def orders() -> Served:
    with VenueProcess.start(*WORLD, "--start-at", "700") as venue:
        trader = trader_at(venue.url)
        venue.set_account(trader.address, balance="1000000")
        served = in_own_process(post, venue.url, venue.pid, running_tokens(venue)[1], trader)
    if served.number < ORDERS:
        raise RuntimeError(f"only {served.number} of {ORDERS} orders were executed")
    return served


def measure() -> Sequence[Measurement]:
    found = []
    for subscribers in SUBSCRIBERS:
        served = messages(subscribers)
        who = "one subscriber" if subscribers == 1 else f"{subscribers} subscribers"
        found.append(
            Measurement(
                name=NAME,
                what=f"messages to {who}",
                value=served.number / served.seconds,
                unit="1/s",
                no_target="the market's rate at 60 times its speed, not the venue's limit",
            )
        )
        if subscribers > 1:
            found.append(
                Measurement(
                    name=NAME,
                    what="messages per second of the venue's processor time",
                    value=served.number / served.processor_s,
                    unit="1/s",
                    target=at_least(5 * HEAVIEST_LOAD),
                )
            )
    executed = orders()
    found += [
        Measurement(
            name=NAME,
            what=f"orders signed, matched and answered, {CONNECTIONS} at once",
            value=executed.number / executed.seconds,
            unit="1/s",
            no_target="each order waits 0.15 s for its match, as at Polymarket",
        ),
        Measurement(
            name=NAME,
            what="orders per second of the venue's processor time",
            value=executed.number / executed.processor_s,
            unit="1/s",
            target=at_least(FASTEST_ORDERS),
        ),
    ]
    return found


if __name__ == "__main__":
    sys.exit(print_measurements(measure()))
