"""Opens a page in Chromium and reads what it has drawn, through DevTools, which no page policy can block."""

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import connect

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-port=0", "--window-size=1280,900"),
)
SECONDS = 40.0


class Browser:
    """An open page; `received` has every event since, such as console messages."""

    def __init__(self, address: str, profile: Path) -> None:
        self.received: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._process = subprocess.Popen(
            ["chromium", *FLAGS, f"--user-data-dir={profile}"], stderr=subprocess.PIPE, text=True
        )
        self._socket = connect(self._endpoint(), max_size=None, proxy=None)
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Log", "Runtime", "Network", "Page"):
            self.ask(f"{domain}.enable")
        self.ask("Page.navigate", url=address)
        while not self.events("Page.loadEventFired"):
            self._take()

    _session: str | None = None

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command; returns its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while (answer := self._take()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"]["value"]

    def events(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.received if event["method"] == method]

    def _take(self) -> dict[str, Any]:
        message = json.loads(self._socket.recv(SECONDS))
        if "method" in message:
            self.received.append(message)
        return message

    def _endpoint(self) -> str:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"DevTools listening on (ws://\S+)", line):
                return found[1]
        raise AssertionError("chromium ended before it listened")

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
