"""Runs the bot as a user does: the runner as a process, its screen read line by line."""

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Self

from control.locks import wallet_lock

ROOT = Path(__file__).resolve().parent.parent
BUYS = {
    "REQUIRE_SIGNAL_AGREEMENT": "false",
    "FUSION_MIN_SCORE": "0",
    "FUSION_MIN_WEIGHT": "0",
    "MAX_SLIPPAGE": "0.20",
    # OrderBookImbalance then votes on every book; where no source votes, the market is not bought.
    "ORDERBOOK_IMBALANCE_THRESHOLD": "0.000001",
}
"""Settings under which a favourite is bought whatever the signals are at the tick that is decided on."""
FORKED = "bot-"
"""Begins the name of a process that was forked instead of executed, so that its command line is another's."""


def shifted_clock(ahead: str) -> dict[str, str]:
    """The environment of a process whose clock is ahead.

    The library is preloaded directly, because the program `faketime` passes no signal on to its child. The
    program fails if an ended process of the same id has left its shared memory, so it is run again.
    """
    for _ in range(5):
        ran = subprocess.run(["faketime", "-f", ahead, "env"], capture_output=True, text=True, check=False)
        if ran.returncode == 0:
            break
    assert ran.returncode == 0, ran.stderr
    found = dict(line.partition("=")[::2] for line in ran.stdout.splitlines())
    return {name: found[name] for name in ("FAKETIME", "LD_PRELOAD")}


def children_of(pid: int) -> list[int]:
    """Process ids of the children of a process; none if it has ended."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += [int(child) for child in children.read_text().split()]
    return found


class SettableClock:
    """The clock of all processes that are started with `environment`; it runs, and can be set.

    Monotonic clocks are the machine's own, as when an operator or NTP sets the time.

    Parameters
    ----------
    file : Path
        Has the difference to the machine's clock.
    begin : datetime
        The time that it shows now.
    """

    def __init__(self, file: Path, begin: datetime) -> None:
        self._file = file
        self._ahead_s = begin.timestamp() - time.time()
        self.set(0)

    @property
    def environment(self) -> dict[str, str]:
        library = Path(shifted_clock("+0")["LD_PRELOAD"]).with_name("libfaketimeMT.so.1")
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": str(ROOT / "tests" / "set_clock"),
        }

    def set(self, seconds: float) -> None:
        """Set the clock forward or, with a negative number, back."""
        self._ahead_s += seconds
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{self._ahead_s:+.3f}\n")
        os.replace(fresh, self._file)


class BotProcess:
    """A running `python runner.py`, with files of its own in `folder`.

    Parameters
    ----------
    folder : Path
        Folder for state, logs and exports.
    arguments : tuple of str
        Command-line arguments.
    settings : dict, optional
        Additional environment variables.
    root : Path
        The checkout to run.
    stdin : int
        Standard input of the bot.
    clock : str, optional
        How far the bot's clock is ahead, in the format of `faketime -f`.
    wrapper : tuple of str
        A program and its arguments that replaces itself by the bot.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        settings: dict[str, str] | None = None,
        root: Path = ROOT,
        stdin: int = subprocess.DEVNULL,
        clock: str | None = None,
        wrapper: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            # A start takes a second of CPU more if every module is compiled again.
            "PYTHONDONTWRITEBYTECODE": "",
            "STATE_DIR": str(folder / "state"),
            "PAPER_TRADES_FILE": str(folder / "paper_trades.json"),
            "LOG_DIR": str(folder / "logs"),
            "NAUTILUS_LOG_DIR": str(folder / "logs" / "nautilus"),
            "COLUMNS": "200",
            **({} if clock is None else shifted_clock(clock)),
            **(settings or {}),
        }
        self.output = ""
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, str(root / "runner.py"), *arguments],
            cwd=folder,
            env=environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def wait_for(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """Read the screen until a pattern is on it."""
        deadline = time.monotonic() + seconds
        while (found := re.search(pattern, self.output, re.MULTILINE)) is None:
            if not self._read(deadline):
                raise AssertionError(f"{pattern!r} did not appear on the screen:\n{self.output}")
        return found

    def until[T](self, holds: Callable[[], T], what: str, seconds: float, pause: float = 0.1) -> T:
        """Read the screen until a condition holds; returns its value.

        Raises
        ------
        AssertionError
            If it does not hold in time, or the bot ends before.
        """
        deadline = time.monotonic() + seconds
        while not (found := holds()):
            assert self.process.poll() is None, f"the bot ended, waiting for {what}\n{self.output}"
            assert time.monotonic() < deadline, f"{what}: not in {seconds:g} s\n{self.output}"
            self._read(time.monotonic() + pause)
        return found

    def wait(self, seconds: float = 60) -> int:
        """Read the screen until the process has ended; returns its exit code."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def read_for(self, seconds: float) -> None:
        """Read what is on the screen, and wait for more."""
        deadline = time.monotonic() + seconds
        while self._read(deadline) and time.monotonic() < deadline:
            pass

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> float:
        """Send Ctrl-C; returns the seconds until the process ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.wait(30)
        return time.monotonic() - began

    def children(self) -> dict[str, int]:
        """Process ids of the worker and the practice venue, by the last part of the module's name."""
        found = {}
        for pid in children_of(self.process.pid):
            try:
                own = Path(f"/proc/{pid}/comm").read_text().strip()
                arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if own.startswith(FORKED):
                found[own.removeprefix(FORKED)] = pid
            elif "-m" in arguments:
                found[arguments[arguments.index("-m") + 1].rpartition(".")[2]] = pid
        return found

    def _read(self, deadline: float) -> bool:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return False
        chunk = os.read(self.process.stdout.fileno(), 65536)
        self.output += chunk.decode(errors="replace")
        return bool(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object = None, *_: object) -> None:
        if error is not None:
            print(self.output)  # a failed test is shown with the screen of its bot
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        # Wallet locks are in the user's own folder; a practice wallet is not used again.
        for wallet in re.findall(r"^wallet +(0x\w{40}) with .* of practice money", self.output, re.MULTILINE):
            wallet_lock(wallet).unlink(missing_ok=True)
