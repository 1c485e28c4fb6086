"""Runs tests against a changed module: in forked processes, so that nothing in the checkout changes."""

import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NoReturn

import pytest

from tests.mutants.changes import ROOT, Mutant

PYTEST = (
    "-x",
    "-q",
    *("-p", "no:randomly"),
    *("-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # its plug-ins are imported before it starts
    "--hypothesis-profile=mutants",
)
SURVIVED, NO_TESTS = 0, 5
"""Exit codes of pytest: every test passed, none was collected."""
TIMED_OUT = -signal.SIGALRM
"""Exit code of a process that ran longer than its limit."""


def run_tests(arguments: Sequence[str], file: str, source: str, limit_s: int, output: Path) -> int:
    """Exit code of pytest in a process that imports `source` in place of the file."""

    def work() -> int:
        import_instead(ROOT / file, source)
        code = int(pytest.main([*PYTEST, *arguments]))
        output.with_suffix(".modules").write_text("\n".join(sorted(sys.modules)))
        return code

    return _in_a_process(work, limit_s, output)


def _in_a_process(work: Callable[[], int], limit_s: int, output: Path) -> int:
    """Exit code of a forked process; negative if a signal ended it."""
    child = os.fork()
    if child == 0:
        _end_with(work, limit_s, output)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _end_with(work: Callable[[], int], limit_s: int, output: Path) -> NoReturn:
    code = 1
    try:
        signal.alarm(limit_s)
        to = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(to, 1)
        os.dup2(to, 2)
        code = work()
    except BaseException:  # noqa: BLE001 - reported by the exit code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def import_instead(path: Path, source: str) -> None:
    """Let every import of a file in this process take this source."""
    unchanged = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> Any:
        if Path(loader.path) == path:
            return compile(source, loader.path, "exec", dont_inherit=True)
        return unchanged(loader, name)

    SourceFileLoader.get_code = get_code  # pyright: ignore[reportAttributeAccessIssue]


def import_libraries(names: Iterable[str]) -> None:
    """Import external modules that every run needs: a forked process then has them."""
    for name in names:
        with suppress(Exception):
            spec = importlib.util.find_spec(name.partition(".")[0])
            origin = "" if spec is None else spec.origin or ""
            if not origin.startswith(str(ROOT)) or "site-packages" in origin:
                importlib.import_module(name)


# --- many mutants in processes that have imported and collected everything --------------------------


def run_swapped(
    arguments: Sequence[str], tried: Sequence[Mutant], limit_s: int, output: Path
) -> list[int | None]:
    """Exit codes by mutant; None for a change of more than the code of one function, which needs an import.

    pytest collects once; each mutant is a process forked after that, in which one function gets other code. A
    survivor has to be tried again by `run_tests`: values computed when a test module was imported are
    unchanged.
    """
    results = output.with_suffix(".codes")
    results.unlink(missing_ok=True)
    loop = SwappingLoop(tried, limit_s, output.with_suffix(".one"), results)
    _in_a_process(lambda: int(pytest.main([*PYTEST, "-s", *arguments], plugins=[loop])), 0, output)
    codes = json.loads(results.read_text()) if results.exists() else []
    return codes + [None] * (len(tried) - len(codes))


class SwappingLoop:
    """A pytest plug-in: in place of the tests it runs all of them once for each mutant."""

    def __init__(self, tried: Sequence[Mutant], limit_s: int, output: Path, results: Path) -> None:
        self._tried = tried
        self._limit_s = limit_s
        self._output = output
        self._results = results

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        codes = []
        if not session.testsfailed:
            for mutant in self._tried:
                swap = swapped(mutant)
                codes.append(None if swap is None else self._try(session, *swap))
        self._results.write_text(json.dumps(codes))
        return True

    def _try(self, session: pytest.Session, function: FunctionType, code: CodeType) -> int:
        def work() -> int:
            function.__code__ = code
            items = session.items
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    return 1
            return SURVIVED

        return _in_a_process(work, self._limit_s, self._output)


def swapped(mutant: Mutant) -> tuple[FunctionType, CodeType] | None:
    """The imported function that a mutant changes, and its new code; None if more than that differs."""
    path = str(ROOT / mutant.file)
    function = _function(path, mutant.where.split("."))
    if function is None:
        return None
    before, after = _codes((ROOT / mutant.file).read_text(), path), _codes(mutant.source, path)
    name = function.__code__.co_qualname
    inside = {key for key in before if key == name or key.startswith(f"{name}.")}
    others = before.keys() - inside
    if others != {key for key in after if key != name and not key.startswith(f"{name}.")}:
        return None
    if any(_content(before[key]) != _content(after[key]) for key in others):
        return None
    code = after.get(name)
    if code is None or len(code.co_freevars) != len(function.__code__.co_freevars):
        return None
    return function, code


def _function(path: str, names: Sequence[str]) -> FunctionType | None:
    """The outermost function on a path of names in the imported module of a file."""
    found: Any = next((m for m in sys.modules.values() if getattr(m, "__file__", None) == path), None)
    for name in names:
        found = None if found is None else vars(found).get(name)
        if isinstance(found, property):
            found = found.fget
        found = getattr(found, "__func__", found)
        if isinstance(found, FunctionType):
            return found if found.__code__.co_filename == path else None
    return None


@lru_cache(2)
def _codes(source: str, path: str) -> dict[str, CodeType]:
    """Every code object of a module by its qualified name."""
    module = compile(source, path, "exec", dont_inherit=True)
    found = {module.co_qualname: module}
    waiting = [module]
    while waiting:
        inner = [constant for constant in waiting.pop().co_consts if isinstance(constant, CodeType)]
        waiting += inner
        found |= {code.co_qualname: code for code in inner}
    return found


def _content(code: CodeType) -> tuple[Any, ...]:
    """The content of a code object, without its lines and nested code objects."""
    constants = [repr(constant) for constant in code.co_consts if not isinstance(constant, CodeType)]
    return code.co_code, code.co_names, code.co_varnames, constants
