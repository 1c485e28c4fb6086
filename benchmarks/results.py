"""The figures of a benchmark, their targets, and the JSON document of a run.

A benchmark is a module of this package with one function, `measure() -> Sequence[Measurement]`, and an entry
in `registry.py`. `./bot bench` runs each in a process of its own.
"""

from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from models import Frozen


class Target(Frozen, frozen=True):
    """A limit for a figure, or for its ratio to the reference of the same run."""

    relation: Literal["at most", "at least"]
    limit: float
    quantity: Literal["value", "ratio"] = "value"

    def met(self, number: float) -> bool:
        return number <= self.limit if self.relation == "at most" else number >= self.limit


def at_most(limit: float) -> Target:
    return Target("at most", limit)


def at_least(limit: float) -> Target:
    return Target("at least", limit)


def ratio_at_most(limit: float) -> Target:
    """For value / reference: 1.2 allows a fifth more than the reference, 0.25 is four times ahead of it."""
    return Target("at most", limit, "ratio")


def ratio_at_least(limit: float) -> Target:
    return Target("at least", limit, "ratio")


class Measurement(Frozen, frozen=True, kw_only=True):
    """One figure.

    `reference` is a figure of the same unit, measured in the same run, and `reference_name` states what it
    is; `ratio` is value / reference. Without a target, `no_target` states why there is none.
    """

    name: str
    """Name of the benchmark in the registry."""
    what: str
    """What is measured, in at most about 60 characters."""
    value: float
    unit: str
    """Such as ms, MB, messages/s; empty for a plain number."""
    reference: float | None = None
    reference_name: str = ""
    target: Target | None = None
    no_target: str = ""
    step: str = ""
    column: str = ""
    """Row and column of this figure in the table of the orders' steps; empty for a figure of its own."""

    def __post_init__(self) -> None:
        if self.target is None and not self.no_target:
            raise ValueError(f"{self.name}, {self.what}: no target, and no reason why there is none")
        if self.target is not None and self.target.quantity == "ratio" and not self.reference:
            raise ValueError(f"{self.name}, {self.what}: a target for the ratio needs a reference above 0")

    @property
    def ratio(self) -> float | None:
        return self.value / self.reference if self.reference else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.target is None:
            return None
        number = self.value if self.target.quantity == "value" else self.ratio
        return number is not None and self.target.met(number)


class Machine(Frozen, frozen=True):
    """Where a run was measured."""

    cpu: str
    cores: int
    memory_gb: float
    system: str
    python: str
    nautilus_trader: str
    load: float
    """Load average of the last minute, when the run began."""


class BenchmarkResult(Frozen, frozen=True):
    """What one benchmark measured, or the error with which it ended."""

    name: str
    seconds: float
    measurements: tuple[Measurement, ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        return not self.error and all(measured.met is not False for measured in self.measurements)


class Run(Frozen, frozen=True):
    """A run of `./bot bench`: the document of `--json`."""

    date: str
    """UTC, ISO 8601, when the run began."""
    command: str
    machine: Machine
    seconds: float
    results: tuple[BenchmarkResult, ...]

    @property
    def passed(self) -> bool:
        return all(result.passed for result in self.results)

    def document(self) -> bytes:
        """The run as JSON, with the ratio and the result of each target for programs that read it."""
        run: dict[str, Any] = msgspec.to_builtins(self)
        run["passed"] = self.passed
        for result, shown in zip(self.results, run["results"], strict=True):
            for measured, row in zip(result.measurements, shown["measurements"], strict=True):
                row |= {"ratio": measured.ratio, "met": measured.met}
        return msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        return msgspec.json.decode(path.read_bytes(), type=cls)
