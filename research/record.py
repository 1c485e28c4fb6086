"""Records the running markets without trading: `python -m research.record`.

Subscribes to the books of the running and the coming markets, reads their catalogue objects, again until
their official results are known, and the external feeds.
"""

import argparse
import asyncio
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from common.bounded_http import BoundedHttp
from common.environment import prepare_environment
from config import Settings, load_settings
from core.ingestion.adapters.unified_adapter import UnifiedDataAdapter
from core.ingestion.factory import FeedSettings, build_data_adapter
from core.ingestion.feed_urls import FeedUrls
from core.ingestion.managers.websocket_manager import StreamState, WebSocketManager
from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.outcome_ids import outcome_ids
from errors import BotError, Fatal
from execution.venue_answers import gamma_resolution
from monitoring.terminal import PlainConsole, print_error
from research.market_stream import MarketStream
from research.recorder import Recorder
from research.recording_file import MEBIBYTE, FrameWriter

LOOK_S = 5.0
"""Time between two looks at the catalogue."""
FEEDS_S = 5.0
REQUEST_LIMIT_S = 10.0
KEPT_S = 60
"""Time after a market's end for which its books stay subscribed."""
EARLIER = 4
"""Number of markets before the start whose results are recorded, too."""
GIVE_UP_S = 86_400
"""Time after a market's end from which its result is not asked for any more."""
STATUS_S = 1.0
SHOWN_EVERY_S = 60.0
"""Time between two lines on an output that is not a terminal."""


class CatalogueReader:
    """Reads the objects of the running and coming markets, and of ended ones until they have a result."""

    def __init__(self, gamma_url: str, calendar: SlugCalendar, recorder: Recorder) -> None:
        self._http = BoundedHttp(gamma_url, total_s=REQUEST_LIMIT_S)
        self._calendar = calendar
        self._recorder = recorder
        self._tokens: dict[str, list[str]] = {}
        self.unresolved: dict[str, int] = {}
        """End of each recorded market whose result is not known, in seconds since the epoch."""
        self.error = ""
        self._started = False

    async def look(self, now_s: float) -> set[str]:
        """Read what is due; returns the tokens whose books are to be recorded now."""
        if not self._started:
            self._started = True
            self._expect_earlier(now_s)
        upcoming = self._calendar.upcoming(now_s)
        if missing := [slug for slug in upcoming if slug not in self._tokens]:
            self._note(await self._ask("/markets/keyset", {"slug": missing, "limit": "100"}))
        for slug, end in list(self.unresolved.items()):
            if now_s > end + GIVE_UP_S:
                del self.unresolved[slug]
            elif now_s > end:
                self._note(await self._ask("/markets", {"slug": slug, "closed": "true"}))
        running = self._calendar.running_start(now_s)
        kept = {slug: ids for slug, ids in self._tokens.items() if self._end(slug) + KEPT_S > now_s}
        self._tokens = kept
        soon = {self._calendar.slug(running), self._calendar.slug(self._calendar.next_start(running))}
        ended = {slug for slug in kept if self._end(slug) <= now_s}
        return {token for slug in soon | ended for token in kept.get(slug, ())}

    def _expect_earlier(self, now_s: float) -> None:
        """Ask for the results of the last markets, which an earlier run may have recorded."""
        end = self._calendar.running_start(now_s)
        for _ in range(EARLIER):
            start = self._calendar.running_start(end - 1)
            self.unresolved[self._calendar.slug(start)] = end
            end = start

    async def _ask(self, path: str, params: dict[str, Any]) -> list[Any]:
        try:
            answer = await self._http.request_async("GET", path, params=params)
            answer.raise_for_status()
            content = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            self.error = f"the catalogue does not answer: {type(error).__name__}"
            return []
        self.error = ""
        self._recorder.catalogue(answer.content)
        rows = content.get("markets") if isinstance(content, dict) else content
        return rows if isinstance(rows, list) else []

    def _note(self, rows: Iterable[Any]) -> None:
        for row in rows:
            if not isinstance(row, dict):
                continue
            with suppress(BotError, LookupError, TypeError, ValueError):  # it is recorded, but has no books
                slug = str(row["slug"])
                end = self._end(slug)
                if gamma_resolution(row).official:
                    self.unresolved.pop(slug, None)
                elif slug not in self._tokens:
                    self._tokens[slug] = outcome_ids(row)
                    self.unresolved[slug] = end

    def _end(self, slug: str) -> int:
        return self._calendar.next_start(self._calendar.start_of(slug))


class RecordingRun:
    """One run of the recorder.

    Parameters
    ----------
    settings : Settings
        Addresses and markets.
    recorder : Recorder
    feeds : bool
        Whether to record the external feeds.
    """

    def __init__(self, settings: Settings, recorder: Recorder, *, feeds: bool) -> None:
        from settings_mapping import market_calendar  # loads NautilusTrader, which --help does not need

        self._calendar = market_calendar(settings)
        self.recorder = recorder
        self.catalogue = CatalogueReader(settings.gamma_url, self._calendar, recorder)
        self._stream = MarketStream(f"{settings.ws_url}market", recorder.market)
        self.manager = WebSocketManager(self._stream)
        self._feeds = self._build_feeds(settings) if feeds else None

    def _build_feeds(self, settings: Settings) -> UnifiedDataAdapter:
        urls = FeedUrls(**{name: getattr(settings, f"{name}_url") for name in FeedUrls.__struct_fields__})
        return build_data_adapter(
            FeedSettings(
                asset=settings.market_asset,
                interval=settings.interval_seconds,
                urls=urls,
                deribit_max_dte=settings.deribit_max_dte,
                deribit_cache_s=settings.deribit_cache_seconds,
            ),
            running=self._calendar.running,
            received=self.recorder.feed,
        )

    async def run(self, stopped: asyncio.Event) -> None:
        """Record until the event is set."""
        self.recorder.start()
        if self._feeds is not None:
            await self._feeds.start()
        refreshing = asyncio.create_task(self._refresh_feeds())
        try:
            while not stopped.is_set():
                await self._stream.follow(await self.catalogue.look(time.time()))
                if self.manager.state in (StreamState.DISCONNECTED, StreamState.FAILED):
                    self.manager.start()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), LOOK_S)
        finally:
            refreshing.cancel()
            await self.manager.aclose()
            if self._feeds is not None:
                await self._feeds.aclose()
            await asyncio.to_thread(self.recorder.close)

    async def _refresh_feeds(self) -> None:
        while self._feeds is not None:
            await self._feeds.refresh()
            await asyncio.sleep(FEEDS_S)

    def status(self) -> str:
        """The state as one line."""
        status = self.recorder.status()
        start, length = self._calendar.running(time.time())
        second = time.time() - start
        parts = [
            f"{status.frames} frames, {status.bytes / MEBIBYTE:.1f} MiB, lost {status.lost}",
            f"{self._calendar.slug(start)} {second:.0f} s of {length}",
            f"stream {self.manager.state}",
            f"{len(self.catalogue.unresolved)} results awaited",
        ]
        problems = [text for text in (status.error, self.catalogue.error, self.manager.last_error) if text]
        return "  ".join([*parts, *problems])


async def record(run: RecordingRun, console: PlainConsole) -> None:
    """Record until Ctrl-C or SIGTERM, with the state on the screen."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    recording = asyncio.create_task(run.run(stopped))
    shown_s = time.monotonic()
    with console.status(run.status(), spinner="dots") as line:
        while not recording.done():
            await asyncio.wait([recording], timeout=STATUS_S)
            line.update(run.status())
            if not console.is_terminal and time.monotonic() - shown_s >= SHOWN_EVERY_S:
                shown_s = time.monotonic()
                console.print(run.status(), soft_wrap=True)
    recording.result()


def main(arguments: Sequence[str] | None = None) -> int:
    """Record until Ctrl-C; returns 0, or 1 if a frame was lost."""
    options = _parser().parse_args(arguments)
    console = PlainConsole(highlight=False, markup=False)
    try:
        prepare_environment()
        if options.check is not None:
            from research import integrity

            return integrity.main([str(options.check), *(["--json"] if options.json else [])])
        settings = load_settings()
        folder = (options.folder or settings.recordings_dir / "polymarket").absolute()
        limit_mb = options.limit_mb or settings.recordings_limit_mb
        FrameWriter(folder).close()  # refused now, not only counted later
        recorder = Recorder(lambda: FrameWriter(folder, limit_bytes=limit_mb * MEBIBYTE), lambda ns: ns)
        run = RecordingRun(settings, recorder, feeds=not options.no_feeds)
        console.print(f"recording into {folder}, at most {limit_mb} MiB; Ctrl-C ends it", soft_wrap=True)
        asyncio.run(record(run, console))
    except Fatal as error:
        print_error(error)
        return error.exit_code
    status = recorder.status()
    console.print(f"recorded {status.frames} frames, lost {status.lost} {status.error}".rstrip())
    return 1 if status.lost else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m research.record",
        description="Records the running markets, their results and the external feeds, without trading.",
    )
    parser.add_argument(
        "--folder", type=Path, help="folder of the recording (default: polymarket below RECORDINGS_DIR)"
    )
    parser.add_argument(
        "--limit-mb",
        type=_size,
        metavar="N",
        help="size of the recording, MiB, from which its oldest files are removed (RECORDINGS_LIMIT_MB)",
    )
    parser.add_argument("--no-feeds", action="store_true", help="record the market stream and catalogue only")
    parser.add_argument(
        "--check", type=Path, metavar="FOLDER", help="print the integrity report of a recording and exit"
    )
    parser.add_argument("--json", action="store_true", help="with --check: as JSON")
    return parser


def _size(text: str) -> int:
    if not text.isdecimal() or int(text) < 10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 10")
    return int(text)


if __name__ == "__main__":
    from common.atomic_file import create_private_files
    from common.process_exit import exit_process

    create_private_files()
    exit_process(main())
