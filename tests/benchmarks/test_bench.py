"""`./bot bench`: the table, the targets, the exit code, the document for programs and the generated page."""

import io
import json
import os
import shutil
import subprocess
import sys

import msgspec
import pytest
from bot_process import ROOT
from rich.console import Console

from benchmarks.__main__ import main
from benchmarks.bench_table import number_text, table
from benchmarks.registry import BENCHMARKS
from benchmarks.results import (
    BenchmarkResult,
    Machine,
    Measurement,
    Run,
    at_least,
    at_most,
    ratio_at_least,
    ratio_at_most,
)
from benchmarks.stage_rows import stage_rows
from models import OrderStage, OrderTrace
from tools.performance_page import document

TIMED = Measurement(
    name="tick_to_order",
    what="from the quote to the first byte of the POST, 99 % are below",
    value=19.4567,
    unit="ms",
    reference=83.2,
    reference_name="stock adapter",
    target=ratio_at_most(0.25),
)
COUNTED = Measurement(name="venue", what="messages", value=1234.5, unit="messages/s", target=at_least(5_000))
OPEN = Measurement(name="venue", what="orders", value=0.0123, unit="1/s", no_target="paced by the clock")
RUN = Run(
    date="2026-11-26T18:00:00+00:00",
    command="./bot bench",
    machine=Machine("A | B 9000", 2, 16.0, "Linux 6.1", "3.12.3", "1.231.0", 0.1),
    seconds=412.0,
    results=(
        BenchmarkResult("tick_to_order", 60.0, (TIMED,)),
        BenchmarkResult("venue", 30.0, (COUNTED, OPEN)),
        BenchmarkResult("scrape", 1.0, (), "OSError: no space left on the device"),
    ),
)


def rendered(run: Run, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table(run.results))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_the_terminal(width):
    """No line is longer than the terminal, and no cell is cut off."""
    lines = rendered(RUN, width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    text = "".join("".join(lines).split())
    for cell in ("tick_to_order", "19.5", "83.2", "0.234", "≤0.25×", "met", "1,234", "≥5,000", "missed"):
        assert cell in text
    assert "failed" in text


def test_a_row_has_each_figure_in_its_column():
    """Below its benchmark a figure is one line: what, number, unit, target, result."""
    lines = rendered(RUN, 120)
    line = lines[lines.index("venue") + 1]
    assert line.split() == ["messages", "1,234", "messages/s", "≥", "5,000", "missed"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.01234, "0.012"), (1.0, "1"), (1.234, "1.23"), (12.34, "12.3"), (123456.7, "123,457")],
)
def test_numbers_have_three_digits(value, text):
    """Whole numbers and large ones have no decimals."""
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (at_most(10.0), True),
        (at_most(9.9), False),
        (at_least(10.0), True),
        (at_least(10.1), False),
        (ratio_at_most(0.25), True),
        (ratio_at_most(0.24), False),
        (ratio_at_least(0.25), True),
        (ratio_at_least(0.26), False),
    ],
)
def test_a_target_is_met_at_its_limit(target, met):
    """10 beside a reference of 40, whose ratio is a quarter."""
    figure = Measurement(name="a", what="b", value=10.0, unit="ms", reference=40.0, target=target)
    assert figure.ratio == 0.25
    assert figure.met is met


def test_a_figure_without_a_target_states_why():
    """Otherwise it is an error, and so is a target of a ratio without a reference."""
    with pytest.raises(ValueError, match="no target, and no reason"):
        Measurement(name="a", what="b", value=1.0, unit="s")
    with pytest.raises(ValueError, match="needs a reference"):
        Measurement(name="a", what="b", value=1.0, unit="s", target=ratio_at_most(1.0))
    assert OPEN.met is None


def test_every_benchmark_has_a_target_or_states_why_not():
    """And a module, texts for the page, a name of its own; all together take less than ten minutes."""
    assert len({known.name for known in BENCHMARKS}) == len(BENCHMARKS)
    for known in BENCHMARKS:
        source = (ROOT / "benchmarks" / f"{known.module}.py").read_text(encoding="utf-8")
        assert "\ndef measure() -> Sequence[Measurement]:" in source, known.module
        assert known.measures.endswith(".")
        assert known.limits.endswith(".")
        if known.targets.startswith("none"):
            assert len(known.targets) > len("none: "), known.name
        else:
            assert any(f"{limit}(" in source for limit in ("at_most", "at_least")), known.name
    assert sum(known.seconds for known in BENCHMARKS) < 600


def test_the_document_has_ratios_and_results(tmp_path):
    """Programs find ratio and result of each figure, and the run is read back unchanged."""
    file = tmp_path / "run.json"
    file.write_bytes(RUN.document())
    written = json.loads(file.read_text(encoding="utf-8"))
    first, second, third = (figure for result in written["results"] for figure in result["measurements"])
    assert (first["ratio"], first["met"]) == (pytest.approx(19.4567 / 83.2), True)
    assert (second["ratio"], second["met"], third["met"]) == (None, False, None)
    assert written["passed"] is False
    assert Run.load(file) == RUN


def test_the_page_has_machine_command_figures_and_limits():
    """A bar in a value does not end its cell, and a figure without a target has its reason."""
    page = document(RUN)
    assert "| processor | A \\| B 9000, 2 cores, 16 GB of memory, load 0.1 at the start |" in page
    assert "| command | `./bot bench`, 412 s |" in page
    assert "| venue | messages | 1,234 | messages/s |  |  | ≥ 5,000 | missed |" in page
    assert "- orders: paced by the clock." in page
    assert "| scrape | OSError: no space left on the device |  |  |  |  |  | failed |" in page
    for known in BENCHMARKS:
        assert f"### {known.name}\n" in page


def test_the_page_has_the_steps_of_the_orders_as_one_table():
    """With an empty cell for a percentile of too few orders; they are not among the other figures."""
    stages = [
        {OrderStage.QUOTE: 0, OrderStage.DECIDED: ms * 1_000_000, OrderStage.POSTED: 2 * ms * 1_000_000}
        for ms in range(1, 21)
    ]
    traces = [OrderTrace(intent_id="", slug="", created_ns=0, stages=each) for each in stages]
    steps = tuple(stage_rows("tick_to_order", traces))
    result = BenchmarkResult("tick_to_order", 60.0, (TIMED, *steps))
    page = document(msgspec.structs.replace(RUN, results=(result,)))
    assert (
        "| step | p50 | p95 | p99 | max |\n|---|---:|---:|---:|---:|\n"
        "| decided | 10 | 19 |  | 20 |\n| first byte of the POST | 20 | 38 |  | 40 |\n"
    ) in page
    assert page.count("first byte of the POST |") == 1
    assert "decided, p50" not in page


def test_an_unknown_benchmark_is_named(capsys):
    """With the names that exist, and exit code 2."""
    with pytest.raises(SystemExit) as ended:
        main(["--only", "brian"])
    assert ended.value.code == 2
    assert "unknown benchmark brian; there are: " in capsys.readouterr().err


@pytest.mark.slow
def test_a_missed_target_is_exit_code_1(tmp_path):
    """A brain that has to decide in a nanosecond: the table, the document and the exit code show it."""
    planted = shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks")
    module = planted / "brain.py"
    source = module.read_text(encoding="utf-8")
    assert source.count("at_most(1.0)") == 1
    module.write_text(source.replace("at_most(1.0)", "at_most(0.000001)"), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "brain", "--json", "brain.json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "missed" in ran.stdout
    assert "0 targets met, 1 missed" in ran.stdout
    assert max(map(len, ran.stdout.splitlines()[:-3])) <= 80
    run = json.loads((tmp_path / "brain.json").read_text(encoding="utf-8"))
    (result,) = run["results"]
    assert run["passed"] is False
    assert result["error"] == ""
    assert [figure["met"] for figure in result["measurements"]] == [None, False, None, None]
    assert all(figure["value"] > 0 for figure in result["measurements"])
