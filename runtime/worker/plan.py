"""The plan that the supervisor sends to a worker, and the exit codes that a worker returns."""

from pathlib import Path

from control.mode_store import Location
from core.ingestion.feed_urls import FeedUrls
from core.nautilus_core.data_engine.venue_urls import VenueUrls
from core.nautilus_core.instruments.market_clock import MarketClock
from execution.ledger import Mode, Venue
from models import Frozen
from runtime.output import Output


class LiveWallet(Frozen, frozen=True):
    """The operator's account without its keys, which the worker reads from the settings.

    `signer` is the address of the key, `funder` the address that holds the money.
    """

    signer: str
    funder: str
    signature_type: int


class WorkerPlan(Frozen, frozen=True):
    """Everything that is decided for a worker before it starts. `markets` 0 means: until it is stopped."""

    mode: Mode
    """Whether the orders use real money: only if LIVE."""
    venue: Venue
    profile: str
    market_urls: VenueUrls
    """Where books and the catalogue come from."""
    urls: VenueUrls
    """Where orders are sent."""
    clock: MarketClock
    note: str
    markets: int
    live_path: bool = False
    """Whether each order needs the mode store's permission: live, or its rehearsal with practice money."""
    armed: bool = False
    """Whether this run was started with --live and armed, so that it may be switched to live."""
    wallet: LiveWallet | None = None
    """None: a practice wallet of the profile."""
    store: Location | None = None
    """The mode store; None if there is none, and then no order is live."""
    feeds: FeedUrls | None = None
    """Where the external feeds are; None when the venue's markets have none."""
    every_minute: bool = False
    """Decide once a minute on the running market, instead of once in its window."""
    record: str | None = None
    """Folder of the recording; None without --record."""
    record_limit_mb: int = 0
    """Size of its files from which the oldest are removed."""
    metrics: bool = True
    page: bool = True
    """Serve the status page on the port of the metrics; without metrics there is none."""
    reset_learning: bool = False
    restarted: bool = False
    """Whether this run had an earlier worker."""
    failed_starts: int = 0
    """Number of consecutive earlier workers whose strategy could not start."""
    output: Output = Output.BLOCKS
    """What the worker shows on its standard output."""
    done: int = 0
    """Markets that earlier workers of the same run have settled."""

    def folder(self, state_dir: Path) -> Path:
        """The folder with the profile's files."""
        return state_dir / self.profile
