"""The dashboard as code: `python -m grafana.dashboard` writes its JSON; `--check` finds drift."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.builders.dashboard import Row as RowBuilder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    GridPos,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.panels import SOURCE
from grafana.rows import rows
from grafana.rows.grid import Row

FILE = Path(__file__).parent / "dashboards" / "btc-15m.json"
UID = "btc-15m-bot"
TITLE = "Polymarket BTC 15-minute bot"
GRID = 24
"""Columns of Grafana's grid."""


def build(content: Sequence[Row] | None = None) -> dict[str, Any]:
    """The dashboard as a JSON object that Grafana accepts."""
    board = (
        Dashboard(TITLE)
        .uid(UID)
        .description(
            "Health, current market, results, decisions, signals and latency of the bot; see"
            " docs/monitoring.md."
        )
        .tags(["polymarket", "btc", "trading"])
        .timezone("utc")
        .refresh("5s")
        .time("now-1h", "now")
        .editable()
        .with_variable(
            DatasourceVariable("datasource")
            .label("Data source")
            .type("prometheus")
            .current(VariableOption(text="", value="", selected=False))
        )
        .with_variable(
            QueryVariable("series")
            .label("Series")
            .description("With several series: those that are shown.")
            .datasource(SOURCE)
            .query("label_values(trading_market_second, series)")
            .multi(True)
            .include_all(True)
            .all_value(".*")  # with one series, the values have no label
            .current(VariableOption(text=["All"], value=["$__all"], selected=True))
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
        )
    )
    y, number = 0, 1
    for row in rows() if content is None else content:
        board.with_row(RowBuilder(row.title).id(number).grid_pos(GridPos(h=1, w=GRID, x=0, y=y)))
        y, number = y + 1, number + 1
        for line in row.lines:
            x = 0
            for shown in line.panels:
                place = GridPos(h=line.height, w=shown.width, x=x, y=y)
                board.with_panel(shown.panel.id(number).grid_pos(place))
                x, number = x + shown.width, number + 1
            y += line.height
    return json.loads(JSONEncoder(sort_keys=True).encode(board.build()), object_hook=_without_nulls)


def text() -> str:
    """The content of the committed file."""
    return json.dumps(build(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def may_be_empty() -> dict[str, str]:
    """By panel title: why the panel may be empty in a healthy run."""
    return {
        str(shown.panel.build().title): shown.empty
        for row in rows()
        for line in row.lines
        for shown in line.panels
        if shown.empty
    }


def _without_nulls(found: dict[str, Any]) -> dict[str, Any]:
    # The encoder writes unset values as null in some places, which its own decoder rejects; the lowest step
    # of thresholds is null on purpose.
    return {key: value for key, value in found.items() if value is not None or "color" in found}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, or check it: 1 if it differs."""
    parser = argparse.ArgumentParser(prog="python -m grafana.dashboard", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the file is out of date"
    )
    if not parser.parse_args(arguments).check:
        FILE.write_text(text())
        return 0
    if FILE.read_text() == text():
        return 0
    sys.stderr.write(f"{FILE} does not match the code: run `python -m grafana.dashboard`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
