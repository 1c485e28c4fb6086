"""The first decision of a test run."""

from pathlib import Path

import pytest
from bot_process import BotProcess


@pytest.mark.slow
def test_a_test_run_decides_in_its_first_market(tmp_path: Path) -> None:
    """The worker is ready for the first window, which opens 9 s after the start of the practice venue."""
    with BotProcess(tmp_path, "--test-mode", "--json-lines", "--no-grafana") as bot:
        (opened,) = bot.wait_for(r'"event":"market_opened".*?"slug":"([^"]+)"', 60).groups()
        decided = bot.wait_for(r'"event":"decided".*?"slug":"([^"]+)","second":([\d.]+),', 60)
    assert decided[1] == opened
    assert 780 <= float(decided[2]) < 840
