"""/metrics for Prometheus and /health for a watchdog, on threads that trading never waits for.

A scrape renders what is in memory: the newest pulse, the newest reading of the ledger, and what was counted.
The ledger is read by a thread of its own, and only after something happened.
"""

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

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
from monitoring.metrics.figures import DURATION_BUCKETS, Durations, Figures, durations, read_figures
from monitoring.metrics.server import BoundedServer, StartResponse, respond
from monitoring.metrics.state import Health, health, state_values
from singleton import Singleton

TELLING = (Decided, Filled, OrderMoved, Settled)
"""Events after which the ledger says something new."""
READ_AFTER_S = 5.0
"""Least time from an event to the reading of the ledger that shows it: the sums over all history are made
anew, and a reading should not share the processor with the order that made the event."""
READING_SHARE = 0.05
"""Of the time, at most, for reading: a history of years makes the numbers older, not the bot slower."""
GIVE_WAY_S = 0.0005
"""Longest time that a reading keeps another thread waiting; switching itself takes some microseconds."""
LOOK_EVERY_S = 30.0
"""Longest wait for an event: some of what is in the ledger, like a redemption, has none."""
NOTHING_READ = Figures(read_ns=0, values={}, durations=durations(()))
PAGE = b"""<!doctype html><title>Polymarket bot</title><h1>Polymarket bot</h1>
<p><a href="/metrics">metrics</a> for Prometheus, <a href="/health">health</a> for a watchdog.</p>"""


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
        self._market_ns: int | None = None
        self._figures = NOTHING_READ
        self._changed = threading.Event()
        self._looked = threading.Event()
        self._closing = threading.Event()
        self._server: BoundedServer | None = None
        self._threads: list[threading.Thread] = []
        self._metrics = make_wsgi_app(self.registry)
        self.readings = 0
        """How often the ledger was read; a scrape never adds to it."""

    # --- called on the node's loop ---------------------------------------------------------------

    def start(self) -> str:
        try:
            self._server = BoundedServer(self._params.host, self._params.port, self._answer)
        except OSError as error:
            where = f"{self._params.host}:{self._params.port}"
            return (
                f"no metrics: {where} cannot be listened on ({error.strerror});"
                " set GRAFANA_PORT to another one, or start with --no-grafana"
            )
        self._threads = [
            threading.Thread(target=self._read_on, name="metrics-ledger", daemon=True),
            threading.Thread(target=self._serve, args=(self._server,), name="metrics", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        return f"metrics at {self.url}/metrics, health at {self.url}/health"

    def handle(self, event: Event) -> None:
        self._counting.count(event, self._now_ns())
        if isinstance(event, TELLING):
            self._changed.set()

    def beat(self, pulse: Pulse) -> None:
        if pulse.slug is not None or self._market_ns is None:
            self._market_ns = pulse.ts_ns
        self._pulse = pulse

    def close(self) -> None:
        self._closing.set()
        self._changed.set()
        self._looked.set()
        if self._server is not None:
            self._server.close()
        for thread in self._threads:
            thread.join(1.0)

    @property
    def url(self) -> str | None:
        """Where it listens; None if it does not."""
        return None if self._server is None else f"http://{self._params.host}:{self._server.server_port}"

    # --- threads ---------------------------------------------------------------------------------

    def _serve(self, server: BoundedServer) -> None:
        # A counter that was 0 before the first reading would look like a thousand trades at once.
        self._looked.wait()
        server.start()

    def _read_on(self) -> None:
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                self.read()
            finally:
                self._looked.set()
            took_s = time.monotonic() - began
            self._changed.wait(LOOK_EVERY_S)
            self._closing.wait(pause_s(took_s))
            # What happens from here on may be in the next reading or not, and is then in the one after.
            self._changed.clear()

    def read(self) -> None:
        """Take a new reading of the ledger; the old one stands if it cannot be read."""
        try:
            if self._params.ledger.is_file():
                with _giving_way():
                    self._figures = read_figures(
                        self._params.ledger, self._now_ns(), self._params.max_exposure
                    )
                self.readings += 1
        except Fatal as error:
            logger.warning(f"the metrics that come from the ledger are old now: {error}")

    # --- a scrape --------------------------------------------------------------------------------

    def values(self) -> dict[str, Value]:
        """Every mirrored number there is, by metric name."""
        figures = self._figures
        found = dict(figures.values)
        if figures.read_ns:
            found["trading_ledger_reading_age_seconds"] = max(0.0, (self._now_ns() - figures.read_ns) / 1e9)
        if self._pulse is not None:
            found |= state_values(self._pulse, self._now_ns(), live_path=self._params.live_path)
        return found

    def health(self, now_ns: int) -> Health:
        """Whether the bot lives and may trade."""
        return health(self._pulse, now_ns, self._market_ns)

    @property
    def durations(self) -> Durations:
        """For how long the settled trades were open."""
        return self._figures.durations

    def _answer(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            return self._metrics(environ, start)
        if path == "/health":
            found = self.health(self._now_ns())
            status = "200 OK" if found.http_status == 200 else "503 Service Unavailable"
            return respond(start, status, "application/json", msgspec.json.encode(found))
        if path == "/":
            return respond(start, "200 OK", "text/html; charset=utf-8", PAGE)
        return respond(start, "404 Not Found", "text/plain", b"there are /metrics and /health\n")


@contextmanager
def _giving_way() -> Iterator[None]:
    # Python lets a busy thread go on for 5 ms before another gets its turn, and that one waits again after
    # each call to the network: an order or a scrape with ten of them would lose 50 ms. The collector would
    # stop everybody as long, several times, to look for cycles among 100,000 rows that have none.
    before = sys.getswitchinterval()
    sys.setswitchinterval(GIVE_WAY_S)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.setswitchinterval(before)


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


def _duration_family(found: Durations) -> Metric:
    bounds = (*map(str, map(float, DURATION_BUCKETS)), "+Inf")
    return HistogramMetricFamily(
        "trading_trade_duration_seconds",
        "from the fill to the official outcome",
        buckets=list(zip(bounds, found.at_most, strict=True)),
        sum_value=found.total_s,
    )


def pause_s(took_s: float) -> float:
    """Seconds to wait with a reading if the last one took so long."""
    return max(READ_AFTER_S, took_s / READING_SHARE)


_singleton = Singleton(GrafanaMetricsExporter)
get_grafana_exporter = _singleton.get
reset_grafana_exporter = _singleton.reset
