"""`python -m tools.pictures`: makes the pictures of terminal and reports in docs/ again.

Each picture is made from a run of its own in a copy of this checkout, as a new user has it: without the
state, the settings and the logs of this folder.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from config import ROOT
from errors import Fatal
from tools.chromium import photograph
from tools.pictures.terminal import drawing, last_screen, run_in_terminal

DOCS = ROOT / "docs"
PICTURES = ("terminal-80", "terminal-120", "report", "research-report")
RUN = ("runner.py", "--test-mode")
SHOWN = ("--markets", "2", "--first", "8", "--start-at", "0")
"""A recorded market that is bought, and a generated one; both from their beginning."""
REPORTED = ("--first", "16", "--start-at", "0", "--quiet")
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")
"""Environment variables that a run keeps; all others may be settings of the bot."""
WIDTH, HEIGHT = 1280, 2560
TIMEOUT_S = 1800


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pictures; returns 0 on success, 1 on failure, 2 on invalid usage."""
    parser = argparse.ArgumentParser(prog="python -m tools.pictures", description=__doc__)
    parser.add_argument(
        "pictures", nargs="*", metavar="PICTURE", help=f"which ones: {', '.join(PICTURES)}; default: all"
    )
    parser.add_argument(
        "--markets",
        type=int,
        default=10,
        metavar="N",
        help="practice markets, of a minute each, behind the picture of the report (default: %(default)s)",
    )
    given = parser.parse_args(arguments)
    if unknown := set(given.pictures) - set(PICTURES):
        parser.error(f"{unknown.pop()} is not one of {', '.join(PICTURES)}")
    try:
        for picture in given.pictures or PICTURES:
            with copied_checkout() as folder:
                make(picture, folder, given.markets)
    except Fatal as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def make(picture: str, folder: Path, markets: int) -> None:
    """Make one picture from a run in a copy of the checkout.

    Raises
    ------
    Fatal
        If the run fails, or its output names a folder of this machine.
    """
    if picture.startswith("terminal-"):
        columns = int(picture.removeprefix("terminal-"))
        command = [sys.executable, *RUN, *SHOWN]
        output = run_in_terminal(command, columns, folder, _environment(), TIMEOUT_S)
        svg = drawing(last_screen(output), columns, f"python {' '.join((*RUN, *SHOWN))}")
        require_anonymous(svg, folder)
        _write(f"{picture}.svg", svg)
        return
    page = folder / "report.html"
    if picture == "report":
        _run(folder, *RUN, "--markets", str(markets), *REPORTED)
        _run(folder, "view_paper_trades.py", "--html", page.name)
    else:
        _run(folder, "-m", "research.backtest", "--recordings", "bundled", "--html", page.name)
    require_anonymous(page.read_text(encoding="utf-8"), folder)
    photograph(page, DOCS / f"{picture}.png", WIDTH, HEIGHT)


@contextmanager
def copied_checkout() -> Iterator[Path]:
    """A folder with the files of this checkout that Git does not ignore."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in filter(None, listed.split("\0")):
            if (source := ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, folder / name)
        yield folder


def require_anonymous(text: str, folder: Path) -> None:
    """Raises `Fatal` if a text names the copy, this checkout, or the user's home folder."""
    for place in (folder, ROOT, Path.home()):
        if len(place.parts) > 1 and f"{place}/" in text:
            raise Fatal(f"the picture would show the path {place}", "Shorten the path where it is printed")


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    # Any free port: a bot may run on this machine.
    return {**kept, "PYTHONUTF8": "1", "GRAFANA_PORT": "0"}


def _run(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise Fatal(f"python {' '.join(arguments)} failed: {done.stderr.strip()[-500:]}", "Run it by itself")


def _write(name: str, text: str) -> None:
    (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
