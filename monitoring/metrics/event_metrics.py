"""Metrics from events: latencies and votes, counted in this process."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics import disable_created_metrics

from events import Decided, Event, ModeChanged, OrderMoved
from models import Decision
from monitoring.metrics.catalogue import SOURCES

VOTES = ("bullish", "bearish", "neutral", "abstained")
DECISION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5)
"""From a decision that waits for nothing (milliseconds) to one that waits for the first values of the feeds
after a start (1.5 s)."""
ORDER_BUCKETS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0, 600.0)
"""From an answer after the venue's taker delay, over its time-out (5 s), to an order that had to be looked
up."""


class EventMetrics:
    """Counts events into a registry. Used on the node's loop only; scraped from any thread.

    Parameters
    ----------
    registry : CollectorRegistry
    app_version : str
    weights : Mapping[str, float]
        The processors' weights until the first decision.
    series : Sequence[str]
        Names of several series: the metrics of decisions have a value for each, with the label `series`.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        app_version: str,
        weights: Mapping[str, float],
        series: Sequence[str] = (),
    ) -> None:
        self._several = bool(series)
        label = ("series",) if series else ()
        by_series = [(name,) for name in series] or [()]
        disable_created_metrics()
        ProcessCollector(registry=registry)
        info = _gauge(
            registry, "build_info", "1, with the versions as labels", "version", "nautilus", "python"
        )
        info.labels(app_version, version("nautilus_trader"), platform.python_version()).set(1)
        started = _gauge(
            registry, "process_start_time_seconds", "start time of this worker, seconds since the epoch"
        )
        started.set_to_current_time()
        self._decision = _histogram(
            registry,
            "decision_latency_seconds",
            "from the tick to the recorded decision",
            DECISION_BUCKETS,
        )
        self._order = _histogram(
            registry,
            "order_latency_seconds",
            "from the intent to the order's final state",
            ORDER_BUCKETS,
        )
        votes, modes = "votes of the processors, in this process", "changes of the mode, in this process"
        self._votes = Counter("trading_signal_votes", votes, [*label, "source", "vote"], registry=registry)
        self._modes = Counter("trading_mode_changes", modes, registry=registry)
        self._weight = _gauge(registry, "signal_weight", "weight of the processor", *label, "source")
        self._agreement = _gauge(
            registry,
            "signal_agreement_ratio",
            "share of its votes with the direction of the fused signal",
            *label,
            "source",
        )
        self._score = _gauge(registry, "fused_score", "score of the last fused signal, 0 to 100", *label)
        self._behind = _gauge(
            registry,
            "fused_weight",
            "summed weight of the sources behind the last fused signal, 0 to 1",
            *label,
        )
        keys = [(*name, source) for name in by_series for source in SOURCES]
        self._sided = dict.fromkeys(keys, 0)
        self._agreed = dict.fromkeys(keys, 0)
        for key in keys:
            self._weight.labels(*key).set(weights.get(key[-1], 0.0))
            self._agreement.labels(*key).set(0)
            for vote in VOTES:
                self._votes.labels(*key, vote)
        for name in by_series if series else ():
            self._score.labels(*name).set(0)
            self._behind.labels(*name).set(0)

    def count(self, event: Event, now_ns: int) -> None:
        """Count one event."""
        match event:
            case Decided(decision=decision, recorded_ns=recorded_ns):
                self._decision.observe(max(0.0, (recorded_ns - decision.context.now_ns) / 1e9))
                self._count_votes(decision)
            case OrderMoved(intent=intent, state=state) if state.final:
                self._order.observe(max(0.0, (now_ns - intent.created_ns) / 1e9))
            case ModeChanged():
                self._modes.inc()
            case _:
                pass

    def _count_votes(self, decision: Decision) -> None:
        name = (decision.context.market.series.name,) if self._several else ()
        if decision.fused is not None:
            (self._score.labels(*name) if name else self._score).set(decision.fused.score)
            (self._behind.labels(*name) if name else self._behind).set(decision.fused.weight)
        for vote in decision.votes:
            key = (*name, vote.source)
            if key not in self._sided:
                continue
            self._weight.labels(*key).set(vote.weight)
            label = "abstained" if vote.signal is None else vote.signal.direction.value
            self._votes.labels(*key, label).inc()
            if vote.signal is not None and vote.signal.direction.outcome and decision.fused is not None:
                self._sided[key] += 1
                self._agreed[key] += vote.signal.direction is decision.fused.direction
                self._agreement.labels(*key).set(self._agreed[key] / self._sided[key])


def _gauge(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"trading_{name}", text, labels, registry=registry)


def _histogram(registry: CollectorRegistry, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(f"trading_{name}", text, registry=registry, buckets=buckets)
