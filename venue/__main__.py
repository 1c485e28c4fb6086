"""``python -m venue``: run a practice venue on loopback until told to stop."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import msgspec
from aiohttp import web

from venue.amounts import micro
from venue.external.services import base_urls
from venue.ledger import InUse
from venue.sources.choice import NAMES, RECORDED, SYNTHETIC, Mismatch, chosen_source
from venue.sources.synthetic import DEFAULT_SEED
from venue.venue import Options, Venue
from venue.wire.app import make_app

HOST = "127.0.0.1"
"""The only address it ever listens on: whoever reaches it can set balances."""

SHUTDOWN_SECONDS = 0.5


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m venue",
        description="Polymarket's protocol on 127.0.0.1, to practise on. Prints one JSON line when ready.",
    )
    parser.add_argument("--source", choices=NAMES, default=RECORDED, help="where books come from (recorded)")
    parser.add_argument(
        "--seed",
        type=_seed,
        help=f"synthetic markets: their seed; a state folder keeps its own ({DEFAULT_SEED})",
    )
    parser.add_argument(
        "--external-lag",
        action="store_true",
        help="synthetic markets: relays of the settlement price are as late as the real ones",
    )
    parser.add_argument("--speed", type=_speed, default=15.0, help="market seconds a wall second (15)")
    parser.add_argument("--port", type=_port, default=0, help="TCP port; 0 takes a free one (0)")
    parser.add_argument("--state", type=Path, help="folder that survives a restart; in memory if absent")
    parser.add_argument("--balance", type=_balance, default=1000 * 10**6, help="a new account's pUSD (1000)")
    parser.add_argument("--start-at", type=_second, help="begin at this second of the next market, 0 to 899")
    parser.add_argument(
        "--first", type=_index, default=0, help="the source's market that a new state begins with, from 0 (0)"
    )
    parser.add_argument(
        "--redeem", choices=("auto", "manual"), default="auto", help="whether winners are paid at once (auto)"
    )
    parser.add_argument("--exit-with-stdin", action="store_true", help="stop when stdin is closed")
    parser.add_argument("--verbose", action="store_true", help="log every request to stderr")
    return parser


def _number(text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {low:g} to {high:g}")
    return value


def _speed(text: str) -> float:
    return _number(text, 0.01, 10_000, "a speed")


def _port(text: str) -> int:
    return int(_number(text, 0, 65_535, "a port"))


def _index(text: str) -> int:
    return int(_number(text, 0, 10_000, "a market"))


def _seed(text: str) -> int:
    return int(_number(text, 0, 2**31 - 1, "a seed"))


def _second(text: str) -> int:
    return int(_number(text, 0, 899, "a second of a market"))


def _balance(text: str) -> int:
    try:
        amount = micro(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is negative: give an amount of pUSD from 0 up")
    return amount


async def _run(venue: Venue, port: int, *, exit_with_stdin: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if exit_with_stdin:
        await _watch_stdin(stopped)
    runner = web.AppRunner(make_app(venue), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        await venue.start()
        sys.stdout.write(msgspec.json.encode(_ready(venue, runner)).decode() + "\n")
        sys.stdout.flush()
        waits = [asyncio.create_task(stopped.wait()), asyncio.create_task(venue.failed())]
        done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()
    finally:
        await venue.stop()
        await runner.cleanup()
        venue.close()


async def _watch_stdin(stopped: asyncio.Event) -> None:
    """Set the event when the parent's end of stdin closes."""

    class Watch(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            stopped.set()

    await asyncio.get_running_loop().connect_read_pipe(Watch, sys.stdin)


def _ready(venue: Venue, runner: web.AppRunner) -> dict[str, object]:
    url = f"http://{HOST}:{runner.addresses[0][1]}"
    source = venue.source.info()
    if venue.external is not None:
        source["external"] = base_urls(url)
    return {
        "event": "ready",
        "url": url,
        "pid": os.getpid(),
        "clock": venue.clock.wire(),
        "source": source,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run it: 0 after a clean stop, 2 if it could not start as asked."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.source != SYNTHETIC and (given.seed is not None or given.external_lag):
        option = "--external-lag" if given.external_lag else "--seed"
        parser.error(f"{option}: {given.source} markets have none; use it with --source {SYNTHETIC}")
    level = logging.INFO if given.verbose else logging.WARNING
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s"
    )
    options = Options(
        speed=given.speed,
        state=given.state,
        balance=given.balance,
        start_at=given.start_at,
        first=given.first,
        redeem=given.redeem,
        external_lag=given.external_lag,
    )
    try:
        venue = Venue(chosen_source(given.source, given.seed, given.state), options)
    except Mismatch as error:
        parser.error(f"--state {given.state}: {error}; start it that way or name another folder")
    except InUse:
        parser.error(f"--state {given.state}: another venue runs on this folder; stop it or name another one")
    except OSError as error:
        parser.error(f"--state {given.state}: {error.strerror}; name a folder that can be written")
    try:
        asyncio.run(_run(venue, given.port, exit_with_stdin=given.exit_with_stdin))
    except OSError as error:
        parser.error(f"--port {given.port}: {error.strerror}; choose another one or 0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
