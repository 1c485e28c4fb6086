"""`python -m tools.page_pictures --url http://127.0.0.1:8000/`: pictures of a running bot's status page.

The committed ones are of a run with generated markets; they show a market whose order has been filled:

    python runner.py --test-mode --venue synthetic
    python -m tools.page_pictures --trades 6
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.devtools import Browser, Screen

PICTURES = {
    "page-desktop.png": (Screen(width=1280, height=900), 1815),
    "page-phone.png": (Screen(width=390, height=844, mobile=True, dark=True), 1700),
}
"""Screen of each picture, and the height of the upper part of the page that it shows."""
WAIT_S = 1800.0
WITH_POSITION = (
    "document.querySelector('#positions-body table') && document.querySelector('ul.chips:not(.past)')"
)


def take(url: str, folder: Path, trades: int) -> None:
    """Take the pictures when so many trades and an open position of the running market are shown."""
    with tempfile.TemporaryDirectory() as profile, Browser(url, Path(profile)) as browser:
        shown = f"document.querySelectorAll('#trades-body tbody tr').length >= {trades}"
        browser.wait_for(f"{shown} && {WITH_POSITION}", WAIT_S)
        for name, (screen, height) in PICTURES.items():
            browser.show_on(screen)
            browser.picture(folder / name, height)


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.page_pictures", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000/", help="the page (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the pictures (%(default)s)")
    parser.add_argument("--trades", type=int, default=1, help="wait for so many trades (%(default)s)")
    given = parser.parse_args(arguments)
    take(given.url, given.out, given.trades)
    return 0


if __name__ == "__main__":
    sys.exit(main())
