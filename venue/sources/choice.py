"""Which source a venue runs on; a state folder stays with what it began with."""

from pathlib import Path

from venue.ledger import VenueLedger
from venue.sources.base import MarketScript
from venue.sources.recorded import RecordedSource
from venue.sources.shadow.upstream import UpstreamVenue
from venue.sources.synthetic import DEFAULT_SEED, SyntheticSource

RECORDED, SYNTHETIC, SHADOW = "recorded", "synthetic", "shadow"
NAMES = (RECORDED, SYNTHETIC, SHADOW)


class SourceMismatch(ValueError):
    """A state folder was begun otherwise: its open markets would change their outcome, or never have one."""


def chosen_source(
    name: str, seed: int | None, state: Path | None, upstream: UpstreamVenue | None = None
) -> MarketScript | UpstreamVenue:
    """The source that was asked for.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    seed : int, optional
        Of synthetic markets; by default the folder's own, or `DEFAULT_SEED` for a new one.
    state : Path, optional
        The venue's folder, which remembers source, seed, and which markets are mirrored.
    upstream : UpstreamVenue, optional
        Of the shadow source.

    Raises
    ------
    SourceMismatch
        If the folder was begun with another source, seed, asset or timeframe.
    ledger.InUse, OSError
        If the folder cannot be used.
    """
    if state is not None:
        ledger = VenueLedger(state)
        try:
            _keep_source(ledger, name)
            if name == SYNTHETIC:
                seed = _kept_seed(ledger, seed)
            if upstream is not None:
                _keep_markets(ledger, upstream)
        finally:
            ledger.close()
    if upstream is not None:
        return upstream
    return RecordedSource() if name == RECORDED else SyntheticSource(DEFAULT_SEED if seed is None else seed)


def _keep_source(ledger: VenueLedger, name: str) -> None:
    began = ledger.text("source")
    if began is None and ledger.meta("first_start") is not None:
        # A folder of the time when it did not say so: only generated markets have a seed.
        began = RECORDED if ledger.meta("seed") is None else SYNTHETIC
    if began not in (None, name):
        raise SourceMismatch(f"it was started with --source {began}")
    ledger.set_text("source", name)


def _kept_seed(ledger: VenueLedger, seed: int | None) -> int:
    kept = ledger.meta("seed")
    if kept is None:
        kept = DEFAULT_SEED if seed is None else seed
        ledger.set_meta("seed", kept)
    if seed not in (None, kept):
        raise SourceMismatch(f"it was started with --seed {kept}")
    return kept


def _keep_markets(ledger: VenueLedger, upstream: UpstreamVenue) -> None:
    wanted = f"--asset {upstream.asset} --timeframe {upstream.timeframe}"
    began = ledger.text("markets")
    if began not in (None, wanted):
        raise SourceMismatch(f"it was started with {began}")
    ledger.set_text("markets", wanted)
