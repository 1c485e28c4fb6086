"""Rows and lines of panels, and the texts that several of them use."""

from dataclasses import dataclass

from grafana.panels import PlacedPanel, Query

JOB = "btc-15m-bot"
"""The job's name in prometheus.yml."""
USD = "currencyUSD"
CHOSEN = 'series=~"$series"'
"""Matches the series that are chosen on the dashboard. All is `.*`, which also matches the values of a bot
with one series: they have no label `series`."""
NO_TRADE = "no trade is settled yet"
NOT_DECIDED = "no decision has been made yet"
NO_FEEDS = "recorded markets have no external feeds"


def by_series(metric: str, alone: str, condition: str = "") -> Query:
    """The chosen series' values, each named by its series; `alone` is the name where there is only one.

    `condition` is a comparison such as ``> 0``.
    """
    value = f"{metric}{{{CHOSEN}}} {condition}".strip()
    return Query(f'label_replace({value}, "series", "{alone}", "series", "")', "{{series}}")


@dataclass(frozen=True)
class Line:
    """Panels side by side, with one height in grid units."""

    height: int
    panels: tuple[PlacedPanel, ...]


@dataclass(frozen=True)
class Row:
    """A heading, and the panels below it."""

    title: str
    lines: tuple[Line, ...]
