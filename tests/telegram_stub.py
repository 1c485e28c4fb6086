"""A strict stub of Telegram's Bot API on loopback: what the real one refuses is refused, and recorded.

It serves `getMe`, `getUpdates` and `sendMessage` for one bot and the private chats that exist.
"""

import asyncio
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Self

from aiohttp import web

TOKEN = "123456789:test-token-of-the-stub-not-a-secret"  # a test token
CHAT = 424242
STRANGER = 171717
KNOWN_UPDATES = {"message", "edited_message", "channel_post", "edited_channel_post", "callback_query"}
FAULTS: dict[str, tuple[int, dict[str, Any] | bytes]] = {
    "401": (401, {"ok": False, "error_code": 401, "description": "Unauthorized"}),
    "403": (403, {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked by the user"}),
    "409": (
        409,
        {
            "ok": False,
            "error_code": 409,
            "description": "Conflict: terminated by other getUpdates request; make sure that only one bot"
            " instance is running",
        },
    ),
    "429": (
        429,
        {
            "ok": False,
            "error_code": 429,
            "description": "Too Many Requests: retry after 1",
            "parameters": {"retry_after": 1},
        },
    ),
    "500": (500, {"ok": False, "error_code": 500, "description": "Internal Server Error"}),
    "bytes": (200, b"\xff\xfe{not json"),
    "shape": (200, {"ok": True, "result": [{"update_id": "seven", "message": 7}]}),
}
"""Answers by the name of the fault; `hang` never answers, and the answer of `trickle` never ends."""


class Refused(Exception):
    """A request that the Bot API refuses; `status` and `description` are its answer."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status, self.description = status, description


class TelegramStub:
    """The stub; a context manager that serves in a thread of its own.

    Attributes
    ----------
    url : str
        The value for TELEGRAM_API_URL.
    sent : list of str
        The texts that were accepted by `sendMessage`, in order.
    violations : list of str
        What no correct client does: unknown methods, wrong tokens, wrong parameters, texts that are too long.
    asked : list of str
        The methods that were requested, in order.
    """

    def __init__(self) -> None:
        self.url = ""
        self.sent: list[str] = []
        self.violations: list[str] = []
        self.asked: list[str] = []
        self._faults: dict[str, deque[str]] = defaultdict(deque)
        self._lasting: dict[str, str] = {}
        self._updates: list[dict[str, Any]] = []
        self._allowed = KNOWN_UPDATES
        self._number = 1000
        self._poll: asyncio.Future[bool] | None = None
        self._hanging: set[asyncio.Future[None]] = set()
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()

    # --- what a test does ------------------------------------------------------------------------

    def say(self, text: str, *, age_s: float = 0.0, **changes: Any) -> None:
        """The operator sends a message; `changes` are other fields of the message."""
        self.push("message", message(text, age_s=age_s) | changes)

    def push(self, kind: str, content: dict[str, Any]) -> None:
        """Add an update of any kind, unless the client's last `allowed_updates` left its kind out."""

        def add() -> None:
            if kind in self._allowed:
                self._number += 1
                self._updates.append({"update_id": self._number, kind: content})
                self._wake()

        self._call(add)

    def fault(self, method: str, *names: str) -> None:
        """Answer the next requests of a method with these faults, one each."""
        self._call(lambda: self._faults[method].extend(names))

    def break_down(self, name: str) -> None:
        """Answer every request with a fault until `heal`, the ones that are waiting included."""

        def begin() -> None:
            self._lasting = {"getUpdates": name, "sendMessage": name}
            self._wake()

        self._call(begin)

    def heal(self) -> None:
        """End all faults; the connections of hanging requests are closed."""

        def end() -> None:
            self._lasting = {}
            self._faults.clear()
            for hanging in list(self._hanging):
                hanging.cancel()

        self._call(end)

    def wait_for[T](self, condition: Callable[[], T], seconds: float = 10.0) -> T:
        """Wait until a condition on `sent`, `asked` or `violations` holds; returns its value."""
        with self._changed:
            found = self._changed.wait_for(condition, seconds)
        assert found, f"not in {seconds:g} s; asked {self.asked}, sent {self.sent}"
        return found

    def answer_to(self, text: str, seconds: float = 10.0) -> str:
        """Say something and return the next answer."""
        before = len(self.sent)
        self.say(text)
        self.wait_for(lambda: len(self.sent) > before, seconds)
        return self.sent[before]

    def polls(self) -> int:
        """Number of `getUpdates` so far."""
        return self.asked.count("getUpdates")

    # --- the server ------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        try:
            given = await self._checked(request, method)
            if (fault := self._next_fault(method)) is not None:
                return await self._faulty(fault, request)
            result = await self._answers()[method](given)
        except Refused as refused:
            if refused.status not in (401, 409):
                self._note(self.violations, f"{method}: {refused.description}")
            return _refusal(refused)
        return web.json_response({"ok": True, "result": result})

    def _answers(self) -> dict[str, Callable[[dict[str, str]], Any]]:
        return {"getMe": self._get_me, "getUpdates": self._get_updates, "sendMessage": self._send_message}

    async def _checked(self, request: web.Request, method: str) -> dict[str, str]:
        """The parameters of a request for an existing method with the right token."""
        if request.match_info["token"] != TOKEN:
            self._note(self.violations, "another token")
            raise Refused(401, "Unauthorized")
        if method not in self._answers() or request.method != "POST":
            raise Refused(404, "Not Found")
        self._note(self.asked, method)
        if request.content_type != "application/x-www-form-urlencoded":
            raise Refused(400, f"Bad Request: content type {request.content_type}")
        return {name: str(value) for name, value in (await request.post()).items()}

    def _next_fault(self, method: str) -> str | None:
        waiting = self._faults[method]
        return waiting.popleft() if waiting else self._lasting.get(method)

    async def _faulty(self, name: str, request: web.Request | None = None) -> web.StreamResponse:
        if name == "trickle" and request is not None:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.05)
        if name == "hang":
            hanging: asyncio.Future[None] = self._loop.create_future()
            self._hanging.add(hanging)
            try:
                await hanging
            finally:
                self._hanging.discard(hanging)
        status, body = FAULTS[name]
        if isinstance(body, bytes):
            return web.Response(status=status, body=body, content_type="application/json")
        return web.json_response(body, status=status)

    async def _get_me(self, given: dict[str, str]) -> dict[str, Any]:
        _only(given)
        return {"id": int(TOKEN.partition(":")[0]), "is_bot": True, "first_name": "Bot", "username": "a_bot"}

    async def _get_updates(self, given: dict[str, str]) -> list[dict[str, Any]]:
        _only(given, "offset", "limit", "timeout", "allowed_updates")
        offset, limit = int(given.get("offset", 0)), int(given.get("limit", 100))
        seconds = int(given.get("timeout", 0))
        if not 1 <= limit <= 100 or not 0 <= seconds <= 50 or offset < 0:
            raise Refused(400, f"Bad Request: {given}")
        if "allowed_updates" in given:
            allowed = json.loads(given["allowed_updates"])
            if not isinstance(allowed, list) or not set(allowed) <= KNOWN_UPDATES:
                raise Refused(400, "Bad Request: can't parse allowed_updates")
            self._allowed = set(allowed) or KNOWN_UPDATES
        # An offset confirms every earlier update: it is never sent again.
        self._updates = [update for update in self._updates if update["update_id"] >= offset]
        self._wake(conflict=True)
        if not self._updates and seconds:
            self._poll = self._loop.create_future()
            try:
                async with asyncio.timeout(seconds):
                    if await self._poll:
                        raise Refused(409, FAULTS["409"][1]["description"])
            except TimeoutError:
                pass
            if "getUpdates" in self._lasting:
                await self._faulty(self._lasting["getUpdates"])
        return self._updates[:limit]

    def _wake(self, *, conflict: bool = False) -> None:
        """End the waiting poll: with its updates, or because another request was made for the same bot."""
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(conflict)
        self._poll = None

    async def _send_message(self, given: dict[str, str]) -> dict[str, Any]:
        _only(given, "chat_id", "text")
        text = given.get("text", "")
        if given.get("chat_id") not in (str(CHAT), str(STRANGER)):
            raise Refused(400, "Bad Request: chat not found")
        if not text.strip():
            raise Refused(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            raise Refused(400, "Bad Request: message is too long")
        if given["chat_id"] != str(CHAT):
            self._note(self.violations, f"an answer to {given['chat_id']}")
        self._note(self.sent, text)
        return message(text, sender={"id": 123456789, "is_bot": True, "first_name": "Bot"})

    def _note(self, where: list[str], what: str) -> None:
        with self._changed:
            where.append(what)
            self._changed.notify_all()

    def _call(self, action: Callable[[], Any]) -> None:
        """Run an action on the server's loop and wait for it."""
        done = threading.Event()

        def run() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(10)

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.heal()
        self._call(self._wake)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        application = web.Application()
        application.router.add_route("*", "/bot{token:[^/]+}/{method}", self._handle)
        runner = web.AppRunner(
            application,
            handle_signals=False,
            handler_cancellation=True,
            access_log=None,
            shutdown_timeout=0.1,
        )
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()


def message(
    text: str, *, age_s: float = 0.0, chat: int = CHAT, sender: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A message of a private chat, from its person unless `sender` is given."""
    return {
        "message_id": 7,
        "date": int(time.time() - age_s),
        "chat": {"id": chat, "type": "private", "first_name": "P"},
        "from": sender or {"id": chat, "is_bot": False, "first_name": "P"},
        "text": text,
    }


def _only(given: dict[str, str], *names: str) -> None:
    if unknown := set(given) - set(names):
        raise Refused(400, f"Bad Request: unknown parameters {sorted(unknown)}")


def _refusal(refused: Refused) -> web.Response:
    body = {"ok": False, "error_code": refused.status, "description": refused.description}
    return web.json_response(body, status=refused.status)
