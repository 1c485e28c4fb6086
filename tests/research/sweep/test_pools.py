"""A pool of processes whose workers are killed: the point is computed again, or named."""

import os
import signal
from functools import partial

import pytest

from errors import Fatal
from research.sweep.grid import Point
from research.sweep.pools import compute_on_dask, compute_on_processes

POINTS = [Point(values=(str(number),), settings={"N": str(number)}) for number in range(6)]


def killed(folder, settings):
    """The number; point 2 kills its process as often as the file has bytes."""
    number, left = int(settings["N"]), folder / "left"
    if number == 2 and (deaths := left.read_bytes()):
        left.write_bytes(deaths[1:])
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def label(point):
    return f"N={point.values[0]}"


@pytest.mark.slow
def test_a_point_whose_worker_is_killed_is_computed_again(tmp_path):
    """Two kills: all six points have one result each, whichever were running beside the killed one."""
    (tmp_path / "left").write_bytes(b"..")
    found = []
    compute_on_processes(partial(killed, tmp_path), POINTS, 2, found.append, label)
    assert sorted(found) == [0, 1, 2, 3, 4, 5]
    assert (tmp_path / "left").read_bytes() == b""


@pytest.mark.slow
def test_a_point_that_kills_its_worker_again_and_again_is_named(tmp_path):
    """The third kill ends the sweep with the point's name; the results of others are not lost."""
    (tmp_path / "left").write_bytes(b"...")
    found = []
    with pytest.raises(Fatal, match="the point N=2 has ended its worker process 3 times"):
        compute_on_processes(partial(killed, tmp_path), POINTS, 2, found.append, label)
    assert {0, 1} <= {*found, 1}
    assert 2 not in found
    assert (tmp_path / "left").read_bytes() == b""


@pytest.mark.slow
def test_no_scheduler():
    """An address at which nothing answers is named with the next step."""
    with pytest.raises(
        Fatal, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1: .*docs/research\.md"
    ):
        compute_on_dask(label, POINTS, "tcp://127.0.0.1:1", print, label)
