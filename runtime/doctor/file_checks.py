"""Checks of the files of a run: settings, writable folders, the ledger, an active halt."""

import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from config import ENV_FILE, ROOT, Settings, open_to_others
from control.halt_file import HALT_FILE, HaltFile
from errors import Fatal
from execution.ledger import LedgerReader, ledger_path
from execution.ledger.connection import examine
from monitoring.notifications import check_urls
from runtime.chat.telegram_chat import INSTALL
from runtime.doctor.finding import Finding, fail, ok, warn


def env_file(live: bool, path: Path = ENV_FILE) -> Iterator[Finding]:
    """Check that other users cannot read the file that may hold the keys."""
    if not path.is_file():
        yield ok(".env", "not found: defaults and the environment are used")
    elif not open_to_others(path):
        yield ok(".env", f"{path}, readable by its owner only")
    else:
        finding = fail if live else warn
        yield finding(".env", "readable by other users", f"chmod 600 {path}")


def changed(settings: Settings) -> Iterator[Finding]:
    """The settings that differ from their defaults, without secrets."""
    shown = []
    for name, field in Settings.model_fields.items():
        value, default = getattr(settings, name), field.get_default()
        if name.endswith(("_dir", "_file")):
            default = ROOT / default
        if value != default:
            shown.append(f"{name.upper()}={_shown(value)}")
    yield ok("settings", " ".join(shown) or "all at their defaults")


def _shown(value: object) -> str:
    """A value for display: a secret only as set or not set, an address only by its host."""
    if isinstance(value, SecretStr):
        return "(set)"
    text = str(value)
    return host_of(text) if "://" in text else text


def host_of(url: str) -> str:
    """Scheme, host and port of an address: its path may contain a provider's key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def notifications(settings: Settings) -> Iterator[Finding]:
    """Check the notification addresses and the requirement of the chat; nothing is sent."""
    urls = settings.notify_url.get_secret_value()
    wrong = check_urls(urls)
    if wrong is not None:
        yield fail("notifications", wrong, "See docs/operations.md for examples, or unset NOTIFY_URL")
    elif urls:
        yield ok("notifications", f"{len(urls.split())} of level {settings.notify_level}")
    else:
        yield ok("notifications", "none (NOTIFY_URL)")
    if settings.telegram_chat_id is not None:
        if find_spec("telegram") is None:
            yield warn("chat", "the extra `chat` is not installed: no command is answered", INSTALL)
        else:
            yield ok("chat", f"Telegram chat {settings.telegram_chat_id}")


def folders(settings: Settings) -> Iterator[Finding]:
    """Check that every folder that the bot writes to is writable."""
    wanted = {
        "STATE_DIR": settings.state_dir,
        "LOG_DIR": settings.log_dir,
        "NAUTILUS_LOG_DIR": settings.nautilus_log_dir,
        "PAPER_TRADES_FILE": settings.paper_trades_file.parent,
    }
    refused = [f"{name} {path}: {why}" for name, path in wanted.items() if (why := _refuses(path))]
    if refused:
        yield fail(
            "folders", "; ".join(refused), "Fix its permissions, or set another folder in the settings"
        )
    else:
        yield ok("folders", f"{settings.state_dir} and {settings.log_dir} are writable")


def _refuses(folder: Path) -> str | None:
    """Why a folder is not writable; None if it is."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return error.strerror or str(error)
    return None


def ledger(settings: Settings, profile: str) -> Iterator[Finding]:
    """Check that the profile's ledger is intact and belongs to this version of the program.

    Raises
    ------
    Fatal
        If it cannot be used.
    """
    path = ledger_path(settings.state_dir, profile)
    if not path.exists():
        yield ok("ledger", f"{profile}: new")
        return
    if not examine(path):
        yield ok("ledger", f"{profile}: intact, of an older version; the start migrates it")
        return
    with LedgerReader(path) as reader:
        pending = len(reader.pending_markets())
        yield ok(
            "ledger", f"{profile}: intact, {reader.settled_markets()} markets settled, {pending} to settle"
        )


def halts(settings: Settings, profile: str) -> Iterator[Finding]:
    """Report an active halt. It does not prevent a start: open orders have to be settled."""
    why = HaltFile(settings.state_dir / profile / HALT_FILE).standing()
    if why is None:
        yield ok("halt", f"none for {profile}")
    else:
        yield warn(
            "halt", f"{profile} opens no new position: {why}", "To continue: python redis_control.py resume"
        )


def state_folder(settings: Settings, refused: Fatal | None) -> Iterator[Finding]:
    """Check that no other bot uses the state folder; `refused` is the error of locking it.

    Raises
    ------
    Fatal
        If another bot uses it.
    """
    if refused is not None:
        raise refused
    yield ok("state folder", f"{settings.state_dir}, used by no other bot")
