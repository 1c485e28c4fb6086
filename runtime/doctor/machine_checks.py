"""Checks of Python, the libraries and their patches, the disk, the port, and whether arming is possible."""

import platform
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import patches
from common.library_check import require_version
from config import ROOT, Settings
from execution.order_clients.port import CLOB_CLIENT_V2, POLYMARKET_CLIENT
from patches.library import VERSIONS
from runtime.doctor.finding import Finding, fail, ok, warn

OLDEST, NEWEST = (3, 12), (3, 14)
LOCK = ROOT / "requirements.lock"
LITTLE_BYTES = 1_000_000_000
"""Below this the space for ledger and logs lasts for some weeks only."""
NO_BYTES = 100_000_000
"""Below this one day's ledger and logs may not fit, and a full disk halts trading."""


def python_check() -> Iterator[Finding]:
    """Check the interpreter's version."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        yield ok("Python", found)
    else:
        yield fail("Python", f"{found}, not 3.12 to 3.14", "Remove .venv and start with ./bot run")


def libraries_check(lock: Path = LOCK) -> Iterator[Finding]:
    """Check that every installed library has a locked version; the lock may have one for each Python."""
    other: list[str] = []
    locked: dict[str, list[str]] = {}
    for name, wanted in re.findall(
        r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE
    ):
        locked.setdefault(name, []).append(wanted)
    for name, versions in locked.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            continue  # for another platform, or missing: then importing it has failed long before
        if found not in versions:
            other.append(f"{name} {found} instead of {' or '.join(versions)}")
    both = ", ".join(f"{name} {found}" for name, found in VERSIONS.items())
    if not other:
        yield ok("libraries", f"{both}, and all others as in {lock.name}")
    else:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        yield warn(
            "libraries",
            ", ".join(other[:3]) + more,
            "Start with ./bot run, which installs the locked versions",
        )


def patches_check() -> Iterator[Finding]:
    """Check that the adapter has the version that the patches were written for.

    Raises
    ------
    Fatal
        If it has another version.
    """
    patches.verify()
    yield ok("patches", "the installed Polymarket adapter is the version the patches are for")


def order_client_check(settings: Settings) -> Iterator[Finding]:
    """Check the library that signs and sends orders, if it is not the adapter's own.

    Raises
    ------
    Fatal
        If it is missing, or of another version than this bot was written for.
    """
    if settings.order_client == CLOB_CLIENT_V2:
        return
    require_version(*POLYMARKET_CLIENT)
    from execution.order_clients.polymarket_sdk import verify_sdk  # of an optional extra

    verify_sdk()
    name, number = POLYMARKET_CLIENT
    yield ok("order client", f"{name} {number} signs and sends the orders, with practice money only")


def disk_check(folder: Path) -> Iterator[Finding]:
    """Check the free space for ledger and logs."""
    free = shutil.disk_usage(_existing(folder)).free
    text, todo = f"{free / 1e9:.1f} GB free for {folder}", "Free some space: a full disk halts trading"
    if free < NO_BYTES:
        yield fail("disk", text, todo)
    else:
        yield ok("disk", text) if free >= LITTLE_BYTES else warn("disk", text, todo)


def port_check(settings: Settings, wanted: bool) -> Iterator[Finding]:
    """Check that the metrics port is free."""
    where = f"{settings.grafana_host}:{settings.grafana_port or 'any port'}"
    if not wanted:
        yield ok("metrics", "off (--no-grafana)")
        return
    try:
        with socket.create_server((settings.grafana_host, settings.grafana_port)):
            pass
    except OSError as error:
        todo = "Set GRAFANA_PORT to a free port, or start with --no-grafana"
        yield warn("metrics", f"cannot listen on {where}: {error.strerror}", todo)
    else:
        yield ok("metrics", f"{where} is free")


def arming_check(settings: Settings, interactive: bool) -> Iterator[Finding]:
    """Check that live trading can be armed: by a person at a terminal, or by the setting."""
    if settings.live_trading_confirm == "yes":
        yield ok("arming", "LIVE_TRADING_CONFIRM=yes: no confirmation at the start")
    elif interactive:
        yield ok("arming", "manual: LIVE has to be typed at the start")
    else:
        yield warn(
            "arming",
            "there is no terminal to type LIVE in",
            "Start it in a terminal, or set LIVE_TRADING_CONFIRM=yes",
        )


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
