"""The command: which runs it plays, what it reports, and its exit code; and one real run under load."""

import json
from pathlib import Path

import pytest

from tests.endurance import __main__ as command
from tests.endurance.result import Row
from tests.endurance.run import Plan, Result, Run


def test_the_runs_of_a_command_line() -> None:
    """A day with restarts, six hours without, and the load; 90 market minutes are 1.5 at sixty times."""
    day, worker, load = command.plans(command.parse([]))
    assert (day.markets, day.speed, day.restarts, day.restart_after_minutes) == (96, 60.0, True, 1.5)
    assert (worker.markets, worker.restarts, worker.restart_after_minutes) == (24, False, 10_080.0)
    assert (load.rates, load.markets, load.speed) == ((10, 100, 1000), 3, 15.0)
    given = command.parse(["--only", "day", "--markets", "12", "--speed", "30"])
    assert command.plans(given) == [Plan("day", 12, 30.0, restarts=True)]


@pytest.mark.parametrize(("right", "code"), [(True, 0), (None, 0), (False, 1)])
def test_the_exit_code_and_the_report(
    right: bool | None,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """1 if a limit was not kept; the files of such a run are kept, and missed windows are named."""
    rows = [Row("windows decided", "23 of 24", "all", right)]
    folders: list[Path] = []

    def play(plan: Plan, folder: Path, console: object) -> Result:
        folders.append(folder)
        return Result(plan, rows, {} if right else {1_790_000_100: "nothing"}, 1, 9.0, [])

    monkeypatch.setattr(command, "play", play)
    report = tmp_path / "report.json"
    assert command.main(["--only", "worker", "--report", str(report)]) == code
    shown = capsys.readouterr().out
    assert ("FAILED" in shown) is (code == 1)
    assert json.loads(report.read_bytes())["results"][0]["rows"][0]["value"] == "23 of 24"
    assert folders[0].exists() is (code == 1)
    if code:
        folders[0].rmdir()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_window_is_decided_under_a_thousand_quotes_a_second(tmp_path: Path) -> None:
    """One market with a thousand additional quotes a second: its window is decided while it is open, and the
    ledger equals the venue.
    """
    run = Run(Plan("load", 1, 15.0, rates=(1000,)), tmp_path, lambda ended: None)
    result = run.play()
    assert [row for row in result.rows if row.right is False] == []
    assert result.missed == {}
    load = run.meter.loads[0]
    assert load.sent > 10_000
    assert load.longest_silence_s < 10
