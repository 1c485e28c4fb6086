"""The status page in Chromium while a bot trades a generated market on a stepped clock."""

import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from bot_process import BUYS

sys.path.append(str(Path(__file__).parents[1] / "research" / "backtest"))

import stepped_bot
from stepped_bot import SteppedBot, SteppedClock, rows

from execution.ledger import ledger_path
from tools.devtools import Browser, Screen

START_NS = 1_795_687_200 * 10**9
NUMBER = 6
MARKET = ("--venue", "synthetic", "--first", str(NUMBER), "--start-at", "690")
SETTINGS = {**BUYS, "GRAFANA_PORT": "0", "LEARNING_ENABLED": "false", "RESTART_AFTER_MINUTES": "1000"}
PHONE = Screen(width=390, height=844, mobile=True, scale=2)
FIRST_ENTRY = "document.querySelector('#markets-body li').innerText"
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CUT = "[...document.querySelectorAll('.scroll')].filter(it => it.scrollWidth > it.clientWidth).length"


class Stepper:
    """Steps a bot through its first market."""

    def __init__(self, bot: SteppedBot) -> None:
        self._bot = bot
        self._start_ns = bot.first_start_ns + NUMBER * 900 * 10**9

    @property
    def second(self) -> int:
        return (self._bot.market_ns - self._start_ns) // 10**9

    def step_to(self, second: int, pace: int = 1) -> None:
        """Step to a market second; with a pace of 1 the bot gets the books of each."""
        while self.second < second:
            self._bot.step_to(self._start_ns + min(second, self.second + pace) * 10**9)

    def step_until(self, ledger: Path, statement: str, last: int, pace: int = 1) -> None:
        """Step until a statement has rows in the ledger, then once more for the next heartbeat."""
        while not rows(ledger, statement):
            assert self.second < last, f"no row at market second {last}: {statement}"
            self.step_to(self.second + pace, pace)
        self.step_to(self.second + 2)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
def test_a_trade_appears_without_a_reload_and_without_a_foreign_request(tmp_path, monkeypatch):
    """Price, votes, fill, settlement and plots appear on the open page, which was loaded once; every request
    of the browser is to the page's own address; nothing is wider than a phone, no table either."""
    # The feeds of the venue wait for the next millisecond, which the step then adds.
    monkeypatch.setattr(stepped_bot, "BUSY_S", 0.05)
    ledger = ledger_path(tmp_path / "state", "synthetic")
    clock = SteppedClock(tmp_path / "clock", START_NS)
    with SteppedBot(tmp_path, ledger, clock, MARKET, SETTINGS) as bot:
        address = re.search(r"status page at (http://\S+)", bot.bot.output)[1]
        stepper = Stepper(bot)
        with Browser(address, tmp_path / "profile") as browser:
            stepper.step_to(755)
            browser.wait_for("/^0\\.\\d{3}$/.test(document.querySelector('#price-up').textContent)")
            browser.wait_for("document.querySelector('#phase').textContent.startsWith('decides in ')")
            assert browser.evaluate("document.querySelectorAll('#votes-body .chip').length") == 0

            stepper.step_until(ledger, "SELECT 1 FROM fills", last=850)
            browser.wait_for("document.querySelectorAll('#votes-body .chip').length === 6")
            browser.wait_for(f"/filled [\\d.]+ at [\\d.]+, fee/.test({FIRST_ENTRY})")
            browser.wait_for("document.querySelectorAll('#positions-body tbody tr').length === 1")
            bought = browser.evaluate("document.querySelector('#votes-body .decision').innerText")
            assert re.match(r"BUY (Up|Down) at 0\.\d+", bought)
            assert "PENDING" in browser.evaluate("document.querySelector('#trades-body').innerText")

            stepper.step_until(ledger, "SELECT 1 FROM settlements", last=1100, pace=5)
            browser.wait_for("/(WIN|LOSS)/.test(document.querySelector('#trades-body').innerText)")
            browser.wait_for("/(Up|Down) won [+-]/.test(document.querySelector('#markets-body').innerText)")
            browser.wait_for("document.querySelector('#plot-equity') !== null")
            assert browser.evaluate("document.querySelectorAll('#positions-body tbody tr').length") == 0

            wide = browser.evaluate(SIDEWAYS)
            browser.show_on(PHONE)
            assert (wide, browser.evaluate(SIDEWAYS), browser.evaluate(CUT)) == (0, 0, 0)
            assert len(browser.events("Page.loadEventFired")) == 1
            asked = [event["request"]["url"] for event in browser.events("Network.requestWillBeSent")]
            logged = [
                event
                for name in ("Log.entryAdded", "Runtime.exceptionThrown")
                for event in browser.events(name)
            ]
        # The supervisor was stopped for the steps; the clock runs again, so that everything ends.
        bot.bot.process.send_signal(signal.SIGINT)
        bot.run_to_end()
    assert [url for url in asked if not url.startswith(address)] == []
    assert {"status.json", "plots.json", "page.js"} <= {url.removeprefix(address) for url in asked}
    assert logged == []
    assert "Traceback" not in bot.bot.output
