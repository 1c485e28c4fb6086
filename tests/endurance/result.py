"""Judges the samples and decisions of a run. Pure."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median

import msgspec

from tests.endurance.readings import Sample, Usage
from tests.endurance.slope import Slope, theil_sen

MARKET_S = 900
HOUR_S = 3600.0
MIB = 2**20
WARM_UP_MARKETS = 4
"""The first hour of market time: every code path has been used once, and every cache has its size."""
RSS_LIMIT = 1.0
"""MiB an hour of market time."""
COUNT_LIMIT = 1.5
"""Largest difference between the last and the first quarter of descriptors, threads and tasks."""
GROWTH_LIMIT = 1.5
"""Largest ratio of the bytes that the second and the first half of the run added to ledger or logs."""


class Row(msgspec.Struct, frozen=True):
    """One line of the result: a value, its limit, and whether it is kept.

    `right` is None for a value without a limit, which is only shown, and for a limit whose value could not be
    measured.
    """

    name: str
    value: str
    limit: str = ""
    right: bool | None = None

    @property
    def unmeasured(self) -> bool:
        return bool(self.limit) and self.right is None


class Decided(msgspec.Struct, frozen=True):
    """A decision of the ledger: start and second of its market, and its reason; None if it buys."""

    start: int
    second: float
    reason: str | None


def missed_windows(
    decisions: Iterable[Decided], starts: Iterable[int], window: tuple[float, float]
) -> dict[int, str]:
    """The markets without a decision inside the window, with what is recorded of them.

    A generated market is tradable from its first second to its last, so every window has to be decided. A
    decision at the end of the window is the record of a window that passed.
    """
    recorded: dict[int, list[Decided]] = {}
    for decision in decisions:
        recorded.setdefault(decision.start, []).append(decision)
    missed = {}
    for start in starts:
        found = recorded.get(start, [])
        if not any(window[0] <= one.second < window[1] for one in found):
            missed[start] = ", ".join(f"{one.reason} at {one.second:.1f} s" for one in found) or "nothing"
    return missed


def per_market(
    samples: Iterable[Sample], value: Callable[[Sample], float | None], first_start: int
) -> list[tuple[int, float]]:
    """The median of a value in each market, by the market's number."""
    found: dict[int, list[float]] = {}
    for sample in samples:
        one = value(sample)
        if one is not None:
            found.setdefault(int(sample.market_s - first_start) // MARKET_S, []).append(one)
    return [(number, median(values)) for number, values in sorted(found.items())]


def hours(points: Iterable[tuple[int, float]]) -> list[tuple[float, float]]:
    return [(number * MARKET_S / HOUR_S, value) for number, value in points]


def used(name: str, field: str) -> Callable[[Sample], float | None]:
    """Reads one value of a process from a sample."""

    def value(sample: Sample) -> float | None:
        usage: Usage | None = sample.processes.get(name)
        return None if usage is None else getattr(usage, field)

    return value


# --- the lines of the result -----------------------------------------------------------------------------


def rss_row(name: str, points: Sequence[tuple[int, float]], *, judged: bool = True) -> Row:
    """The slope of a process' memory after the warm-up; its whole interval has to be below the limit."""
    late = [(number, rss / MIB) for number, rss in points if number >= WARM_UP_MARKETS]
    slope = theil_sen(hours(late))
    if slope is None:
        return Row(f"memory of the {name}", f"{len(late)} markets after the warm-up are too few")
    value = f"{late[0][1]:.1f} to {late[-1][1]:.1f} MiB, {slope_text(slope)} MiB/h"
    if not judged:
        return Row(f"memory of the {name}", value)
    return Row(f"memory of the {name}", value, f"below {RSS_LIMIT:g} MiB/h", slope.high < RSS_LIMIT)


def slope_text(slope: Slope) -> str:
    return f"{slope.value:+.2f} [{slope.low:+.2f}, {slope.high:+.2f}]"


def count_row(
    name: str,
    points: Sequence[tuple[int, float]],
    markets: Sequence[int],
    why_not: str,
    *,
    judged: bool = True,
) -> Row:
    """Whether a number is as high in the last quarter as in the first one after the warm-up.

    Parameters
    ----------
    name : str
    points : sequence of tuple
        The number in each market that has one.
    markets : sequence of int
        All markets of the run, in order: a quarter of them without any number is not judged.
    why_not : str
        Why a market may have no number.
    judged : bool
    """
    values, late = dict(points), [number for number in markets if number >= WARM_UP_MARKETS]
    limit = f"a difference below {COUNT_LIMIT:g}" if judged else ""
    quarter = len(late) // 4
    if not quarter:
        newest = f"{points[-1][1]:g}; " if points else ""
        return Row(name, f"{newest}{len(late)} markets after the warm-up are too few")
    ends = late[:quarter], late[-quarter:]
    first, last = ([values[number] for number in end if number in values] for end in ends)
    if not first or not last:
        return Row(name, f"not measured: {why_not}", limit)
    value = f"{median(first):g} in the first quarter, {median(last):g} in the last"
    return Row(name, value, limit, median(last) - median(first) < COUNT_LIMIT if judged else None)


def why_unlisted(samples: Iterable[Sample], name: str) -> str:
    """The last error with which the descriptors of a process could not be listed."""
    errors = [one.unlisted for sample in samples if (one := sample.processes.get(name)) is not None]
    return next((error for error in reversed(errors) if error), "it did not run")


def growth_row(name: str, points: Sequence[tuple[int, float]]) -> Row:
    """Bytes per hour, and whether the second half of the run added as much as the first."""
    late = [(number, size) for number, size in points if number >= WARM_UP_MARKETS]
    if len(late) < 4:
        return Row(f"growth of the {name}", f"{len(late)} markets after the warm-up are too few")
    (begin, low), (_, middle), (end, high) = late[0], late[len(late) // 2], late[-1]
    rate = (high - low) / 1024 / ((end - begin) * MARKET_S / HOUR_S)
    shares = (
        (middle - low) / (late[len(late) // 2][0] - begin),
        (high - middle) / (end - late[len(late) // 2][0]),
    )
    ratio = shares[1] / shares[0] if shares[0] > 0 else 1.0
    value = f"{rate:.0f} KiB/h, second half {ratio:.2f} times the first"
    return Row(f"growth of the {name}", value, f"below {GROWTH_LIMIT:g} times", ratio < GROWTH_LIMIT)


def last_of_each_worker(samples: Sequence[Sample], first_start: int) -> list[tuple[int, float]]:
    """The memory of each worker in its last market, by the number of that market."""
    last: dict[int, int] = {}
    for sample in samples:
        if (worker := sample.processes.get("worker")) is not None:
            last[worker.pid] = int(sample.market_s - first_start) // MARKET_S
    found = []
    for pid, number in last.items():
        sizes = [
            sample.processes["worker"].rss_bytes
            for sample in samples
            if (one := sample.processes.get("worker")) is not None
            and one.pid == pid
            and int(sample.market_s - first_start) // MARKET_S == number
        ]
        found.append((number, float(median(sizes))))
    return found


def judge(samples: Sequence[Sample], first_start: int, *, restarts: bool) -> list[Row]:
    """The lines about memory, descriptors, threads, tasks and files.

    Parameters
    ----------
    samples : sequence of Sample
    first_start : int
        Start of the first market.
    restarts : bool
        Whether workers are replaced: then the memory of each one's last market is compared.
    """

    def points(value: Callable[[Sample], float | None]) -> list[tuple[int, float]]:
        return per_market(samples, value, first_start)

    worker = last_of_each_worker(samples, first_start) if restarts else points(used("worker", "rss_bytes"))
    markets = sorted({int(sample.market_s - first_start) // MARKET_S for sample in samples})
    found = [
        rss_row("worker" + (" in its last market" if restarts else ""), worker),
        rss_row("supervisor", points(used("supervisor", "rss_bytes"))),
        rss_row("practice venue", points(used("venue", "rss_bytes")), judged=False),
    ]
    for field in ("descriptors", "threads"):
        for process in ("worker", "supervisor", "venue"):
            found.append(
                count_row(
                    f"{field} of the {process}",
                    points(used(process, field)),
                    markets,
                    why_unlisted(samples, process) if field == "descriptors" else "it did not run",
                    judged=process != "venue",
                )
            )
    tasks = points(lambda sample: sample.tasks)
    found.append(count_row("tasks of the worker", tasks, markets, "no recent status of the worker"))
    found.append(growth_row("ledger", points(lambda sample: sample.ledger_bytes)))
    found.append(growth_row("logs", points(lambda sample: sample.log_bytes)))
    return found
