"""Finds the mode store of a run at its start, and of a running bot from another process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from common.atomic_file import write_atomically
from control.locks import holder, state_lock
from control.mode_file import FileModeStore
from control.mode_store import ConfiguredRedis, Endpoint, Location, ModeStore, RedisModeStore, listens
from errors import ConfigError, Fatal, Temporary
from models import Frozen

WHEREABOUTS = "mode_store.json"
"""File in the state folder while a bot runs: the location of its mode store, for redis_control.py."""


class FoundStore(Frozen, frozen=True):
    """The mode store of a run, and a text for the terminal that describes its location."""

    store: ModeStore
    description: str


def open_store(location: Location, state_dir: Path, configured: ConfiguredRedis | None = None) -> ModeStore:
    """Open the mode store at a location that another process stored, with the login of the settings."""
    if not isinstance(location, Endpoint):
        return FileModeStore(state_dir)
    known = configured is not None and configured.address == location
    return RedisModeStore(configured if known and configured is not None else location)


def choose_store(configured: Endpoint, state_dir: Path) -> FoundStore:
    """The store that a start would use now: the configured Redis if it is reachable, otherwise the file.

    Raises
    ------
    ConfigError
        If it is reachable and refuses: a switch in it would have no effect.
    """
    file = FileModeStore(state_dir)
    if not listens(configured):
        return FoundStore(file, f"{file} (no answer from Redis at {configured})")
    store = RedisModeStore(configured)
    if store.answers():
        return FoundStore(store, str(store))
    if (why := store.refusal()) is not None:
        raise ConfigError(
            f"Redis at {configured} answers and refuses: {why}",
            "Set REDIS_USERNAME, REDIS_PASSWORD and REDIS_TLS, or REDIS_URL; or name another REDIS_PORT to"
            " use the mode file",
        )
    return FoundStore(file, f"{file} (no answer from Redis at {configured})")


@contextmanager
def find_store(configured: Endpoint, state_dir: Path) -> Iterator[FoundStore]:
    """Choose the mode store of a run; it stays the same until the end of the run.

    In the meantime the state folder contains its location, so that an operator's switch reaches the store of
    this bot, and not only the one that the settings name at that time.

    Raises
    ------
    Fatal
        If the state folder cannot be written, or the configured Redis refuses.
    """
    found = choose_store(configured, state_dir)
    if isinstance(found.store, FileModeStore):
        found.store.prepare()
    file = state_dir / WHEREABOUTS
    try:
        write_atomically(file, msgspec.json.encode(found.store.location), private=True)
    except Temporary as error:
        raise Fatal(
            str(error), "Fix the permissions of the folder, or set STATE_DIR to another one"
        ) from None
    try:
        yield found
    finally:
        file.unlink(missing_ok=True)


def running_store(state_dir: Path, configured: Endpoint | None = None) -> ModeStore | None:
    """The store of the bot that runs on this state folder; None if none runs, or it has none yet."""
    if holder(state_lock(state_dir)) is None:
        return None  # a killed bot leaves its location behind; another process may use that port now
    try:
        location = msgspec.json.decode((state_dir / WHEREABOUTS).read_bytes(), type=Location)
    except (OSError, msgspec.DecodeError):
        return None
    return open_store(location, state_dir, configured if isinstance(configured, ConfiguredRedis) else None)
