"""Lines and stacked bars over time, as SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import groupby
from typing import Any

from tools.render_dashboard.field_format import CLASSIC, PanelField, field_of, hue
from tools.render_dashboard.series import Series, Span

TICK_PX = 38
"""Minimum height per grid line."""
LABEL_PX = 110
"""Minimum width per time label."""
TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
BAR_STEPS = 60
"""Maximum number of bars side by side."""


@dataclass(frozen=True)
class ChartScale:
    """Maps values from low to high to pixels from bottom to top."""

    low: float
    high: float
    bottom: float
    top: float

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.bottom - min(1.0, max(0.0, share)) * (self.bottom - self.top)


@dataclass(frozen=True)
class Frame:
    """Position of the plot in its panel."""

    left: float
    right: float
    top: float
    bottom: float
    span: Span

    def x(self, time: float) -> float:
        return self.left + (time - self.span.start) / (self.span.end - self.span.start) * (
            self.right - self.left
        )


def plot(panel: Mapping[str, Any], series: Sequence[Series], span: Span, width: float, height: float) -> str:
    """A time series panel as SVG with its axes, without its legend."""
    fields = [field_of(panel, one.name) for one in series]
    margin = 58 if any(field.right for field in fields) else 10
    frame = Frame(66, width - margin, 8, height - 22, span)
    stacked = panel["fieldConfig"]["defaults"]["custom"].get("stacking", {}).get("mode") == "normal"
    parts: list[str] = []
    for right in (False, True):
        chosen = [place for place, field in enumerate(fields) if field.right is right]
        if not chosen:
            continue
        scale = _scale([series[place] for place in chosen], fields[chosen[0]], frame, stacked)
        parts += _axis(scale, fields[chosen[0]], frame, right)
        if stacked:
            parts += _bars(
                [(series[place], colour_of(fields[place], place)) for place in chosen], scale, frame
            )
            continue
        parts += _limits(panel, scale, frame) if not right else ()
        for place in chosen:
            parts += _line(series[place], fields[place], colour_of(fields[place], place), scale, frame)
    parts += _times(frame)
    return f'<svg width="{width:.0f}" height="{height:.0f}">{"".join(parts)}</svg>'


def colour_of(field: PanelField, place: int) -> str:
    """A series' own colour, or the next one of the palette."""
    return field.own_colour or CLASSIC[place % len(CLASSIC)]


# --- scales --------------------------------------------------------------------------------------


def _scale(series: Sequence[Series], field: PanelField, frame: Frame, stacked: bool) -> ChartScale:
    if stacked:
        columns = zip(*(one.values for one in series), strict=True)
        totals = [sum(value for value in column if not math.isnan(value)) for column in columns]
        known = [0.0, *totals]
    else:
        known = [value for one in series for value in one.values if math.isfinite(value)] or [0.0]
    low, high = field.limit("min"), field.limit("max")
    bottom = min(known) if low is None else low
    top = max(known) if high is None else high
    if top <= bottom:
        top = bottom + (abs(bottom) * 0.1 or 1.0)
    step = _step(bottom, top, frame)
    if low is None:
        bottom = math.floor(bottom / step) * step
    if high is None:
        top = math.ceil(top / step) * step
    return ChartScale(bottom, top, frame.bottom, frame.top)


def _step(low: float, high: float, frame: Frame) -> float:
    """A round distance of grid lines."""
    wanted = (high - low) / max(2, (frame.bottom - frame.top) / TICK_PX)
    size = 10 ** math.floor(math.log10(wanted))
    return next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= wanted)


def _ticks(scale: ChartScale, frame: Frame) -> Iterator[float]:
    step = _step(scale.low, scale.high, frame)
    first = math.ceil(scale.low / step - 1e-9)
    for place in range(first, math.floor(scale.high / step + 1e-9) + 1):
        yield place * step


def _axis(scale: ChartScale, field: PanelField, frame: Frame, right: bool) -> Iterator[str]:
    x, anchor = (frame.right + 6, "start") if right else (frame.left - 6, "end")
    for tick in _ticks(scale, frame):
        y = scale.y(tick)
        if not right:
            yield f'<line class="grid" x1="{frame.left}" x2="{frame.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{x}" y="{y + 4:.1f}" text-anchor="{anchor}">{escape(field.text(tick))}</text>'


def _times(frame: Frame) -> Iterator[str]:
    span = frame.span
    max_labels = max(2, (frame.right - frame.left) / LABEL_PX)
    step = next((s for s in TIME_STEPS_S if (span.end - span.start) / s <= max_labels), TIME_STEPS_S[-1])
    pattern = "%H:%M:%S" if step < 60 else "%H:%M"
    time = math.ceil(span.start / step) * step
    while time <= span.end:
        x = frame.x(time)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top}" y2="{frame.bottom}"/>'
        # The last label must not overlap the edge.
        anchor = "end" if frame.right - x < LABEL_PX / 4 else "middle"
        label = f"{datetime.fromtimestamp(time, UTC):{pattern}}"
        yield f'<text x="{x:.1f}" y="{frame.bottom + 16}" text-anchor="{anchor}">{label}</text>'
        time += step


# --- marks ---------------------------------------------------------------------------------------


def _line(one: Series, field: PanelField, colour: str, scale: ChartScale, frame: Frame) -> Iterator[str]:
    dash = ' stroke-dasharray="5 4"' if "custom.lineStyle" in field.settings else ""
    filled = field.settings["custom"].get("fillOpacity", 0) / 100
    points = zip(one.times, one.values, strict=True)
    for known, run in groupby(points, key=lambda point: not math.isnan(point[1])):
        if not known:
            continue
        path = [(frame.x(time), scale.y(value)) for time, value in run]
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in path)
        if filled:
            area = f"{path[0][0]:.1f},{frame.bottom} {text} {path[-1][0]:.1f},{frame.bottom}"
            yield f'<polygon points="{area}" fill="{colour}" opacity="{filled}"/>'
        yield f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>'


def _bars(series: Sequence[tuple[Series, str]], scale: ChartScale, frame: Frame) -> Iterator[str]:
    count = len(frame.span.grid)
    every = math.ceil(count / BAR_STEPS)
    width = (frame.right - frame.left) / count * every * 0.8
    for place in range(every - 1, count, every):
        base = 0.0
        for one, colour in series:
            value = one.values[place]
            if math.isnan(value):
                continue
            top, foot = scale.y(base + value), scale.y(base)
            base += value
            x = frame.x(one.times[place]) - width
            if x < frame.left:
                continue
            yield (
                f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{foot - top:.1f}" '
                f'fill="{colour}" opacity="0.75"/>'
            )


def _limits(panel: Mapping[str, Any], scale: ChartScale, frame: Frame) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    if defaults["custom"].get("thresholdsStyle", {}).get("mode") != "dashed":
        return
    for step in defaults["thresholds"]["steps"]:
        if step.get("value") is not None and scale.low < step["value"] < scale.high:
            y, colour = scale.y(step["value"]), hue(step["color"])
            yield (
                f'<line x1="{frame.left}" x2="{frame.right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" '
                f'stroke-dasharray="6 4" opacity="0.7"/>'
            )
