"""What is judged as a missed window and as growth."""

import os

import msgspec
import pytest

from tests.endurance.readings import Sample, Usage, folder_size, usage
from tests.endurance.result import Decided, Row, judge, missed_windows

START = 1_790_000_100
MIB = 2**20


def run(
    markets: int = 24,
    *,
    rss_per_market: float = 0.0,
    tasks_per_market: float = 0.0,
    ledger: tuple[float, float] = (10_000.0, 10_000.0),
    market_per_worker: int = 1000,
    descriptors: int | None = 50,
    unlisted_from: int = 0,
) -> list[Sample]:
    """Four samples per market of a worker that grows by these amounts; without `descriptors` they can be
    listed only before the market `unlisted_from`.
    """
    samples, size = [], 0.0
    for place in range(markets * 4):
        number = place // 4
        size += ledger[number >= markets / 2 + 2]
        pid, rss_bytes = 1 + number // market_per_worker, int((200 + rss_per_market * number) * MIB)
        if descriptors is None and number >= unlisted_from:
            worker = Usage(pid, rss_bytes, 20, None, "Permission denied")
        else:
            worker = Usage(pid, rss_bytes, 20, descriptors or 50)
        other = Usage(900, 40 * MIB, 3, 12)
        samples.append(
            Sample(
                START + place * 225,
                {"worker": worker, "supervisor": other, "venue": other},
                int(30 + tasks_per_market * number),
                int(size),
                1000 * place,
            )
        )
    return samples


def failing(samples: list[Sample], *, restarts: bool = False) -> list[str]:
    return [row.name for row in judge(samples, START, restarts=restarts) if row.right is False]


@pytest.mark.parametrize(
    ("grown", "found"),
    [
        ({}, []),
        ({"rss_per_market": 0.2}, []),
        ({"rss_per_market": 0.3}, ["memory of the worker"]),
        ({"tasks_per_market": 0.05}, []),
        ({"tasks_per_market": 0.25}, ["tasks of the worker"]),
        ({"ledger": (10_000.0, 14_000.0)}, []),
        ({"ledger": (10_000.0, 17_000.0)}, ["growth of the ledger"]),
    ],
    ids=str,
)
def test_growth_beyond_a_limit_is_found(grown: dict, found: list[str]) -> None:
    """0.3 MiB a market are 1.2 an hour; a task each hour adds up; a ledger that grows faster and faster."""
    assert failing(run(**grown)) == found


def test_what_each_worker_adds_to_the_next_is_found() -> None:
    """With restarts the last markets of the workers are compared: growth within a worker ends with it."""
    sawtooth = run(48, market_per_worker=6)
    assert failing(sawtooth, restarts=True) == []
    rising = run(48, rss_per_market=0.3, market_per_worker=6)
    assert failing(rising, restarts=True) == ["memory of the worker in its last market"]


@pytest.mark.parametrize("unlisted_from", [0, 5, 19])
def test_descriptors_that_cannot_be_listed_are_not_measured(unlisted_from: int) -> None:
    """The line remains, with the error, and is not right; the other limits are judged as ever."""
    samples = run(descriptors=None, unlisted_from=unlisted_from)
    found = {row.name: row for row in judge(samples, START, restarts=False)}
    row = found.pop("descriptors of the worker")
    assert row == Row(
        "descriptors of the worker",
        "not measured: Permission denied",
        "a difference below 1.5",
        None,
    )
    assert row.unmeasured
    assert [name for name, other in found.items() if other.unmeasured or other.right is False] == []
    assert found["descriptors of the supervisor"].value == "12 in the first quarter, 12 in the last"


def test_a_worker_without_a_recent_status_has_no_number_of_tasks() -> None:
    """The row states that it is not measured; it is not left out."""
    samples = [msgspec.structs.replace(sample, tasks=None) for sample in run()]
    found = {row.name: row for row in judge(samples, START, restarts=False)}
    assert found["tasks of the worker"] == Row(
        "tasks of the worker",
        "not measured: no recent status of the worker",
        "a difference below 1.5",
        None,
    )


def test_a_run_has_the_same_lines_whatever_could_be_measured() -> None:
    """Three of memory, six of descriptors and threads, tasks, ledger and logs."""
    for samples in (run(), run(5), run(2), run(descriptors=None)):
        assert len(judge(samples, START, restarts=False)) == 12


def test_too_few_markets_are_not_judged() -> None:
    """A short run shows its values, and says why there is no slope."""
    found = {row.name: row for row in judge(run(5), START, restarts=False)}
    assert found["memory of the worker"] == Row(
        "memory of the worker", "1 markets after the warm-up are too few", "", None
    )
    assert found["growth of the logs"].right is None


def test_a_window_without_a_decision_in_it_is_missed() -> None:
    """A decision at its end is the record of a window that passed; one market has nothing at all."""
    decisions = [
        Decided(0, 780.0, "no_trend"),
        Decided(900, 840.0, "stale_data"),
        Decided(1800, 700.0, "outside_window"),
        Decided(1800, 839.9, None),
    ]
    assert missed_windows(decisions, range(0, 3600, 900), (780.0, 840.0)) == {
        900: "stale_data at 840.0 s",
        2700: "nothing",
    }


def test_a_reading_of_this_process(tmp_path) -> None:
    """Memory, threads and descriptors by /proc; a process that has ended has none."""
    before = usage(os.getpid())
    assert before is not None
    assert before.descriptors is not None
    held = [open(tmp_path / str(number), "w") for number in range(3)]  # noqa: SIM115
    after = usage(os.getpid())
    for file in held:
        file.write("x" * 100)
        file.close()
    assert after is not None
    assert after.descriptors == before.descriptors + 3
    assert after.rss_bytes > 10 * MIB
    assert folder_size(tmp_path) == 300
    assert usage(2**22 + 1) is None


def test_the_error_of_a_protected_process_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other values of a process whose descriptors are listed for root only are read all the same."""

    def listdir(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", listdir)
    found = usage(os.getpid())
    assert found is not None
    assert (found.descriptors, found.unlisted) == (None, "Permission denied")
    assert found.rss_bytes > 10 * MIB
