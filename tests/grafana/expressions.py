"""The PromQL expressions in the repository, and the series in them."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from bot_process import ROOT
from prometheus_client import Metric

from grafana.dashboard import build
from monitoring.grafana_exporter import ExporterParams, GrafanaMetricsExporter

ALERTS = ROOT / "grafana" / "prometheus" / "alerts.yml"


def exposed_families(*series: str) -> list[Metric]:
    """The metrics of an exporter without a ledger, of one series or of the named ones."""
    params = ExporterParams(
        host="127.0.0.1",
        port=0,
        ledger=Path("no ledger"),
        max_exposure=Decimal(1),
        live_path=False,
        version="test",
        weights={},
        series=series,
    )
    return list(GrafanaMetricsExporter(params).registry.collect())


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels without the headings."""
    return [panel for panel in build()["panels"] if panel["type"] != "row"]


def panel_expressions(chosen: str = ".*") -> Iterator[tuple[str, str]]:
    """Title and expression of each query with the chosen series: a pattern, as Grafana writes it."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace('"$series"', f'"{chosen}"')


def alerts() -> list[dict[str, Any]]:
    """The alert rules."""
    return yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]


def alert_expressions() -> Iterator[tuple[str, str]]:
    """Name and expression of each alert."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]


def selectors(expr: str) -> list[Any]:
    """The vector selectors in an expression.

    Raises
    ------
    ValueError
        If it is not PromQL.
    """
    found: list[Any] = []

    def visit(node: object) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expr), visit)
    return found


def metrics(expr: str) -> set[str]:
    """The names of the metrics in an expression."""
    return {selector.name for selector in selectors(expr)}
