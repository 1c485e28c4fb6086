"""What the supervisor tells a worker, and what the worker's exit code tells the supervisor."""

from pathlib import Path

from control.mode_store import Location
from core.ingestion.feed_urls import FeedUrls
from core.nautilus_core.data_engine.venue_urls import VenueUrls
from core.nautilus_core.instruments.market_clock import MarketClock
from execution.ledger import Mode, Venue
from models import Frozen


class LiveWallet(Frozen, frozen=True):
    """The operator's account, without its keys: those the worker reads from the settings itself.

    `signer` is the address of the key, `funder` the one that holds the money.
    """

    signer: str
    funder: str
    signature_type: int


class WorkerPlan(Frozen, frozen=True):
    """Everything that is decided for a worker before it starts. `markets` 0 means: until told to stop."""

    mode: Mode
    """What the orders move: real money only if LIVE."""
    venue: Venue
    profile: str
    market_urls: VenueUrls
    """Where books and the catalogue come from."""
    urls: VenueUrls
    """Where orders go."""
    clock: MarketClock
    note: str
    markets: int
    live_path: bool = False
    """Whether each order needs the mode store's leave: live, or the rehearsal of it on practice money."""
    armed: bool = False
    """Whether this run was started with --live and armed, so that it may be switched to live."""
    wallet: LiveWallet | None = None
    """None: a practice wallet made for the book."""
    store: Location | None = None
    """The mode store; None if there is none, and then nothing is live."""
    feeds: FeedUrls | None = None
    """Where the external feeds are; None when the venue's markets have none."""
    every_minute: bool = False
    """Decide once a minute on the running market, instead of once in its window."""
    metrics: bool = True
    reset_learning: bool = False
    restarted: bool = False
    """Whether an earlier worker of the same run came before."""
    failed_starts: int = 0
    """Workers in a row before this one whose strategy could not start."""
    done: int = 0
    """Markets that earlier workers of the same run have settled."""

    def folder(self, state_dir: Path) -> Path:
        """Where this book's files lie."""
        return state_dir / self.profile
