"""The grid of a sweep: its points in their order, and errors that name the setting."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from config import Settings
from errors import ConfigError
from research.sweep.grid import USED, grid, settings_of, used_settings
from settings_mapping import market_calendar, risk_limits


class ReadNames(SimpleNamespace):
    """Settings that note which of them are read."""

    def __getattr__(self, name):
        if name in Settings.model_fields:
            self.__dict__.setdefault("read", set()).add(name)
            return Settings.model_fields[name].default
        return getattr(Settings, name).fget(self)


def test_every_setting_of_a_decision_is_used():
    """Decision parameters, risk limits and calendar are made of the settings that a point consists of."""
    noted = ReadNames()
    Settings.brain_params(noted)
    risk_limits(noted)
    market_calendar(noted)
    assert noted.read <= set(USED)
    assert set(USED) - noted.read == {
        *("market_buy_usd", "order_max_attempts", "quote_stability_required", "quote_min_spread"),
        *("max_price_history", "tick_buffer_size"),
    }


def test_points_in_the_order_of_the_values():
    """Every combination, the last setting varying fastest; the other settings are the folder's."""
    base = Settings(max_slippage=Decimal("0.05"), polymarket_pk="0x1")
    found = grid(base, ["TREND_UP_THRESHOLD=0.7,0.65", "min_edge = 0.01, -0.02"])
    assert found.names == ("TREND_UP_THRESHOLD", "MIN_EDGE")
    assert [point.values for point in found.points] == [
        *(("0.7", "0.01"), ("0.7", "-0.02"), ("0.65", "0.01"), ("0.65", "-0.02")),
    ]
    assert found.label(found.points[1]) == "TREND_UP_THRESHOLD=0.7 MIN_EDGE=-0.02"
    used = found.points[3].settings
    assert (used["TREND_UP_THRESHOLD"], used["MIN_EDGE"], used["MAX_SLIPPAGE"]) == ("0.65", "-0.02", "0.05")
    assert "POLYMARKET_PK" not in used
    again = settings_of(used)
    assert used_settings(again) == used
    assert (again.min_edge, again.polymarket_pk.get_secret_value()) == (Decimal("-0.02"), "")


def test_no_set_is_one_point():
    """Without --set the sweep is a backtest of the folder's settings."""
    assert [point.values for point in grid(Settings(), []).points] == [()]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            ["TREND_UP_TRESHOLD=0.6"],
            "unknown setting TREND_UP_TRESHOLD in --set. Remove it, or did you mean TREND_UP_THRESHOLD?",
        ),
        (["QQQ=1"], "unknown setting QQQ in --set. Remove it, or docs/research.md lists the settings"),
        (["LOG_DIR=logs"], "LOG_DIR in --set has no effect on a backtest. Remove it"),
        (["MIN_EDGE="], "--set MIN_EDGE= has no value. Write --set MIN_EDGE=VALUE,VALUE"),
        (
            ["MIN_EDGE=0", "MIN_EDGE=1"],
            "MIN_EDGE is in --set twice. Give all of its values in one",
        ),
        (
            ["TREND_UP_THRESHOLD=0.6,1.2"],
            "the point TREND_UP_THRESHOLD=1.2 is not valid: TREND_UP_THRESHOLD is '1.2', allowed: Input"
            " should be less than 1. Change --set",
        ),
        (
            ["TREND_UP_THRESHOLD=0.45", "TREND_DOWN_THRESHOLD=0.4,0.5"],
            "the point TREND_UP_THRESHOLD=0.45 TREND_DOWN_THRESHOLD=0.5 is not valid: TREND_DOWN_THRESHOLD"
            " is 0.5, allowed: below TREND_UP_THRESHOLD (0.45). Change --set",
        ),
        (
            ["MIN_EDGE=0.1,0.10"],
            "0.10 of --set MIN_EDGE is the same point as 0.1. Leave one of them out",
        ),
    ],
)
def test_invalid_sets(texts, message):
    """Each error names the setting, its value and the next step."""
    with pytest.raises(ConfigError) as error:
        grid(Settings(), texts)
    assert str(error.value) == message
