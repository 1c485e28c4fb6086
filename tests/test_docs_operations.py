"""docs/operations.md: its systemd unit is valid; test_docs_commands.py has its commands."""

import configparser
import re
import shutil
import subprocess

import pytest
from bot_process import ROOT

TEXT = (ROOT / "docs/operations.md").read_text()
UNIT = re.search(r"```ini\n(.*?)```", TEXT, re.DOTALL)[1]


def test_the_unit_starts_what_there_is(tmp_path):
    """The unit's program exists in the project, and its files may be written where the settings put them."""
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str
    parsed.read_string(UNIT)
    service = parsed["Service"]
    assert (ROOT / service["ExecStart"].split()[1].removeprefix("/opt/polymarket-bot/")).is_file()
    writable = service["ReadWritePaths"].split()
    folders = re.findall(
        r"^    (?:STATE_DIR|PAPER_TRADES_FILE|LOG_DIR|NAUTILUS_LOG_DIR)=(\S+)$", TEXT, re.MULTILINE
    )
    assert len(folders) == 4
    assert all(any(folder.startswith(path) for path in writable) for folder in folders)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path):
    """systemd reports no error in the unit except that it is not installed here."""
    (tmp_path / "polymarket-bot.service").write_text(UNIT)
    found = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "polymarket-bot.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in found.stderr.splitlines() if "not executable" not in line]
    assert lines == []
