"""Serves /metrics for Prometheus and /health for a watchdog, on threads that trading does not wait for.

The status page, if there is one, answers every other path of the same port. A request is answered under the
names of this machine only, so that no web site can read it through a name of its own.

The ledger is read once, at the start; afterwards events update its totals. A scrape renders values in memory:
the newest worker status, the newest totals, and the counts of this process.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from loguru import logger
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from common.singleton import Singleton
from common.utc_time import utc_midnight_ns
from events import Event, WorkerStatus
from models import Frozen
from monitoring.ledger_totals import DURATION_BUCKETS, LedgerTotals, Run
from monitoring.metrics.catalogue import CATALOGUE, MOST_VALUES, OF_SERIES, MetricSpec, Value
from monitoring.metrics.event_metrics import EventMetrics
from monitoring.metrics.host_names import is_this_machine
from monitoring.metrics.ledger_values import ledger_bytes, ledger_values
from monitoring.metrics.server import Application, BoundedServer, StartResponse, respond
from monitoring.metrics.status_values import Health, health, state_values
from monitoring.performance_tracker import PerformanceTracker
from monitoring.status_lines import series_statuses
from monitoring.totals_reader import read_totals

PAGE = b"""<!doctype html><title>Polymarket bot</title><h1>Polymarket bot</h1>
<p><a href="/metrics">metrics</a> for Prometheus, <a href="/health">health</a> for a watchdog.</p>"""


OTHER_HOST = (
    b"answered under an IP address, localhost, and the names in GRAFANA_HOST and GRAFANA_ALLOWED_HOSTS only\n"
)


class ExporterParams(Frozen, frozen=True):
    """Listen address, ledger, and the reference values of the metrics.

    `port` 0 takes any free port; `live_path` is True for live orders or their rehearsal; `weights` are the
    processors' weights until the first decision; `series` has the names of several series, and is empty with
    one. `names` are those that a Host header may have besides `localhost` and IP addresses, in lower case.
    """

    host: str
    port: int
    ledger: Path
    max_exposure: Decimal
    live_path: bool
    version: str
    weights: Mapping[str, float]
    names: frozenset[str] = frozenset()
    series: tuple[str, ...] = ()


class _Snapshot(Frozen, frozen=True):
    """The ledger's values after an event, made on the node's loop and read by any thread.

    `at_most` and `total_s` are the histogram of `Durations`.
    """

    ts_ns: int
    values: dict[str, Value]
    at_most: tuple[int, ...]
    total_s: float


class GrafanaMetricsExporter:
    """Serves /metrics and /health. A `runtime.worker.observers.Observer`.

    A port in use, or a ledger that cannot be read, only disables metrics: it is logged, and trading
    continues.

    Parameters
    ----------
    params : ExporterParams
    make_tracker : Callable[[Decimal], PerformanceTracker]
        Creates the tracker of the trades from the starting balance.
    now_ns : Callable[[], int]
        This machine's clock.
    """

    def __init__(
        self,
        params: ExporterParams,
        make_tracker: Callable[[Decimal], PerformanceTracker] = PerformanceTracker,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._params = params
        self._make_tracker = make_tracker
        self._now_ns = now_ns
        self.registry = CollectorRegistry()
        self._event_metrics = EventMetrics(self.registry, params.version, params.weights, params.series)
        self.registry.register(_Mirror(self))
        self._worker_status: WorkerStatus | None = None
        self._market_ns: int | None = None
        self._series_ns: dict[str, int] = {}
        """When each of several series last had a running market."""
        self._totals: LedgerTotals | None = None
        self._snapshot = self._snapshot_of(LedgerTotals(PerformanceTracker(Decimal(0)), Run()))
        self._behind_since_ns: int | None = None
        """Time since when the totals are not updated; None while they are."""
        self._unread = False
        self._server: BoundedServer | None = None
        self._pages: Application = _only_links
        """Answers what is neither /metrics nor /health."""
        self._metrics = make_wsgi_app(self.registry)

    # --- called on the node's loop ---------------------------------------------------------------

    def start(self) -> str:
        """Read the ledger and start to listen; a long history takes seconds, before the node's loop runs."""
        try:
            self._server = BoundedServer(self._params.host, self._params.port, self._answer)
        except OSError as error:
            where = f"{self._params.host}:{self._params.port}"
            return (
                f"no metrics: cannot listen on {where} ({error.strerror});"
                " set GRAFANA_PORT to another port, or start with --no-grafana"
            )
        self._read()
        self._server.start()
        return f"metrics at {self.url}/metrics, health at {self.url}/health"

    def handle(self, event: Event) -> None:
        self._event_metrics.count(event, self._now_ns())
        if self._totals is None:
            return
        try:
            if self._totals.handle(event):
                self._snapshot = self._snapshot_of(self._totals)
        except Exception:
            if self._behind_since_ns is None:
                self._behind_since_ns = self._now_ns()
            raise

    def heartbeat(self, worker_status: WorkerStatus) -> None:
        if worker_status.slug is not None or self._market_ns is None:
            self._market_ns = worker_status.ts_ns
        for one in worker_status.series:
            if one.slug is not None or one.series not in self._series_ns:
                self._series_ns[one.series] = worker_status.ts_ns
        self._worker_status = worker_status

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def serve(self, pages: Application) -> None:
        """Let `pages` answer every other path; before `start`."""
        self._pages = pages

    @property
    def totals(self) -> LedgerTotals | None:
        """The totals of the ledger, for the node's loop only; None if it was not read."""
        return self._totals

    @property
    def url(self) -> str | None:
        """The address it listens on; None if it does not."""
        return None if self._server is None else f"http://{self._params.host}:{self._server.server_port}"

    def _read(self) -> None:
        if not self._params.ledger.is_file():
            return
        try:
            self._totals = read_totals(self._params.ledger, self._make_tracker)
            self._snapshot = self._snapshot_of(self._totals)
        except Exception as error:  # noqa: BLE001 - the other metrics are still served
            self._unread, self._behind_since_ns = True, self._now_ns()
            logger.warning(f"the ledger metrics are missing until the next start: {error}")

    def _snapshot_of(self, totals: LedgerTotals) -> _Snapshot:
        now_ns = self._now_ns()
        return _Snapshot(
            ts_ns=now_ns,
            values=ledger_values(totals, self._params.max_exposure, now_ns),
            at_most=totals.durations.at_most,
            total_s=totals.durations.total_s,
        )

    # --- a scrape, on a thread of the server -------------------------------------------------------

    def values(self) -> dict[str, Value]:
        """All mirrored values, by metric name."""
        now_ns, snapshot, worker_status = self._now_ns(), self._snapshot, self._worker_status
        found = dict(snapshot.values)
        if utc_midnight_ns(now_ns) != utc_midnight_ns(snapshot.ts_ns):
            found["trading_day_pnl"] = 0.0
        behind_ns = 0 if self._behind_since_ns is None else now_ns - self._behind_since_ns
        found["trading_ledger_reading_age_seconds"] = max(0.0, behind_ns / 1e9)
        found["trading_ledger_bytes"] = float(ledger_bytes(self._params.ledger))
        if worker_status is not None:
            found |= state_values(worker_status, now_ns, live_path=self._params.live_path)
        return found

    def series_values(self) -> dict[str, dict[str, Value]]:
        """The values of the state of each of several series, by its name and the metric's; empty with one."""
        now_ns, worker_status = self._now_ns(), self._worker_status
        found: dict[str, dict[str, Value]] = {name: {} for name in self._params.series}
        if found and worker_status is not None:
            for one, status in zip(worker_status.series, series_statuses(worker_status), strict=False):
                found[one.series] = state_values(status, now_ns, live_path=self._params.live_path)
        return found

    def families(self) -> Iterator[Metric]:
        """The mirrored metrics of the catalogue; without the ledger's if it could not be read."""
        snapshot, values, by_series = self._snapshot, self.values(), self.series_values()
        for spec in CATALOGUE:
            if by_series and spec.name in OF_SERIES:
                yield _series_family(spec, {name: found.get(spec.name) for name, found in by_series.items()})
                continue
            # A counter with 0 instead of its total would look like a counter that was reset.
            if not (self._unread and spec.name in snapshot.values):
                yield _family(spec, values.get(spec.name))
        if not self._unread:
            yield _duration_family(snapshot.at_most, snapshot.total_s)

    def health(self, now_ns: int) -> Health:
        """Whether the bot runs and may trade."""
        return health(self._worker_status, now_ns, self._market_ns, self._series_ns.copy())

    def _answer(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        if not is_this_machine(str(environ.get("HTTP_HOST", "")), self._params.names):
            return respond(start, "403 Forbidden", "text/plain", OTHER_HOST)
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            return self._metrics(environ, start)
        if path == "/health":
            found = self.health(self._now_ns())
            status = "200 OK" if found.http_status == 200 else "503 Service Unavailable"
            return respond(start, status, "application/json", msgspec.json.encode(found))
        return self._pages(environ, start)


def _only_links(environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
    """The page without a status page."""
    if environ.get("PATH_INFO", "/") == "/":
        return respond(start, "200 OK", "text/html; charset=utf-8", PAGE)
    return respond(start, "404 Not Found", "text/plain", b"there are /metrics and /health\n")


class _Mirror(Collector):
    """Collects the exporter's mirrored values as metrics, all of the catalogue each time."""

    def __init__(self, exporter: GrafanaMetricsExporter) -> None:
        self._exporter = exporter

    def collect(self) -> Iterator[Metric]:
        return self._exporter.families()

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not need the ledger."""
        return []


def _family(spec: MetricSpec, value: Value | None) -> Metric:
    kind = CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily
    if not spec.label:
        return kind(spec.name, spec.help, value=value if isinstance(value, (int, float)) else 0.0)
    family = kind(spec.name, spec.help, labels=[spec.label])
    given = value if isinstance(value, Mapping) else {}
    for name in spec.values or list(given)[:MOST_VALUES]:
        family.add_metric([name], given.get(name, 0.0))
    return family


def _series_family(spec: MetricSpec, values: Mapping[str, Value | None]) -> Metric:
    """A metric with one value, or one for each value of its label, for each series."""
    kind = CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily
    family = kind(spec.name, spec.help, labels=["series", *([spec.label] if spec.label else [])])
    for series, value in values.items():
        if not spec.label:
            family.add_metric([series], value if isinstance(value, (int, float)) else 0.0)
            continue
        given = value if isinstance(value, Mapping) else {}
        for name in spec.values or list(given)[:MOST_VALUES]:
            family.add_metric([series, name], given.get(name, 0.0))
    return family


def _duration_family(at_most: tuple[int, ...], total_s: float) -> Metric:
    bounds = (*map(str, map(float, DURATION_BUCKETS)), "+Inf")
    return HistogramMetricFamily(
        "trading_trade_duration_seconds",
        "from the first fill to the official outcome",
        buckets=list(zip(bounds, at_most, strict=True)),
        sum_value=total_s,
    )


_singleton = Singleton(GrafanaMetricsExporter)
get_grafana_exporter = _singleton.get
reset_grafana_exporter = _singleton.reset
