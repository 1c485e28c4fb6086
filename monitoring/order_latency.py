"""Time from a quote to each step of the orders that followed it, from the orders' traces. Pure."""

from collections.abc import Iterable, Sequence

from models import Frozen, OrderStage, OrderTrace

SUFFICIENT_P95, SUFFICIENT_P99 = 20, 100
"""Number of orders from which a percentile is not simply the largest value."""


class StageLatency(Frozen, frozen=True):
    """Distribution of one step over the orders that reached it.

    Attributes
    ----------
    stage : OrderStage
    orders : int
        Number of orders that reached it.
    p50_ns, max_ns : int
        Nanoseconds since the quote.
    p95_ns, p99_ns : int or None
        The same; None with fewer than `SUFFICIENT_P95` and `SUFFICIENT_P99` orders.
    added_ns : int
        Median of the nanoseconds since the latest earlier step; 0 where this one ran beside it and was first.
    """

    stage: OrderStage
    orders: int
    p50_ns: int
    p95_ns: int | None
    p99_ns: int | None
    max_ns: int
    added_ns: int


def stage_latencies(traces: Iterable[OrderTrace]) -> list[StageLatency]:
    """The distribution of each step that an order reached, in the order of the steps, without the quote."""
    reached: dict[OrderStage, list[int]] = {}
    added: dict[OrderStage, list[int]] = {}
    for trace in traces:
        before_ns = 0
        for stage in OrderStage:
            ns = trace.stages.get(stage)
            if ns is None or stage is OrderStage.QUOTE:
                continue
            reached.setdefault(stage, []).append(ns)
            added.setdefault(stage, []).append(max(0, ns - before_ns))
            before_ns = max(before_ns, ns)
    return [_of(stage, reached[stage], added[stage]) for stage in OrderStage if stage in reached]


def percentile[T: (int, float)](ordered: Sequence[T], percent: int) -> T:
    """The smallest of the ascending values that at least this percentage of them does not exceed."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


def _of(stage: OrderStage, reached: list[int], added: list[int]) -> StageLatency:
    ordered, n = sorted(reached), len(reached)
    return StageLatency(
        stage=stage,
        orders=n,
        p50_ns=percentile(ordered, 50),
        p95_ns=percentile(ordered, 95) if n >= SUFFICIENT_P95 else None,
        p99_ns=percentile(ordered, 99) if n >= SUFFICIENT_P99 else None,
        max_ns=ordered[-1],
        added_ns=percentile(sorted(added), 50),
    )
