"""The lists of the mutation run name existing code and tests, and the guide has the same list."""

import ast
import tomllib

import pytest

from config import ROOT

LISTED = tomllib.loads((ROOT / "tests/mutants/list.toml").read_text())
GUIDE = (ROOT / "docs/testing.md").read_text()


@pytest.mark.parametrize("entry", LISTED["named"], ids=lambda entry: entry["mutant"])
def test_a_named_mutant_changes_one_place_and_has_its_test(entry):
    """Its text is in the file once, the change is Python, the test exists, and the guide has the row."""
    source = (ROOT / entry["file"]).read_text()
    assert source.count(entry["old"]) == 1
    ast.parse(source.replace(entry["old"], entry["new"]))
    file, _, name = entry["test"].partition("::")
    assert f"def {name}(" in (ROOT / file).read_text()
    assert f"| {entry['mutant']} | `{entry['file']}` | `{name}` |" in GUIDE


def test_the_guide_has_no_other_mutants():
    """Its table is as long as the list."""
    files = {entry["file"] for entry in LISTED["named"]}
    assert sum(any(f"| `{file}` | `test_" in line for file in files) for line in GUIDE.splitlines()) == len(
        LISTED["named"]
    )


@pytest.mark.parametrize("name", LISTED["modules"])
def test_a_module_has_files_and_tests(name):
    """Every file and test of a module exists, and the guide names the module."""
    module = LISTED["modules"][name]
    for path in (*module["files"], *module["tests"]):
        assert (ROOT / path).exists(), path
    assert f"| `{name}` |" in GUIDE


@pytest.mark.parametrize("entry", LISTED["explained"], ids=lambda entry: f"{entry['where']}: {entry['new']}")
def test_an_explained_survivor_is_of_the_code_as_it_is(entry):
    """Its line is in the file, the file belongs to a module, and the reason is given."""
    assert any(entry["file"] in module["files"] for module in LISTED["modules"].values())
    lines = [line.strip() for line in (ROOT / entry["file"]).read_text().splitlines()]
    assert entry["old"].split("\n")[0] in lines
    assert len(entry["why"]) > 10
