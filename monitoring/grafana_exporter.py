"""/metrics for Prometheus and /health for a watchdog, on threads that trading never waits for.

A scrape renders what is in memory: the newest pulse, the newest reading of the ledger, and what was counted.
The ledger is read by a thread of its own, and only after something happened.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
from loguru import logger
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from core.nautilus_core.events import Decided, Event, Filled, OrderMoved, Pulse, Settled
from errors import Fatal
from models import Frozen
from monitoring.metrics.catalogue import CATALOGUE, MOST_VALUES, Spec, Value
from monitoring.metrics.counting import Counting
from monitoring.metrics.figures import Figures, read_figures
from monitoring.metrics.state import health, state_values
from singleton import Singleton

TELLING = (Decided, Filled, OrderMoved, Settled)
"""Events after which the ledger says something new."""
READ_EVERY_S = 5.0
"""Least time between two readings of the ledger: its sums are made anew each time."""
LOOK_EVERY_S = 30.0
"""Longest time between them: some of what is in it, like a redemption, has no event."""
DURATION_BUCKETS = (60, 300, 900, 1800, 3600, 7200, 14400, 28800)
PAGE = b"""<!doctype html><title>Polymarket bot</title><h1>Polymarket bot</h1>
<p><a href="/metrics">metrics</a> for Prometheus, <a href="/health">health</a> for a watchdog.</p>"""

Start = Callable[[str, list[tuple[str, str]]], Any]


class ExporterParams(Frozen, frozen=True):
    """Where to listen, whose ledger to read, and what the numbers are held against.

    `port` 0 takes a free one; `live_path` says whether orders are live ones or their rehearsal; `weights` are
    the processors' until a decision says them.
    """

    host: str
    port: int
    ledger: Path
    max_exposure: Decimal
    live_path: bool
    version: str
    weights: Mapping[str, float]


class GrafanaMetricsExporter:
    """Serves /metrics and /health. A `worker.audience.Watcher`.

    A port that is taken costs the metrics and nothing else: it is said in the log, and trading goes on.

    Parameters
    ----------
    params : ExporterParams
    now_ns : Callable[[], int]
        This machine's clock.
    """

    def __init__(self, params: ExporterParams, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._params = params
        self._now_ns = now_ns
        self.registry = CollectorRegistry()
        self._counting = Counting(self.registry, params.version, params.weights)
        self.registry.register(_Mirror(self))
        self._pulse: Pulse | None = None
        self._figures: Figures | None = None
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._server: WSGIServer | None = None
        self._threads: list[threading.Thread] = []
        self._metrics = make_wsgi_app(self.registry)
        self.readings = 0
        """How often the ledger was read; a scrape never adds to it."""

    # --- called on the node's loop ---------------------------------------------------------------

    def start(self) -> None:
        try:
            self._server = make_server(
                self._params.host, self._params.port, self._answer, _Server, _QuietHandler
            )
        except OSError as error:
            where = f"{self._params.host}:{self._params.port}"
            logger.warning(
                f"no metrics: {where} cannot be listened on ({error.strerror});"
                " set GRAFANA_PORT to another one, or start with --no-grafana"
            )
            return
        serve = self._server.serve_forever
        self._threads = [
            threading.Thread(target=self._read_on, name="metrics-ledger", daemon=True),
            threading.Thread(target=serve, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        logger.info(f"metrics at {self.url}/metrics, health at {self.url}/health")

    def handle(self, event: Event) -> None:
        self._counting.count(event, self._now_ns())
        if isinstance(event, TELLING):
            self._changed.set()

    def beat(self, pulse: Pulse) -> None:
        self._pulse = pulse

    def close(self) -> None:
        self._closing.set()
        self._changed.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        for thread in self._threads:
            thread.join(1.0)

    @property
    def url(self) -> str | None:
        """Where it listens; None if it does not."""
        return None if self._server is None else f"http://{self._params.host}:{self._server.server_port}"

    # --- the ledger's thread ---------------------------------------------------------------------

    def _read_on(self) -> None:
        while not self._closing.is_set():
            self._changed.clear()
            self.read()
            self._closing.wait(READ_EVERY_S)
            self._changed.wait(LOOK_EVERY_S)

    def read(self) -> None:
        """Take a new reading of the ledger; the old one stands if it cannot be read."""
        try:
            if self._params.ledger.is_file():
                self._figures = read_figures(self._params.ledger, self._now_ns(), self._params.max_exposure)
                self.readings += 1
        except Fatal as error:
            logger.warning(f"the metrics of the ledger are old: {error}")

    # --- a scrape --------------------------------------------------------------------------------

    def values(self) -> dict[str, Value]:
        """Every mirrored number there is, by metric name."""
        found: dict[str, Value] = {} if self._figures is None else dict(self._figures.values)
        if self._pulse is not None:
            found |= state_values(self._pulse, self._now_ns(), live_path=self._params.live_path)
        return found

    @property
    def durations(self) -> tuple[float, ...]:
        """How long each settled trade was open, seconds."""
        return () if self._figures is None else self._figures.durations

    def _answer(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            return self._metrics(environ, start)
        if path == "/health":
            found = health(self._pulse, self._now_ns())
            status = "200 OK" if found.http_status == 200 else "503 Service Unavailable"
            return _respond(start, status, "application/json", msgspec.json.encode(found))
        if path == "/":
            return _respond(start, "200 OK", "text/html; charset=utf-8", PAGE)
        return _respond(start, "404 Not Found", "text/plain", b"there are /metrics and /health\n")


class _Mirror(Collector):
    """Shows the exporter's mirrored numbers as metrics, all of the catalogue each time."""

    def __init__(self, exporter: GrafanaMetricsExporter) -> None:
        self._exporter = exporter

    def collect(self) -> Iterator[Metric]:
        values = self._exporter.values()
        for spec in CATALOGUE:
            yield _family(spec, values.get(spec.name))
        yield _duration_family(self._exporter.durations)

    def describe(self) -> list[Metric]:
        """Nothing: registering must not need the ledger."""
        return []


def _family(spec: Spec, value: Value | None) -> Metric:
    kind = CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily
    if not spec.label:
        return kind(spec.name, spec.help, value=value if isinstance(value, (int, float)) else 0.0)
    family = kind(spec.name, spec.help, labels=[spec.label])
    given = value if isinstance(value, Mapping) else {}
    for name in spec.values or list(given)[:MOST_VALUES]:
        family.add_metric([name], given.get(name, 0.0))
    return family


def _duration_family(durations: Iterable[float]) -> Metric:
    counts = [0] * (len(DURATION_BUCKETS) + 1)
    total = 0.0
    for seconds in durations:
        counts[bisect_left(DURATION_BUCKETS, seconds)] += 1
        total += seconds
    bounds = (*map(str, map(float, DURATION_BUCKETS)), "+Inf")
    return HistogramMetricFamily(
        "trading_trade_duration_seconds",
        "from the fill to the official outcome",
        buckets=list(zip(bounds, accumulate(counts), strict=True)),
        sum_value=total,
    )


def _respond(start: Start, status: str, kind: str, body: bytes) -> list[bytes]:
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each question on a thread of its own: a slow reader holds up no other."""

    daemon_threads = True
    # Two bots must not share a port: half of the scrapes would be the other's.
    allow_reuse_port = False


class _QuietHandler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:
        """A scrape every few seconds is no news."""


_singleton = Singleton(GrafanaMetricsExporter)
get_grafana_exporter = _singleton.get
reset_grafana_exporter = _singleton.reset
