"""Every expression of the dashboard and the alerts, against a real Prometheus that scrapes a running bot."""

from collections.abc import Iterable

import pytest
from bot_process import BotProcess
from expressions import ALERTS, alert_expressions, panel_expressions, selectors
from services import SURE_TO_BUY, SURE_TRADE, Prometheus, free_port, until

from grafana.dashboard import may_be_empty


def unanswered(prometheus: Prometheus, expressions: Iterable[tuple[str, str]]) -> set[str]:
    """The names whose expressions give no data."""
    return {name for name, expr in expressions if not prometheus.query(expr)}


def unknown_series(prometheus: Prometheus, expressions: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Each series of an expression, without the comparison around it, that does not exist."""
    return {
        (name, selector.name)
        for name, expr in expressions
        for selector in selectors(expr)
        if selector.name != "ALERTS" and not prometheus.query(selector.prettify())
    }


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_each_expression_gives_data(tmp_path):
    """Panels have data or may be empty, no alert fires, and every series in both exists.

    A misspelt metric is detected.
    """
    port = free_port()
    settings = {**SURE_TO_BUY, "GRAFANA_PORT": str(port), "REDIS_PORT": str(free_port())}
    with (
        BotProcess(tmp_path, *SURE_TRADE, settings=settings) as bot,
        Prometheus(tmp_path / "prometheus", port, ALERTS.read_text(), free_port()) as prometheus,
    ):
        bot.wait_for(r"(Up|Down) won [+-]", 120)
        until(lambda: prometheus.query("trading_settled_trades > 0"), "a settled trade is exposed", 30)
        panels, alerts = list(panel_expressions()), list(alert_expressions())
        shown = {pair for pair in panels if pair[0] not in may_be_empty()}
        until(lambda: not unanswered(prometheus, shown), "all but", 20, lambda: unanswered(prometheus, shown))
        asked = {*panels, *alerts}
        until(
            lambda: not unknown_series(prometheus, asked),
            "all but",
            20,
            lambda: unknown_series(prometheus, asked),
        )
        assert prometheus.firing() == set()
        misspelt = [("Bot", "trading_quote_age_secnods"), ("Alert", "trading_haltd == 1")]
        assert unanswered(prometheus, misspelt) == {"Bot", "Alert"}
        assert {name for name, _ in unknown_series(prometheus, misspelt)} == {"Bot", "Alert"}
