"""Recorded markets, from every supported format: see docs/research.md."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from research.recording_file import FILE_NAME, RecordingError
from research.recordings import bundled, frames, json_lines, nautilus_catalog, quote_table
from research.recordings.bundled import BUNDLED, BundledMarket
from research.recordings.frames import FramesMarket
from research.recordings.json_lines import JsonLinesMarket
from research.recordings.market import RecordedMarket, RuleEra, Snapshot
from research.recordings.nautilus_catalog import CatalogMarket
from research.recordings.quote_table import TableMarket

__all__ = [
    "BUNDLED",
    "ListedMarket",
    "RecordedMarket",
    "RuleEra",
    "Snapshot",
    "list_markets",
    "load",
    "read_markets",
]

ListedMarket = BundledMarket | CatalogMarket | FramesMarket | JsonLinesMarket | TableMarket
"""A market that has not been read yet: small, and can be sent to another process."""


def list_markets(path: Path) -> Sequence[ListedMarket]:
    """The markets of a recording by their start; the format is recognised by the names of the files.

    Raises
    ------
    RecordingError
        If there is no recording of a known format, or it has no market.
    """
    found = _listed(path)
    if not found:
        raise RecordingError(path, None, "it has no up/down market", "See docs/research.md for the formats")
    return found


def _listed(path: Path) -> Sequence[ListedMarket]:
    if (path / "catalog.json").is_file():
        return bundled.list_markets(path)
    names = [path.name] if path.is_file() else [file.name for file in path.iterdir()] if path.is_dir() else []
    if any(FILE_NAME.fullmatch(name) for name in names):
        return frames.list_markets(path)
    if any(json_lines.NAME.fullmatch(name) and name not in json_lines.FILES for name in names):
        return json_lines.list_markets(path)
    if path.is_dir() and (path / "data").is_dir():
        return nautilus_catalog.list_markets(path)
    if any(name.endswith(quote_table.FORMATS) for name in names):
        return quote_table.list_markets(path)
    raise RecordingError(
        path, None, "there is no recording of a known format", "See docs/research.md for the formats"
    )


def read_markets(
    listed: Sequence[ListedMarket], on_bad: Callable[[str, RecordingError], None] | None = None
) -> Iterator[RecordedMarket]:
    """Read markets one after another, so that one at a time is in memory.

    Parameters
    ----------
    on_bad : Callable[[str, RecordingError], None], optional
        Called with the slug of a market that cannot be used, and the error, which is raised otherwise.
    """
    own = [market for market in listed if isinstance(market, FramesMarket)]
    if own:
        yield from frames.read_markets(own, on_bad)
        return
    for market in listed:
        try:
            found = market.read()
        except RecordingError as error:
            if on_bad is None:
                raise
            on_bad(market.slug, error)
        else:
            yield found


def load(path: Path = BUNDLED) -> Iterator[RecordedMarket]:
    """Read the markets of a recording one after another, by their start.

    Raises
    ------
    RecordingError
        With file and row, if it cannot be used.
    """
    return read_markets(list_markets(path))
