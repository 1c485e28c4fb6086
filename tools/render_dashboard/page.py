"""Renders the dashboard as one HTML page in Grafana's dark colours."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from errors import Fatal
from tools.render_dashboard.field_format import field_of
from tools.render_dashboard.plots import colour_of, plot
from tools.render_dashboard.series import Series, Span

COLUMNS, CELL_PX, GAP_PX, TITLE_PX = 24, 30, 8, 30
HEADER_PX, NAME_PX = 52, 18
LETTER = 0.72
"""Width of a letter relative to its height; capitals are wider."""
STYLE = Path(__file__).with_name("style.css").read_text()

type Drawing = Callable[[Mapping[str, Any], Sequence[Series], Span, float, float], str]


def page(board: Mapping[str, Any], data: Mapping[int, Sequence[Series]], span: Span, width: int) -> str:
    """The whole page; `data` holds the series by panel id."""
    parts = [_place(panel, data.get(panel["id"], ()), span, width) for panel in board["panels"]]
    return (
        f"<!doctype html><meta charset=utf-8><title>{escape(board['title'])}</title><style>{STYLE}</style>"
        f"<h1>{escape(board['title'])}<span>practice venue, drawn by tools/render_dashboard</span></h1>"
        f'<div class="board">{"".join(parts)}</div>'
    )


def height(board: Mapping[str, Any]) -> int:
    """Height of the page in pixels."""
    lowest = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    return HEADER_PX + lowest * (CELL_PX + GAP_PX) + GAP_PX


def _place(panel: Mapping[str, Any], series: Sequence[Series], span: Span, page_width: int) -> str:
    place, column = panel["gridPos"], (page_width - GAP_PX) / COLUMNS
    left, top = place["x"] * column + GAP_PX, place["y"] * (CELL_PX + GAP_PX)
    width, tall = place["w"] * column - GAP_PX, place["h"] * (CELL_PX + GAP_PX) - GAP_PX
    at = f"left:{left:.0f}px;top:{top}px;width:{width:.0f}px;height:{tall}px"
    if panel["type"] == "row":
        return f'<div class="row" style="{at}">{escape(panel["title"])}</div>'
    inner = _drawing(panel["type"])(panel, series, span, width, tall) if series else _nothing(panel)
    return f'<div class="panel" style="{at}">{inner}</div>'


def _drawing(kind: str) -> Drawing:
    known: dict[str, Drawing] = {"stat": _stat, "bargauge": _bar_gauge, "timeseries": _time_series}
    if kind not in known:
        raise Fatal(
            f"the renderer does not support panels of type {kind!r}",
            "Add it to tools/render_dashboard/page.py",
        )
    return known[kind]


def _heading(panel: Mapping[str, Any], colour: str = "") -> str:
    style = f' style="color:{colour};position:relative;z-index:1"' if colour else ""
    return f"<h2{style}>{escape(panel['title'])}</h2>"


def _nothing(panel: Mapping[str, Any]) -> str:
    text = escape(panel["fieldConfig"]["defaults"]["noValue"])
    return f'{_heading(panel)}<div class="none">{text}</div>'


def _stat(panel: Mapping[str, Any], series: Sequence[Series], span: Span, width: float, tall: float) -> str:
    del span
    options, cells = panel["options"], []
    several = len(series) > 1
    # As large as possible, like Grafana's grid.
    size, columns = max((_value_size(panel, series, width, tall, count), count) for count in _counts(series))
    for one in series:
        field = field_of(panel, one.name)
        text = _value_text(panel, one)
        colour = field.colour(one.last)
        if options["colorMode"] == "background":
            dark, light = (f"color-mix(in srgb,{colour} {share}%,#111)" for share in (55, 80))
            style = f"background:linear-gradient(120deg,{dark},{light});font-size:{size:.0f}px"
            return f'<div class="tile" style="{style}">{escape(text)}</div>{_heading(panel, "#fff")}'
        named = several and options["textMode"] != "name"
        name = f"<small>{escape(one.name)}</small>" if named else ""
        cells.append(
            f'<div class="value" style="color:{colour};font-size:{size:.0f}px">{name}{escape(text)}</div>'
        )
    grid = f"grid-template-columns:repeat({columns},1fr)"
    return f'{_heading(panel)}<div class="values" style="{grid}">{"".join(cells)}</div>'


def _counts(series: Sequence[Series]) -> range:
    return range(1, len(series) + 1)


def _value_text(panel: Mapping[str, Any], one: Series) -> str:
    return one.name if panel["options"]["textMode"] == "name" else field_of(panel, one.name).text(one.last)


def _value_size(
    panel: Mapping[str, Any], series: Sequence[Series], width: float, tall: float, columns: int
) -> float:
    """Height of the letters of a panel's values in `columns` columns, px."""
    longest = max(4, *(len(_value_text(panel, one)) for one in series))
    rows = -(-len(series) // columns)
    name = NAME_PX if len(series) > 1 and panel["options"]["textMode"] != "name" else 0
    height = tall * 0.3 if rows == 1 else (tall - TITLE_PX) / rows / 1.3 - name
    return min(height, (width / columns - 16) / (longest * LETTER), 40)


def _bar_gauge(
    panel: Mapping[str, Any], series: Sequence[Series], span: Span, width: float, tall: float
) -> str:
    del span
    high = field_of(panel, "").limit("max") or max(one.last for one in series) or 1
    row = min(64.0, (tall - TITLE_PX - 8) / len(series))
    names = min(width * 0.45, max(len(one.name) for one in series) * 8.2 + 4)
    rows = []
    for one in series:
        field = field_of(panel, one.name)
        colour, share = field.colour(one.last), min(1.0, max(0.0, one.last / high))
        rows.append(
            f'<div class="bar" style="height:{row:.1f}px">'
            f'<span style="width:{names:.0f}px">{escape(one.name)}</span>'
            f'<div><i style="width:{share:.1%};background:{colour}"></i></div>'
            f'<b style="color:{colour}">{escape(field.text(one.last))}</b></div>'
        )
    return _heading(panel) + "".join(rows)


def _time_series(
    panel: Mapping[str, Any], series: Sequence[Series], span: Span, width: float, tall: float
) -> str:
    colours = [colour_of(field_of(panel, one.name), place) for place, one in enumerate(series)]
    entries = "".join(
        f'<div><i style="background:{colour}"></i>{escape(one.name)}</div>'
        for one, colour in zip(series, colours, strict=True)
    )
    letters = sum(len(one.name) * 6.6 + 36 for one in series)
    rows = max(1, -(-int(letters) // int(width - 20)))
    legend = rows * 18 + 10
    picture = plot(panel, series, span, width, tall - TITLE_PX - legend)
    return f'{_heading(panel)}{picture}<div class="legend" style="height:{legend}px">{entries}</div>'
