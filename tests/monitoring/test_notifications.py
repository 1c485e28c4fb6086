"""Notifications to real webhooks on loopback; a slow or failing channel delays no caller."""

import json
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
from ledger_builders import NOON_NS, buy, open_ledger, settlement

from errors import ConfigError
from events import Halted, MarketRefused, ModeChanged, Started, Stopped, TermsChanged
from monitoring.notification_messages import Importance, Message, daily_summary, message_of
from monitoring.notifications import CAPACITY, Notifier, NotifyParams, check_urls, importance

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Webhook:
    """A webhook on loopback that stores what it receives; `status` is its answer, None: it hangs."""

    def __init__(self, status: int | None = 200) -> None:
        self.received: list[dict] = []
        self.asked = 0
        self.changed = threading.Condition()
        self.go_on = threading.Event()
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with webhook.changed:
                    webhook.asked += 1
                    webhook.changed.notify_all()
                if status is None:
                    webhook.go_on.wait(30)
                with webhook.changed:
                    if (status or 200) < 300:
                        webhook.received.append(body)
                    webhook.changed.notify_all()
                self.send_response(status or 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_address[1]}/secret-part"

    def wait_for(self, condition, seconds: float = 10) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, seconds), self.received

    @property
    def text(self) -> str:
        return "\n".join(f"{received['title']}\n{received['message']}" for received in self.received)


@contextmanager
def webhook(status: int | None = 200):
    hook = Webhook(status)
    thread = threading.Thread(target=hook.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.go_on.set()
        hook.server.shutdown()
        hook.server.server_close()
        thread.join()


@contextmanager
def notifying(folder, urls: str, level: Importance = Importance.TRADES, now=lambda: NOON):
    params = NotifyParams(
        urls=urls,
        level=level,
        profile="recorded",
        ledger=folder / "ledger.sqlite",
        memory=folder / "sent.txt",
    )
    notifier = Notifier(params, now)
    notifier.start()
    try:
        yield notifier
    finally:
        notifier.close()


def test_an_alert_reaches_every_channel(tmp_path):
    """A halt is sent to each of the channels with a text that a person can act upon."""
    with (
        webhook() as first,
        webhook() as second,
        notifying(tmp_path, f"{first.url} {second.url}") as notifier,
    ):
        notifier.handle(Halted(why="3 orders in a row were refused"))
        for hook in (first, second):
            hook.wait_for(lambda hook=hook: hook.received)
            assert "HALTED" in hook.text
            assert "redis_control.py resume" in hook.text


def test_the_level_decides_which_events_notify(tmp_path):
    """At the level of alerts a start is not sent, and a mode change is."""
    with webhook() as hook, notifying(tmp_path, hook.url, Importance.ALERTS) as notifier:
        notifier.handle(Started(mode="simulation", venue="recorded", note="18 markets"))
        notifier.handle(
            ModeChanged(mode="simulation", allows_orders=True, why="the mode store is set to simulation")
        )
        hook.wait_for(lambda: hook.received)
        assert "Mode: simulation" in hook.text
        assert "Started" not in hook.text


def test_a_flood_becomes_few_notifications_and_loses_no_alert(tmp_path):
    """Ten thousand events: bounded memory, a handful of notifications, every alert among them, in order."""
    with webhook() as hook, notifying(tmp_path, hook.url) as notifier:
        for number in range(10_000):
            notifier.handle(Stopped(why=f"event {number}"))
            if number % 4_000 == 0:
                notifier.handle(Halted(why=f"alert {number}"))
        assert len(notifier._queue) <= CAPACITY
        notifier.close()
        hook.wait_for(lambda: hook.received)
        for number in (0, 4_000, 8_000):
            assert f"alert {number}" in hook.text
        assert hook.text.index("alert 0") < hook.text.index("alert 8000")
        assert "more, see logs/bot.log" in hook.text
        assert len(hook.received) <= 3


@pytest.mark.parametrize("status", [None, 500])
def test_a_failing_channel_does_not_delay_the_others(tmp_path, status):
    """A channel that hangs or fails delays neither the caller nor the end, and the other one is sent once."""
    with webhook(status) as bad, webhook() as good, notifying(tmp_path, f"{good.url} {bad.url}") as notifier:
        notifier.handle(Halted(why="first"))
        bad.wait_for(lambda: bad.asked)
        for number in range(1_000):
            notifier.handle(Stopped(why=f"event {number}"))
        closing = threading.Thread(target=notifier.close)
        closing.start()
        closing.join(4)
        assert not closing.is_alive()
        assert [received["title"] for received in good.received].count("HALTED") == 1


def test_a_dead_port_is_survived(tmp_path):
    """With a closed port the notifier continues, and ends at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with webhook() as hook, notifying(tmp_path, f"json://127.0.0.1:{port} {hook.url}") as notifier:
        notifier.handle(Halted(why="first"))
        hook.wait_for(lambda: hook.received)


def test_a_secret_address_is_never_repeated(tmp_path, caplog):
    """An error in an address is reported without the address."""
    wrong = "tgram://secret-token"
    assert check_urls("json://127.0.0.1:9/x") is None
    problem = check_urls(f"json://127.0.0.1:9/x {wrong}")
    assert problem is not None
    assert "address 2 (tgram)" in problem
    assert "secret" not in problem
    params = NotifyParams(
        urls=wrong, level=Importance.ALL, profile="b", ledger=tmp_path / "l", memory=tmp_path / "m"
    )
    assert "secret" not in repr(params)
    with pytest.raises(ConfigError, match="NOTIFY_URL: address 1") as caught:
        Notifier(params)
    assert "secret" not in str(caught.value) + caplog.text


def test_every_level_of_the_settings_is_one(tmp_path):
    """The three values of NOTIFY_LEVEL are the three importances."""
    assert [importance(level) for level in ("all", "trades", "alerts")] == list(Importance)


def test_a_day_is_summed_up_once_also_across_restarts(tmp_path):
    """After midnight the past UTC day is sent once, with n, interval and break-even beside the win rate."""
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        buy(ledger)
        ledger.record_settlement(settlement())
    day = datetime.fromtimestamp(NOON_NS // 10**9, UTC)
    tomorrow = day.replace(hour=0, minute=5) + timedelta(days=1)
    with notifying(tmp_path, "json://127.0.0.1:9", now=lambda: day):
        pass  # the first start: stores the day, sends nothing
    with webhook() as hook:
        for _ in range(2):
            with notifying(tmp_path, hook.url, now=lambda: tomorrow):
                pass
        assert len(hook.received) == 1
        assert f"{day.date()} on recorded" in hook.text
        assert "break-even" in hook.text
        assert "95 % interval" in hook.text


def test_the_summary_of_a_day_without_a_trade():
    """A day on which nothing was bought has a summary too."""
    received = daily_summary(NOON.date(), "recorded", [], [])
    assert received.body == "No trade; 0 markets evaluated"


def test_a_restart_by_plan_is_a_detail():
    """The 90-minute restart is no alert, a failure is."""
    assert message_of(Stopped(why="x", restarts=True)).importance is Importance.ALL
    assert message_of(Stopped(why="x", failed=True)).importance is Importance.ALERTS
    assert message_of(Stopped(why="x")) == Message("Stopped", "x", Importance.TRADES)


def test_an_unsupported_protocol_version_is_an_alert():
    """All later markets may have it: it is more than one market that is not traded."""
    refused = MarketRefused(slug="btc", why="market btc is of protocol version v3")
    assert message_of(refused).importance is Importance.TRADES
    unknown = message_of(msgspec.structs.replace(refused, unknown_version=True))
    assert (unknown.title, unknown.importance) == ("Protocol version not supported", Importance.ALERTS)
    assert unknown.body.startswith("market btc is of protocol version v3. ")


def test_another_fee_rate_is_an_alert():
    """The terms of all later markets may have changed: both values and both markets are named."""
    changed = TermsChanged(slug="btc-2", term="fee_rate", value="0.072", before="0.07", before_slug="btc-1")
    message = message_of(changed)
    assert (message.title, message.importance) == ("Terms of the markets changed", Importance.ALERTS)
    assert message.body == "the fee rate is 0.072 in btc-2, 0.07 in btc-1"


EVIL = "<script>alert(1)</script> & <b>\x1b[2J\u202e @everyone <!channel> [x](http://a.example)"


@pytest.mark.parametrize("form", ["text", "html", "markdown"])
def test_foreign_text_is_plain_in_every_format(tmp_path, form):
    """A channel that shows HTML gets tags escaped; none gets control characters or a call of all members."""
    with webhook() as hook, notifying(tmp_path, f"{hook.url}?format={form}") as notifier:
        notifier.handle(Halted(why=EVIL))
        hook.wait_for(lambda: hook.received)
        assert ("<script>" in hook.text) is (form != "html")
        assert ("&lt;script&gt;" in hook.text) is (form == "html")
        for text in ("\x1b", "\u202e", "@everyone", "<!channel>", "<b>" if form == "html" else "\x07"):
            assert text not in hook.text
