"""What is judged as a missed window and as growth."""

import os

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
) -> list[Sample]:
    """Four samples per market of a worker that grows by these amounts."""
    samples, size = [], 0.0
    for place in range(markets * 4):
        number = place // 4
        size += ledger[number >= markets / 2 + 2]
        worker = Usage(1 + number // market_per_worker, int((200 + rss_per_market * number) * MIB), 20, 50)
        other = Usage(900, 40 * MIB, 3, None)
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
