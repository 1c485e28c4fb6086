"""The commands of README and docs: each block is executed by a test, and each command line is understood.

A line of a `sh` block is executed here, by `new_user.py`, or by the test that `OTHER_TESTS` names; the
programs of `NOT_HERE` are not, with the reason. A command in running text is understood by the parser of its
program, and every flag of it is in a command that is executed.
"""

import argparse
import contextlib
import importlib
import io
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import check
import new_user
import pytest
from bot_process import ROOT
from test_docs_links import parsed
from test_docs_site import incomplete

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# --- what is executed ------------------------------------------------------------------------------

BACKUP = "/backup/state-2026-11-26.tar.gz"
SETTLED = "| jq -c 'select(.event == \"settled\")'"
CHANGED = {
    "python runner.py --test-mode --markets 3": "new_user.py: two markets",
    "python runner.py --test-mode --live --venue synthetic --markets 3": "new_user.py: one market",
    f"python runner.py --test-mode --markets 3 --json-lines {SETTLED}": "RUN: one market, which is recorded",
    f"python state_backup.py restore {BACKUP}": "RUN: into an empty state folder",
    "python -m grafana.dashboard": "RUN: compares, and does not write",
}
"""Commands that are executed with one change, and where."""
RUN: tuple[tuple[str, int, str], ...] = (
    ("./bot run --help", 0, "Simulation is the default"),
    ("./bot docs", 0, "open site/index.html"),
    ("./bot bench --list", 0, "brain"),
    ("python view_paper_trades.py --csv trades.csv", 0, "trades.csv"),
    (
        "python view_paper_trades.py --parquet decisions.parquet --table decisions --since 2026-11-01",
        0,
        "decisions.parquet",
    ),
    ("python view_paper_trades.py --csv latency.csv --table latency", 0, "latency.csv"),
    ("python view_paper_trades.py --live --csv trades.csv", 1, "No live trades"),
    ("python view_paper_trades.py --json", 0, '"win_rate"'),
    ("python view_paper_trades.py --venue-facts", 0, "minimum-order"),
    ("python view_paper_trades.py --replay 1", 0, "identical"),
    ("python view_paper_trades.py --live", 1, "No live trades"),
    ("python view_paper_trades.py --watch --live", 0, "live"),
    ("python book_result.py", 2, "there is no ledger"),
    (
        "python book_result.py btc-updown-15m-1790586000 --up 0.7 --down 0.3"
        ' --reason "paid so at polymarket.com"',
        2,
        "there is no ledger",
    ),
    ("python redis_control.py status", 0, "none runs on"),
    ("python redis_control.py sim", 0, "The mode is now SIMULATION"),
    ("python redis_control.py live", 0, "The mode is now LIVE"),
    ("python redis_control.py halt upgrade", 0, "upgrade"),
    ("python redis_control.py resume", 0, ""),
    (f"python state_backup.py create {BACKUP}", 0, "is backed up in"),
    (f"python state_backup.py check {BACKUP}", 0, "is complete"),
    (f"STATE_DIR=restored python state_backup.py restore {BACKUP}", 0, "is restored from"),
    ("python -m grafana.dashboard --check", 0, ""),
    (f"python runner.py --test-mode --markets 1 --record FOLDER --json-lines {SETTLED}", 0, "settled"),
    ("python -m research.record --check FOLDER", 1, "outcome: no catalogue object"),  # of the market after
    ("python -m research.integrity FOLDER", 1, "outcome: no catalogue object"),
)
"""Command, exit code and a pattern of its output, executed in this order in the clone of `new_user.py`."""
REPLAYED = "test_recordings.py::test_a_recorded_rehearsal_is_replayed_and_backtested_with_the_same_decisions"
CLUSTER = "research/sweep/test_sweep.py::cluster"
SWEPT = "research/sweep/test_sweep.py::test_the_same_table_on_processes_and_on_dask"
OTHER_TESTS = {
    "python runner.py": "test_shadow.py::test_a_market_is_traded_on_paper_against_the_live_books",
    "python runner.py --live": "test_live.py::test_a_market_is_traded_with_real_orders",
    "python runner.py --live --doctor": (
        "runtime/test_doctor.py::test_with_nothing_set_up_for_live_the_missing_settings_are_named"
    ),
    "python runner.py --doctor": "runtime/test_doctor.py::test_in_test_mode_all_is_well",
    "python runner.py --new-config": (
        "runtime/test_settings_commands.py::test_a_few_answers_make_a_private_file_that_loads"
    ),
    "python runner.py --notify-test": (
        "runtime/test_notification_check.py::test_the_command_ends_with_the_result"
    ),
    "python runner.py --record FOLDER": REPLAYED,
    "python runner.py --test-mode --recordings FOLDER": REPLAYED,
    "python -m venue --source recording --path FOLDER": REPLAYED,
    "python runner.py --test-mode --venue recorded --markets 2": (
        "test_whole_bot.py::test_one_market_is_traded_settled_and_balanced"
    ),
    "MARKET_ASSET=btc,eth MARKET_TIMEFRAME=5m,15m"
    " python runner.py --test-mode --venue synthetic --markets 8": (
        "test_many_series.py::test_four_series_are_traded_at_once"
    ),
    "python runner.py --test-mode --venue synthetic --markets 2": (
        "test_six_signals.py::test_each_decision_has_six_votes_or_named_abstentions"
    ),
    "python -m research.backtest --recordings bundled --workers 2 --json": (
        "research/backtest/test_backtest.py::test_all_bundled_markets_twice"
    ),
    "python -m research.sweep"
    " --set TREND_UP_THRESHOLD=0.6,0.65,0.7 --set MAX_SLIPPAGE=0.01,0.02 --folds 3": SWEPT,
    "python -m research.sweep --scheduler tcp://10.0.0.1:8786 --set TREND_UP_THRESHOLD=0.6,0.65": SWEPT,
    "python -m dask scheduler --host 10.0.0.1 --port 8786": CLUSTER,
    "python -m dask worker tcp://10.0.0.1:8786 --nworkers 4 --nthreads 1": CLUSTER,
    "python -m research.convert PATH --folder FOLDER": (
        "research/recordings/test_convert.py::test_raw_messages_are_replayed_by_the_venue"
    ),
    "python -m research.record --folder FOLDER": (
        "research/test_record.py::test_a_market_is_recorded_without_trading_until_ctrl_c"
    ),
    "python grafana/import_dashboard.py --url http://127.0.0.1:3000 --prometheus http://127.0.0.1:9090": (
        "grafana/test_import_dashboard.py::test_as_a_script"
    ),
    "python test.py": "test_part_commands.py::test_each_command_runs_the_tests_of_its_part",
    "./bot bench --only brain --json brain.json": (
        "benchmarks/test_bench.py::test_a_missed_target_is_exit_code_1"
    ),
    "python benchmarks/thousand_orders.py": (
        "test_thousand_orders.py::test_a_thousand_orders_keep_every_promise"
    ),
}
"""Commands that another test executes: file below tests/ and function."""
NOT_HERE = {
    "./bot test": "the suite that runs this test",
    "chown": "changes the machine, as root",
    "docker": "needs Docker's registry",
    "export": "a token of your own Grafana",
    "git": "makes or changes a checkout; new_user.py clones one",
    "install": "changes the machine, as root",
    "journalctl": "needs the installed service",
    "sqlite3": "SQLite's own program; test_docs_ledger.py runs the queries",
    "sudo": "needs the service's user",
    "systemctl": "needs the installed service, as root",
    "useradd": "changes the machine, as root",
    "uv": "asks a package registry",
}
"""Commands, by their first words, that no test executes, and why; what they pass to the project is parsed."""
EXECUTED = {command for command, _, _ in RUN} | set(new_user.COMMANDS) | set(CHANGED) | set(OTHER_TESTS)


# --- the commands of the pages ---------------------------------------------------------------------


def lines_of(text: str) -> Iterator[str]:
    """The command lines of a block, without comments."""
    for line in text.splitlines():
        if command := re.sub(r"(^|\s+)#\s.*$", "", line).strip():
            yield command


def blocks() -> Iterator[tuple[str, str, str]]:
    """Page, language and line of every code block."""
    for page in PAGES:
        for token in parsed(page):
            if token.type in ("fence", "code_block"):
                for line in lines_of(token.content):
                    yield page.name, token.info, line


def spans() -> Iterator[str]:
    """The text of every code span."""
    for page in PAGES:
        for token in parsed(page):
            yield from (child.content for child in token.children or () if child.type == "code_inline")


def spelled_out(command: str) -> list[str]:
    """A command of running text without brackets and ellipses, once for each of its alternatives."""
    found = [re.sub(r"[\[\]…]", " ", command)]
    for choice in re.findall(r"[\w.]+(?:\|[\w.]+)+", command):
        found = [text.replace(choice, each) for text in found for each in choice.split("|")]
    return [" ".join(text.split()) for text in found]


SPANS = list(spans())
SHELL = sorted({line for _, language, line in blocks() if language == "sh"})
TEXT = sorted(
    {each for text in SPANS if re.match(r"(python|\./bot|uv run) ", text) for each in spelled_out(text)}
)


def without_variables(line: str) -> str:
    """A line without the environment variables before its command."""
    return re.sub(r"^([A-Z_]+=\S+ )+", "", line)


# --- the parsers -----------------------------------------------------------------------------------


class Parsed(Exception):
    """Raised in the place of what a program does after its parser accepted the command line."""


MODULES = {
    "runner.py": "runner",
    "redis_control.py": "redis_control",
    "view_paper_trades.py": "view_paper_trades",
    "book_result.py": "book_result",
    "state_backup.py": "state_backup",
    "grafana/import_dashboard.py": "grafana.import_dashboard",
    "benchmarks": "benchmarks.__main__",
    "grafana.dashboard": "grafana.dashboard",
    "venue": "venue.arguments",
    "research.backtest": "research.backtest.__main__",
    "research.sweep": "research.sweep.__main__",
    "research.record": "research.record",
    "research.integrity": "research.integrity",
    "research.convert": "research.convert",
}
"""The operator's programs, and the modules with their parsers."""

type Understand = Callable[[str, list[str]], None]


@pytest.fixture
def understand(monkeypatch) -> Understand:
    """A function that passes arguments to a program's own parser, and nothing to the program."""
    original = argparse.ArgumentParser.parse_args

    def parse_args(parser, arguments=None, namespace=None):
        original(parser, arguments, namespace)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)

    def parse(program: str, arguments: list[str]) -> None:
        module = importlib.import_module(MODULES[program])
        if hasattr(module, "_parser"):
            reader = module._parser().parse_args
        elif program == "grafana/import_dashboard.py":
            reader = partial(module.parse, environ={})
        else:
            reader = getattr(module, "parse", module.main)
        with pytest.raises(Parsed):
            reader(arguments)

    return parse


def flags_of(program: str, understand: Understand) -> set[str]:
    """The flags that a program's help lists."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(SystemExit):
        understand(program, ["--help"])
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]+", shown.getvalue()))


def program_of(words: list[str]) -> tuple[str, list[str]]:
    """The program of a command line, without its interpreter, and its arguments."""
    match words:
        case ["uv", "run", *rest] | ["./bot", "exec", *rest]:
            return program_of(["python", *rest])
        case ["./bot", "run", *rest]:
            return "runner.py", rest
        case ["./bot", "bench", *rest]:
            return "benchmarks", rest
        case ["python", "-m", module, *rest]:
            return module, rest
        case ["python", script, *rest]:
            return script, rest
    return words[0], words[1:]


def parts(line: str) -> Iterator[list[str]]:
    """The words of each command of the project in a line, without what calls it (variables, sudo, docker)."""
    for part in re.split(r" && | \| ", line):
        words = shlex.split(without_variables(part))
        if words and words[0] in ("sudo", "docker"):
            starts = [n for n, word in enumerate(words) if word.rpartition("/")[2] == "python"]
            words = ["python", *words[starts[0] + 1 :]] if starts else []
        if words and words[0] in ("python", "./bot", "uv") and words[:2] != ["uv", "pip"]:
            yield words


def flags(arguments: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in arguments if word.startswith("--")}


def sources_of(program: str) -> str:
    """The source of a program, with the modules of its folder; empty if there is none."""
    name = program.removesuffix(".py").replace(".", "/")
    files = [ROOT / f"{name}.py"] if (ROOT / f"{name}.py").is_file() else sorted((ROOT / name).glob("*.py"))
    return "".join(file.read_text(encoding="utf-8") for file in files)


def missing_of(command: str, words: list[str]) -> set[str]:
    """Folders and steps that a subcommand of `./bot` does not have."""
    if command == "test":
        return {word for word in words if "/" in word and not (ROOT / word.partition("::")[0]).exists()}
    if command in ("check", "docs"):
        return set(words) - (set(check.STEPS) if command == "check" else set())
    return {command}


def wrong(line: str, understand: Understand) -> str | None:
    """Why a command line is not understood; None if it is."""
    for words in parts(line):
        program, arguments = program_of(words)
        shown, found = io.StringIO(), set[str]()
        if program in MODULES:
            try:
                with contextlib.redirect_stderr(shown), contextlib.redirect_stdout(io.StringIO()):
                    understand(program, arguments)
            except SystemExit as ended:
                # --help ends with 0.
                found = {shown.getvalue()} if ended.code else set()
        elif program == "./bot":
            found = missing_of(arguments[0], arguments[1:])
        elif program not in ("dask", "pytest"):
            source = sources_of(program)
            unknown = {flag for flag in flags(arguments) if f'"{flag}"' not in source}
            found = unknown if source else {program}
        if found:
            return f"{line}: {sorted(found)}"
    return None


# --- the tests ---------------------------------------------------------------------------------


def test_every_block_is_executed_or_has_a_reason():
    """No command block is in no list, and no entry of the lists is left over."""
    reasons = tuple(f"{words} " for words in NOT_HERE)
    left = [
        line
        for line in SHELL
        if line not in EXECUTED and not f"{without_variables(line)} ".startswith(reasons)
    ]
    assert left == [], "add them to a list of this file"
    unused = (set(CHANGED) | set(OTHER_TESTS)) - set(SHELL) - set(TEXT)
    assert sorted(unused) == [], "no page has them any more"


def test_commands_are_in_blocks_of_their_own():
    """A block with a command is a `sh` block, so that no command escapes the lists."""
    starts = re.compile(rf"^(\$ )?(python \S+\.py|python -m|{'|'.join(map(re.escape, NOT_HERE))}|\./bot) ")
    found = [(page, line) for page, language, line in blocks() if language != "sh" and starts.match(line)]
    assert found == []
    assert len(SHELL) > 40


def test_each_command_line_is_understood(understand):
    """The parser of its own program accepts every command of the pages, in blocks and in running text."""
    assert len(TEXT) > 40
    assert [found for line in (*SHELL, *TEXT) if (found := wrong(line, understand))] == []


@pytest.mark.parametrize(
    "line",
    [
        "python runner.py --test-mod3",
        "GRAFANA_PORT=1 python redis_control.py simulate",
        "sudo -u bot .venv/bin/python view_paper_trades.py --wach",
        "docker compose exec bot python redis_control.py stop-now",
        "git pull && python -m research.backtest --report x",
        "./bot check everything",
        "./bot test tests/nowhere",
        "./bot fly",
        "./bot exec -m tests.kills --laps 3",
        "python missing.py",
        "python -m tools.missing_page",
    ],
)
def test_a_command_that_is_not_understood_is_found(understand, line):
    """Flags, programs, subcommands, steps and folders that do not exist are found."""
    assert wrong(line, understand)


def test_every_flag_in_running_text_exists_and_is_executed(understand):
    """A flag is one of a program; those of a command in running text are in commands that are executed."""
    known = set[str]().union(*(flags_of(program, understand) for program in MODULES))
    elsewhere = "".join(map(sources_of, ("tests.kills", "tests.mutants", "tests.chaos", "tests.endurance")))
    foreign = {"--create-home"}  # of useradd
    named = {match[0] for text in SPANS if (match := re.match(r"--[a-z][\w-]+", text))}
    assert sorted(flag for flag in named - known - foreign if f'"{flag}"' not in elsewhere) == []
    tried = defaultdict(set)
    for line in EXECUTED:
        for words in parts(line):
            program, arguments = program_of(words)
            tried[program] |= flags(arguments)
    left = {}
    for line in TEXT:
        for words in parts(line):
            program, arguments = program_of(words)
            if program in MODULES and (rest := flags(arguments) - tried[program]):
                left[line] = rest
    assert left == {}


def test_the_tests_that_execute_commands_exist():
    """The file and the function that `OTHER_TESTS` names exist."""
    for command, test in OTHER_TESTS.items():
        file, _, function = test.partition("::")
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {function}\(", source, re.MULTILINE), (command, test)


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_a_new_user_arrives_and_every_command_does_what_it_says(tmp_path: Path, monkeypatch):
    """The path of docs/first-hour.md takes less than ten minutes in a fresh clone, and the other commands of
    the pages end there with the expected exit code and output."""
    monkeypatch.setenv("GRAFANA_PORT", free_port())
    monkeypatch.setenv("REDIS_PORT", "9")  # no Redis: the mode is stored in the clone's own file
    script = [sys.executable, str(ROOT / "tests/new_user.py"), str(tmp_path)]
    path = subprocess.run(script, capture_output=True, text=True, timeout=700, check=False)
    assert path.returncode == 0, path.stdout + path.stderr
    names = [line.split()[0] for line in path.stdout.splitlines()]
    assert names == ["clone", *(name for name, _, _ in new_user.STAGES), "all"]
    (tmp_path / "backup").mkdir()
    for command, code, pattern in RUN:
        here = command.replace("/backup/", f"{tmp_path}/backup/")
        try:
            new_user.run(tmp_path / "bot", here, pattern, typed="yes\n", code=code)
        except new_user.Failed as error:
            pytest.fail(str(error))
    assert incomplete(tmp_path / "bot" / "docs", tmp_path / "bot" / "site") == []
