"""``python -m tools.metrics_page`` prints docs/metrics.md, the list of all metrics."""

import sys
from decimal import Decimal
from pathlib import Path

from prometheus_client.core import Metric

from events import FeedStatus, WorkerStatus
from monitoring.grafana_exporter import ExporterParams, GrafanaMetricsExporter
from monitoring.metrics.catalogue import CATALOGUE

HEAD = """# Metrics

The bot serves them at `http://127.0.0.1:8000/metrics` (`GRAFANA_HOST`, `GRAFANA_PORT`; `--no-grafana` turns
them off). Metrics derived from the ledger are read from it once, when a worker starts, and then updated from
events: they are correct across restarts, and their counters never decrease. Those of *this process* start
from zero with each worker. A counter's name ends in `_total`. This page is generated:
`python -m tools.metrics_page`.

With several series ([series.md](series.md)) the metrics of the running market, of its feeds and of the
signals have the label `series` as well, such as `eth-5m`; the results of each series are
`trading_series_*`, and everything else is the sum of all.

`/health` on the same port answers 200 while the bot runs and may trade. It answers 503, with the reasons,
during a halt, when no quote arrived for 60 s inside a market, when no market was found for 60 s, and when the
event loop has sent no heartbeat for 10 s.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def document() -> str:
    """The page as Markdown."""
    exporter = GrafanaMetricsExporter(
        ExporterParams(
            host="127.0.0.1",
            port=0,
            ledger=Path("none"),
            max_exposure=Decimal(1),
            live_path=False,
            version="0",
            weights={},
        )
    )
    # A status with all optional parts, so that their labels appear.
    feed = FeedStatus(source="a feed", age_s=0.0, failures=0, up=True)
    exporter.heartbeat(
        WorkerStatus(
            ts_ns=0,
            profile="",
            mode="simulation",
            armed=False,
            halted=None,
            allows_orders=True,
            mode_detail="",
            feeds=(feed,),
            reconnects={"market": 0},
        )
    )
    families = sorted(exporter.registry.collect(), key=lambda family: family.name)
    return HEAD + "".join(_line(family) for family in families)


def _line(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    declared = [spec.label for spec in CATALOGUE if spec.label and spec.name == name.removesuffix("_total")]
    used = [label for sample in family.samples for label in sample.labels if label != "le"]
    labels = dict.fromkeys([*declared, *used])
    shown = ", ".join(f"`{label}`" for label in labels)
    return f"| `{name}` | {family.type} | {shown} | {family.documentation} |\n"


if __name__ == "__main__":
    sys.stdout.write(document())
