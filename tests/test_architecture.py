"""docs/architecture.md: its layers are those of the contracts, and its path of an order is the real one."""

import ast
import re
from pathlib import Path

import pytest
from bot_process import BUYS, ROOT, BotProcess
from test_contracts import LAYERS, forbidden
from test_whole_bot import TRADED

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WALK = [
    (Path(file), function)
    for file, function in re.findall(
        r"^\| \d+ \| `([^`]+)` \| `([^`]+)` \|",
        PAGE[PAGE.index("<!-- walk -->") : PAGE.index("<!-- /walk -->")],
        re.MULTILINE,
    )
]
MOST_FILES = 12


def functions_of(path: Path) -> set[str]:
    """Qualified names of the module's functions and methods."""
    found = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return found


def test_the_layers_are_those_of_the_contracts():
    """The first table lists the layers that the import contracts enforce, in their order."""
    table = PAGE[PAGE.index("## Layers") : PAGE.index("## Processes")]
    cells = re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
    assert [set(re.findall(r"`(\w+)`", cell)) for cell in cells] == list(LAYERS)


def test_the_walk_is_numbered_and_short():
    """The path of an order has its steps in order, at most twelve files, from the quote to the POST."""
    numbers = re.findall(r"^\| (\d+) \| `[^`]+` \| `[^`]+` \|", PAGE, re.MULTILINE)
    assert [int(number) for number in numbers] == list(range(1, len(WALK) + 1))
    assert len({file for file, _ in WALK}) <= MOST_FILES
    assert WALK[0] == (Path("bot.py"), "IntegratedBTCStrategy.on_quote_tick")
    assert WALK[-1] == (Path("common/thread_http.py"), "_Connection._write")


@pytest.mark.parametrize(("file", "function"), WALK, ids=[function for _, function in WALK])
def test_each_step_exists(file, function):
    """Each file of the walk has the named function."""
    assert function in functions_of(file)


@pytest.mark.parametrize("file", sorted({file for file, _ in WALK}), ids=str)
def test_no_file_of_the_walk_imports_a_higher_layer(file):
    """The walk needs no exception from the layers."""
    assert forbidden(file, (ROOT / file).read_text()) == set()


@pytest.mark.slow
def test_an_order_of_a_running_bot_takes_the_walk(tmp_path):
    """A bot that buys passes the functions of the table in the order of the table."""
    names = [f"{file.as_posix()}:{function}" for file, function in WALK]
    report = tmp_path / "walk.txt"
    settings = {
        **BUYS,
        "PYTHONPATH": str(ROOT / "tests" / "walk"),
        "WALK_FUNCTIONS": " ".join(names),
        "WALK_REPORT": str(report),
    }
    with BotProcess(tmp_path, *TRADED, "--markets", "1", settings=settings) as bot:
        bot.until(report.exists, "the POST of an order", 110)
    passed = report.read_text().split("\n")
    # Of the many quotes the walk begins with the last one before the context that the order was decided on.
    sent = max(n for n, name in enumerate(passed) if name.endswith("IntegratedBTCStrategy.send"))
    frozen = max(n for n, name in enumerate(passed[:sent]) if name.endswith("MarketView.context"))
    begun = max(n for n, name in enumerate(passed[:frozen]) if name.endswith("on_quote_tick"))
    # The last step, with which the record ends, may also have sent the request that keeps a connection open.
    assert passed[-1] == names[-1]
    taken = [*dict.fromkeys(name for name in passed[begun:] if name != names[-1]), names[-1]]
    signed = "execution/order_clients/clob_client_v2.py:OrderSigner.sign"
    built = "execution/order_clients/clob_client_v2.py:ClobClientV2Orders._send"
    read = "runtime/worker/order_gate.py:OrderGate.refusal"
    beside = (read, signed, built)
    assert [name for name in taken if name not in beside] == [name for name in names if name not in beside]
    # Mode and halt are read beside the decision, the request is built beside the write, each in its thread;
    # the signature of some accounts is made beside the risk limits and Nautilus.
    engine, gate = "execution/execution_engine.py:ExecutionEngine", "runtime/worker/order_gate.py:OrderGate"
    frozen_context = "core/strategy_brain/strategies/market_view.py:MarketView.context"
    for steps in (
        (frozen_context, read, "execution/order_lifecycle.py:OrderLifecycle.handle"),
        (f"{engine}.handle_decision", signed, f"{engine}.order_signed"),
        (f"{engine}.order_signed", built, f"{gate}.refusal_before_sending"),
    ):
        order = [taken.index(name) for name in steps]
        assert order == sorted(order)
