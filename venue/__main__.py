"""``python -m venue``: run a practice venue on loopback until it is stopped."""

if __name__ == "__main__":
    import gc

    # Before the imports below, which create hardly any garbage to collect.
    gc.disable()

import asyncio
import errno
import gc
import logging
import os
import signal
import sys
import time

import msgspec
from aiohttp import web

from venue.arguments import options_of, read_arguments, upstream_of, wanted_series
from venue.external.services import base_urls
from venue.ledger import VenueLedgerInUse
from venue.plain_log import PlainFormatter
from venue.private_files import UMASK
from venue.series import SeriesMissing
from venue.sources.choice import SHADOW, SourceMismatch, chosen_protocol, chosen_source
from venue.sources.recording import RecordingRefused
from venue.sources.shadow.upstream import UpstreamUnreachable
from venue.venue import PracticeVenue
from venue.wire.app import make_app

HOST = "127.0.0.1"
"""The only address that it listens on: every client that reaches it can set balances."""

SHUTDOWN_SECONDS = 0.5
REBIND_SECONDS = 5.0
"""Time that a resumed venue waits for its port, wall seconds."""
REBIND_PAUSE = 0.1


async def _run(venue: PracticeVenue, port: int, *, exit_with_stdin: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if exit_with_stdin:
        await _stop_with_stdin(stopped)
    runner = web.AppRunner(make_app(venue), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await _listen(runner, port, patience=REBIND_SECONDS if venue.options.resume else 0.0)
        await venue.start()
        sys.stdout.buffer.write(msgspec.json.encode(_ready(venue, runner)) + b"\n")
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


async def _listen(runner: web.AppRunner, port: int, patience: float) -> None:
    """Open the port; if it is taken, retry for the given number of seconds.

    While no venue listened, a client that tried the port may have been connected to itself (TCP
    self-connect).

    Raises
    ------
    OSError
        If the port cannot be opened.
    """
    deadline = time.monotonic() + patience
    while True:
        site = web.TCPSite(runner, HOST, port)
        try:
            await site.start()
        except OSError as error:
            await site.stop()
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            await asyncio.sleep(REBIND_PAUSE)
        else:
            return


async def _stop_with_stdin(stopped: asyncio.Event) -> None:
    """Set the event when the parent's end of stdin closes."""

    class StdinProtocol(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            stopped.set()

    await asyncio.get_running_loop().connect_read_pipe(StdinProtocol, sys.stdin)


def _ready(venue: PracticeVenue, runner: web.AppRunner) -> dict[str, object]:
    url = f"http://{HOST}:{runner.addresses[0][1]}"
    source = venue.source.info()
    if venue.external is not None:
        source["external"] = base_urls(url)
    return {
        "event": "ready",
        "url": url,
        "pid": os.getpid(),
        "clock": venue.clock.wire(),
        "first_start": venue.schedule.first_start,
        "interval": venue.first_series.length,
        "series": [series.name for series in venue.series],
        "source": source,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the venue; returns 0 after a clean stop, 2 if it could not be started with these options."""
    parser, given = read_arguments(arguments)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO if given.verbose else logging.WARNING, handlers=[handler])
    try:
        source = chosen_source(
            given.source, given.seed, given.state, upstream_of(given), given.path, wanted_series(given)
        )
        mirrors = given.source == SHADOW
        protocol = "v1" if mirrors else chosen_protocol(given.source, given.protocol, given.state)
        venue = PracticeVenue(source, options_of(given, protocol))
    except SourceMismatch as error:
        parser.error(f"--state {given.state}: {error}; start it with that, or give another folder")
    except SeriesMissing as error:
        parser.error(f"--series {error}")
    except RecordingRefused as error:
        parser.error(f"--path {error}; check it: python -m research.integrity {given.path}")
    except VenueLedgerInUse:
        parser.error(
            f"--state {given.state}: another venue runs on this folder; stop it, or give another folder"
        )
    except OSError as error:
        parser.error(f"--state {given.state}: {error.strerror}; give a writable folder")
    try:
        asyncio.run(_run(venue, given.port, exit_with_stdin=given.exit_with_stdin))
    except UpstreamUnreachable as error:
        parser.error(f"the venue to mirror cannot be reached: {error}; check the address and the network")
    except OSError as error:
        parser.error(f"--port {given.port}: {error.strerror}; choose another one or 0")
    return 0


if __name__ == "__main__":
    os.umask(UMASK)
    # What exists now stays until the end: later collections do not examine it.
    gc.freeze()
    gc.enable()
    sys.exit(main())
