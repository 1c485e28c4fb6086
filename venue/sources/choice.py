"""Which source a venue runs on; a state folder stays with the source, and the seed, that it began with."""

from pathlib import Path

from venue.ledger import Ledger
from venue.sources.base import Source
from venue.sources.recorded import RecordedSource
from venue.sources.synthetic import DEFAULT_SEED, SyntheticSource

RECORDED, SYNTHETIC = "recorded", "synthetic"
NAMES = (RECORDED, SYNTHETIC)


class Mismatch(ValueError):
    """A state folder was begun with another source or seed: its open markets would change their outcome."""


def chosen_source(name: str, seed: int | None, state: Path | None) -> Source:
    """The source that was asked for.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    seed : int, optional
        Of synthetic markets; by default the folder's own, or `DEFAULT_SEED` for a new one.
    state : Path, optional
        The venue's folder, which remembers the seed.

    Raises
    ------
    Mismatch
        If the folder was begun with another source or seed.
    ledger.InUse, OSError
        If the folder cannot be used.
    """
    if state is not None:
        ledger = Ledger(state)
        try:
            seed = _kept(ledger, name, seed)
        finally:
            ledger.close()
    if name == RECORDED:
        return RecordedSource()
    return SyntheticSource(DEFAULT_SEED if seed is None else seed)


def _kept(ledger: Ledger, name: str, seed: int | None) -> int | None:
    kept = ledger.meta("seed")
    if ledger.meta("first_start") is not None and (kept is None) is not (name == RECORDED):
        began = RECORDED if kept is None else SYNTHETIC
        raise Mismatch(f"it was begun with --source {began}")
    if name == RECORDED:
        return None
    if kept is None:
        kept = DEFAULT_SEED if seed is None else seed
        ledger.set_meta("seed", kept)
    if seed not in (None, kept):
        raise Mismatch(f"it was begun with --seed {kept}")
    return kept
