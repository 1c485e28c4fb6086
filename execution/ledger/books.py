"""Where each book lies: paper and live money never share a file."""

from pathlib import Path

from execution.ledger.rows import Mode, Venue

LIVE_BOOK = "live"
PAPER_BOOKS = tuple(venue.value for venue in Venue)


def book_name(mode: Mode, venue: Venue) -> str:
    """`live` for real money, else the venue's name."""
    return LIVE_BOOK if mode is Mode.LIVE else venue.value


def ledger_path(state_dir: Path, book: str) -> Path:
    """The ledger's file of a book: ``{state_dir}/{book}/ledger.sqlite``."""
    return state_dir / book / "ledger.sqlite"
