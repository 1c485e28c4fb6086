"""The Bot API of Telegram: receives the messages of one private chat and sends the answers.

The library is python-telegram-bot, the extra `chat`. It is imported when a chat is used, because it takes
half a second. Its own error texts and log records may contain the token, so none of them is shown: errors are
described here, by their kind.
"""

from __future__ import annotations  # the library is imported for the types only

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import httpx
from pydantic import SecretStr

from common.environment import NO_CERTIFICATES
from common.plain_text import one_line
from models import Frozen
from runtime.chat.commands import Answer, ChatCounts, Commands
from runtime.chat.message_parts import split

if TYPE_CHECKING:
    from telegram import Bot, Message, Update
    from telegram.request import HTTPXRequest

REQUIREMENT = "python-telegram-bot>=22.8,<23"
INSTALL = f"Install it with: uv pip install '{REQUIREMENT}'"
MISSING = f"Telegram needs the extra `chat`, which is not installed. {INSTALL}"
POLL_S = 25
"""Duration of a long poll."""
REQUEST_S = 10.0
"""Time limit of a request, in addition to the duration of a long poll."""
MAX_AGE_S = 60.0
"""Age from which a message is too late, by Telegram's time of the message and this machine's clock."""
BATCH = 100
"""Maximum number of updates in one answer of the Bot API."""
PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Pauses after consecutive failed requests; the last one is repeated."""
MAX_RETRY_AFTER_S = 300.0
SEND_ATTEMPTS = 4
WAITING = 50
"""Maximum number of answers that wait to be sent; beyond it the oldest is dropped."""
SHOW_EVERY_S = 600.0
"""Minimum time between two messages of the same kind at the terminal."""


class ChatParams(Frozen, frozen=True):
    """The bot's token, the id of the private chat that it answers, and the address of the Bot API."""

    token: SecretStr
    chat_id: int
    api_url: str


class Failure(Frozen, frozen=True):
    """A failed request: a description without secrets, whether to repeat it, and after which pause."""

    text: str
    repeat: bool = True
    pause_s: float | None = None


class TelegramChat:
    """Answers the messages of one private chat until it is cancelled.

    Messages are received and executed by one task and answers are sent by another, so that a /halt is
    executed also while answers cannot be sent.

    Parameters
    ----------
    params : ChatParams
    commands : Commands
    counts : ChatCounts
    show : Callable[[str], None]
        Shows a message to the operator at the terminal.
    pauses_s : sequence of float
        Pauses after consecutive failed requests.
    """

    def __init__(
        self,
        params: ChatParams,
        commands: Commands,
        counts: ChatCounts,
        show: Callable[[str], None],
        pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        self._params = params
        self._commands = commands
        self._counts = counts
        self._show = show
        self._pauses_s = pauses_s
        self._shown_s: dict[str, float] = {}
        self._next_update = 0
        self._answers: deque[str] = deque()
        self._answered = asyncio.Event()

    async def run(self) -> None:
        """Receive and answer messages. Without the library it shows how to install it, and returns."""
        try:
            bot, requests = connect(self._params)
        except ImportError:
            self._show(f"warning: {MISSING}. Trading goes on without the chat.")
            return
        sending = asyncio.create_task(self._send_answers(bot))
        try:
            await self._receive(bot)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            for request in requests:
                await request.shutdown()

    # --- messages --------------------------------------------------------------------------------

    async def _receive(self, bot: Bot) -> None:
        """Receive updates for ever. Those that had waited at the start are late, whatever their time."""
        waited, failures, connected = True, 0, False
        while True:
            poll_s = 0 if waited else POLL_S
            updates = await attempt(self._updates(bot, poll_s), poll_s + REQUEST_S)
            if isinstance(updates, Failure):
                connected = False
                await self._pause(updates, failures)
                failures += 1
                continue
            if not connected:
                self._show_sometimes("Chat: connected to Telegram.")
            connected, failures = True, 0
            for update in updates:
                self._handle(update, waited=waited)
            waited = waited and len(updates) == BATCH

    async def _updates(self, bot: Bot, poll_s: int) -> tuple[Update, ...]:
        return await bot.get_updates(
            offset=self._next_update, timeout=poll_s, limit=BATCH, allowed_updates=["message"]
        )

    def _handle(self, update: Update, *, waited: bool) -> None:
        if update.update_id < self._next_update:
            return
        self._next_update = update.update_id + 1
        message = update.message
        if message is None or not is_from_operator(message, self._params.chat_id):
            self._counts.ignored += 1
            self._show_sometimes("Chat: a message of another sender was ignored; /status counts them.")
            return
        late = waited or time.time() - message.date.timestamp() > MAX_AGE_S
        answer = self._answer(message.text or "", late)
        if answer is None:
            return
        if answer.changed:
            self._show(f"Chat: {answer.changed}")
        self._answers.append(answer.text)
        if len(self._answers) > WAITING:
            self._answers.popleft()
            self._counts.unsent += 1
        self._answered.set()

    def _answer(self, text: str, late: bool) -> Answer | None:
        try:
            return self._commands.answer(text, late=late)
        except Exception as error:  # noqa: BLE001  one answer fails, and the chat goes on
            name = type(error).__name__
            self._show_sometimes(f"Chat: an answer failed with {name}", f": {one_line(error)}")
            return Answer(f"This failed with {name}; trading is not affected.")

    # --- answers ---------------------------------------------------------------------------------

    async def _send_answers(self, bot: Bot) -> None:
        while True:
            await self._answered.wait()
            self._answered.clear()
            while self._answers:
                for part in split(self._answers.popleft()):
                    if not await self._send(bot, part):
                        self._counts.unsent += 1
                        break

    async def _send(self, bot: Bot, text: str) -> bool:
        for failures in range(SEND_ATTEMPTS):
            sent = await attempt(bot.send_message(self._params.chat_id, text), REQUEST_S)
            if not isinstance(sent, Failure):
                return True
            await self._pause(sent, failures)
            if not sent.repeat:
                break
        return False

    # --- failures --------------------------------------------------------------------------------

    async def _pause(self, failure: Failure, failures: int) -> None:
        self._show_sometimes(f"Chat: {failure.text}. Trading goes on.")
        pause_s = self._pauses_s[min(failures, len(self._pauses_s) - 1)]
        await asyncio.sleep(pause_s if failure.pause_s is None else failure.pause_s)

    def _show_sometimes(self, text: str, detail: str = "") -> None:
        """Show a message, unless the same one was shown in the last `SHOW_EVERY_S`, with whatever detail."""
        now_s = time.monotonic()
        if now_s - self._shown_s.get(text, float("-inf")) >= SHOW_EVERY_S:
            self._shown_s[text] = now_s
            self._show(f"{text}{detail}")


def is_from_operator(message: Message, chat_id: int) -> bool:
    """Whether a person wrote a message in the private chat: not forwarded, and not through another bot."""
    sender = message.from_user
    return (
        message.chat.type == "private"
        and message.chat.id == chat_id
        and sender is not None
        and sender.id == chat_id
        and not sender.is_bot
        and message.forward_origin is None
        and message.via_bot is None
    )


def connect(params: ChatParams) -> tuple[Bot, list[HTTPXRequest]]:
    """The library's bot and its two HTTP clients, which the caller shuts down; opens no connection.

    Raises
    ------
    ImportError
        If the library is not installed.
    """
    # The library's opt-in to the type that `RetryAfter.retry_after` will have.
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    from telegram import Bot
    from telegram.request import HTTPXRequest

    for name in ("telegram", "httpx", "httpcore"):
        # They log addresses, which contain the token, and the content of updates.
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # Loading the certificates is most of the time that this takes, so both clients share them.
    plain = params.api_url.startswith("http://")
    verify = NO_CERTIFICATES if plain else httpx.create_ssl_context()
    polling, sending = (
        HTTPXRequest(
            connection_pool_size=1,
            connect_timeout=REQUEST_S,
            read_timeout=REQUEST_S,
            pool_timeout=REQUEST_S,
            httpx_kwargs={"verify": verify},
        )
        for _ in range(2)
    )
    bot = Bot(
        params.token.get_secret_value(),
        base_url=f"{params.api_url}/bot",
        request=sending,
        get_updates_request=polling,
    )
    return bot, [polling, sending]


async def attempt[T](request: Awaitable[T], seconds: float) -> T | Failure:
    """The result of a request, or why it failed; a request without an end is abandoned after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await request
    except TimeoutError:
        return Failure(text="Telegram did not answer in time")
    except Exception as error:  # noqa: BLE001  the library passes on errors of any type
        return failure_of(error)


def failure_of(error: Exception) -> Failure:
    """Describe an error of the library without its text, which may contain the token."""
    from telegram.error import (
        BadRequest,
        Conflict,
        Forbidden,
        InvalidToken,
        NetworkError,
        RetryAfter,
        TimedOut,
    )

    match error:
        case InvalidToken():
            return Failure(
                text="Telegram refuses the token (401 or 404): compare TELEGRAM_TOKEN with @BotFather"
            )
        case Conflict():
            return Failure(
                text="another program receives this bot's messages (409): stop it, or delete the webhook"
            )
        case RetryAfter():
            seconds = error.retry_after
            wanted_s = seconds if isinstance(seconds, (int, float)) else seconds.total_seconds()
            return Failure(
                text="too many requests for Telegram (429)",
                pause_s=min(max(wanted_s, 1.0), MAX_RETRY_AFTER_S),
            )
        case Forbidden():
            return Failure(text="the chat has blocked the bot (403): unblock it", repeat=False)
        case BadRequest():
            return Failure(
                text="Telegram refuses the request (400): send the bot /start, and compare TELEGRAM_CHAT_ID",
                repeat=False,
            )
        case TimedOut():
            return Failure(text="Telegram did not answer in time")
        case NetworkError():
            return Failure(text="Telegram cannot be reached, or its server failed")
        case _:
            return Failure(text=f"Telegram's answer could not be read ({type(error).__name__})")


async def send_one(params: ChatParams, text: str) -> Failure | None:
    """Send one message to the chat; returns why it failed, None if it was sent.

    Raises
    ------
    ImportError
        If the library is not installed.
    """
    bot, requests = connect(params)
    try:
        sent = await attempt(bot.send_message(params.chat_id, text), REQUEST_S)
        return sent if isinstance(sent, Failure) else None
    finally:
        for request in requests:
            await request.shutdown()
