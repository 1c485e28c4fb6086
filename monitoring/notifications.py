"""Sends notifications to chats, mailboxes and webhooks from a thread that trading does not wait for.

One setting has the channels, in the notation of Apprise (Telegram, Discord, Slack, e-mail, webhooks and many
more). Bursts are combined into one notification; a failing channel loses only its own messages.
"""

import logging
import re
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import apprise
from loguru import logger

from common.atomic_file import write_atomically
from common.plain_text import without_controls
from common.singleton import Singleton
from errors import BotError, ConfigError
from events import Event, WorkerStatus
from execution.ledger import LedgerReader
from models import Frozen
from monitoring.notification_messages import Importance, Message, daily_summary, message_of

CAPACITY = 200
"""Maximum number of queued messages; beyond it the oldest of the least important ones is dropped."""
PAUSE_S = 3.0
"""Minimum time between two notifications: twenty a minute, which chats allow; bursts are combined."""
LINES = 12
"""Maximum messages in one notification; of more, the most important ones are included and the others
counted."""
RETRY_PAUSES_S = (2.0, 10.0)
"""Pauses before a notification is retried on a failing channel; then it is dropped for that channel."""
LOOK_S = 20.0
"""Interval of the check whether a UTC day has ended."""
FLUSH_S = 1.0
"""Longest wait for the last message at the end: the complete exit may take 5 s."""
MENTION = re.compile(r"@(?=everyone|here|channel)|<(?=[!@#])")
"""The begin of texts with which a chat would call all its members: a space after it prevents that."""
TAGS = {Importance.ALERTS: apprise.NotifyType.FAILURE}


class NotifyParams(Frozen, frozen=True):
    """Channels, minimum importance, and profile; `memory` is the file with the last summarised day."""

    urls: str
    level: Importance
    profile: str
    ledger: Path
    memory: Path

    def __repr__(self) -> str:
        return f"NotifyParams(level={self.level.name}, profile={self.profile}, ***)"


def importance(level: str) -> Importance:
    """The minimum importance of a NOTIFY_LEVEL."""
    return Importance[level.upper()]


def check_urls(urls: str) -> str | None:
    """The error in the setting NOTIFY_URL, without its value; None if it is valid."""
    _keep_secrets_out_of_the_log()
    for number, url in enumerate(urls.split(), start=1):
        if not apprise.Apprise().add(url):
            return f"NOTIFY_URL: address {number} ({scheme_of(url)}) is not supported by Apprise"
    return None


def scheme_of(url: str) -> str:
    """The part of an address that may be shown: the rest contains the secret."""
    return url.partition("://")[0][:20] if "://" in url else "no scheme"


class Notifier:
    """Sends the messages of `message_of` to the channels. A `runtime.worker.observers.Observer`.

    `handle` only adds a message to a bounded queue; everything else runs in one thread.

    Parameters
    ----------
    params : NotifyParams
    now : Callable[[], datetime]
        Current UTC time, for the end of the day.

    Raises
    ------
    ConfigError
        If an address is not supported by Apprise.
    """

    def __init__(self, params: NotifyParams, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        wrong = check_urls(params.urls)
        if wrong is not None:
            raise ConfigError(wrong, "See docs/operations.md for examples")
        self._params = params
        self._now = now
        self._channels = [open_channel(url) for url in params.urls.split()]
        self._queue: deque[Message] = deque()
        self._dropped = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    # --- called on the node's loop ---------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def handle(self, event: Event) -> None:
        message = message_of(event)
        if message is not None and message.importance >= self._params.level:
            self._put(message)

    def heartbeat(self, worker_status: WorkerStatus) -> None:
        """Nothing: notifications are sent for events, not for states."""

    def close(self) -> None:
        """Send the queued messages within a limit, then end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(FLUSH_S)

    def _put(self, message: Message) -> None:
        with self._changed:
            self._queue.append(message)
            if len(self._queue) > CAPACITY:
                least = min(waiting.importance for waiting in self._queue)
                del self._queue[[waiting.importance for waiting in self._queue].index(least)]
                self._dropped += 1
            self._changed.notify()

    # --- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._look_at_day()
            with self._changed:
                if not self._queue and not self._closing:
                    self._changed.wait(LOOK_S)
                batch, dropped = list(self._queue), self._dropped
                self._queue.clear()
                self._dropped = 0
                closing = self._closing
            if batch:
                self._notify(_together(batch, dropped))
            if closing:
                return
            if batch:
                self._pause(PAUSE_S)

    def _pause(self, seconds: float) -> None:
        """Wait, unless the worker ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing, seconds)

    def _notify(self, message: Message) -> None:
        left = self._channels
        for pause in (0.0, *RETRY_PAUSES_S):
            if pause:
                self._pause(pause)
            left = [channel for channel in left if not self._reached(channel, message)]
            if not left or self._closing:
                break
        if left:
            logger.warning(
                f"{len(left)} of {len(self._channels)} notification channels did not accept a message"
            )

    def _reached(self, channel: apprise.Apprise, message: Message) -> bool:
        kind = TAGS.get(message.importance, apprise.NotifyType.INFO)
        try:
            return bool(
                channel.notify(
                    title=_plain(message.title),
                    body=_plain(message.body),
                    notify_type=kind,
                    # Channels that show HTML get it escaped; one refuses a message with a stray tag.
                    body_format=apprise.NotifyFormat.TEXT,
                )
            )
        except Exception as error:  # noqa: BLE001  plug-ins may raise any error, and trading continues
            # The error's text may contain the address, which contains the secret.
            logger.warning(f"a notification channel failed with {type(error).__name__}")
            return False

    # --- the end of a day ------------------------------------------------------------------------

    def _look_at_day(self) -> None:
        today = self._now().date()
        summarised = self._last_summarised_day()
        yesterday = today - timedelta(days=1)
        if summarised is not None and summarised >= yesterday:
            return
        try:
            if summarised is not None and self._params.level <= Importance.TRADES:
                self._put(self._summary(yesterday))
            # At the first start there is no day to summarise.
            write_atomically(self._params.memory, yesterday.isoformat().encode())
        except BotError as error:
            logger.warning(f"the daily summary is delayed: {error}")

    def _last_summarised_day(self) -> date | None:
        try:
            return date.fromisoformat(self._params.memory.read_text().strip())
        except (OSError, ValueError):
            return None

    def _summary(self, day: date) -> Message:
        since = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**9
        with LedgerReader(self._params.ledger) as reader, reader.snapshot():
            return daily_summary(day, self._params.profile, reader.trades(since), reader.decisions(since))


def open_channel(url: str) -> apprise.Apprise:
    """The channel of one address, which `check_urls` accepts; opens no connection."""
    channel = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Polymarket bot", async_mode=False))
    channel.add(url)
    return channel


def _together(batch: list[Message], dropped: int) -> Message:
    """Combine the messages queued during the last notification into one, in their order."""
    most = max(message.importance for message in batch)
    if len(batch) == 1 and not dropped:
        return batch[0]
    ranked = sorted(range(len(batch)), key=lambda i: -batch[i].importance)
    shown = sorted(ranked[:LINES])
    lines = [f"{batch[i].title}: {batch[i].body}" for i in shown]
    untold = len(batch) - len(shown) + dropped
    if untold:
        lines.append(f"and {untold} more, see logs/bot.log")
    first = next(message for message in batch if message.importance is most)
    return Message(
        first.title if len(shown) == 1 else f"{first.title} (+{len(batch) - 1})", "\n".join(lines), most
    )


def _plain(text: str) -> str:
    """A text that neither controls a terminal nor calls the members of a chat."""
    return MENTION.sub(lambda found: f"{found.group()} ", without_controls(text))


def _keep_secrets_out_of_the_log() -> None:
    """Apprise and its HTTP library log addresses, and an address contains its channel's secret."""
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


_singleton = Singleton(Notifier)
get_notifier = _singleton.get
reset_notifier = _singleton.reset
