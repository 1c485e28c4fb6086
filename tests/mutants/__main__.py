"""The command: see the package."""

import argparse
import os
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tests.mutants
from tests.mutants.changes import ROOT, Mutant, mutants
from tests.mutants.runs import NO_TESTS, SURVIVED, TIMED_OUT, import_libraries, run_swapped, run_tests

LIST = ROOT / "tests/mutants/list.toml"
LEAST_LIMIT_S = 20
LIMIT_FACTOR = 5
"""Time limit of a mutant as a multiple of the unchanged module's time; beyond it, it counts as found."""
NAMED_LIMIT_S = 180


class Module(NamedTuple):
    """A group of files to change, and the tests that have to fail."""

    name: str
    files: tuple[str, ...]
    tests: tuple[str, ...]


class Report(NamedTuple):
    """The result of a module's mutants."""

    module: str
    mutants: int
    timed_out: int
    explained: int
    new: tuple[Mutant, ...]
    stale: tuple[tuple[str, str, str, str], ...]
    seconds: float

    @property
    def wrong(self) -> bool:
        return bool(self.new or self.stale)


def try_module(module: Module, explained: Counter, *, function: str, output: Path) -> Report:
    """Run the module's tests against each of its mutants.

    Raises
    ------
    SystemExit
        If the tests fail without any change.
    """
    began = time.monotonic()
    limit_s = LEAST_LIMIT_S + int(LIMIT_FACTOR * unchanged_s(module, output))
    tried = [
        mutant for file in module.files for mutant in mutants(file) if function in f"{file}:{mutant.where}"
    ]
    left, new, timed_out = explained.copy(), [], 0
    for mutant, first_code in zip(tried, run_swapped(module.tests, tried, limit_s, output), strict=True):
        code = first_code
        if code is None or code == SURVIVED:
            code = run_tests(module.tests, mutant.file, mutant.source, limit_s, output)
        if code == NO_TESTS:
            sys.exit(f"{module.name}: pytest collected no test\n{output.read_text()[-3000:]}")
        timed_out += code == TIMED_OUT
        if code != SURVIVED:
            continue
        if left[mutant.key] > 0:
            left[mutant.key] -= 1
        else:
            new.append(mutant)
            print(shown(mutant), flush=True)
    stale = tuple(key for key in left.elements() if key[0] in module.files and not function)
    known = sum((explained - left).values())
    return Report(module.name, len(tried), timed_out, known, tuple(new), stale, time.monotonic() - began)


def unchanged_s(module: Module, output: Path) -> float:
    """Seconds that the tests need without a change, in a process that has the libraries.

    Raises
    ------
    SystemExit
        If they fail.
    """
    source = (ROOT / module.files[0]).read_text()
    for attempt in range(2):
        began = time.monotonic()
        code = run_tests(module.tests, module.files[0], source, 600, output)
        if code != SURVIVED:
            sys.exit(f"{module.name}: the tests fail without a change ({code})\n{output.read_text()[-3000:]}")
        if attempt == 0:
            import_libraries(output.with_suffix(".modules").read_text().split())
    return time.monotonic() - began


def shown(mutant: Mutant) -> str:
    """A survivor as an entry of the list, to be explained there or found by a test."""
    lines = [
        f"# {mutant.file}:{mutant.line}",
        "[[explained]]",
        *(f"{name} = {_toml(getattr(mutant, name))}" for name in ("file", "where", "old", "new")),
        'why = ""',
    ]
    return "\n".join(lines) + "\n"


def _toml(text: str) -> str:
    if "\n" in text or "'" in text:
        return f"'''{text}'''"
    return f"'{text}'"


# --- named mutants -------------------------------------------------------------------------------


def try_named(named: Sequence[dict[str, str]], output: Path) -> int:
    """Apply each change of the list of named mutants; returns how many their test does not find."""
    missed = 0
    passes: dict[str, bool] = {}
    for entry in named:
        file, test = entry["file"], entry["test"]
        source = (ROOT / file).read_text()
        changed = source.replace(entry["old"], entry["new"])
        compile(changed, file, "exec")
        arguments = ("-m", "slow or not slow", test)
        if test not in passes:
            passes[test] = run_tests(arguments, file, source, NAMED_LIMIT_S, output) == 0
        found = passes[test] and run_tests(arguments, file, changed, NAMED_LIMIT_S, output) != 0
        missed += not found
        why = "" if passes[test] else " fails without the change"
        print("found " if found else "MISSED", f" {entry['mutant']}  ({test}{why})", flush=True)
    return missed


# --- the command ---------------------------------------------------------------------------------


def load(path: Path = LIST) -> dict[str, Any]:
    """The list of modules, named mutants and explanations."""
    return tomllib.loads(path.read_text())


def modules(listed: dict[str, Any]) -> dict[str, Module]:
    return {
        name: Module(name, tuple(entry["files"]), tuple(entry["tests"]))
        for name, entry in listed["modules"].items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every survivor is explained and every explanation needed."""
    listed = load()
    known = modules(listed)
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=(tests.mutants.__doc__ or "").split("\n")[0]
    )
    parser.add_argument("module", nargs="*", choices=[*known, "named", []], help="all, if none is given")
    parser.add_argument("--only", default="", metavar="TEXT", help="mutants whose FILE:FUNCTION contains it")
    given = parser.parse_args(arguments)
    os.chdir(ROOT)
    output = Path(tempfile.mkdtemp(prefix="mutants-")) / "output"
    explained = Counter(
        (entry["file"], entry["where"], entry["old"], entry["new"]) for entry in listed.get("explained", [])
    )
    wrong = False
    for name in given.module or [*known, "named"]:
        if name == "named":
            wrong |= try_named(listed["named"], output) > 0
            continue
        report = try_module(known[name], explained, function=given.only, output=output)
        wrong |= report.wrong
        for key in report.stale:
            print("explained, but found or gone:", *key, sep="\n    ")
        print(
            f"{name}: {report.mutants} mutants, {report.mutants - report.explained - len(report.new)} found"
            f" ({report.timed_out} by time), {report.explained} explained, {len(report.new)} new survivors,"
            f" {report.seconds:.0f} s",
            flush=True,
        )
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
