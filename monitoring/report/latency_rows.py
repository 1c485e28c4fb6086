"""The table of the orders' latency as text, shared by the table view and the HTML report."""

from collections.abc import Sequence

from models import OrderStage
from monitoring.order_latency import SUFFICIENT_P95, SUFFICIENT_P99, StageLatency
from monitoring.report.html import DASH

TITLE = "Latency of the orders"
HEADINGS = ("step", "n", "p50", "p95", "p99", "max", "added, p50")
NOTE = (
    'Milliseconds from the quote until the step was reached; "added" is since the step before it.'
    f" p95 is shown from {SUFFICIENT_P95} orders on, p99 from {SUFFICIENT_P99}."
)
STEPS = {
    OrderStage.CONTEXT: "prices and books frozen",
    OrderStage.DECIDED: "decided",
    OrderStage.CHECKED: "mode, halt, risk checked",
    OrderStage.SIGNED: "signed",
    OrderStage.RECORDED: "recorded on the disk",
    OrderStage.POSTED: "first byte of the POST",
    OrderStage.ANSWERED: "answered by the venue",
}


def latency_rows(found: Sequence[StageLatency]) -> list[tuple[str, ...]]:
    """The cells of each step, in the order of `HEADINGS`; a dash for a percentile of too few orders."""
    return [
        (
            STEPS[latency.stage],
            str(latency.orders),
            *map(
                _milliseconds,
                (latency.p50_ns, latency.p95_ns, latency.p99_ns, latency.max_ns, latency.added_ns),
            ),
        )
        for latency in found
    ]


def _milliseconds(ns: int | None) -> str:
    return DASH if ns is None else f"{ns / 1e6:.2f}"
