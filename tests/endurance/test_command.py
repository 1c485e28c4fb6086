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
    assert (load.rates, load.markets, load.speed) == ((10, 100, 1000, 10_000), 4, 15.0)
    given = command.parse(["--only", "day", "--markets", "12", "--speed", "30"])
    assert command.plans(given) == [Plan("day", 12, 30.0, restarts=True)]


@pytest.mark.parametrize(
    ("right", "code", "line"),
    [(True, 0, ""), (None, 2, "not measured: windows decided"), (False, 1, "failed: windows decided")],
)
def test_the_exit_code_and_the_report(
    right: bool | None,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """1 if a limit was not kept, 2 if it was not measured; the files of such a run are kept, and the line and
    missed windows are named.
    """
    rows = [Row("windows decided", "23 of 24", "all", right), Row("market data not used", "3 quotes")]
    folders: list[Path] = []

    def play(plan: Plan, folder: Path, console: object) -> Result:
        folders.append(folder)
        return Result(plan, rows, {} if right else {1_790_000_100: "nothing"}, 1, 9.0, [])

    monkeypatch.setattr(command, "play", play)
    report = tmp_path / "report.json"
    assert command.main(["--only", "worker", "--report", str(report)]) == code
    shown = capsys.readouterr().out
    assert ("FAILED" in shown, "NOT MEASURED" in shown) == (code == 1, code == 2)
    assert line in shown
    assert json.loads(report.read_bytes())["results"][0]["rows"][0]["value"] == "23 of 24"
    assert folders[0].exists() is (code != 0)
    if code:
        folders[0].rmdir()


def test_a_failure_outweighs_what_was_not_measured() -> None:
    """The exit code of several runs is 1 if any limit of any run was not kept."""
    plan = Plan("worker", 24, 60.0)
    results = [
        Result(plan, [Row("threads of the worker", "20", "21", right)], {}, 1, 9.0, [])
        for right in (None, False, True)
    ]
    assert command.exit_code(results) == 1
    assert command.exit_code([results[0], results[2]]) == 2
    assert command.exit_code([results[2]]) == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_window_is_decided_under_a_thousand_quotes_a_second(tmp_path: Path) -> None:
    """One market with a thousand additional quotes a second: they are sent, its window is decided while it is
    open, the event loop is not silent, and the ledger equals the venue.
    """
    run = Run(Plan("load", 1, 15.0, rates=(1000,)), tmp_path, lambda ended: None)
    result = run.play()
    assert result.failed == []
    assert result.unmeasured == []
    assert [row.name for row in result.rows if row.right and "1,000" in row.name] == [
        "1,000 quotes a second: rate",
        "1,000 quotes a second: decision",
        "1,000 quotes a second: event loop",
    ]
    assert result.missed == {}
    load = run.meter.loads[0]
    assert load.sent > 10_000
    assert load.longest_silence_s < 10
