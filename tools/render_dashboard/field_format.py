"""Evaluates a panel's field configuration for one series: text, colour, unit, limits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from errors import Fatal

HUES = {
    "green": "#73BF69",
    "yellow": "#FADE2A",
    "orange": "#FF9830",
    "red": "#F2495C",
    "blue": "#5794F2",
    "purple": "#B877D9",
    "text": "#ccccdc",
}
CLASSIC = (
    *("#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#37872D", "#FADE2A"),
    *("#447EBC", "#C15C17", "#890F02", "#0A437C", "#6D1F62", "#584477"),
)
"""Default colours of series, in Grafana's order."""
PER_MINUTE, PER_HOUR, PER_DAY = 60, 3600, 86400


def hue(name: str) -> str:
    """The colour for a name in the dark theme; a colour code is returned unchanged."""
    return HUES.get(name, name)


@dataclass(frozen=True)
class PanelField:
    """The configuration that applies to one series."""

    settings: Mapping[str, Any]

    @property
    def own_colour(self) -> str | None:
        fixed = self.settings.get("color", {}).get("fixedColor")
        return None if fixed is None else hue(fixed)

    @property
    def right(self) -> bool:
        return self.settings.get("custom.axisPlacement") == "right"

    def limit(self, key: str) -> float | None:
        return self.settings.get(key)

    def colour(self, value: float) -> str:
        """The colour by mapping, else fixed, else by threshold."""
        mapped = self._mapped(value)
        if mapped is not None:
            return hue(mapped["color"])
        return self.own_colour or self._threshold(value)

    def text(self, value: float) -> str:
        """The value as a mapped text or with its unit."""
        mapped = self._mapped(value)
        if mapped is not None:
            return str(mapped["text"])
        return formatted(value, self.settings["unit"], self.settings.get("decimals"))

    def _threshold(self, value: float) -> str:
        colour = HUES["text"]
        for step in self.settings["thresholds"]["steps"]:
            if step.get("value") is None or value >= step["value"]:
                colour = hue(step["color"])
        return colour

    def _mapped(self, value: float) -> Mapping[str, Any] | None:
        for mapping in self.settings.get("mappings", ()):
            if mapping["type"] == "value" and f"{value:g}" in mapping["options"]:
                return mapping["options"][f"{value:g}"]
            if mapping["type"] == "special" and math.isnan(value):
                return mapping["options"]["result"]
        return None


def field_of(panel: Mapping[str, Any], name: str) -> PanelField:
    """The panel's defaults with the overrides for a series' name."""
    settings = dict(panel["fieldConfig"]["defaults"])
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"] != {"id": "byName", "options": name}:
            continue
        settings.update({item["id"]: item["value"] for item in override["properties"]})
    return PanelField(settings)


def formatted(value: float, unit: str, decimals: float | None) -> str:
    """Format a number as Grafana does.

    Raises
    ------
    Fatal
        If the unit is not supported.
    """
    if math.isnan(value):
        return "NaN"
    match unit:
        case "none" | "short":
            return _digits(value, decimals)
        case "percent":
            return f"{_digits(value, decimals)}%"
        case "percentunit":
            return f"{_digits(value * 100, decimals)}%"
        case "currencyUSD":
            return f"{'-' if value < 0 else ''}${_digits(abs(value), decimals)}"
        case "s":
            return _duration(value, decimals)
        case "bytes":
            return _bytes(value)
    raise Fatal(
        f"the renderer does not support the unit {unit!r}", "Add it to tools/render_dashboard/field_format.py"
    )


def _digits(value: float, decimals: float | None) -> str:
    if decimals is not None:
        return f"{value:,.{int(decimals)}f}"
    places = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(places, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _duration(seconds: float, decimals: float | None) -> str:
    size = abs(seconds)
    if 0 < size < 1 and decimals is None:
        return f"{_digits(seconds * 1000, None)} ms"
    for limit, length, name in (
        (PER_MINUTE, 1, "s"),
        (PER_HOUR, PER_MINUTE, "min"),
        (PER_DAY, PER_HOUR, "hours"),
    ):
        if size < limit:
            return f"{_digits(seconds / length, decimals)} {name}"
    return f"{_digits(seconds / PER_DAY, decimals)} days"


def _bytes(value: float) -> str:
    for name in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{_digits(value, None)} {name}"
        value /= 1024
    return f"{_digits(value, None)} GiB"
