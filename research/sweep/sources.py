"""The recorded markets of a sweep: those that are selected, in time order, with a hash of their content."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from errors import Fatal
from models import Frozen
from research.recordings import BUNDLED, RecordedMarket, list_markets
from research.recordings.selection import Defects, Selection

MOST_KEPT = 200
"""Markets that a process keeps in memory; more are read again for each point."""


class Source(Frozen, frozen=True):
    """Which markets of which recordings.

    Attributes
    ----------
    path : str
        `bundled`, or a path, which must be the same on every machine.
    defects, era, timeframe
        As in `Selection`.
    """

    path: str
    timeframe: str
    defects: Defects = Defects.REFUSE
    era: str | None = None

    def select(self) -> Selection:
        """The markets, to be read one after another.

        Raises
        ------
        Fatal
            If the recordings cannot be used.
        """
        listed = list_markets(BUNDLED if self.path == "bundled" else Path(self.path))
        return Selection(listed, defects=self.defects, era=self.era, timeframe=self.timeframe)


class Recordings:
    """The selected markets, which may be read again and again.

    Attributes
    ----------
    slugs : tuple of (str, int)
        Slug and start of each market.
    content : str
        A hash of the markets' content, wherever their files are.
    note : str
        The rule era, and which markets were left out.

    Raises
    ------
    Fatal
        If a recording cannot be used, or no market is selected.
    """

    def __init__(self, source: Source) -> None:
        selection, digest = source.select(), hashlib.sha256()
        kept: list[RecordedMarket] = []
        slugs: list[tuple[str, int]] = []
        for recorded in selection:
            slugs.append((recorded.slug, recorded.start))
            digest.update(msgspec.msgpack.encode(msgspec.structs.replace(recorded, source="", defects=())))
            if len(slugs) <= MOST_KEPT:
                kept.append(recorded)
        if not slugs:
            raise Fatal(f"no market of {source.path} is selected", "Choose other recordings or filters")
        self._source = source
        self._kept = kept if len(kept) == len(slugs) else None
        self.slugs = tuple(slugs)
        self.content = digest.hexdigest()[:16]
        self.note = selection.contents.note

    def __iter__(self) -> Iterator[RecordedMarket]:
        return iter(self._kept) if self._kept is not None else iter(self._source.select())
