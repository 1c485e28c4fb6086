"""Selects a venue's source; a state folder keeps the source that it was created with."""

from pathlib import Path

import msgspec

from venue.ledger import VenueLedger
from venue.schedule import Protocol
from venue.sources.base import MarketScript
from venue.sources.mixed import MixedSource
from venue.sources.recorded import RecordedSource
from venue.sources.recording import RecordingSource
from venue.sources.shadow.upstream import UpstreamVenue
from venue.sources.synthetic import DEFAULT_SEED, SyntheticSource

RECORDED, SYNTHETIC, MIXED, SHADOW = "recorded", "synthetic", "mixed", "shadow"
RECORDING = "recording"
NAMES = (RECORDED, SYNTHETIC, MIXED, RECORDING, SHADOW)
SEEDED = (SYNTHETIC, MIXED)
"""Sources with generated markets, external services and a seed."""


class SourceMismatch(ValueError):
    """A state folder has another source: its open markets would change their outcome, or never have one."""


def chosen_source(
    name: str,
    seed: int | None,
    state: Path | None,
    upstream: UpstreamVenue | None = None,
    path: Path | None = None,
) -> MarketScript | UpstreamVenue:
    """The requested source.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    seed : int, optional
        Seed of the generated markets; by default the folder's own, or `DEFAULT_SEED` for a new folder.
    state : Path, optional
        The venue's folder, which stores source, seed, and the kind of mirrored markets.
    upstream : UpstreamVenue, optional
        The upstream of the shadow source.
    path : Path, optional
        The recording of the recording source.

    Raises
    ------
    SourceMismatch
            If the folder was created with another source, seed, asset or timeframe.
        RecordingRefused
        If the recording cannot be replayed.
        VenueLedgerInUse, OSError
        If the folder cannot be used.
    """
    if state is not None:
        ledger = VenueLedger(state)
        try:
            _keep_source(ledger, name)
            if name in SEEDED:
                seed = _kept_seed(ledger, seed)
            if upstream is not None:
                _keep_markets(ledger, upstream)
            if path is not None:
                _keep_text(ledger, "recording", f"--path {path.resolve()}")
        finally:
            ledger.close()
    if upstream is not None:
        return upstream
    if path is not None:
        return RecordingSource(path.resolve())
    if name == RECORDED:
        return RecordedSource()
    return (SyntheticSource if name == SYNTHETIC else MixedSource)(DEFAULT_SEED if seed is None else seed)


def chosen_protocol(name: str, wanted: Protocol | None, state: Path | None) -> Protocol:
    """The protocol of scripted markets: the requested one, the folder's, or the default of the source.

    Raises
    ------
    SourceMismatch
        If the folder was created with another one: its open markets would change their ids.
    """
    default: Protocol = "alternate" if name == SYNTHETIC else "v1"
    if state is None:
        return wanted or default
    ledger = VenueLedger(state)
    try:
        kept = ledger.text("protocol")
        if kept is None and ledger.meta("first_start") is not None:
            # A folder from a version that had only such markets.
            kept = "v1"
        if kept is not None and wanted not in (None, kept):
            raise SourceMismatch(f"it was started with --protocol {kept}")
        chosen = msgspec.convert(kept or wanted or default, Protocol)
        ledger.set_text("protocol", chosen)
        return chosen
    finally:
        ledger.close()


def _keep_source(ledger: VenueLedger, name: str) -> None:
    began = ledger.text("source")
    if began is None and ledger.meta("first_start") is not None:
        # A folder from a version that did not store the source: only generated markets have a seed.
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
    _keep_text(ledger, "markets", f"--asset {upstream.asset} --timeframe {upstream.timeframe}")


def _keep_text(ledger: VenueLedger, name: str, wanted: str) -> None:
    began = ledger.text(name)
    if began not in (None, wanted):
        raise SourceMismatch(f"it was started with {began}")
    ledger.set_text(name, wanted)
