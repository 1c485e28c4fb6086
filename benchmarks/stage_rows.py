"""The steps of the bot's own orders as rows of `./bot bench`, from the ledger."""

from collections.abc import Iterable

from benchmarks.results import Measurement
from models import OrderTrace
from monitoring.order_latency import stage_latencies
from monitoring.report.latency_rows import STEPS


def stage_rows(name: str, traces: Iterable[OrderTrace]) -> list[Measurement]:
    """Milliseconds from the quote to each step: median, 95 %, 99 % and maximum; of few orders not all.

    Parameters
    ----------
    name : str
        Name of the benchmark.
    traces : iterable of OrderTrace
    """
    return [
        Measurement(
            name=name,
            what=f"{STEPS[found.stage]}, {column}",
            value=ns / 1e6,
            unit="ms",
            no_target="a step on the way to the POST or to its answer",
            step=STEPS[found.stage],
            column=column,
        )
        for found in stage_latencies(traces)
        for column, ns in (
            ("p50", found.p50_ns),
            ("p95", found.p95_ns),
            ("p99", found.p99_ns),
            ("max", found.max_ns),
        )
        if ns is not None
    ]
