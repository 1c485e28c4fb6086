"""`runner.py --notify-test`: one message through each channel of NOTIFY_URL and to the Telegram chat."""

import asyncio
import logging
import re
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from common.bounded import bounded
from config import Settings
from errors import ConfigError
from models import Frozen
from monitoring.notifications import check_urls, open_channel, scheme_of
from runtime.chat.telegram_chat import MISSING, send_one
from runtime.chat.thread import chat_params

TITLE = "Test of the notifications"
BODY = "This message was sent by: python runner.py --notify-test"
CHANNEL_S = 20.0
"""Time limit of one channel."""


class Delivery(Frozen, frozen=True):
    """A channel, without its address, and why the message was not delivered; empty if it was."""

    channel: str
    error: str = ""


def check_notifications(settings: Settings, console: Console) -> int:
    """Send the messages and print a table; 0 if all were delivered, otherwise 1.

    Raises
    ------
    ConfigError
        If the settings name no channel.
    """
    found = list(deliveries(settings))
    if not found:
        raise ConfigError(
            "no channel is configured", "Set NOTIFY_URL, or TELEGRAM_TOKEN and TELEGRAM_CHAT_ID: docs/chat.md"
        )
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    table.add_column("channel", no_wrap=True)
    table.add_column("result", overflow="fold")
    for delivery in found:
        style = "red" if delivery.error else "green"
        table.add_row(Text(delivery.channel), Text(delivery.error or "delivered", style))
    console.print(table)
    return 1 if any(delivery.error for delivery in found) else 0


def deliveries(settings: Settings) -> Iterator[Delivery]:
    """Send one message through each channel and yield what became of it."""
    for number, url in enumerate(settings.notify_url.get_secret_value().split(), start=1):
        yield Delivery(f"NOTIFY_URL {number} ({scheme_of(url)})", _notify(url))
    params = chat_params(settings)
    if params is not None:
        try:
            failure = asyncio.run(send_one(params, f"{TITLE}\n{BODY}"))
        except ImportError:
            yield Delivery("Telegram chat", MISSING)
        else:
            yield Delivery("Telegram chat", "" if failure is None else failure.text)


def _notify(url: str) -> str:
    """Send through one channel; returns the error, empty if it was delivered."""
    if check_urls(url) is not None:
        return "the address is not supported by Apprise: see docs/operations.md for examples"
    channel = open_channel(url)
    with _Errors() as errors:
        try:
            sent = bounded(lambda: channel.notify(title=TITLE, body=BODY), CHANNEL_S, "notification-check")
        except TimeoutError:
            return f"no answer within {CHANNEL_S:g} s"
        except Exception as error:  # noqa: BLE001  plug-ins may raise any error; its text may have the secret
            return f"the plug-in failed with {type(error).__name__}"
    return "" if sent else errors.text


class _Errors(logging.Handler):
    """Reads the cause of a failure from Apprise's log records, and drops them: they contain addresses."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = "the service did not accept the message"
        self._logger = logging.getLogger("apprise")

    def __enter__(self) -> "_Errors":
        self._before = (self._logger.level, self._logger.propagate)
        self._logger.setLevel(logging.WARNING)
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        level, self._logger.propagate = self._before
        self._logger.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if found := re.search(r"\berror=(\d{3})\b", text):
            self.text = f"the service answered HTTP {found[1]}"
        elif "onnection" in text:
            self.text = "the service cannot be reached"
