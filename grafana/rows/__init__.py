"""The rows of the dashboard, in the order in which a new reader needs them.

Health, current market, decisions and the reasons against trading, results, also of each series; then the
details: signals, latencies, feeds, the process.
"""

from grafana.rows.decisions import decisions
from grafana.rows.grid import Row
from grafana.rows.health import health
from grafana.rows.latency_and_feeds import feeds, latency, process
from grafana.rows.market import market
from grafana.rows.money import money
from grafana.rows.series import series
from grafana.rows.signals import signals


def rows() -> tuple[Row, ...]:
    """The whole dashboard."""
    return (
        Row("Health", health()),
        Row("Current market", market()),
        Row("Decisions", decisions()),
        Row("Money", money()),
        Row("Series", series()),
        Row("Signals", signals()),
        Row("Latency", latency()),
        Row("Feeds", feeds()),
        Row("Process", process()),
    )
