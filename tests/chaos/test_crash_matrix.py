"""The crash matrix has a cell for every command of the order lifecycle and every process."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

from execution.ledger.schema import STEPS
from execution.order_messages import Command
from execution.order_records import FillEntry, OrderEntry, StateEntry
from models import FillStatus, OrderState
from tests.chaos.crashes import SCENARIOS, commands, matrix, points
from tests.chaos.hooks.stop_points import SETTLEMENT_WRITES
from tests.chaos.schedule import decode, encode

VICTIMS = ("worker", "supervisor", "venue")


def test_every_kind_of_command_occurs() -> None:
    """The scenarios lead to each command that the lifecycle can return."""
    found = {type(command) for scenario in SCENARIOS for command in commands(scenario)}
    assert found == set(get_args(Command))


def test_every_write_of_an_order_occurs() -> None:
    """Its first row, each state that an answer or a trade gives it, and each status of a fill."""
    written = [
        row
        for scenario in SCENARIOS
        for command in commands(scenario)
        for row in getattr(command, "rows", ())
    ]
    assert {row.state for row in written if isinstance(row, OrderEntry)} == {OrderState.SENT}
    assert {row.state for row in written if isinstance(row, StateEntry)} == {
        OrderState.MATCHED, OrderState.UNKNOWN, OrderState.NO_FILL, OrderState.REFUSED, OrderState.REVERSED
    }  # fmt: skip
    assert {row.status for row in written if isinstance(row, FillEntry)} == set(FillStatus)


def test_each_point_is_a_cell_of_each_process() -> None:
    """One schedule a cell, which can be repeated from its file."""
    names = [point for _, point in points()]
    assert len(names) == len(set(names)) > 25
    assert names[:3] == ["sign", "write order sent", "publish Decided"]
    assert {"post", "look up", "set total", "close unfilled", "halt"} <= set(names)
    assert names[-2:] == ["before record_cash_check", "after record_cash_check"]
    cells = list(matrix())
    migrations = [cell.command for cell in cells if cell.situation == "migration"]
    assert [cell.number for cell in cells] == list(range(3 * len(names) + 3 * 13 + 24 + len(migrations)))
    ordering = [cell for cell in cells if not cell.situation and cell.path == "paper"]
    assert {(cell.command, cell.injections[-1].fault) for cell in ordering} == {
        (name, f"kill_{victim}") for name in names for victim in VICTIMS
    }
    assert migrations[0] == "migration: step 4 before its commit"
    assert migrations[-2:] == [
        f"migration: step {len(STEPS)} before its commit", "migration: after the last step",
    ]  # fmt: skip
    assert all(decode(encode(cell)) == cell for cell in cells)


def test_the_cells_of_the_live_path() -> None:
    """Each point of a sent order and of a settlement, also of the request to redeem, and each process."""
    cells = [cell for cell in matrix() if cell.path == "rehearsal" and not cell.situation]
    wanted = [
        "sign", "write order sent", "post", "write state matched", "write fill MATCHED",
        "before record_settlement", "after record_settlement", "before record_redemption",
        "after record_redemption", "before record_cash_check", "after record_cash_check",
        "before redeem", "after redeem",
    ]  # fmt: skip
    assert [(cell.command, cell.injections[-1].fault) for cell in cells] == [
        (name, f"kill_{victim}") for name in wanted for victim in VICTIMS
    ]


def test_the_cells_of_a_restart_and_of_a_recording() -> None:
    """A restart: when the worker decides to end, at its last write, and when the next one runs."""
    kills = {"restart": [], "recording": []}
    for cell in matrix():
        if cell.situation in kills:
            kills[cell.situation].append((cell.injections[0].on, cell.injections[0].fault))
    assert kills["restart"] == [
        (point, f"kill_{victim}")
        for victim in VICTIMS
        for point in ("command: before stop", "command: before close_run", "restarting")
    ]
    assert kills["recording"] == [("filled", f"kill_{victim}") for victim in VICTIMS]


def test_the_cells_of_a_mode_switch() -> None:
    """To simulation and to live: when the worker has recorded it, and when the next one runs."""
    cells = [cell for cell in matrix() if cell.situation == "switch"]
    assert [tuple((each.fault, each.on) for each in cell.injections) for cell in cells] == [
        ((switch, ""), (f"kill_{victim}", point))
        for switch in ("switch_to_simulation", "switch_to_live")
        for victim in VICTIMS
        for point in ("switched", "restarting")
    ]


def test_the_settlement_writes_are_those_of_its_code() -> None:
    """Every method of the ledger that the settlement's code calls."""
    source = (Path(__file__).parents[2] / "execution/settlement/bookkeeping.py").read_text()
    assert set(re.findall(r"_ledger\.(record_\w+)", source)) == set(SETTLEMENT_WRITES)


def test_nothing_is_done_between_a_point_and_the_stop(tmp_path: Path) -> None:
    """A thread that comes to the point, such as the ledger's, is stopped before what follows."""
    text = f"""
import os, sys, threading
sys.path.insert(0, {str(Path(__file__).parent / "hooks")!r})
import stop_points
def write():
    stop_points.stop_at("before record_redemption")
    os.mkdir("written")
thread = threading.Thread(target=write)
thread.start()
thread.join()
"""
    environment = {"CHAOS_STOP": "before record_redemption", "CHAOS_STOPPED": str(tmp_path / "stopped")}
    # A signal to the whole process stops the thread too late in about half of the runs.
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-I", "-S", "-c", text], cwd=tmp_path, env=environment)
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            assert os.WSTOPSIG(status) == signal.SIGSTOP
            assert sorted(path.name for path in tmp_path.iterdir()) == ["points", "stopped"]
        finally:
            process.kill()
            process.wait()
        (tmp_path / "stopped").unlink()
