"""Rows and lines of panels, and the texts that several of them use."""

from dataclasses import dataclass

from grafana.panels import PlacedPanel

JOB = "btc-15m-bot"
"""The job's name in prometheus.yml."""
USD = "currencyUSD"
NO_TRADE = "no trade is settled yet"
NOT_DECIDED = "no decision has been made yet"
NO_FEEDS = "recorded markets have no external feeds"


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
