"""Paths of the ledgers: each trading profile has its own file, so paper and live money are separate."""

from pathlib import Path

from execution.ledger.rows import Venue

LIVE_PROFILE = "live"
RECORDING = "recording"
"""Name of the markets of --recordings, in the place of a venue's."""
PAPER_PROFILES = (*(venue.value for venue in Venue), RECORDING)


REHEARSAL_PROFILES = tuple(f"rehearsal-{name}" for name in PAPER_PROFILES if name != Venue.POLYMARKET)
"""The live path on a practice venue: its runs are simulation, because no real money moves."""


def profile_name(*, live_path: bool, venue: Venue, recording: bool = False) -> str:
    """`live` for real money, ``rehearsal-…`` for the live path on a practice venue, otherwise the venue's
    name; with `recording` that of the markets of --recordings."""
    name = RECORDING if recording else venue.value
    if not live_path:
        return name
    return LIVE_PROFILE if name == Venue.POLYMARKET else f"rehearsal-{name}"


def ledger_path(state_dir: Path, profile: str) -> Path:
    """Path of a profile's ledger: ``{state_dir}/{profile}/ledger.sqlite``."""
    return state_dir / profile / "ledger.sqlite"
