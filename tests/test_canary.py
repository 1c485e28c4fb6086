"""The keys in `.env` are in nothing that the bot writes, prints or serves, however a run ends."""

import base64
import os
import re
import secrets
import shutil
import signal
import socket
import sqlite3
import sys
import time
import zlib
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest
from bot_process import BUYS, ROOT, BotProcess

sys.path += [str(Path(__file__).parent / "venue")]

from hastened import settings_of
from process import VenueProcess
from process_access import UNPRIVILEGED, is_readable

from config import Settings
from execution.polymarket_client import PolymarketClient

REHEARSAL = ("--test-mode", "--live", "--venue", "synthetic", "--first", "6", "--markets", "1")
API_KEY = ("POLYMARKET_API_KEY", "POLYMARKET_API_SECRET", "POLYMARKET_PASSPHRASE")
NOWHERE = {
    name.upper(): f"{'ws' if field.default.startswith('ws') else 'http'}://127.0.0.1:9"
    for name, field in Settings.model_fields.items()
    if name.endswith("_url") and isinstance(field.default, str)
}
"""Every address that the bot uses, closed."""
SERVED = ("", "page.js", "status.json", "plots.json", "metrics", "health")
PIECE = 24
"""Characters of a key that already count as the key: a truncated or masked copy is a leak too."""


def made() -> dict[str, str]:
    """New keys, by setting."""
    return {
        "POLYMARKET_PK": "0x" + secrets.token_hex(32),
        "POLYMARKET_API_KEY": secrets.token_hex(16),
        "POLYMARKET_API_SECRET": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "POLYMARKET_PASSPHRASE": secrets.token_hex(32),
        "CRYPTOPANIC_API_KEY": secrets.token_hex(20),
        "RELAYER_API_KEY": secrets.token_hex(20),
        "NOTIFY_URL": f"json://127.0.0.1:9/{secrets.token_hex(16)}",
    }


def needles(keys: dict[str, str]) -> dict[str, bytes]:
    """Every form of every key, in lower case."""
    found = {}
    for name, value in keys.items():
        bare = value.rpartition("/")[2].removeprefix("0x")
        found[f"{name} begin"] = bare[:PIECE].encode()
        found[f"{name} end"] = bare.rstrip("=")[-PIECE:].encode()
        found[f"{name} base64 of text"] = base64.b64encode(bare[:PIECE].encode()).rstrip(b"=")
    raw = bytes.fromhex(keys["POLYMARKET_PK"][2:])
    found["POLYMARKET_PK bytes"] = raw
    found["POLYMARKET_PK base64"] = base64.b64encode(raw)[:PIECE]
    found["POLYMARKET_PK base64 of a URL"] = base64.urlsafe_b64encode(raw)[:PIECE]
    found["POLYMARKET_PK number"] = str(int.from_bytes(raw)).encode()[:PIECE]
    found["POLYMARKET_API_SECRET bytes"] = base64.urlsafe_b64decode(keys["POLYMARKET_API_SECRET"])
    return {name: needle.lower() for name, needle in found.items()}


def leaks(keys: dict[str, str], places: dict[str, bytes]) -> list[tuple[str, str]]:
    """(place, form of key) of each finding."""
    forms = needles(keys)
    return [
        (place, name)
        for place, content in places.items()
        for name, needle in forms.items()
        if needle in content.lower()
    ]


def unpacked(path: Path) -> bytes:
    """The content of compressed columns of a SQLite file; nothing for other files."""
    if not path.read_bytes().startswith(b"SQLite format 3"):
        return b""
    found = []
    with closing(sqlite3.connect(path)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    if isinstance(value, bytes):
                        try:
                            found.append(zlib.decompress(value))
                        except zlib.error:
                            continue
    return b"\n".join(found)


def written(folder: Path) -> dict[str, bytes]:
    """The content of every file below a folder, unchanged and unpacked, except `.env` and the
    installation."""
    found = {}
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".venv"]
        for path in (Path(top, name) for name in names):
            if path.is_file() and path != folder / "checkout" / ".env":
                found[str(path.relative_to(folder))] = path.read_bytes()
    for name in list(found):
        if inside := unpacked(folder / name):
            found[f"{name} (unpacked)"] = inside
    return found


def checkout(folder: Path, keys: dict[str, str]) -> Path:
    """A copy of the bot with a `.env` of its own."""
    own = folder / "checkout"
    shutil.copytree(
        ROOT,
        own,
        ignore=shutil.ignore_patterns(
            ".venv", ".uv", ".git", ".env", "state", "logs", "tests", "__pycache__", ".*_cache", ".hypothesis"
        ),
    )
    (own / ".venv").symlink_to(ROOT / ".venv")
    secret = own / ".env"
    secret.touch(mode=0o600)
    given = {**keys, "RELAYER_API_KEY_ADDRESS": "0x" + "ab" * 20}
    secret.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    return own


def sabotaged(root: Path, file: str, line: str, error: str) -> None:
    """Let a copied checkout raise, before one of its lines, an error that contains its keys."""
    path = root / file
    before = path.read_text()
    assert before.count(line) == 1, line
    indent = line[: len(line) - len(line.lstrip())]
    path.write_text(before.replace(line, f"{indent}raise RuntimeError({error})\n{line}"))


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def served(port: str) -> bytes:
    """The pages that the bot serves, once it does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            answers = [httpx.get(f"http://127.0.0.1:{port}/{path}", trust_env=False) for path in SERVED]
            return b"\n".join(answer.content for answer in answers)
    raise AssertionError("nothing was served")


def temporary_files(folder: Path) -> dict[str, str]:
    """Settings that put the temporary files of all processes where they are searched, too."""
    (folder / "tmp").mkdir()
    return {"TMPDIR": str(folder / "tmp")}


def command_lines(bot: BotProcess) -> bytes:
    """What `ps` shows of all processes of a bot."""
    pids = (bot.process.pid, *bot.children().values())
    return b"\n".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids)


@pytest.fixture
def keys() -> dict[str, str]:
    return made()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_key_leaves_the_env_file_in_a_run(keys, tmp_path):
    """A rehearsal with a killed worker, checked by the doctor: no key in any file, screen or metric."""
    root, port = checkout(tmp_path, keys), free_port()
    settings = {**BUYS, "LIVE_TRADING_CONFIRM": "yes", "NOTIFY_LEVEL": "all", "GRAFANA_PORT": port}
    settings |= temporary_files(tmp_path)
    seen = {}
    with BotProcess(tmp_path / "checkout", *REHEARSAL, settings=settings, root=root) as bot:
        url = bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)", 60)[1]
        bot.wait_for("filled", 100)
        seen |= {"metrics": served(port), "ps": command_lines(bot)}
        os.kill(bot.children()["worker"], signal.SIGKILL)
        bot.wait_for("starting it again")
        # The doctor of real orders signs with the key: against the practice venue, in Polymarket's place.
        there = NOWHERE | dict.fromkeys(("CLOB_URL", "GAMMA_URL", "DATA_API_URL", "RELAYER_URL"), url)
        there |= {"GEOBLOCK_URL": f"{url}/api/geoblock"}
        there |= {"WS_URL": url.replace("http", "ws") + "/ws/", "STATE_DIR": str(tmp_path / "looked")}
        with BotProcess(
            tmp_path / "checkout", "--doctor", "--live", settings={**settings, **there}, root=root
        ) as doctor:
            assert doctor.wait(60) in (0, 1), doctor.output
        assert bot.wait(100) == 0, bot.output
    seen |= {"screen": bot.output.encode(), "doctor": doctor.output.encode()}
    assert b"# HELP trading_" in seen["metrics"]
    assert "to derive them" in doctor.output  # it sent the made up API key, and was refused
    assert leaks(keys, {**written(tmp_path), **seen}) == []


@pytest.mark.slow
@pytest.mark.parametrize("crash", ["malformed key", "setting out of range", "damaged ledger", "no network"])
def test_no_key_leaves_the_env_file_in_a_crash(crash, keys, tmp_path):
    """Whatever ends the run early, the message names the cause and never shows a key."""
    settings = {"LIVE_TRADING_CONFIRM": "yes", "GRAFANA_PORT": "0"}
    arguments = REHEARSAL
    if crash == "malformed key":
        keys["POLYMARKET_PK"] += "1"
        arguments = ("--live", "--doctor")
        settings |= NOWHERE
    elif crash == "setting out of range":
        settings["TREND_UP_THRESHOLD"] = "7"
    elif crash == "damaged ledger":
        damaged = tmp_path / "checkout" / "state" / "rehearsal-synthetic" / "ledger.sqlite"
    else:
        arguments = ()
        settings |= NOWHERE
    root = checkout(tmp_path, keys)
    if crash == "damaged ledger":
        damaged.parent.mkdir(parents=True)
        damaged.write_bytes(b"not a database" * 1000)
    with BotProcess(root, *arguments, settings=settings, root=root) as bot:
        assert bot.wait(60) in (1, 2), bot.output
    if crash == "malformed key":
        keys["POLYMARKET_PK"] = keys["POLYMARKET_PK"][:-1]
        assert "POLYMARKET_PK" in bot.output
    assert leaks(keys, {**written(tmp_path), "screen": bot.output.encode()}) == []


@pytest.fixture
def polymarket():
    """A practice venue in Polymarket's place, at its speed."""
    with VenueProcess.start("--source", "synthetic", "--real-time") as venue:
        yield venue


def live(polymarket: VenueProcess, port: str) -> dict[str, str]:
    """Settings of a run with real orders there, armed and with all logging."""
    return {
        **NOWHERE,
        **settings_of(polymarket),
        "LIVE_TRADING_CONFIRM": "yes",
        "NAUTILUS_LOG_LEVEL": "DEBUG",
        "NOTIFY_LEVEL": "all",
        "GRAFANA_PORT": port,
    }


def used(keys: dict[str, str], polymarket: VenueProcess) -> dict[str, str]:
    """The keys in `.env` and those that were derived from them."""
    derived = PolymarketClient(polymarket.url, keys["POLYMARKET_PK"]).credentials()
    return keys | {
        "POLYMARKET_API_SECRET": derived.api_secret,
        "POLYMARKET_PASSPHRASE": derived.api_passphrase,
    }


def without_api_key(keys: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in keys.items() if name not in API_KEY}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_key_leaves_the_env_file_with_real_orders(keys, polymarket, tmp_path):
    """The live profile signs with the key, has a task that fails, is killed and restarted: no key
    anywhere."""
    keys = without_api_key(keys)
    root, port = checkout(tmp_path, keys), free_port()
    sabotaged(
        root,
        "runtime/worker/worker.py",
        "            self._parts.observers.heartbeat(self._parts.status.status(self._outcomes))\n",
        "self._parts, self._parts.settings, self._parts.plan, self._parts.account",
    )
    settings = live(polymarket, port) | temporary_files(tmp_path)
    with BotProcess(root, "--live", settings=settings, root=root, wrapper=UNPRIVILEGED) as bot:
        bot.wait_for(r"LIVE \(real orders, real money\)", 60)
        bot.wait_for("internal error", 60)
        seen = {"metrics": served(port), "ps": command_lines(bot)}
        worker = bot.children()["worker"]
        # Another kind of crash would leave a memory dump, and other programs could read the keys.
        for pid in (worker, bot.process.pid):
            assert re.search(r"Max core file size +0 +0 ", Path(f"/proc/{pid}/limits").read_text())
            assert not is_readable(f"/proc/{pid}/environ")
        os.kill(worker, signal.SIGKILL)
        bot.wait_for("starting it again")
        seen["metrics again"] = served(port)
        assert bot.interrupt() < 5
    assert b"RuntimeError" in (root / "logs" / "bot.log").read_bytes()
    seen["screen"] = bot.output.encode()
    assert any("user" in row["path"] for row in polymarket.get("/practice/log")), (
        "no stream was opened with a key"
    )
    assert leaks(used(keys, polymarket), {**written(tmp_path), **seen}) == []


@pytest.mark.slow
def test_no_key_leaves_the_env_file_in_a_traceback(keys, polymarket, tmp_path):
    """A worker that crashes with the keys in its variables prints the location, and not them."""
    keys = without_api_key(keys)
    root = checkout(tmp_path, keys)
    sabotaged(
        root,
        "patches/client_factories.py",
        "    return PromptClobClient(\n",
        "wallet, {'wallet': wallet}",
    )
    with BotProcess(root, "--live", settings=live(polymarket, "0"), root=root) as bot:
        bot.wait_for("starting it again", 60)
        bot.interrupt()
    assert "Traceback" in bot.output
    assert "RuntimeError" in bot.output
    assert leaks(used(keys, polymarket), {**written(tmp_path), "screen": bot.output.encode()}) == []


def test_a_key_in_any_form_is_found(keys, tmp_path):
    """The search itself finds a key in a log, as bytes, in capitals and in a compressed column."""
    raw = bytes.fromhex(keys["POLYMARKET_PK"][2:])
    (tmp_path / "log").write_text(f"request failed: {keys['NOTIFY_URL']}")
    (tmp_path / "bytes").write_bytes(b"\0" + raw + b"\0")
    (tmp_path / "capitals").write_text(keys["POLYMARKET_PK"].upper())
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database:
        database.execute("CREATE TABLE evidence (packed BLOB)")
        database.execute("INSERT INTO evidence VALUES (?)", (zlib.compress(base64.b64encode(raw)),))
        database.commit()
    places = {place for place, _ in leaks(keys, written(tmp_path))}
    assert places == {"log", "bytes", "capitals", "ledger.sqlite (unpacked)"}
