"""A new user's path: clone, run, status page, results, backtest, settings, rehearsal of live trading.

`python tests/new_user.py [FOLDER]` clones this checkout's last commit into FOLDER, by default a temporary
one, and runs the commands of docs/first-hour.md there, as they are written. It prints one line per stage; the
exit code is 1 if a stage fails or all of them take more than ten minutes. The clone uses the environment of
this checkout instead of installing its own.
"""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 600.0
"""Seconds of the whole path on two cores."""
STAGE_S = 240.0
"""Seconds after which a stage has failed."""
PORT = int(os.environ.get("GRAFANA_PORT", "8000"))
RUN = "python runner.py --test-mode --markets 2"
ENDLESS = "python runner.py --test-mode"
WATCH = "python view_paper_trades.py --watch"
RESULTS = (
    "python view_paper_trades.py",
    "python view_paper_trades.py --details",
    "python view_paper_trades.py --html report.html",
    "python view_paper_trades.py --replay",
)
BACKTEST = "python -m research.backtest --recordings bundled --html research.html"
SHOW_CONFIG = "python runner.py --show-config"
REHEARSAL = "python runner.py --test-mode --live --venue synthetic --markets 1"
REHEARSED = "python view_paper_trades.py --venue rehearsal-synthetic"
COMMANDS = (RUN, ENDLESS, WATCH, *RESULTS, BACKTEST, SHOW_CONFIG, REHEARSAL, REHEARSED)
"""In the order of docs/first-hour.md."""


class Failed(Exception):
    """A stage did not show what the guide describes."""


def share_environment(clone: Path) -> None:
    """Give the clone this environment as its own, so that `./bot` installs nothing."""
    venv = clone / ".venv"
    venv.mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != ".synced":
            (venv / part.name).symlink_to(part)
    lock = subprocess.run(
        ["cksum", "requirements.lock"], cwd=clone, capture_output=True, text=True, check=True
    )
    (venv / ".synced").write_text(lock.stdout)


def environment(clone: Path) -> dict[str, str]:
    """The variables of a user's shell in the clone: `python` is the interpreter of its environment."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**kept, "PATH": f"{clone / '.venv' / 'bin'}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}


def run(clone: Path, command: str, *patterns: str, typed: str = "", code: int = 0) -> str:
    """Run a command of the guide; returns what it prints.

    Raises
    ------
    Failed
        If its exit code is another one, or a pattern is not in what it prints.
    """
    master, slave = pty.openpty()  # a terminal: without one live trading cannot be armed
    try:
        os.write(master, typed.encode())
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=clone,
            env=environment(clone),
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=STAGE_S,
            check=False,
        )
    finally:
        os.close(slave)
        os.close(master)
    missing = [pattern for pattern in patterns if not re.search(pattern, done.stdout, re.MULTILINE)]
    if done.returncode != code or missing:
        raise Failed(f"{command}: exit code {done.returncode}, missing {missing}\n{done.stdout}")
    return done.stdout


def clone_into(folder: Path) -> Path:
    """Clone the last commit of this checkout."""
    clone = folder / "bot"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True, timeout=STAGE_S)
    share_environment(clone)
    return clone


def see_the_page(clone: Path) -> None:
    """Start a bot without a limit, open its page, follow it, and stop it with Ctrl-C."""
    bot = subprocess.Popen(
        ENDLESS.split(),
        cwd=clone,
        env=environment(clone),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # A process in the background of a shell ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + STAGE_S
        page = b""
        while b"<title>" not in page:
            if bot.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"no page at port {PORT}; the bot's exit code is {bot.poll()}")
            time.sleep(0.2)
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=5) as answer:
                page = answer.read()
        run(clone, WATCH, "bot|market")
        began = time.monotonic()
        bot.send_signal(signal.SIGINT)
        if bot.wait(STAGE_S) != 0 or time.monotonic() - began > 5:
            raise Failed(f"Ctrl-C: exit code {bot.returncode} after {time.monotonic() - began:.1f} s")
    finally:
        if bot.poll() is None:
            bot.terminate()
            bot.wait(STAGE_S)


def see_the_results(clone: Path) -> None:
    """The results as text and as a page of one file."""
    text, details, _, replay = (run(clone, command) for command in RESULTS)
    if "Conclusion" not in text or len(details) <= len(text) or "identical" not in replay:
        raise Failed(f"the results are incomplete:\n{text}\n{details}\n{replay}")
    self_contained(clone / "report.html")


def backtest(clone: Path) -> None:
    """The backtest of the bundled markets with its report."""
    run(clone, BACKTEST)
    self_contained(clone / "research.html")


def self_contained(report: Path) -> None:
    """Check that a report has plots and loads nothing."""
    text = report.read_text(encoding="utf-8")
    if "<svg" not in text or re.search(r"(src|href)=.https?://", text):
        raise Failed(f"{report.name} has no plot, or loads something")


def rehearse(clone: Path) -> None:
    """Arm by typing LIVE, trade a market with practice money, and show its results."""
    run(clone, REHEARSAL, "armed by typing LIVE", "LIVE REHEARSAL", "won", typed="LIVE\n")
    run(clone, REHEARSED)


STAGES: tuple[tuple[str, str, Callable[[Path], object]], ...] = (
    (
        "run",
        RUN,
        lambda clone: run(
            clone,
            RUN,
            "  recorded  ",
            "  generated  ",
            "^ +votes ",
            "^ +decision ",
            "^ +result .*won",
            "Conclusion",
        ),
    ),
    ("page", f"{ENDLESS}; http://127.0.0.1:{PORT}/; {WATCH}; Ctrl-C", see_the_page),
    ("results", "; ".join(RESULTS), see_the_results),
    ("research", BACKTEST, backtest),
    ("settings", SHOW_CONFIG, lambda clone: run(clone, SHOW_CONFIG, "POSITION_SIZE_USD +1.00 +default")),
    ("rehearsal", f"{REHEARSAL}; {REHEARSED}", rehearse),
)


def main() -> int:
    """Run all stages; returns the exit code."""
    if len(sys.argv) > 1:
        return walk(Path(sys.argv[1]))
    folder = Path(tempfile.mkdtemp(prefix="new-user-"))
    try:
        return walk(folder)
    finally:
        shutil.rmtree(folder)


def walk(folder: Path) -> int:
    """Run all stages in a folder, each with its duration."""
    began = time.monotonic()
    clone = clone_into(folder)
    report("clone", time.monotonic() - began, f"git clone {ROOT}")
    for name, commands, stage in STAGES:
        started = time.monotonic()
        try:
            stage(clone)
        except (Failed, OSError, subprocess.SubprocessError) as error:
            print(f"{name} FAILED: {error}", flush=True)
            return 1
        report(name, time.monotonic() - started, commands)
    took = time.monotonic() - began
    report("all", took, f"at most {LIMIT_S:.0f} s")
    return 0 if took <= LIMIT_S else 1


def report(stage: str, seconds: float, what: str) -> None:
    print(f"{stage:<10}{seconds:7.1f} s  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
