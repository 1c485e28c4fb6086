"""The data of a feed that persist across processes: the spot path in a file, the strikes in the ledger."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import msgspec

from common.atomic_file import write_atomically
from core.ingestion.adapters.strikes import KnownStrike
from models import Frozen

type Points = Sequence[tuple[float, Decimal]]
"""(second of market time, price in USD), oldest first."""


def _ignore(known: KnownStrike) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class FeedMemory:
    """The data of an earlier process, and the destination of this one's.

    Attributes
    ----------
    path_file : SpotPathFile or None
        None: the spot path is not stored.
    strikes : sequence of KnownStrike
        Strikes of an earlier process.
    on_strike : Callable[[KnownStrike], None]
        Receives each strike when it becomes known; called on the adapter's event loop, has to return at once.
    """

    path_file: "SpotPathFile | None" = None
    strikes: Sequence[KnownStrike] = ()
    on_strike: Callable[[KnownStrike], None] = _ignore


class _Stored(Frozen, frozen=True):
    world: str
    points: list[tuple[float, Decimal]]


@dataclass(frozen=True)
class SpotPathFile:
    """A file with the spot path, readable by its owner only.

    Parameters
    ----------
    path : Path
    world : str
        Names the prices: a file of another asset, or of another practice account, is not used.
    """

    path: Path
    world: str
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def load(self, since_s: float, until_s: float) -> Points:
        """The points between two market times in seconds; none if there is no usable file. Blocking."""
        try:
            stored = msgspec.json.decode(self.path.read_bytes(), type=_Stored)
        except (OSError, msgspec.MsgspecError):
            return ()
        if stored.world != self.world:
            return ()
        usable = (at for at in stored.points if since_s <= at[0] <= until_s and at[1] > 0)
        return sorted(usable)

    def save(self, points: Points) -> None:
        """Replace the file's points. Blocking.

        Raises
        ------
        Temporary
            If it cannot be written; the earlier content remains.
        """
        content = msgspec.json.encode(_Stored(world=self.world, points=list(points)))
        with self._lock:
            write_atomically(self.path, content, private=True)
