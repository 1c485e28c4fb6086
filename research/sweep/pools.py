"""Computes points in parallel: on a pool of processes, or on a Dask cluster."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from errors import Fatal
from research.sweep.grid import Point

MOST_ATTEMPTS = 3
"""Times that a point may end its worker before the sweep gives up."""
CONNECT_S = 10

type Compute[Result] = Callable[[Mapping[str, str]], Result]
"""Computes the settings of a point, in another process."""
type Store[Result] = Callable[[Result], None]
type Label = Callable[[Point], str]


def compute_on_processes[Result](
    compute: Compute[Result],
    points: Sequence[Point],
    workers: int,
    store: Store[Result],
    label: Label,
) -> None:
    """Compute points on this machine; `store` is called with each result, in any order.

    A killed worker makes its whole pool useless. The points that were running then are computed one at a
    time, which shows the one that ends its worker; the others continue on a new pool.

    Raises
    ------
    Fatal
        If a point ends its worker `MOST_ATTEMPTS` times, or cannot be computed.
    """
    waiting = deque(points)
    while waiting:
        for point in _compute_until_broken(compute, waiting, workers, store):
            _compute_alone(compute, point, store, label)


def _compute_until_broken[Result](
    compute: Compute[Result], waiting: deque[Point], workers: int, store: Store[Result]
) -> list[Point]:
    """Compute the waiting points; returns those that were running when a worker was killed."""
    running: dict[Future[Result], Point] = {}
    with _pool(workers) as pool:
        while waiting or running:
            try:
                while waiting and len(running) < workers:
                    point = waiting[0]
                    running[pool.submit(compute, point.settings)] = point
                    waiting.popleft()
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    store(done.result())
                    del running[done]
            except BrokenProcessPool:
                return list(running.values())
    return []


def _compute_alone[Result](
    compute: Compute[Result], point: Point, store: Store[Result], label: Label
) -> None:
    for _ in range(MOST_ATTEMPTS - 1):
        with _pool(1) as pool:
            try:
                store(pool.submit(compute, point.settings).result())
            except BrokenProcessPool:
                continue
            return
    raise Fatal(
        f"the point {label(point)} has ended its worker process {MOST_ATTEMPTS} times",
        "Check the memory of this machine; the other results are kept, and the same command continues",
    )


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool that waits for its running points at the end, and starts no other one."""
    # Spawned, because NautilusTrader has threads, which a fork does not copy.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the main process, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def compute_on_dask[Result](
    compute: Compute[Result], points: Sequence[Point], address: str, store: Store[Result], label: Label
) -> None:
    """Compute points on the workers of a Dask cluster; `store` is called with each result, in any order.

    Raises
    ------
    Fatal
        If the package or the scheduler is missing, or a point cannot be computed.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise Fatal(
            "--scheduler needs the package distributed",
            "Install the extra `research`: docs/research.md shows how",
        ) from None
    try:
        client = Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise Fatal(
            f"no Dask scheduler answers at {address}: {error}", "docs/research.md shows how to start one"
        ) from None
    with client:
        futures = {client.submit(compute, point.settings, pure=False): point for point in points}
        for future in as_completed(futures):
            try:
                store(future.result())
            except KilledWorker as error:
                raise Fatal(
                    f"the point {label(futures[future])} has ended {error.allowed_failures + 1} workers",
                    "Check their memory; the other results are kept, and the same command continues",
                ) from None
            except CancelledError:
                raise Fatal(
                    f"the Dask scheduler at {address} has ended",
                    "Start it again; the results are kept, and the same command continues",
                ) from None
