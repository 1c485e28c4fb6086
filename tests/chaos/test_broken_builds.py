"""The table of broken builds: each changes one place, and its check exists."""

import ast
from decimal import Decimal
from types import ModuleType

import pytest

from execution.risk_engine import RiskLimits
from models import series_of
from tests.chaos.broken_builds import BUILDS, ROOT, Build, changed, is_found_by_test
from tests.chaos.invariants import INVARIANTS

DEMANDED = (
    "intent is not written", "second order", "not sorted", "fee is left out", "order hash",
    "a halt is not checked at", "a halt is not checked before", "mode is not checked", "wallet is not locked",
)  # fmt: skip
"""One build each, beside those of the risk limits."""
LIMITS = RiskLimits.__struct_fields__
"""The risk engine's own list: a limit that is added there needs a build here."""
OF_LIMITS = [build for build in BUILDS if build.limit]
SLUG = "btc-updown-5m-1790596800"


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_a_build_changes_one_place_and_has_its_check(build: Build) -> None:
    """Its text is in the file once, the change is Python, and test and invariant exist."""
    ast.parse(changed(build))
    file, _, name = build.check.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text()
    assert not build.invariant or build.invariant in INVARIANTS


def test_every_guard_has_a_build() -> None:
    """Intent, hash, second order, sort, fee, halt, mode, wallet lock, and each limit of the risk engine."""
    assert [text for text in DEMANDED if not any(text in build.name for build in BUILDS)] == []
    assert sorted(build.limit for build in OF_LIMITS) == sorted(LIMITS)
    assert len(BUILDS) == len(DEMANDED) + len(LIMITS) == 19


def refusing(source: str) -> set[str]:
    """The limits of 0 with which a risk engine of this source refuses a stake of $1, every other being 1,000.

    At 0 each limit is exceeded: three positions are open, two of them in the series, the day has lost
    already, and the balance is below its peak.
    """
    engine = ModuleType("risk_engine")
    exec(compile(source, "risk_engine.py", "exec", dont_inherit=True), engine.__dict__)
    part = engine.GroupState(exposure=Decimal(2), positions=2, day_pnl=Decimal(-1))
    state = engine.RiskState(
        balance=Decimal(90),
        peak_balance=Decimal(100),
        exposure=Decimal(3),
        positions=3,
        day_pnl=Decimal(-5),
        series={series_of(SLUG): part},
    )
    wide = dict.fromkeys(engine.RiskLimits.__struct_fields__, Decimal(1000))
    return {
        limit
        for limit in wide
        if engine.refusal(engine.RiskLimits(**wide | {limit: Decimal(0)}), state, Decimal(1), SLUG)
    }


def test_the_risk_engine_refuses_by_each_limit() -> None:
    """Without a change every limit refuses, one that is added later too."""
    assert refusing((ROOT / "execution/risk_engine.py").read_text()) == set(LIMITS)


@pytest.mark.parametrize("build", OF_LIMITS, ids=lambda build: build.name)
def test_a_build_leaves_out_its_limit_and_no_other(build: Build) -> None:
    """The build that carries a limit's name is the one without that limit."""
    assert refusing(changed(build)) == set(LIMITS) - {build.limit}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_broken_build_is_found_and_an_unbroken_one_is_not(tmp_path) -> None:
    """The check fails with the change and passes without it: a change without effect is not found."""
    limit = next(build for build in BUILDS if "drawdown" in build.name)
    assert is_found_by_test(limit, tmp_path)
    assert not is_found_by_test(limit._replace(new=limit.old), tmp_path)
