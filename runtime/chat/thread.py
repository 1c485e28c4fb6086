"""Runs the chat in a thread of its own, and ends it in time."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from config import Settings
from runtime.chat.commands import ChatCounts, Commands
from runtime.chat.telegram_chat import ChatParams, TelegramChat

CLOSE_S = 0.5
"""Longest wait for the end of the thread: the complete exit of the bot may take 5 s."""


class ChatThread:
    """The thread of a chat. It does not keep the process from ending.

    Parameters
    ----------
    chat : TelegramChat
    show : Callable[[str], None]
        Shows a message to the operator at the terminal; called in the thread.
    """

    def __init__(self, chat: TelegramChat, show: Callable[[str], None]) -> None:
        self._chat = chat
        self._show = show
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="chat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Abandon the requests in flight and end, within `CLOSE_S`."""
        with suppress(RuntimeError):  # the loop is closed: the thread has ended
            self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join(CLOSE_S)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._task = self._loop.create_task(self._chat.run())
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001  the chat must not end the bot
            # The error's text may contain the token.
            self._show(f"Chat: ended by {type(error).__name__}. Trading goes on without it.")
        finally:
            self._loop.close()


def start_chat(
    settings: Settings, profile: Callable[[], str], profiles: Sequence[str], show: Callable[[str], None]
) -> ChatThread | None:
    """Start the chat of the settings; None if they name none.

    Parameters
    ----------
    settings : Settings
    profile : Callable[[], str]
        Name of the profile that the current worker trades in; called in the chat's thread.
    profiles : sequence of str
        Names of the profiles of this run.
    show : Callable[[str], None]
        Shows a message to the operator at the terminal.
    """
    params = chat_params(settings)
    if params is None:
        return None
    counts = ChatCounts()
    commands = Commands(settings, profile, profiles, counts)
    thread = ChatThread(TelegramChat(params, commands, counts, show), show)
    thread.start()
    return thread


def chat_params(settings: Settings) -> ChatParams | None:
    """Token, chat and address of the settings; None without them."""
    if settings.telegram_chat_id is None:
        return None
    return ChatParams(
        token=settings.telegram_token, chat_id=settings.telegram_chat_id, api_url=settings.telegram_api_url
    )
