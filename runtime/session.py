"""Defines one run of the bot: its trading profiles with their ledgers and practice venues.

Every run has the paper profile, and a run with --live has the live profile as well. Both use the same code;
they differ in the venue that orders are sent to. The mode determines the profile of the next worker.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from common.atomic_file import close_to_other_users
from config import Settings
from control.arming import require_live_order_client
from control.last_mode_switch import LAST_SWITCH_FILE
from control.mode_file import FOLDER as MODE_FOLDER
from control.mode_gate import ModeController, ModeDecision
from control.mode_store import ModeStore
from core.ingestion.feed_urls import FeedUrls
from core.nautilus_core.data_engine.venue_urls import VenueUrls
from core.nautilus_core.instruments.market_clock import MarketClock
from errors import ConfigError, Fatal, Temporary
from execution.ledger import (
    LIVE_PROFILE,
    PAPER_PROFILES,
    REHEARSAL_PROFILES,
    LedgerReader,
    Mode,
    Venue,
    ledger_path,
    profile_name,
)
from execution.ledger.writer import Ledger
from models import SCALE_SECONDS, Frozen, Series
from runtime.output import Output
from runtime.practice_venue_process import STOP_LIMIT_S, PracticeVenueProcess, VenueState, VenueSupervisor
from runtime.worker.plan import LiveWallet, WorkerPlan

TEST_SPEED = 15.0
"""Market seconds per second in test mode: a whole 15-minute market every minute."""
APART = 500
"""Markets between the generated markets of a rehearsal and those of its simulation: five days of markets."""
TEST_LEAD_S = 9.0
"""Seconds from the start of a test run's practice venue to its first decision window: the worker starts in
them. The venue starts within two seconds, so that the first decision follows the command within 12 s."""
BTC_15M = Series(asset="btc", timeframe="15m")
PRACTICE_ASSETS = ("btc", "eth", "sol", "xrp", "doge")
"""Assets of which the practice venue generates markets."""


class Flags(Frozen, frozen=True):
    """The command-line flags."""

    test_mode: bool = False
    live: bool = False
    venue: Venue = Venue.POLYMARKET
    markets: int = 0
    start_at: int | None = None
    speed: float | None = None
    """Market seconds per second of a practice venue; None for 15 in test mode, otherwise 1."""
    seed: int | None = None
    first: int | None = None
    recordings: Path | None = None
    """The recording that the practice venue replays; None for the source of `venue`."""
    record: Path | None = None
    """Folder to record into; an empty path for the folder of the settings."""
    protocol: str | None = None
    """Protocol version of the practice markets: v1, v2 or alternate."""
    reset_learning: bool = False
    no_grafana: bool = False
    no_page: bool = False
    doctor: bool = False
    show_config: bool = False
    new_config: bool = False
    notify_test: bool = False
    quiet: bool = False
    json_lines: bool = False

    @property
    def output(self) -> Output:
        """The output of the run."""
        if self.json_lines:
            return Output.JSON_LINES
        return Output.QUIET if self.quiet else Output.BLOCKS

    @property
    def replay(self) -> bool:
        """Whether the markets are generated or replayed by a practice venue."""
        return self.venue is not Venue.POLYMARKET

    @property
    def rehearsal(self) -> bool:
        """Whether the live path runs with practice money."""
        return self.live and self.replay

    def check(self, settings: Settings) -> None:
        """Check the flags for contradictions.

        Raises
        ------
        ConfigError
        """
        if self.json_lines and self.quiet:
            raise ConfigError("--quiet and --json-lines contradict each other", "Leave out one of them")
        if self.live and self.test_mode and not self.replay:
            raise ConfigError(
                "--test-mode cannot be combined with --live on Polymarket",
                "Leave out --test-mode, or add --venue synthetic",
            )
        if self.live and not self.replay:
            require_live_order_client(settings.order_client)
        for name in ("start_at", "speed", "seed", "first", "protocol"):
            if getattr(self, name) is not None and not self.replay:
                raise ConfigError(
                    f"--{name.replace('_', '-')} applies to practice markets only",
                    "Add --test-mode, or --venue mixed, recorded or synthetic",
                )
        if self.seed is not None and self.recordings is not None:
            raise ConfigError("--seed applies to generated markets only", "Leave it out")
        self._check_series(settings)

    def _check_series(self, settings: Settings) -> None:
        """Check that the venue has the markets of the series, and that the flags allow several."""
        series = settings.series
        if len(series) > 1 and self.record is not None:
            raise ConfigError(
                f"--record records one series, MARKET_ASSET and MARKET_TIMEFRAME give {len(series)}",
                "Set one asset and one timeframe, or leave out --record",
            )
        if not self.replay or self.recordings is not None:
            return
        bundled = self.venue is not Venue.SYNTHETIC
        for one in series:
            if bundled and one != BTC_15M:
                raise ConfigError(
                    f"the bundled practice markets are btc 15m, not {one.asset} {one.timeframe}",
                    "Add --venue synthetic, or unset MARKET_ASSET and MARKET_TIMEFRAME",
                )
            if one.asset not in PRACTICE_ASSETS:
                raise ConfigError(
                    f"there are no generated markets of {one.asset}",
                    f"Set MARKET_ASSET to one or several of {', '.join(PRACTICE_ASSETS)}",
                )


def practice_urls(url: str) -> VenueUrls:
    """The addresses of a practice venue, from its base URL."""
    return VenueUrls(
        clob=url, gamma=f"{url}/gamma", data_api=f"{url}/data-api", ws=url.replace("http", "ws", 1) + "/ws/"
    )


def polymarket_urls(settings: Settings) -> VenueUrls:
    """The addresses of the real venue, from the settings."""
    return VenueUrls(
        clob=settings.clob_url, gamma=settings.gamma_url, data_api=settings.data_api_url, ws=settings.ws_url
    )


def feed_urls(settings: Settings) -> FeedUrls:
    """The addresses of the external services, from the settings."""
    return FeedUrls(**{name: getattr(settings, f"{name}_url") for name in FeedUrls.__struct_fields__})


def close_files(settings: Settings) -> None:
    """Remove other users' access to the state and logs of earlier runs."""
    profiles = (*PAPER_PROFILES, *REHEARSAL_PROFILES, LIVE_PROFILE)
    close_to_other_users(
        settings.state_dir,
        ["running.", "mode", ".mode", "redis", "venue_facts", ".venue_facts", *profiles],
        excluded=MODE_FOLDER,
    )
    close_to_other_users(settings.log_dir, ["bot.log", "venue.log", settings.nautilus_log_dir.name])
    close_to_other_users(settings.nautilus_log_dir, [settings.trader_id])


class TradingProfile:
    """A trading profile: ledger, venue and clock; its practice venue starts when it is first needed.

    Parameters
    ----------
    flags, settings
    live_path : bool
        Whether it is the profile of --live.
    """

    def __init__(self, flags: Flags, settings: Settings, live_path: bool) -> None:
        self.flags = flags
        self.settings = settings
        self.live_path = live_path
        self.mode = Mode.LIVE if live_path and not flags.replay else Mode.SIMULATION
        self.name = profile_name(
            live_path=live_path, venue=flags.venue, recording=flags.recordings is not None
        )
        self.settled_before = 0
        self.used = False
        """Whether a worker of this run has used it."""
        self.other: TradingProfile | None = None
        """The other profile of the run."""
        self._process: PracticeVenueProcess | None = None
        self._venue_supervisor: VenueSupervisor | None = None

    @property
    def needs_venue(self) -> bool:
        """Whether orders go to a practice venue: in every profile except the one with real money."""
        return self.mode is not Mode.LIVE

    @property
    def process(self) -> PracticeVenueProcess | None:
        """The running practice venue; None in the profile with real money."""
        if self._process is None and self.needs_venue:
            self._process = PracticeVenueProcess(self._arguments(), self.settings.log_dir / "venue.log")
            self._venue_supervisor = VenueSupervisor(self._process)
        return self._process

    def running_market(self) -> int | None:
        """Number of the market that runs at the practice venue; None before its start."""
        if self._process is None or not self.flags.replay:
            return None
        ready = self._process.ready
        return int(self.clock.market_time(time.time_ns()) - ready["first_start"]) // ready["interval"]

    def supervise_venue(self, now: float, show: Callable[[str], None]) -> VenueState:
        """Restart the practice venue if it has ended; see `VenueSupervisor.supervise`."""
        return (
            VenueState.READY
            if self._venue_supervisor is None
            else self._venue_supervisor.supervise(now, show)
        )

    def begin_stop(self) -> None:
        """Request the stop of the practice venue; returns at once."""
        if self._process is not None:
            self._process.begin_stop()

    def stop(self, seconds: float) -> None:
        """Stop the practice venue within the given time."""
        if self._process is not None:
            self._process.stop(seconds)

    def begin(self) -> None:
        """Migrate the profile's ledger, and store the number of markets settled so far.

        Raises
        ------
        Fatal
            If it cannot be used.
        """
        self.settled_before = self.settled()

    def settled(self) -> int:
        """Number of settled markets in this profile's ledger."""
        path = ledger_path(self.settings.state_dir, self.name)
        if not path.exists():
            return 0
        # Completes a ledger whose worker was killed while creating it, and migrates an old one.
        Ledger(path).close()
        with LedgerReader(path) as reader:
            return reader.settled_markets()

    @property
    def record(self) -> Path | None:
        """Folder to record into: the one of --record, or the profile's below RECORDINGS_DIR."""
        if self.flags.record is None:
            return None
        given = self.flags.record
        return self.settings.recordings_dir / self.name if given == Path() else given.absolute()

    @property
    def urls(self) -> VenueUrls:
        """The addresses that orders are sent to."""
        return practice_urls(self.process.url) if self.process else polymarket_urls(self.settings)

    @property
    def geoblock_url(self) -> str:
        """The service that reports whether orders are accepted from this location."""
        if not self.flags.replay or self.process is None:
            return self.settings.geoblock_url
        return f"{self.process.url}/api/geoblock"

    @property
    def market_urls(self) -> VenueUrls:
        """The addresses that books come from: the real venue also for its paper orders."""
        return self.urls if self.flags.replay else polymarket_urls(self.settings)

    @property
    def clock(self) -> MarketClock:
        if not self.flags.replay or self.process is None:
            return MarketClock()
        return msgspec.convert(self.process.ready["clock"], MarketClock)

    @property
    def feeds(self) -> FeedUrls | None:
        if not self.flags.replay or self.process is None:
            return feed_urls(self.settings)
        external = self.process.ready["source"].get("external")
        return None if external is None else msgspec.convert(external, FeedUrls)

    @property
    def note(self) -> str:
        """A short description of the recording or of the generated markets."""
        if self.process is None:
            return "Polymarket"
        source: Mapping[str, Any] = self.process.ready["source"]
        if "note" in source:
            return str(source["note"])
        begin, end = (datetime.fromisoformat(source[key]) for key in ("recorded_from", "recorded_to"))
        recorded = (
            f"{source['markets']} real Polymarket markets recorded on {begin:%Y-%m-%d %H:%M}–{end:%H:%M} UTC"
        )
        if "seed" not in source:
            return recorded
        seed = source["seed"]
        return f"recorded and generated markets in turn: {recorded}; generated ones of seed {seed}"

    def _arguments(self) -> list[str]:
        state = self.settings.state_dir / self.name / "venue"
        if not self.flags.replay:
            return [*self._shadow_arguments(), "--state", str(state)]
        flags = self.flags
        speed = flags.speed or (TEST_SPEED if flags.test_mode else 1.0)
        series = self._venue_series()
        # The first series determines the start.
        scale = self.settings.of_series(series[0]).interval_seconds / SCALE_SECONDS
        start_at = None if flags.start_at is None else int(flags.start_at * scale)
        if start_at is None and flags.test_mode:
            start_at = max(0, int(self.settings.trade_window_start * scale - TEST_LEAD_S * speed))
        names = ",".join(each.name for each in series)
        arguments = ["--speed", str(speed), "--state", str(state)]
        if flags.recordings is None:
            arguments += ["--source", flags.venue.value]
        else:
            arguments += ["--source", "recording", "--path", str(flags.recordings.absolute())]
        options = {
            "--series": None if names == BTC_15M.name else names,
            "--start-at": start_at,
            "--seed": flags.seed,
            "--first": flags.first,
            "--protocol": flags.protocol,
        }
        for name, value in options.items():
            arguments += [] if value is None else [name, str(value)]
        if self.other is not None and (running := self.other.running_market()) is not None:
            # What one profile has traded is not traded by the other, however often the mode is switched.
            arguments += ["--from-market", str(running + APART)]
        # As at the real venue, a resolution alone does not pay winners in the live profile.
        return [*arguments, "--redeem", "manual"] if self.live_path else arguments

    def _venue_series(self) -> list[Series]:
        """The series in the order of the venue: the shortest markets first."""
        settings = self.settings
        return sorted(settings.series, key=lambda each: settings.of_series(each).interval_seconds)

    def _shadow_arguments(self) -> list[str]:
        urls, series = polymarket_urls(self.settings), self._venue_series()
        which = ["--asset", series[0].asset, "--timeframe", series[0].timeframe]
        if len(series) > 1:
            which = ["--series", ",".join(each.name for each in series)]
        return [
            *("--source", "shadow", "--upstream-gamma", urls.gamma, "--upstream-clob", urls.clob),
            *("--upstream-ws", urls.ws),
            *which,
        ]


class Session:
    """The trading profiles of one run; creates the plan of each worker.

    Parameters
    ----------
    flags, settings
    store : ModeStore or None
        Determines the profile, here and in the workers.
    """

    def __init__(self, flags: Flags, settings: Settings, store: ModeStore | None) -> None:
        self.flags = flags
        self.settings = settings
        self._store = store
        self.paper = TradingProfile(flags, settings, live_path=False)
        self.live = TradingProfile(flags, settings, live_path=True) if flags.live else None
        if self.live is not None:
            self.live.other, self.paper.other = self.paper, self.live
        self.wallet: LiveWallet | None = None
        self._mode_controller = self._new_controller()
        self._workers = 0
        self._current: TradingProfile | None = None

    def _new_controller(self) -> ModeController:
        return ModeController(
            self._store, self.flags.live, self.armed, self.settings.state_dir / LAST_SWITCH_FILE
        )

    @property
    def armed(self) -> bool:
        return self.wallet is not None

    def arm(self, wallet: LiveWallet) -> None:
        """Allow the live mode with this wallet from now on. The caller holds its lock."""
        self.wallet = wallet
        self._mode_controller = self._new_controller()

    def begin(self) -> None:
        """Prepare the profiles' ledgers before the first worker."""
        for profile in self.profiles:
            profile.begin()

    @property
    def profiles(self) -> list[TradingProfile]:
        return [self.paper] if self.live is None else [self.live, self.paper]

    def mode_decision(self) -> ModeDecision:
        """The mode decision at this instant."""
        return self._mode_controller.mode_decision()

    def profile(self) -> TradingProfile:
        """The profile of the current mode."""
        if self.live is not None and self.mode_decision().mode is Mode.LIVE:
            return self.live
        return self.paper

    @property
    def current_profile(self) -> str:
        """Name of the newest worker's profile; before the first worker, of the paper profile."""
        return (self._current or self.paper).name

    def supervise_venues(self, now: float, show: Callable[[str], None]) -> VenueState:
        """Restart practice venues that have ended; returns the state of the current worker's venue.

        Raises
        ------
        Fatal
            If one crashed too often.
        """
        states = {profile: profile.supervise_venue(now, show) for profile in self.profiles}
        return VenueState.READY if self._current is None else states[self._current]

    def begin_stop(self) -> None:
        """Request the stop of the practice venues; returns at once."""
        for profile in self.profiles:
            profile.begin_stop()

    def stop(self, seconds: float = STOP_LIMIT_S) -> None:
        """Stop the practice venues in parallel, within the given time."""
        self.begin_stop()
        deadline = time.monotonic() + seconds
        for profile in self.profiles:
            profile.stop(deadline - time.monotonic())

    def plan(self, failed_starts: int) -> str:
        """The next worker's plan as one line of JSON; see `supervisor.Session.plan`."""
        profile, first = self.profile(), self._workers == 0
        self._start_venue(profile, first)
        self._current = profile
        self._workers += 1
        profile.used = True
        plan = WorkerPlan(
            mode=profile.mode,
            venue=self.flags.venue,
            profile=profile.name,
            market_urls=profile.market_urls,
            urls=profile.urls,
            clock=profile.clock,
            note=profile.note,
            markets=self.flags.markets,
            live_path=profile.live_path,
            armed=self.armed,
            wallet=self.wallet if profile.mode is Mode.LIVE else None,
            store=None if self._store is None else self._store.location,
            feeds=profile.feeds,
            every_minute=self.flags.test_mode and not self.flags.replay,
            record=None if profile.record is None else str(profile.record),
            record_limit_mb=self.settings.recordings_limit_mb,
            metrics=not self.flags.no_grafana,
            page=not self.flags.no_page,
            # The first worker only: a restart must not reset the weights again.
            reset_learning=self.flags.reset_learning and first,
            restarted=not first,
            failed_starts=failed_starts,
            output=self.flags.output,
            done=sum(profile.settled() - profile.settled_before for profile in self.profiles),
        )
        return msgspec.json.encode(plan).decode()

    def _start_venue(self, profile: TradingProfile, first: bool) -> None:
        """Start a profile's practice venue; only the first start of a run ends the run if it fails."""
        try:
            _ = profile.process
        except Fatal as error:
            if first:
                raise
            raise Temporary(str(error)) from None
