"""Results of the points of a sweep, and the folder in which they are kept."""

import hashlib
import importlib.metadata
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path

import msgspec

from common.atomic_file import write_atomically
from errors import Fatal
from models import Frozen, Outcome

ROOT = Path(__file__).parents[2]
SOURCES = ("*.py", "common/**/*.py", "core/**/*.py", "execution/**/*.py", "research/**/*.py")
"""The files on which the result of a backtest may depend."""
ZERO = Decimal(0)


class Engine(StrEnum):
    """What computed a result."""

    BACKTEST = "backtest"
    SCREEN = "screen"


class MarketSummary(Frozen, frozen=True):
    """What one point did in one market. Money in pUSD.

    Attributes
    ----------
    decisions, last : int, str
        Number of recorded decisions, and the last one's result: `buy`, or the reason of the refusal.
    trace : str
        Digest of all decisions: time, second, outcome, reason, prices.
    side : Outcome or None
        What was bought; None without a fill.
    """

    slug: str
    start: int
    decisions: int = 0
    last: str = ""
    trace: str = ""
    side: Outcome | None = None
    shares: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    pnl: Decimal = ZERO


class PointResult(Frozen, frozen=True):
    """The result of one point, with everything that identifies it."""

    settings: dict[str, str]
    recordings: str
    code: str
    engine: Engine
    markets: tuple[MarketSummary, ...]

    @property
    def key(self) -> str:
        return point_key(self.settings, self.recordings, self.code, self.engine)

    @property
    def series(self) -> list[float]:
        """P&L per market in time order; 0 where nothing was bought."""
        return [float(market.pnl) for market in self.markets]


def point_key(settings: Mapping[str, str], recordings: str, code: str, engine: Engine) -> str:
    """The name of a point's file: a hash of settings, recordings and code version."""
    parts = msgspec.json.encode([sorted(settings.items()), recordings, code, engine])
    return hashlib.sha256(parts).hexdigest()[:32]


@cache
def code_version() -> str:
    """A hash of the source files on which results depend, and of the version of NautilusTrader."""
    digest = hashlib.sha256(importlib.metadata.version("nautilus_trader").encode())
    for path in sorted({path for pattern in SOURCES for path in ROOT.glob(pattern)}):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


class ResultFolder:
    """Keeps one file per point; each is written as a whole or not at all.

    Parameters
    ----------
    folder : Path
        Created with the first result.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: str) -> PointResult | None:
        """The result of a point, if it was computed before."""
        path = self._folder / f"{key}.json"
        return _read(path) if path.is_file() else None

    def store(self, result: PointResult) -> None:
        write_atomically(self._folder / f"{result.key}.json", msgspec.json.encode(result), shared=True)

    def trials(self, recordings: str) -> list[PointResult]:
        """One result for each combination of settings that was ever tried on these recordings."""
        found: dict[tuple[tuple[str, str], ...], PointResult] = {}
        for path in sorted(self._folder.glob("*.json")):
            result = _read(path)
            if result.recordings == recordings:
                found.setdefault(tuple(sorted(result.settings.items())), result)
        return [found[settings] for settings in sorted(found)]


def _read(path: Path) -> PointResult:
    try:
        return msgspec.json.decode(path.read_bytes(), type=PointResult)
    except (OSError, msgspec.MsgspecError) as error:
        raise Fatal(
            f"{path} is not the result of a point: {error}", "Delete it, or choose another --out"
        ) from None
