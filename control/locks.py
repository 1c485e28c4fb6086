"""Locks for one bot per state folder and one per wallet: a second bot refuses to start."""

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_state_path

from errors import Fatal

APPLICATION = "polymarket-btc-15m-bot"
RUNNING = "running"
PATIENCE_S = 0.5
"""Longest wait for a lock that another process holds only to check it."""
LOCK_MODE = 0o600
WITHOUT_HOME = Path("/var/tmp")
"""Parent of the lock folder of a user without a home folder; sticky, and not deleted at a reboot."""


def state_lock(state_dir: Path) -> Path:
    """The file that is locked while a bot runs on this state folder."""
    return state_dir / f"{RUNNING}.lock"


def wallet_lock(address: str) -> Path:
    """The file that is locked while a bot trades with this wallet, with any state folder."""
    return wallet_lock_folder() / f"wallet-{address.lower()}.lock"


def wallet_lock_folder() -> Path:
    """The folder of the wallet locks of this machine's user.

    It depends on the user id alone. Environment variables such as HOME and XDG_STATE_HOME differ between a
    terminal, a service and a cron job, and two bots with different ones would not see each other's lock.
    """
    if os.name != "posix":
        return user_state_path(APPLICATION)
    import pwd  # POSIX only

    user = os.getuid()
    with suppress(KeyError):  # the user database may lack the user id, for example in a container
        home = Path(pwd.getpwuid(user).pw_dir)
        if home.is_dir():
            return home / ".local" / "state" / APPLICATION
    return WITHOUT_HOME / f"{APPLICATION}-{user}"


def hold_state(state_dir: Path) -> AbstractContextManager[None]:
    """Hold the lock of a state folder while the context lasts.

    Raises
    ------
    Fatal
        If another bot holds it; with the folder and the process.
    """
    return _held(
        state_lock(state_dir), f"on the state folder {state_dir}", "name another folder with STATE_DIR"
    )


def hold_wallet(address: str) -> AbstractContextManager[None]:
    """Hold the lock of a wallet while the context lasts.

    Raises
    ------
    Fatal
        If another bot holds it; with the wallet and the process.
    """
    return _held(wallet_lock(address), f"with the wallet {address}", "use another wallet")


def holder(lock_file: Path) -> str | None:
    """The process that holds a lock, as text; None if it is free.

    The file of a killed process is not locked.
    """
    if not lock_file.exists():
        return None
    lock = FileLock(lock_file, mode=LOCK_MODE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return _holder_text(lock_file)
    except OSError as error:
        return f"the lock {lock_file} cannot be used: {error.strerror}"
    lock.release()
    return None


@contextmanager
def _held(lock_file: Path, what: str, way_out: str) -> Iterator[None]:
    owner = lock_file.with_suffix(".pid")
    lock = FileLock(lock_file, mode=LOCK_MODE)
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _require_own(lock_file.parent)
        lock.acquire(timeout=PATIENCE_S)
        owner.write_text(str(os.getpid()))
    except Timeout:
        raise Fatal(
            f"another bot ({_holder_text(lock_file)}) runs {what}", f"Stop it, or {way_out}"
        ) from None
    except OSError as error:
        lock.release()
        raise Fatal(
            f"{lock_file} cannot be locked: {error.strerror}",
            f"Fix the permissions of its folder, or {way_out}",
        ) from None
    try:
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _require_own(folder: Path) -> None:
    """Refuse a folder in a shared location if another user created it and could remove its files."""
    if folder.parent == WITHOUT_HOME and folder.stat().st_uid != os.getuid():
        raise PermissionError(errno.EACCES, "its folder belongs to another user")


def _holder_text(lock_file: Path) -> str:
    try:
        return f"process {int(lock_file.with_suffix('.pid').read_text())}"
    except (OSError, ValueError):
        return "of an unknown process"
