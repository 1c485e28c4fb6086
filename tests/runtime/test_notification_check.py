"""`--notify-test`: one message through each channel, and what became of it, without a secret."""

import io
import logging
import os
import subprocess
import sys

import pytest
from canned_server import CannedServer
from rich.console import Console
from telegram_stub import CHAT, TOKEN, TelegramStub

from config import ROOT, Settings
from errors import ConfigError
from runtime.notification_check import check_notifications


def check(**settings):
    """Exit code and rows of the table."""
    console = Console(file=io.StringIO(), width=200, color_system=None)
    code = check_notifications(Settings.model_validate(settings), console)
    screen = console.file.getvalue()
    assert "secret" not in screen
    return code, [line.rstrip() for line in screen.splitlines()[1:]]


def test_each_channel_has_its_line():
    """Delivered, refused with its status, not reachable, and not supported: each with number and scheme."""
    with CannedServer() as good, CannedServer() as bad:
        good.default, bad.default = (200, {}), (403, {})
        urls = [each.url.replace("http", "json", 1) + "/secret-part" for each in (good, bad)]
        code, rows = check(notify_url=" ".join([*urls, "json://127.0.0.1:9/secret-part", "nothing://secret"]))
        assert (good.paths("POST"), bad.paths("POST")) == (["/secret-part"], ["/secret-part"])
        assert b"notify-test" in good.asked[0][2]
    assert code == 1
    assert [row.split(maxsplit=3) for row in rows] == [
        ["NOTIFY_URL", "1", "(json)", "delivered"],
        ["NOTIFY_URL", "2", "(json)", "the service answered HTTP 403"],
        ["NOTIFY_URL", "3", "(json)", "the service cannot be reached"],
        [
            "NOTIFY_URL",
            "4",
            "(nothing)",
            "the address is not supported by Apprise: see docs/operations.md for examples",
        ],
    ]
    assert [type(each).__name__ for each in logging.getLogger("apprise").handlers] == ["NullHandler"]


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (None, "delivered"),
        ("401", "Telegram refuses the token (401 or 404): compare TELEGRAM_TOKEN with @BotFather"),
        ("403", "the chat has blocked the bot (403): unblock it"),
    ],
)
def test_the_chat_gets_the_message(fault, line):
    """The Telegram chat is a channel like the others; its failure is named."""
    with TelegramStub() as stub:
        if fault:
            stub.fault("sendMessage", fault)
        code, rows = check(telegram_token=TOKEN, telegram_chat_id=CHAT, telegram_api_url=stub.url)
        assert len(stub.sent) == (fault is None)
        assert stub.asked == ["sendMessage"]
    assert code == (fault is not None)
    assert rows == [f"Telegram chat  {line}"]


def test_a_chat_that_does_not_exist_is_named():
    """The chat's id is compared with the one that Telegram knows."""
    with TelegramStub() as stub:
        code, rows = check(telegram_token=TOKEN, telegram_chat_id=7, telegram_api_url=stub.url)
    assert code == 1
    assert "send the bot /start" in rows[0]


def test_without_a_channel_the_settings_are_named():
    """It is a wrong configuration: exit code 2."""
    with pytest.raises(ConfigError, match="no channel is configured"):
        check()


@pytest.mark.slow
def test_the_command_ends_with_the_result(tmp_path):
    """As a process: the table on the screen, exit code 1 for a failed channel and 0 without one."""
    environment = {**os.environ, "STATE_DIR": str(tmp_path / "state"), "TELEGRAM_TOKEN": TOKEN}
    with TelegramStub() as stub, CannedServer() as webhook:
        webhook.default = (200, {})
        environment |= {"TELEGRAM_CHAT_ID": str(CHAT), "TELEGRAM_API_URL": stub.url}
        for urls, code in ((webhook.url.replace("http", "json", 1), 0), ("json://127.0.0.1:9", 1)):
            done = subprocess.run(
                [sys.executable, str(ROOT / "runner.py"), "--notify-test"],
                env=environment | {"NOTIFY_URL": urls},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == code, done
            assert "Telegram chat" in done.stdout
            assert TOKEN not in done.stdout + done.stderr
        assert len(stub.sent) == 2
    assert not (tmp_path / "state").exists(), "it needs no lock and runs beside a bot"
