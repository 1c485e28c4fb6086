"""Queries Prometheus for a panel's series."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from errors import Fatal

POINTS = 300
"""Points per line: about one for every two pixels of a wide panel."""


@dataclass(frozen=True)
class Series:
    """Times in seconds since the epoch, and values; NaN where there is none."""

    name: str
    times: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def last(self) -> float:
        return self.values[-1]


@dataclass(frozen=True)
class Span:
    """A time range, in seconds since the epoch."""

    start: float
    end: float

    @property
    def step(self) -> float:
        return max(1.0, (self.end - self.start) / POINTS)

    @property
    def grid(self) -> tuple[float, ...]:
        count = int((self.end - self.start) / self.step) + 1
        return tuple(self.start + place * self.step for place in range(count))


class Prometheus:
    """A Prometheus server, queried for one time range.

    Parameters
    ----------
    url : str
    span : Span
    board : mapping
        The dashboard: each variable with a value for all, `allValue`, has that value in the queries.
    """

    def __init__(self, url: str, span: Span, board: Mapping[str, Any]) -> None:
        self._client = httpx.Client(base_url=url, timeout=10, trust_env=False)
        self.span = span
        self._variables = {
            f"${one['name']}": one["allValue"] for one in board["templating"]["list"] if one.get("allValue")
        }

    def of(self, panel: Mapping[str, Any]) -> list[Series]:
        """The series of a panel, in the order of its queries.

        Raises
        ------
        Fatal
            If Prometheus cannot be reached, or rejects a query.
        """
        return [series for target in panel["targets"] for series in self._ask(target)]

    def _ask(self, target: Mapping[str, Any]) -> list[Series]:
        instant, span = target["instant"], self.span
        when = {"time": span.end} if instant else {"start": span.start, "end": span.end, "step": span.step}
        path = "/api/v1/query" if instant else "/api/v1/query_range"
        expr = target["expr"]
        for name, value in self._variables.items():
            expr = expr.replace(name, value)
        try:
            answer = self._client.get(path, params={"query": expr, **when}).json()
        except (httpx.HTTPError, ValueError) as error:
            raise Fatal(
                f"Prometheus at {self._client.base_url} cannot be queried: {error}", "Start it"
            ) from None
        if answer["status"] != "success":
            raise Fatal(f"Prometheus rejects {expr}: {answer['error']}", "Fix the query")
        return [
            self._series(found, _name(target, found["metric"]), instant) for found in answer["data"]["result"]
        ]

    def _series(self, found: Mapping[str, Any], name: str, instant: bool) -> Series:
        if instant:
            time, value = found["value"]
            return Series(name, (time,), (float(value),))
        known = {round(time, 3): float(value) for time, value in found["values"]}
        times = self.span.grid
        return Series(name, times, tuple(known.get(round(time, 3), math.nan) for time in times))


def _name(target: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    template = target["legendFormat"]
    if template == "__auto":
        return labels.get("__name__", target["expr"])
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), template)
