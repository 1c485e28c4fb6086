"""Each alert, fired by its real cause on the practice venue and sent to a webhook by real services."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import httpx
import pytest
from bot_process import ROOT, BotProcess
from expressions import ALERTS, alerts
from services import SURE_TO_BUY, SURE_TRADE, Alertmanager, Prometheus, Webhook, free_port, shortened, until

STAKE = "200"
"""A fifth of the starting balance of a practice account."""
SETTINGS = {
    **SURE_TO_BUY,
    "LIVE_TRADING_CONFIRM": "yes",
    "MAX_LOSS_PER_DAY": "1000",
    "MAX_TOTAL_EXPOSURE": "1000",
    "PYTHONPATH": str(ROOT / "tests" / "grafana" / "freezer"),
    "FREEZE_SECONDS": "14",
    **dict.fromkeys(("POSITION_SIZE_USD", "MARKET_BUY_USD", "MAX_POSITION_SIZE"), STAKE),
}


class Watched:
    """A rehearsal of live trading with its monitoring services."""

    def __init__(self, bot: BotProcess, settings: dict[str, str], hook: Webhook) -> None:
        self.bot = bot
        self.environment = {**os.environ, **settings, "STATE_DIR": str(bot.folder / "state")}
        self.hook = hook
        self.caused: set[str] = set()

    def expect(self, *names: str, seconds: float = 30) -> None:
        """Wait until the webhook has received these alerts, and none without a cause before."""
        self.caused.update(names)
        until(lambda: self.notified() >= set(names), f"{set(names)} among", seconds, self.notified)
        assert self.notified() <= self.caused

    def notified(self) -> set[str]:
        return set(self.hook.received)

    def arm(self, name: str, count: int | None = None, **parameters: object) -> None:
        """Arm a fault of the practice venue."""
        self._practice("POST", {"name": name, "count": count, "parameters": parameters})

    def mend(self, name: str) -> None:
        self._practice("DELETE", None, f"?name={name}")

    def control(self, *arguments: str) -> None:
        """Use redis_control.py as an operator does."""
        command = [sys.executable, str(ROOT / "redis_control.py"), *arguments]
        subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=30)

    def _practice(self, method: str, body: object, query: str = "") -> None:
        url = self.bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)")[1]
        request = urllib.request.Request(
            f"{url}/practice/faults{query}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 200


def asked(port: int) -> bool:
    """Whether the bot's metrics can be read."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def watched(tmp_path):
    """The bot with some faults from its start on, once Prometheus has scraped it."""
    port = free_port()
    settings = {**SETTINGS, "GRAFANA_PORT": str(port), "REDIS_PORT": str(free_port())}
    with (
        Webhook() as hook,
        Alertmanager(tmp_path / "alertmanager", hook.url) as manager,
        BotProcess(tmp_path, "--live", *SURE_TRADE, settings=settings) as bot,
    ):
        found = Watched(bot, settings, hook)
        found.arm("clock_skew", seconds=30)
        found.arm("external_down", service="deribit")
        found.arm("resolution_never")
        found.arm("delayed", 1, seconds=6.0)
        until(lambda: asked(port), "the bot serves its metrics", 60)
        rules = shortened(ALERTS.read_text())
        with Prometheus(tmp_path / "prometheus", port, rules, manager.port) as prometheus:
            # A target that was not scraped yet counts as absent, which is not a state of this bot.
            until(lambda: prometheus.query('up{job="btc-15m-bot"} == 1'), "the bot is seen alive")
            until(lambda: "BotUnreachable" not in prometheus.firing(), "it is not called unreachable")
            hook.received.pop("BotUnreachable", None)
            yield found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_alert_fires_for_its_cause(watched):
    """Faults of the venue, an operator's commands, a frozen loop, a stopped process: one alert for each."""
    watched.expect("ClockSkew", "FeedDead", "UnknownOrder", "SettlementLate", seconds=60)
    watched.mend("external_down")
    watched.mend("resolution_never")
    watched.expect("Drawdown", seconds=40)
    watched.control("halt", "for", "the", "test")
    watched.expect("TradingHalted")
    watched.control("resume")
    watched.arm("market_feed_stall")
    watched.expect("NoQuotes", seconds=80)
    watched.mend("market_feed_stall")
    worker = watched.bot.children()["worker"]
    os.kill(worker, signal.SIGUSR2)
    watched.expect("LoopStuck")
    os.kill(worker, signal.SIGSTOP)
    watched.expect("BotUnreachable")
    os.kill(worker, signal.SIGCONT)
    watched.control("sim")
    watched.expect("ModeChanged")
    assert watched.notified() == {rule["alert"] for rule in alerts()}


def test_only_durations_are_shortened():
    """The rules of the test above are the committed ones except for times; expressions are unchanged."""
    before, after = ALERTS.read_text().splitlines(), shortened(ALERTS.read_text()).splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed
    for old, new in changed:
        assert re.sub(r"\d+[ms]?$", "", old) == re.sub(r"\d+[ms]?$", "", new)
        assert "for:" in old or "_seconds{" in old
