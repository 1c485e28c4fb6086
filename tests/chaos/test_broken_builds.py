"""The table of broken builds: each changes one place, and its check exists."""

import ast

import pytest

from tests.chaos.broken_builds import BUILDS, ROOT, Build, changed, is_found_by_test
from tests.chaos.invariants import INVARIANTS

DEMANDED = (
    "intent is not written", "second order", "not sorted", "fee is left out", "order hash",
    "a halt is not checked at", "a halt is not checked before", "mode is not checked", "position size",
    "open positions", "exposure", "loss of the day", "drawdown", "wallet is not locked",
)  # fmt: skip


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_a_build_changes_one_place_and_has_its_check(build: Build) -> None:
    """Its text is in the file once, the change is Python, and test and invariant exist."""
    ast.parse(changed(build))
    file, _, name = build.check.partition("::")
    assert f"def {name}(" in (ROOT / file).read_text()
    assert not build.invariant or build.invariant in INVARIANTS


def test_every_guard_has_a_build() -> None:
    """Intent, hash, duplicate guard, sort, fee, halt, mode, each risk limit and the wallet lock."""
    assert [text for text in DEMANDED if not any(text in build.name for build in BUILDS)] == []
    assert len(BUILDS) == len(DEMANDED)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_broken_build_is_found_and_an_unbroken_one_is_not(tmp_path) -> None:
    """The check fails with the change and passes without it: a change without effect is not found."""
    limit = next(build for build in BUILDS if "drawdown" in build.name)
    assert is_found_by_test(limit, tmp_path)
    assert not is_found_by_test(limit._replace(new=limit.old), tmp_path)
