"""Selects a venue's source; a state folder keeps the source that it was created with."""

from pathlib import Path

import msgspec

from venue.ledger import VenueLedger
from venue.schedule import Protocol
from venue.series import DEFAULT_SERIES, Series, SeriesMissing, parse_series, series_text
from venue.sources.base import Script
from venue.sources.mixed import MixedSource
from venue.sources.recorded import RecordedSource
from venue.sources.recording import RecordingSeries, RecordingSource
from venue.sources.shadow.upstream import UpstreamVenue
from venue.sources.synthetic import DEFAULT_SEED, SyntheticSeries, SyntheticSource

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
    series: tuple[Series, ...] = DEFAULT_SERIES,
) -> Script | UpstreamVenue:
    """The requested source.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    seed : int, optional
        Seed of the generated markets; by default the folder's own, or `DEFAULT_SEED` for a new folder.
    state : Path, optional
        The venue's folder, which stores source, seed and series.
    upstream : UpstreamVenue, optional
        The upstream of the shadow source.
    path : Path, optional
        The recording of the recording source.
    series : tuple of Series, optional
        The series of scripted markets. A folder keeps those that it once had, so that their markets have an
        outcome: the source has them first, and then the further ones.

    Raises
    ------
    SourceMismatch
        If the folder was created with another source, seed or recording.
    SeriesMissing
        If the source has no markets of a series.
    RecordingRefused
        If the recording cannot be replayed.
    VenueLedgerInUse, OSError
        If the folder cannot be used.
    """
    _check_series(name, series)
    if state is None:
        return upstream or _scripted(name, seed, path, series)
    ledger = VenueLedger(state)
    try:
        _keep_source(ledger, name)
        if name in SEEDED:
            seed = _kept_seed(ledger, seed)
        if path is not None:
            _keep_text(ledger, "recording", f"--path {path.resolve()}")
        known = _known_series(ledger, series if upstream is None else upstream.series)
        if upstream is None:
            source = _scripted(name, seed, path, known)
        else:
            source = msgspec.structs.replace(upstream, known=known)
        # Not before the source has them all: the folder could not be used afterwards.
        ledger.set_text("series", series_text(known))
    finally:
        ledger.close()
    return source


def _scripted(name: str, seed: int | None, path: Path | None, series: tuple[Series, ...]) -> Script:
    if path is not None:
        path = path.resolve()
        return RecordingSource(path) if series == DEFAULT_SERIES else RecordingSeries(path, series)
    if name == RECORDED:
        return RecordedSource()
    seed = DEFAULT_SEED if seed is None else seed
    if name == MIXED:
        return MixedSource(seed)
    return SyntheticSource(seed) if series == DEFAULT_SERIES else SyntheticSeries(seed, series)


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


def _check_series(name: str, series: tuple[Series, ...]) -> None:
    """Refuse a series that is not among the bundled recordings."""
    if name not in (RECORDED, MIXED):
        return
    missing = next((each for each in series if each not in DEFAULT_SERIES), None)
    if missing is not None:
        raise SeriesMissing(
            f"{missing.name}: the bundled recordings are of {series_text(DEFAULT_SERIES)} only; use "
            f"--source {SYNTHETIC}, or --source {RECORDING} with a recording of it"
        )


def _known_series(ledger: VenueLedger, wanted: tuple[Series, ...]) -> tuple[Series, ...]:
    """The folder's series, and after them the wanted ones that it does not have yet."""
    kept = ledger.text("series")
    mirrored = ledger.text("markets")
    if kept is not None:
        known = parse_series(kept)
    elif mirrored is not None:
        # A folder from a version that mirrored one series: --asset btc --timeframe 15m.
        _, asset, _, timeframe = mirrored.split()
        known = (Series(asset, timeframe),)
    else:
        # A folder from a version that had markets of btc-15m only, if it has any.
        known = DEFAULT_SERIES if ledger.meta("first_start") is not None else ()
    return (*known, *(each for each in wanted if each not in known))


def _keep_text(ledger: VenueLedger, name: str, wanted: str) -> None:
    began = ledger.text(name)
    if began not in (None, wanted):
        raise SourceMismatch(f"it was started with {began}")
    ledger.set_text(name, wanted)
