"""How long a process waited for a processor is measured from a moment on, for each role alone."""

import os
from pathlib import Path

import pytest

from tests.chaos import machine_load
from tests.chaos.machine_load import ProcessorWait, waited_ns


def test_the_longest_wait_of_a_role_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers one after the other wait 5 and 2 s, the venue beside them 4 s: 7 s, not 11.

    What was before is not counted, and a process that has ended keeps what was read last.
    """
    counted = {7: 1, 8: 0, 9: 3}
    monkeypatch.setattr(machine_load, "waited_ns", lambda pid: counted[pid] * 10**9)
    wait = ProcessorWait()
    wait.begin({"worker": 7, "venue": 9})
    counted |= {7: 6, 9: 7}
    wait.read({"worker": 7, "venue": 9})
    counted |= {7: 0, 8: 2}
    wait.read({"worker": 7, "venue": 9})
    wait.read({"worker": 8, "venue": 9})
    assert wait.seconds == 7.0


def test_the_system_counts_the_wait_of_a_process() -> None:
    """The second number of /proc/PID/schedstat; nothing of a process that is gone."""
    before = int(Path("/proc/self/schedstat").read_text().split()[1])
    assert before <= waited_ns(os.getpid()) <= int(Path("/proc/self/schedstat").read_text().split()[1])
    assert waited_ns(2**22 + 1) == 0
