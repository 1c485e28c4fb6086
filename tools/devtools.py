"""Opens a page in Chromium and reads what it has drawn, through DevTools, which no page policy can block."""

import base64
import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import connect

from models import Frozen

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    *("--remote-debugging-port=0", "--window-size=1280,900"),
)
SECONDS = 40.0


class Screen(Frozen, frozen=True):
    """A screen in CSS pixels; `scale` is the number of device pixels in each of them."""

    width: int
    height: int
    mobile: bool = False
    scale: float = 1.0
    dark: bool = False


class Browser:
    """An open page; `received` has every event since, such as console messages."""

    def __init__(self, address: str, profile: Path, screen: Screen | None = None) -> None:
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
        if screen is not None:
            self.show_on(screen)
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

    def show_on(self, screen: Screen) -> None:
        """Lay the page out for a screen."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=screen.width,
            height=screen.height,
            deviceScaleFactor=screen.scale,
            mobile=screen.mobile,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if screen.dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"]["value"]

    def wait_for(self, condition: str, seconds: float = 30.0) -> None:
        """Wait until a JavaScript expression is true; it is evaluated after each change of the page.

        Raises
        ------
        AssertionError
            If it is not true in time; the message has the text of the page.
        """
        found = self.ask(
            "Runtime.evaluate",
            awaitPromise=True,
            returnByValue=True,
            expression=f"""new Promise(done => {{
              const observer = new MutationObserver(check);
              const limit = setTimeout(() => end(document.body.innerText), {1000 * seconds});
              function end(text) {{ observer.disconnect(); clearTimeout(limit); done(text); }}
              function check() {{ if ({condition}) end(""); }}
              const all = {{subtree: true, childList: true, characterData: true, attributes: true}};
              observer.observe(document.documentElement, all);
              check();
            }})""",
        )
        assert "exceptionDetails" not in found, found
        assert found["result"]["value"] == "", f"{condition} is not true:\n{found['result']['value']}"

    def picture(self, path: Path, height: int) -> None:
        """Write the upper part of the page as a PNG file, or all of it if it is shorter."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(height, size["height"]), "scale": 1}
        taken = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))

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
