"""Takes pictures of local pages with Chromium, without a network."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from errors import Fatal

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
TIMEOUT_S = 60


def photograph(html: Path, out: Path, width: int, height: int) -> None:
    """Write the upper part of a page, `width` × `height` pixels, as a PNG file.

    Raises
    ------
    Fatal
        If there is no Chromium, or it makes no picture.
    """
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise Fatal("no Chromium is installed", "apt install chromium")
    with tempfile.TemporaryDirectory() as profile:
        place = (f"--window-size={width},{height}", f"--user-data-dir={profile}")
        command = [browser, *FLAGS, *place, f"--screenshot={out.resolve()}", html.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0 or not out.is_file():
        raise Fatal(f"Chromium rendered no picture: {done.stderr.strip()[-300:]}", "Run it manually")
