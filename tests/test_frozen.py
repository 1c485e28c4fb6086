"""Values passed between the parts of the bot are immutable."""

import importlib

import pytest

from models import Frozen

PURE = [
    "models",
    "events",
    "core.strategy_brain.fair_value",
    "core.strategy_brain.refusals",
    "core.strategy_brain.strategies.appraisal",
    "core.strategy_brain.strategies.gates",
    "execution.amounts",
    "execution.order_records",
    "execution.ledger.rows",
    "execution.order_lifecycle",
    "execution.order_messages",
    "execution.outcomes",
    "execution.risk_engine",
    "execution.settlement.bookkeeping",
    "monitoring.statistics",
]


@pytest.mark.parametrize("name", PURE)
def test_values_are_frozen(name):
    """Every value class of the module is frozen, whatever the options of its class statement."""
    module = importlib.import_module(name)
    own = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Frozen)]
    assert [value.__name__ for value in own if not value.__struct_config__.frozen] == []
    assert any(value.__module__ == name for value in own)
