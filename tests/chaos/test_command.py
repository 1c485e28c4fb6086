"""The command: which schedules it plays, what it reports, and what it keeps of a failing run."""

import json
import os
import shutil
import signal
import threading
from pathlib import Path
from types import FrameType

import pytest

from tests.chaos import __main__ as command
from tests.chaos.evidence import Recovery
from tests.chaos.run import Outcome
from tests.chaos.schedule import Injection, Schedule, decode, draw, encode

APPLIED = (None, 2, 0)
"""How often the first faults of a schedule were applied."""


def outcome_of(schedule: Schedule, folder: Path, *wrong: str) -> Outcome:
    began = tuple(injection.at for injection in schedule.injections)
    violations = {name: ["two orders"] for name in wrong}
    recoveries = (Recovery("kill_worker", 3.5), Recovery("the last fault", 1.0))
    return Outcome(schedule, violations, began, (), 1, 2, recoveries, 40.0, str(folder), APPLIED)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Schedule]:
    """The schedules that were played; one with the fault `hang` violates an invariant."""
    played: list[Schedule] = []

    def play(schedule: Schedule, folder: Path) -> Outcome:
        played.append(schedule)
        (folder / "ledger").write_text("")
        names = [injection.fault for injection in schedule.injections]
        if "retrying" in names:
            raise OSError("no space")
        return outcome_of(schedule, folder, *(["bought_once"] if "hang" in names else []))

    monkeypatch.setattr(command, "play", play)
    monkeypatch.setattr(command.tempfile, "mkdtemp", lambda prefix: str(tmp_path / "base"))
    (tmp_path / "base").mkdir()
    return played


def numbers(*arguments: str) -> list[int]:
    return [schedule.number for schedule in command.schedules(command.parse(arguments))]


def test_which_schedules_are_played(tmp_path: Path) -> None:
    """From `--begin` to `--schedules`, those with the text of `--only`, the matrix, or one of a file."""
    assert numbers("--schedules", "5", "--begin", "3") == [3, 4]
    drawn = [draw(9, number) for number in range(50)]
    assert numbers("--schedules", "50", "--seed", "9", "--only", "rehearsal") == [
        schedule.number for schedule in drawn if schedule.path == "rehearsal"
    ]
    assert len(numbers("--crashes", "--only", "command: post")) == 6  # on paper and on the live path
    (tmp_path / "one.json").write_bytes(encode(drawn[7]))
    assert command.schedules(command.parse(["--replay", str(tmp_path / "one.json")])) == [drawn[7]]


def test_a_failing_schedule_is_shrunk_and_kept(
    faults: list[Schedule],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 1, a file with the one fault that matters, the command to repeat it, the report; the folder
    of a right run is removed.
    """
    wanted = [
        Schedule(1, 0, injections=(Injection("unmatched"),)),
        Schedule(
            1, 1, injections=(Injection("gamma_500", lasts=9.0), Injection("hang"), Injection("unmatched"))
        ),
    ]
    monkeypatch.setattr(command, "schedules", lambda given: wanted)
    report = tmp_path / "report.json"
    assert command.main(["--report", str(report)]) == 1
    file = tmp_path / "base" / "schedule-1-1.json"
    assert decode(file.read_bytes()).injections == (Injection("hang"),)
    shown = capsys.readouterr().out.replace("\n", "")
    assert f"./bot exec -m tests.chaos --replay {file}" in shown
    assert "FAILED seed 1, schedule 1" in shown
    found = json.loads(report.read_bytes())
    assert (found["runs"], found["failed"], found["violations"]) == (2, 1, {"bought_once": 1})
    assert found["faults"] == {"gamma_500": 1, "hang": 1, "unmatched": 2}
    assert found["applied"] == {"hang": 1}
    assert sorted(path.name for path in (tmp_path / "base").iterdir()) == ["0001", "schedule-1-1.json"]


def test_runs_of_several_commands_are_one_report(
    faults: list[Schedule], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the file of `--results` has is not played again, and counts, failed runs included; a line that was
    cut off by a kill is ignored.
    """
    results, report = tmp_path / "results", tmp_path / "report.json"
    arguments = ["--results", str(results), "--report", str(report)]
    one = Schedule(1, 0, injections=(Injection("hang"),))
    monkeypatch.setattr(command, "schedules", lambda given: [one, Schedule(1, 1)])
    assert command.main(arguments) == 1
    assert results.read_bytes().count(b"\n") == 1
    with open(results, "ab") as file:
        file.write(b'\n{"revision": "a1b2"')
    faults.clear()
    shutil.rmtree(tmp_path / "base")
    (tmp_path / "base").mkdir()
    monkeypatch.setattr(command, "schedules", lambda given: [one, Schedule(1, 1), Schedule(1, 2)])
    assert command.main(arguments) == 1
    assert [schedule.number for schedule in faults] == [2]
    found = json.loads(report.read_bytes())
    assert (found["runs"], found["failed"], found["purchases"]) == (3, 1, 3)
    assert len(found["revisions"]) == 1
    assert [outcome["schedule"]["number"] for outcome in found["outcomes"]] == [0, 1, 2]


def test_without_a_failure_nothing_is_left(
    faults: list[Schedule], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 0, and no folder."""
    monkeypatch.setattr(command, "schedules", lambda given: [Schedule(1, number) for number in range(3)])
    assert command.main(["--workers", "2"]) == 0
    assert len(faults) == 3
    assert not (tmp_path / "base").exists()


def test_an_error_of_the_test_is_a_failed_run(
    faults: list[Schedule], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is shown like a violation, and the other schedules are played."""
    wanted = [Schedule(1, 0, injections=(Injection("retrying"),)), Schedule(1, 1)]
    monkeypatch.setattr(command, "schedules", lambda given: wanted)
    assert command.main([]) == 1
    assert wanted[1] in faults
    assert "not_played: OSError('no space')" in capsys.readouterr().out.replace("\n", "")


def test_a_signal_completes_the_running_schedule(
    faults: list[Schedule], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No other one begins, and what was played is reported; then the signal has its usual effect again."""
    before = signal.getsignal(signal.SIGTERM)
    handled = threading.Event()
    stop = command.Runs._stop

    def stop_and_note(runs: command.Runs, number: int, frame: FrameType | None) -> None:
        stop(runs, number, frame)
        handled.set()

    def play(schedule: Schedule, folder: Path) -> Outcome:
        os.kill(os.getpid(), signal.SIGTERM)
        assert handled.wait(60)
        faults.append(schedule)
        return outcome_of(schedule, folder)

    monkeypatch.setattr(command.Runs, "_stop", stop_and_note)
    monkeypatch.setattr(command, "play", play)
    monkeypatch.setattr(command, "schedules", lambda given: [Schedule(1, number) for number in range(100)])
    report = tmp_path / "report.json"
    assert command.main(["--report", str(report)]) == 0
    assert faults == [Schedule(1, 0)]
    assert json.loads(report.read_bytes())["runs"] == 1
    assert signal.getsignal(signal.SIGTERM) == before
