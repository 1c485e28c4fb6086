"""The chat with the real library against a strict stub of the Bot API."""

import logging
import sys
import threading
import time
import tomllib

import pytest
from pydantic import SecretStr
from telegram_stub import CHAT, STRANGER, TOKEN, TelegramStub, message

from config import ROOT
from runtime.chat import telegram_chat
from runtime.chat.commands import Answer, ChatCounts
from runtime.chat.telegram_chat import REQUIREMENT, ChatParams, TelegramChat
from runtime.chat.thread import ChatThread


class Echo:
    """Commands that answer with the text, or with what `answers` has for it."""

    def __init__(self):
        self.executed = []
        self.answers = {}

    def answer(self, text, *, late=False):
        self.executed.append(f"{text} late" if late else text)
        found = self.answers.get(text, text)
        if isinstance(found, Exception):
            raise found
        return Answer(found, changed=text if text.startswith("/halt") else "")


class Chatting:
    """A running chat; `shown` is what the operator's terminal has of it."""

    def __init__(self, stub):
        self.stub, self.shown, self.counts, self.commands = stub, [], ChatCounts(), Echo()
        params = ChatParams(token=SecretStr(TOKEN), chat_id=CHAT, api_url=stub.url)
        chat = TelegramChat(params, self.commands, self.counts, self.shown.append, pauses_s=(0.01,))
        self.thread = ChatThread(chat, self.shown.append)

    def connected(self):
        """Wait for the second poll: what is said from now on is not what had waited."""
        polls = self.stub.polls()
        self.stub.wait_for(lambda: self.stub.polls() > max(polls, 1))
        return self


@pytest.fixture
def stub():
    with TelegramStub() as stub:
        yield stub


@pytest.fixture
def chatting(stub):
    chatting = Chatting(stub)
    yield chatting
    chatting.thread.close()
    assert not chatting.thread._thread.is_alive()
    assert not [text for text in chatting.shown if TOKEN in text]


def test_each_message_is_executed_once_and_answered_in_order(chatting, stub):
    """What is confirmed is not received again, and every request is one that the Bot API accepts."""
    chatting.thread.start()
    chatting.connected()
    for text in ("one", "/halt two", "three"):
        stub.say(text)
    stub.wait_for(lambda: len(stub.sent) == 3)
    assert stub.sent == chatting.commands.executed == ["one", "/halt two", "three"]
    assert chatting.shown == ["Chat: connected to Telegram.", "Chat: /halt two"]
    assert stub.violations == []
    assert set(stub.asked) == {"getUpdates", "sendMessage"}


def test_what_waited_at_the_start_is_late(chatting, stub):
    """Everything that was sent before the first poll is late, and so is a message older than a minute."""
    stub.say("before")
    chatting.thread.start()
    chatting.connected()
    stub.say("old", age_s=62)
    stub.say("recent", age_s=50)
    stub.wait_for(lambda: len(stub.sent) == 3)
    assert chatting.commands.executed == ["before late", "old late", "recent"]


GROUP = {"id": -100200300, "type": "supergroup", "title": "G"}
OPERATOR = {"id": CHAT, "is_bot": False, "first_name": "P"}
ORIGIN = {"type": "user", "date": 1_790_000_000, "sender_user": OPERATOR}
FOREIGN = {
    "another chat": ("message", message("/halt", chat=STRANGER)),
    "a group with the operator": ("message", message("/halt", sender=OPERATOR) | {"chat": GROUP}),
    "a group with the id of the operator": (
        "message",
        message("/halt") | {"chat": GROUP | {"id": CHAT}},
    ),
    "another chat with the operator": ("message", message("/halt", chat=STRANGER, sender=OPERATOR)),
    "another sender in the chat": (
        "message",
        message("/halt", sender={"id": STRANGER, "is_bot": False, "first_name": "S"}),
    ),
    "a bot": ("message", message("/halt", sender=OPERATOR | {"is_bot": True})),
    "no sender": ("message", {key: each for key, each in message("/halt").items() if key != "from"}),
    "forwarded": ("message", message("/halt") | {"forward_origin": ORIGIN}),
    "through another bot": (
        "message",
        message("/halt") | {"via_bot": {"id": 9, "is_bot": True, "first_name": "B"}},
    ),
    "an edit": ("edited_message", message("/halt") | {"edit_date": int(time.time())}),
    "a post of a channel": (
        "channel_post",
        message("/halt") | {"chat": {"id": -100500, "type": "channel", "title": "C"}},
    ),
    "a button": (
        "callback_query",
        {"id": "1", "from": OPERATOR, "chat_instance": "1", "data": "/halt", "message": message("/halt")},
    ),
}


def test_other_senders_are_ignored_and_counted(chatting, stub):
    """None is executed or answered, each is counted, and the terminal has one line without its text."""
    for kind, content in FOREIGN.values():
        stub.push(kind, content)
    chatting.thread.start()
    chatting.connected()
    stub.push("message", message("/halt", chat=STRANGER))
    assert stub.answer_to("mine") == "mine"
    assert chatting.commands.executed == ["mine"]
    assert chatting.counts.ignored == len(FOREIGN) + 1
    assert len(chatting.shown) == 2
    assert "another sender was ignored" in chatting.shown[1]
    assert stub.violations == []


def test_no_other_update_is_asked_for(chatting, stub):
    """Once connected, edits and buttons are not even sent by Telegram."""
    chatting.thread.start()
    chatting.connected()
    stub.push(*FOREIGN["an edit"])
    stub.push(*FOREIGN["a button"])
    assert stub.answer_to("mine") == "mine"
    assert chatting.counts.ignored == 0


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("401", "refuses the token (401 or 404)"),
        ("409", "another program receives this bot's messages (409)"),
        ("500", "Telegram cannot be reached, or its server failed"),
        ("bytes", "Telegram's answer could not be read (TelegramError)"),
        ("shape", "Telegram's answer could not be read"),
    ],
)
def test_a_failure_is_shown_once_and_survived(chatting, stub, fault, line, capfd, caplog):
    """Five failures in a row are one line without the token, no log record, and then the chat answers."""
    caplog.set_level(logging.DEBUG)
    stub.fault("getUpdates", *[fault] * 5)
    chatting.thread.start()
    stub.wait_for(lambda: stub.polls() >= 7)
    assert stub.answer_to("/halt") == "/halt"
    assert len(chatting.shown) == 3
    assert line in chatting.shown[0]
    assert chatting.shown[0].endswith("Trading goes on.")
    assert TOKEN not in "".join([caplog.text, *capfd.readouterr()])
    assert stub.violations == []


def test_a_pause_that_telegram_asks_for_is_kept(chatting, stub):
    """After 429 with retry_after 1 nothing is requested for a second."""
    chatting.thread.start()
    chatting.connected()
    stub.fault("sendMessage", "429")
    began = time.monotonic()
    assert stub.answer_to("mine") == "mine"
    assert time.monotonic() - began >= 1
    assert stub.asked.count("sendMessage") == 2
    assert chatting.shown[1:] == ["Chat: too many requests for Telegram (429). Trading goes on."]


def test_answers_that_cannot_be_sent_are_counted(chatting, stub):
    """A blocked bot does not repeat its answer; after four server failures the answer is dropped."""
    chatting.thread.start()
    chatting.connected()
    stub.fault("sendMessage", "403", "500", "500", "500", "500", "500")
    for text in ("blocked", "dropped", "sent"):
        stub.say(text)
    stub.wait_for(lambda: stub.sent)
    assert stub.sent == ["sent"]
    assert chatting.counts.unsent == 2


@pytest.mark.parametrize("fault", ["hang", "trickle"])
def test_a_halt_is_executed_while_no_answer_can_be_sent(chatting, stub, monkeypatch, fault):
    """Requests without an end are abandoned; what is received meanwhile is executed at once."""
    monkeypatch.setattr(telegram_chat, "REQUEST_S", 0.3)
    chatting.thread.start()
    chatting.connected()
    stub.fault("sendMessage", fault)
    stub.say("first")
    stub.wait_for(lambda: "sendMessage" in stub.asked)
    stub.say("/halt")
    stub.wait_for(lambda: len(stub.sent) == 2)
    assert chatting.commands.executed == stub.sent == ["first", "/halt"]
    assert "Chat: Telegram did not answer in time. Trading goes on." in chatting.shown
    assert chatting.shown.index("Chat: /halt") < len(chatting.shown) - 1


def test_a_long_answer_is_several_messages(chatting, stub):
    """Every part has at most 4096 characters as Telegram counts them, and together they are the answer."""
    text = "\n".join(f"line {number} 😀" for number in range(1000))
    chatting.commands.answers["long"] = text
    chatting.thread.start()
    chatting.connected()
    stub.say("long")
    stub.wait_for(lambda: stub.sent and stub.sent[-1].endswith("line 999 😀"))
    assert "\n".join(stub.sent) == text
    assert len(stub.sent) == 3
    assert stub.violations == []


def test_an_error_in_a_command_is_answered(chatting, stub):
    """The chat goes on after it."""
    chatting.commands.answers["bad"] = ZeroDivisionError("in a command")
    chatting.thread.start()
    chatting.connected()
    assert stub.answer_to("bad") == "This failed with ZeroDivisionError; trading is not affected."
    assert stub.answer_to("good") == "good"
    assert "Chat: an answer failed with ZeroDivisionError: in a command" in chatting.shown


def test_a_hanging_service_does_not_delay_the_end(chatting, stub):
    """The chat ends within half a second while its request has no answer."""
    stub.break_down("hang")
    chatting.thread.start()
    stub.wait_for(lambda: stub.asked)
    began = time.monotonic()
    chatting.thread.close()
    assert time.monotonic() - began < 0.5
    assert threading.active_count() >= 1


def test_without_the_library_the_command_to_install_it_is_shown(chatting, monkeypatch):
    """The chat ends with one warning; the requirement is that of the project's extra."""
    monkeypatch.setitem(sys.modules, "telegram", None)
    chatting.thread.start()
    chatting.thread._thread.join(10)
    assert chatting.shown == [
        "warning: Telegram needs the extra `chat`, which is not installed. Install it with: uv pip install"
        f" '{REQUIREMENT}'. Trading goes on without the chat."
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["optional-dependencies"]["chat"] == [REQUIREMENT]
