"""Real Prometheus and Alertmanager processes with the committed files, and a webhook that receives their
alerts."""

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import yaml
from bot_process import BUYS, ROOT

GRAFANA = ROOT / "grafana"
SURE_TRADE = ("--test-mode", "--venue", "synthetic", "--seed", "31", "--start-at", "600")
"""A generated market, started before its window, whose favourite is offered in any amount, and loses."""
SURE_TO_BUY = BUYS | {
    "MAX_SLIPPAGE": "0.50",
}
"""Settings with which it is bought whatever the signals are."""
START_S = 15.0
"""Prometheus scrapes a target for the first time about six seconds after its start."""
SHORTEST_FOR_S = 2
LONGEST_AGE_S = 10


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def until(what: Callable[[], Any], description: str, seconds: float = START_S, but: Any = lambda: "") -> None:
    """Wait until a condition holds; `but` describes the actual state if it never does."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {description} {but()}")
        time.sleep(0.1)


def shortened(text: str) -> str:
    """The alert rules with every duration shortened, so that the test need not wait for minutes.

    Only `for:` and the seconds that a metric in seconds is compared with are changed.
    """
    text = re.sub(r"^( +for: )\d+m$", rf"\g<1>{SHORTEST_FOR_S}s", text, flags=re.MULTILINE)
    return re.sub(
        r"(_seconds\{[^}]*\} > )(\d+)$",
        lambda found: f"{found[1]}{min(int(found[2]), LONGEST_AGE_S)}",
        text,
        flags=re.MULTILINE,
    )


class Service:
    """A server in a process of its own with its files in `folder`; a context manager."""

    def __init__(self, folder: Path, program: str, *flags: str, port: int) -> None:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        self._log = folder / f"{program}.log"
        self.url = f"http://127.0.0.1:{port}"
        with self._log.open("w") as log:
            self._process = subprocess.Popen([program, *flags], cwd=folder, stdout=log, stderr=log)

    def _await_ready(self) -> None:
        def ready() -> bool:
            assert self._process.poll() is None, self._log.read_text()
            try:
                return httpx.get(f"{self.url}/-/ready", trust_env=False).is_success
            except httpx.TransportError:
                return False

        until(ready, f"{self.url} is ready")

    def __enter__(self) -> Self:
        self._await_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)


class Prometheus(Service):
    """Scrapes the bot at `bot_port` every second, with the committed configuration and other addresses."""

    def __init__(self, folder: Path, bot_port: int, rules: str, alertmanager_port: int) -> None:
        port = free_port()
        configuration = yaml.safe_load((GRAFANA / "prometheus" / "prometheus.yml").read_text())
        configuration["global"] = dict.fromkeys(configuration["global"], "1s")
        static = configuration["scrape_configs"][0]["static_configs"][0]
        static["targets"] = [f"127.0.0.1:{bot_port}"]
        manager = configuration["alerting"]["alertmanagers"][0]["static_configs"][0]
        manager["targets"] = [f"127.0.0.1:{alertmanager_port}"]
        folder.mkdir()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        (folder / "alerts.yml").write_text(rules)
        flags = ("--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn")
        super().__init__(folder, "prometheus", *flags, f"--web.listen-address=127.0.0.1:{port}", port=port)
        self._client = httpx.Client(base_url=self.url, trust_env=False)

    def __exit__(self, *_: object) -> None:
        self._client.close()
        super().__exit__()

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The present value of an expression.

        Raises
        ------
        AssertionError
            If Prometheus refuses it.
        """
        answer = self._client.get("/api/v1/query", params={"query": expr}).json()
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        return {found["metric"]["alertname"] for found in self.query('ALERTS{alertstate="firing"}')}


class Alertmanager(Service):
    """The committed configuration, with a webhook of the test and without delays."""

    def __init__(self, folder: Path, webhook: str) -> None:
        self.port = free_port()
        configuration = yaml.safe_load((GRAFANA / "alertmanager" / "alertmanager.yml").read_text())
        configuration["route"].update(group_wait="0s", group_interval="1s")
        configuration["receivers"][0]["webhook_configs"][0]["url"] = webhook
        folder.mkdir()
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(configuration))
        flags = ("--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address=")
        address = f"--web.listen-address=127.0.0.1:{self.port}"
        super().__init__(folder, "prometheus-alertmanager", *flags, address, port=self.port)


class Webhook:
    """Stores the alerts that it receives, by name; a context manager."""

    def __init__(self) -> None:
        self.received: dict[str, dict[str, Any]] = {}
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    if alert["status"] == "firing":
                        hook.received[alert["labels"]["alertname"]] = alert
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
