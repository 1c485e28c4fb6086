"""Plots as inline SVG: styled by the page, each with title and description."""

from collections.abc import Sequence

from models import Frozen
from monitoring.equity_curve import Drawdown, EquityPoint
from monitoring.report.calibration import CalibrationBin
from monitoring.report.html import Markup, tag
from monitoring.report.scales import Scale, padded, ticks, time_ticks

WIDTH = 520
"""Narrow, so that the texts are legible on a phone, and at their own size where two plots share a row."""
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 12, 44
LABELS = 158
"""Width of the row labels of a plot with one row per name."""
COUNTS = 110
"""Width of the numbers behind the bars of the funnel."""
LETTER = 7
"""Mean width of a letter of the labels."""
MOST_TIMES = 5
"""Labels of a time axis that fit beside each other."""
COLUMNS = 600
"""Columns of an equity curve: more points than pixels are not visible."""
NS = 1e9


class Interval(Frozen, frozen=True):
    """A row of an interval plot: an estimate with its interval, and the value expected by chance."""

    label: str
    low: float
    mean: float
    high: float
    chance: float


class BandPoint(Frozen, frozen=True):
    """The lower and upper limit of equity at an instant, pUSD."""

    ts_ns: int
    low: float
    high: float


def equity_plot(curve: Sequence[EquityPoint], fall: Drawdown, band: Sequence[BandPoint] = ()) -> Markup:
    """Equity over time as steps, with the largest drawdown shaded from its peak to its trough.

    Parameters
    ----------
    band : Sequence[BandPoint]
        The limits within which equity could have been, drawn behind it.
    """
    height = 300
    shown = thinned(curve)
    times, values = [point.ts_ns / NS for point in shown], [float(point.equity) for point in shown]
    first, last = times[0], times[-1] if times[-1] > times[0] else times[0] + 1
    x = Scale(low=first, high=last, start=LEFT, stop=WIDTH - RIGHT)
    low, high = padded([*values, *(limit for point in band for limit in (point.low, point.high))])
    y = Scale(low=low, high=high, start=height - BOTTOM, stop=TOP)
    parts = [*_rows(y, low, high, ".2f"), *_time_axis(x, height)]
    if band:
        parts.append(_area(x, y, band))
    if fall.peak_ns is not None and fall.trough_ns is not None:
        left, right = x(fall.peak_ns / NS), x(fall.trough_ns / NS)
        parts.append(
            tag(
                "rect",
                tag("title", f"largest drawdown: {fall.amount:.3f} pUSD"),
                class_="fall",
                x=left,
                y=TOP,
                width=max(round(right - left, 2), 1),
                height=height - BOTTOM - TOP,
            )
        )
    parts.append(_line("start", LEFT, y(values[0]), WIDTH - RIGHT, y(values[0])))
    path = f"M{x(times[0])},{y(values[0])}"
    path += "".join(
        f"H{x(time)}V{y(value)}" for time, value in zip(times[1:], values[1:], strict=True)
    )  # a step: equity is constant until the next settlement
    parts.append(tag("path", class_="curve", d=path))
    parts.append(tag("circle", class_="dot", cx=x(times[-1]), cy=y(values[-1]), r=4))
    described = (
        f"From {values[0]:.2f} to {values[-1]:.2f} pUSD over {len(curve) - 1} settlements; the shaded part"
        " is the largest drawdown, the dashed line where it started."
    )
    if band:
        described += " The band along the curve is described below."
    return _svg("equity", "Equity after each settlement", described, height, parts)


def _area(x: Scale, y: Scale, band: Sequence[BandPoint]) -> Markup:
    upper = [f"{x(point.ts_ns / NS)},{y(point.high)}" for point in band]
    lower = [f"{x(point.ts_ns / NS)},{y(point.low)}" for point in reversed(band)]
    return tag("polygon", class_="band", points=" ".join([*upper, *lower]))


def thinned(curve: Sequence[EquityPoint], columns: int = COLUMNS) -> list[EquityPoint]:
    """At most four points per column: its first, lowest, highest and last, so that no extreme is lost."""
    if len(curve) <= 4 * columns:
        return list(curve)
    first, span = curve[0].ts_ns, max(1, curve[-1].ts_ns - curve[0].ts_ns)
    grouped: dict[int, list[int]] = {}
    for number, point in enumerate(curve):
        grouped.setdefault((point.ts_ns - first) * columns // (span + 1), []).append(number)
    kept: set[int] = set()
    for numbers in grouped.values():
        by_equity = sorted(numbers, key=lambda number: curve[number].equity)
        kept |= {numbers[0], by_equity[0], by_equity[-1], numbers[-1]}
    return [curve[number] for number in sorted(kept)]


def calibration_plot(name: str, title: str, bins: Sequence[CalibrationBin]) -> Markup:
    """Share won against the implied probability, with intervals; calibrated probabilities are on the
    diagonal."""
    height = 340
    x = Scale(low=0, high=1, start=LEFT, stop=WIDTH - RIGHT)
    y = Scale(low=0, high=1, start=height - BOTTOM, stop=TOP)
    parts = _rows(y, 0, 1, ".0%")
    for value in ticks(0, 1):
        parts.append(_text(x(value), height - BOTTOM + 18, f"{value:.0%}", "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 6, "implied chance", "middle"))
    parts.append(_line("start", x(0), y(0), x(1), y(1)))
    for found in bins:
        label = (
            f"chance {found.chance:.1%}: {found.won:.1%} of {found.n} won,"
            f" 95 % interval {found.low:.1%} to {found.high:.1%}"
        )
        parts.append(
            tag(
                "g",
                tag("title", label),
                _line("whisker", x(found.chance), y(found.low), x(found.chance), y(found.high)),
                tag("circle", class_="dot", cx=x(found.chance), cy=y(found.won), r=5),
            )
        )
    described = (
        f"{sum(found.n for found in bins)} settled trades in {len(bins)} groups by chance. Dots are the"
        " share won, bars its 95 % interval; a bar that crosses the dashed diagonal is not distinguishable"
        " from a right price."
    )
    return _svg(name, title, described, height, parts)


def interval_plot(
    name: str, title: str, described: str, rows: Sequence[Interval], form: str, *, bounds: tuple[float, float]
) -> Markup:
    """One row per estimate: its interval, and a mark at the value expected by chance.

    Parameters
    ----------
    form : str
        Format of the values, such as ``+.0%``.
    bounds : tuple[float, float]
        Limits of the values, and so of the axis.
    """
    row_height = 34
    height = TOP + row_height * len(rows) + BOTTOM
    low, high = padded([value for row in rows for value in (row.low, row.high, row.chance)])
    low, high = max(low, bounds[0]), min(high, bounds[1])
    x = Scale(low=low, high=high, start=LABELS, stop=WIDTH - RIGHT)
    bottom = height - BOTTOM
    parts = []
    for value in ticks(low, high):
        parts.append(_line("grid", x(value), TOP, x(value), bottom))
        parts.append(_text(x(value), bottom + 18, format(value, form), "middle"))
    for number, row in enumerate(rows):
        y = TOP + row_height * (number + 0.5)
        label = (
            f"{row.label}: {row.mean:{form}}, 95 % interval {row.low:{form}} to {row.high:{form}},"
            f" by chance {row.chance:{form}}"
        )
        left, right = (x(min(max(value, low), high)) for value in (row.low, row.high))
        parts += [
            _text(LABELS - 12, y + 5, row.label, "end"),
            tag(
                "g",
                tag("title", label),
                _line("whisker", left, y, right, y),
                _line("chance", x(row.chance), y - 11, x(row.chance), y + 11),
                tag("circle", class_="dot", cx=x(min(max(row.mean, low), high)), cy=y, r=5),
            ),
        ]
    return _svg(name, title, described, height, parts)


def funnel_plot(stages: Sequence[tuple[str, int]]) -> Markup:
    """Markets by the stage that they reached, as bars; the first stage has all of them.

    Parameters
    ----------
    stages : Sequence[tuple[str, int]]
        (name, markets) of each stage, in order.
    """
    row_height = 26
    seen = stages[0][1]
    x = Scale(low=0, high=max(seen, 1), start=LABELS, stop=WIDTH - COUNTS)
    parts = []
    for number, (stage, markets) in enumerate(stages):
        y = TOP + row_height * (number + 0.5)
        share = markets / seen if seen else 0.0
        parts += [
            _text(LABELS - 12, y + 5, stage, "end"),
            tag(
                "rect",
                tag("title", f"{stage}: {markets} of {seen} markets"),
                class_="stage",
                x=LABELS,
                y=y - 9,
                width=max(round(x(markets) - LABELS, 2), 1),
                height=18,
            ),
            _text(x(markets) + 8, y + 5, f"{markets:,} ({share:.0%})", "start"),
        ]
    described = "Each market is counted at every stage up to the furthest one that it reached."
    return _svg("funnel", "Markets by stage", described, 2 * TOP + row_height * len(stages), parts)


def side_by_side(figures: Sequence[Markup]) -> Markup:
    """Plots in as many columns as the page has room for, one on a phone."""
    return tag("div", *figures, class_="plots")


def _rows(y: Scale, low: float, high: float, form: str) -> list[Markup]:
    parts = []
    for value in ticks(low, high):
        parts.append(_line("grid", LEFT, y(value), WIDTH - RIGHT, y(value)))
        parts.append(_text(LEFT - 8, y(value) + 4, format(value, form), "end"))
    return parts


def _time_axis(x: Scale, height: int) -> list[Markup]:
    marks = time_ticks(x.low, x.high, MOST_TIMES)
    parts = [_text((LEFT + WIDTH - RIGHT) / 2, height - 6, "UTC", "middle")]
    for moment, label in marks:
        # Closer to the edge a label would be cut.
        place = min(x(moment), WIDTH - len(label) * LETTER / 2 - 2)
        parts.append(_line("grid", x(moment), height - BOTTOM, x(moment), height - BOTTOM + 5))
        parts.append(_text(place, height - BOTTOM + 19, label, "middle"))
    return parts


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return tag("line", class_=kind, x1=x1, y1=y1, x2=x2, y2=y2)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return tag("text", text, x=round(x, 2), y=round(y, 2), text_anchor=anchor)


def _svg(name: str, title: str, described: str, height: float, parts: Sequence[Markup]) -> Markup:
    return tag(
        "figure",
        tag(
            "svg",
            tag("title", title, id=f"{name}-title"),
            tag("desc", described, id=f"{name}-desc"),
            *parts,
            id=f"plot-{name}",
            viewBox=f"0 0 {WIDTH} {height}",
            role="img",
            aria_labelledby=f"{name}-title {name}-desc",
            xmlns="http://www.w3.org/2000/svg",
        ),
        tag("figcaption", tag("strong", f"{title}.", class_="title"), f" {described}"),
    )
