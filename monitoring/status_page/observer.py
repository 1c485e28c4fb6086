"""Serves the status page on the port of the metrics, on threads that trading does not wait for.

Once a second the node's loop makes a view of what is in memory anyway: the worker status, the newest markets
and the exporter's totals. A request sends the last view. The ledger is read at the start, and for the plots
after a settlement.
"""

import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from loguru import logger

from common.plain_text import escaped_json
from events import Event, FillMoved, Settled, WorkerStatus
from models import FillStatus, Frozen
from monitoring.grafana_exporter import GrafanaMetricsExporter
from monitoring.metrics.server import StartResponse
from monitoring.metrics.status_values import Health
from monitoring.status_page.history import recent_blocks
from monitoring.status_page.model import MARKETS, PageModel
from monitoring.status_page.plots import PlotThread, plot_data
from monitoring.status_page.site import METHODS, page_file, send
from monitoring.status_page.view import PageView

JSON = "application/json"
READ_ONLY = b"the status page is read-only: GET or HEAD\n"


class StatusPageParams(Frozen, frozen=True):
    """The ledger, and the limit of the exposure in pUSD."""

    ledger: Path
    max_exposure: Decimal


class _Document(Frozen, frozen=True):
    """`status.json`; `page` is null before the first heartbeat."""

    health: msgspec.Raw
    plots: int
    page: msgspec.Raw


class StatusPage:
    """Serves the page at `/`. A `runtime.worker.observers.Observer`, called after its exporter.

    Parameters
    ----------
    params : StatusPageParams
    exporter : GrafanaMetricsExporter
        Listens, and has the totals; without its port there is no page.
    now_ns : Callable[[], int]
        This machine's clock.
    """

    def __init__(
        self,
        params: StatusPageParams,
        exporter: GrafanaMetricsExporter,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._params = params
        self._exporter = exporter
        self._now_ns = now_ns
        self._model = PageModel(params.max_exposure)
        self._plots = PlotThread(params.ledger)
        self._view: PageView | None = None
        self._encoded: tuple[PageView, bytes] | None = None
        """The last view that was requested, as JSON."""
        exporter.serve(self.answer)

    # --- called on the node's loop ---------------------------------------------------------------

    def start(self) -> str | None:
        if self._exporter.url is None:
            return None
        self._plots.start()
        totals = self._exporter.totals
        if totals is not None:
            try:
                trades = totals.tracker.newest(4 * MARKETS)
                self._model.restore(recent_blocks(self._params.ledger, trades, MARKETS))
            except Exception as error:  # noqa: BLE001 - the page then shows only what happens from now on
                logger.warning(f"the status page shows no earlier markets: {error!r}")
            self._plots.draw(plot_data(totals))
        return f"status page at {self._exporter.url}/"

    def handle(self, event: Event) -> None:
        if self._exporter.url is None:
            return
        self._model.handle(event)
        totals = self._exporter.totals
        changes_results = (isinstance(event, Settled) and event.pnl is not None) or (
            isinstance(event, FillMoved) and event.status is FillStatus.FAILED
        )
        if totals is not None and changes_results:
            self._plots.draw(plot_data(totals))

    def heartbeat(self, worker_status: WorkerStatus) -> None:
        if self._exporter.url is not None:
            self._view = self._model.view(worker_status, self._exporter.totals)

    def close(self) -> None:
        self._plots.close()

    # --- a request, on a thread of the server ------------------------------------------------------

    def answer(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """The page, its files and its data, as a WSGI application."""
        if environ.get("REQUEST_METHOD") not in METHODS:
            return send(environ, start, "405 Method Not Allowed", "text/plain", READ_ONLY)
        path = environ.get("PATH_INFO", "/")
        if path == "/status.json":
            return send(environ, start, "200 OK", JSON, self._document())
        if path == "/plots.json":
            return send(environ, start, "200 OK", JSON, msgspec.json.encode(self._plots.plots))
        found = page_file(path)
        if found is None:
            return send(environ, start, "404 Not Found", "text/plain", b"there are /, /metrics and /health\n")
        return send(environ, start, "200 OK", found[1], found[0])

    def _document(self) -> bytes:
        return msgspec.json.encode(
            _Document(
                health=msgspec.Raw(_encoded(self._exporter.health(self._now_ns()))),
                plots=self._plots.plots.version,
                page=msgspec.Raw(self._page()),
            )
        )

    def _page(self) -> bytes:
        view, encoded = self._view, self._encoded
        if view is None:
            return b"null"
        if encoded is None or encoded[0] is not view:
            encoded = view, _encoded(view)
            self._encoded = encoded
        return encoded[1]


def _encoded(value: PageView | Health) -> bytes:
    """As JSON; the control characters in names and reasons, which others wrote, become escapes."""
    return msgspec.json.encode(escaped_json(msgspec.json.decode(msgspec.json.encode(value))))
