"""The threads of a worker on one core while an order may follow soon."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from blockbuster import BlockBuster

from runtime.worker import one_core
from runtime.worker.one_core import OneCore

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="there is only one core"
)


@pytest.fixture
def cores() -> Iterator[set[int]]:
    """The cores of the test process, which it has again at the end."""
    before = os.sched_getaffinity(0)
    yield before
    one_core._move(before)


def of_all_threads() -> set[frozenset[int]]:
    found = set()
    for task in one_core.TASKS.iterdir():
        with suppress(ProcessLookupError):  # a thread of another test has ended
            found.add(frozenset(os.sched_getaffinity(int(task.name))))
    return found


def test_all_threads_join_the_core_of_the_first_one_and_return(cores: set[int]) -> None:
    """Also a thread that is created meanwhile; each of the two steps can be repeated."""
    wait = threading.Event()
    threads = [threading.Thread(target=wait.wait, args=(20,)) for _ in range(2)]
    one = OneCore(is_busy=lambda: False)
    threads[0].start()
    one.join()
    one.join()
    threads[1].start()
    (joined,) = of_all_threads()
    assert len(joined) == 1
    assert joined <= cores
    one.leave()
    one.leave()
    assert of_all_threads() == {frozenset(cores)}
    wait.set()
    for thread in threads:
        thread.join(20)


def test_the_core_is_the_one_that_runs_the_first_thread(cores: set[int]) -> None:
    """A thread that may only run on one core is found there."""
    for core in cores:
        os.sched_setaffinity(os.getpid(), {core})
        assert one_core._core() == core


async def test_a_busy_machine_distributes_the_threads_itself(
    cores: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With threads that wait for a core, two workers could end up on the same one."""
    monkeypatch.setattr(one_core, "PAUSE_S", 0)
    busy, near = iter([True, False, True]), iter([True, True, True])
    numbers: list[int] = []

    def order_is_near() -> bool:
        numbers.append(len(os.sched_getaffinity(0)))
        return next(near)

    with pytest.raises(RuntimeError, match="StopIteration"):
        await OneCore(is_busy=lambda: next(busy)).follow(order_is_near)
    assert numbers == [len(cores), len(cores), 1, len(cores)]


@pytest.mark.parametrize(
    ("some", "load", "busy"),
    [
        ("some avg10=25.01 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00\n", 0.0, True),
        ("some avg10=25.00 avg60=99.00 avg300=99.00 total=1\nfull avg10=99.00\n", 99.0, False),
        (None, 1e6, True),
        (None, 0.0, False),
    ],
)
def test_a_machine_is_busy_if_threads_wait(
    some: str | None, load: float, busy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the kernel's share of waiting, and by the load average where there is none."""
    monkeypatch.setattr(one_core, "PRESSURE", tmp_path / "cpu")
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    if some is not None:
        (tmp_path / "cpu").write_text(some)
    assert one_core.machine_is_busy() is busy


async def test_it_follows_the_windows_of_orders(cores: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """One core while an order is near, all others before and after."""
    monkeypatch.setattr(one_core, "PAUSE_S", 0)
    near = iter([False, True, True, False])
    numbers: list[int] = []

    def order_is_near() -> bool:
        numbers.append(len(os.sched_getaffinity(0)))
        return next(near)

    with pytest.raises(RuntimeError, match="StopIteration"):
        await OneCore(is_busy=lambda: False).follow(order_is_near)
    assert numbers == [len(cores), len(cores), 1, 1, len(cores)]


@pytest.mark.parametrize("some", ["", "some avg10=much total=1"])
async def test_a_pressure_that_cannot_be_read_changes_nothing(
    some: str, cores: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is raised, and all cores are kept."""
    near = iter([True, True])
    monkeypatch.setattr(one_core, "PAUSE_S", 0)
    monkeypatch.setattr(one_core, "PRESSURE", tmp_path / "cpu")
    (tmp_path / "cpu").write_text(some)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await OneCore(one_core.machine_is_busy).follow(lambda: next(near))
    assert of_all_threads() == {frozenset(cores)}


async def test_on_other_systems_nothing_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python cannot choose cores it ends at once."""
    monkeypatch.delattr(os, "sched_setaffinity")
    await OneCore(is_busy=lambda: False).follow(lambda: pytest.fail("asked"))


async def test_without_the_files_of_linux_all_cores_are_kept(
    cores: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some systems can choose cores and have no `/proc`; nothing is raised."""
    near = iter([True, True])
    monkeypatch.setattr(one_core, "PAUSE_S", 0)
    monkeypatch.setattr(one_core, "TASKS", tmp_path / "task")
    with pytest.raises(RuntimeError, match="StopIteration"):
        await OneCore(is_busy=lambda: False).follow(lambda: next(near))
    monkeypatch.undo()
    assert of_all_threads() == {frozenset(cores)}


async def test_no_file_is_read_on_the_event_loop(cores: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker under the detector of blocking calls would end with it."""
    near = iter([True, False])
    monkeypatch.setattr(one_core, "PAUSE_S", 0)
    detector = BlockBuster()
    detector.activate()
    try:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await OneCore(one_core.machine_is_busy).follow(lambda: next(near))
    finally:
        detector.deactivate()
    assert of_all_threads() == {frozenset(cores)}


async def test_a_process_that_may_not_choose_its_cores_runs_on_all(
    cores: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In some containers the call is forbidden; nothing is raised."""
    near = iter([True, False])

    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(one_core, "PAUSE_S", 0)
    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await OneCore(is_busy=lambda: False).follow(lambda: next(near))
    monkeypatch.undo()
    assert of_all_threads() == {frozenset(cores)}
