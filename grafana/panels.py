"""Panel styles of the dashboard: panel types, units, colours and texts for missing values.

Single values use instant queries: when the bot has stopped, such a panel shows that there is no value instead
of the last value that was scraped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    DataSourceRef,
    DynamicConfigValue,
    FieldColor,
    FieldColorModeId,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE = "green", "yellow", "orange", "red", "blue", "purple"
GREY, PLAIN = "#7b8087", "text"

Steps = Sequence[tuple[float | None, str]]
"""Colour steps: a colour and the value from which it applies; the first begins at None."""
ValueTexts = Mapping[float, tuple[str, str]]
"""Text and colour shown in place of a value."""
type Builder = stat.Panel | bargauge.Panel | timeseries.Panel


@dataclass(frozen=True)
class Query:
    """One PromQL expression, and the name of its series."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class PanelStyle:
    """Display format of a value.

    `unit` is Grafana's name of the unit. `missing` is shown where there is no value, `undefined` where the
    bot reports that the value is undefined at present.
    """

    unit: str = "short"
    decimals: float | None = None
    steps: Steps = ((None, PLAIN),)
    text: ValueTexts = field(default_factory=dict)
    undefined: str = ""
    missing: str = "no data"
    low: float | None = None
    high: float | None = None
    colours: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, float] = field(default_factory=dict)
    """Colours, units and decimals of individual series, by series name."""
    right: str = ""
    """The series that uses the right-hand axis, which starts at 0."""


@dataclass(frozen=True)
class PlacedPanel:
    """A panel and its width (of 24 columns); `empty` explains why it may be empty in a healthy run."""

    panel: Builder
    width: int
    empty: str = ""


def number(
    title: str,
    description: str,
    queries: Query | Sequence[Query],
    style: PanelStyle,
    width: int,
    *,
    tile: bool = False,
    name: bool = False,
    empty: str = "",
) -> PlacedPanel:
    """One or several values as large figures; `tile` colours the background, `name` shows the series.

    Each value has its name if there are several queries, or several values of a query with labels in its
    name.
    """
    panel = (
        stat.Panel()
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .color_mode(kinds.BigValueColorMode.BACKGROUND if tile else kinds.BigValueColorMode.VALUE)
        .justify_mode(kinds.BigValueJustifyMode.CENTER)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    if not isinstance(queries, Query):
        mode = kinds.BigValueTextMode.VALUE_AND_NAME
    elif "{{" in queries.legend:
        mode = kinds.BigValueTextMode.AUTO  # names, if there are several values
    else:
        mode = kinds.BigValueTextMode.VALUE
    panel.text_mode(kinds.BigValueTextMode.NAME if name else mode)
    return PlacedPanel(_dressed(panel, title, description, queries, style, instant=True), width, empty)


def bars(
    title: str,
    description: str,
    queries: Query | Sequence[Query],
    style: PanelStyle,
    width: int,
    *,
    empty: str = "",
) -> PlacedPanel:
    """Values as horizontal bars, one below the other."""
    panel = (
        bargauge.Panel()
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .value_mode(kinds.BarGaugeValueMode.TEXT)
        .show_unfilled(True)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return PlacedPanel(_dressed(panel, title, description, queries, style, instant=True), width, empty)


def lines(
    title: str,
    description: str,
    queries: Query | Sequence[Query],
    style: PanelStyle,
    width: int,
    *,
    stacked: bool = False,
    limits: bool = False,
    empty: str = "",
) -> PlacedPanel:
    """Values over time; `stacked` draws stacked bars, `limits` draws the style's steps as lines."""
    alone = isinstance(queries, Query) and "{{" not in queries.legend
    panel = (
        timeseries.Panel()
        .draw_style(kinds.GraphDrawStyle.BARS if stacked else kinds.GraphDrawStyle.LINE)
        .line_width(1.5)
        .fill_opacity(70 if stacked else 8 if alone else 0)
        .show_points(kinds.VisibilityMode.NEVER)
        .span_nulls(False)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI))
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if limits:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphTresholdsStyleMode.DASHED))
    return PlacedPanel(_dressed(panel, title, description, queries, style, instant=False), width, empty)


def _dressed(
    panel: Builder,
    title: str,
    description: str,
    queries: Query | Sequence[Query],
    style: PanelStyle,
    *,
    instant: bool,
) -> Builder:
    panel.title(title).description(description).datasource(SOURCE).unit(style.unit).no_value(style.missing)
    steps = [Threshold(value=value, color=colour) for value, colour in style.steps]
    panel.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    if style.decimals is not None:
        panel.decimals(style.decimals)
    if style.low is not None:
        panel.min(style.low)
    if style.high is not None:
        panel.max(style.high)
    panel.mappings(_mappings(style))
    for series, colour in style.colours.items():
        fixed = FieldColor(mode=FieldColorModeId.FIXED, fixed_color=colour)
        panel.override_by_name(series, [DynamicConfigValue(id_val="color", value=fixed)])
    for key, own in (("unit", style.units), ("decimals", style.places)):
        for series, value in own.items():
            panel.override_by_name(series, [DynamicConfigValue(id_val=key, value=value)])
    if style.right:
        own = {
            "custom.axisPlacement": "right",
            "min": 0,
            "custom.lineStyle": {"fill": "dash", "dash": [4, 4]},
        }
        panel.override_by_name(
            style.right, [DynamicConfigValue(id_val=key, value=value) for key, value in own.items()]
        )
    for place, query in enumerate([queries] if isinstance(queries, Query) else queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + place)).datasource(SOURCE)
        target.legend_format(query.legend or "__auto")
        panel.with_target(target.instant() if instant else target.range())
    return panel


def _mappings(style: PanelStyle) -> list[ValueMapping]:
    found: list[ValueMapping] = []
    if style.text:
        found.append(
            ValueMap(
                options={
                    f"{value:g}": ValueMappingResult(text=label, color=colour, index=index)
                    for index, (value, (label, colour)) in enumerate(style.text.items())
                }
            )
        )
    if style.undefined:
        found.append(
            SpecialValueMap(
                options=DashboardSpecialValueMapOptions(
                    match=SpecialValueMatch.NULL_AND_NAN,
                    result=ValueMappingResult(text=style.undefined, color=GREY, index=len(style.text)),
                )
            )
        )
    return found
