"""The dashboard of a bot with one series and with several: names, and the choice of series."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from expressions import exposed_families, metrics, panel_expressions, panels

from grafana.dashboard import build

ONE = {
    "trading_market_second{}": "700",
    "trading_market_price{}": "0.6",
    "trading_quote_age_seconds{}": "0.5",
    'trading_feed_up{source="coinbase"}': "1",
    'trading_feed_up{source="deribit"}': "0",
    'trading_signal_weight{source="Tick"}': "0.25",
    'trading_signal_agreement_ratio{source="Tick"}': "0.75",
    'trading_signal_votes_total{source="Tick", vote="bullish"}': "4",
}
SEVERAL = {
    'trading_market_second{series="btc-15m"}': "700",
    'trading_market_second{series="eth-5m"}': "300",
    'trading_market_price{series="btc-15m"}': "0.6",
    'trading_market_price{series="eth-5m"}': "0.25",
    'trading_quote_age_seconds{series="btc-15m"}': "0.5",
    'trading_quote_age_seconds{series="eth-5m"}': "61",
    'trading_feed_up{series="btc-15m", source="coinbase"}': "1",
    'trading_feed_up{series="eth-5m", source="coinbase"}': "0",
    'trading_feed_up{series="eth-5m", source="deribit"}': "1",
    'trading_signal_weight{series="btc-15m", source="Tick"}': "0.25",
    'trading_signal_weight{series="eth-5m", source="Tick"}': "0.35",
    'trading_signal_agreement_ratio{series="btc-15m", source="Tick"}': "0.75",
    'trading_signal_agreement_ratio{series="eth-5m", source="Tick"}': "0",
    'trading_signal_votes_total{series="btc-15m", source="Tick", vote="bullish"}': "4",
    'trading_signal_votes_total{series="eth-5m", source="Tick", vote="abstained"}': "9",
}
SHOWN_OF_ONE = {
    "Market second": {'trading_market_second{series="second"}': 700},
    "Price of Up": {'trading_market_price{series="Up"}': 0.6},
    "Price of Up over time": {'trading_market_price{series="Up"}': 0.6},
    "Age of the newest quote": {'trading_quote_age_seconds{series="quote"}': 0.5},
    "Newest quote": {"{}": 0.5},
    "Sources": {'{source="coinbase"}': 1, '{source="deribit"}': 0},
    "Sources that are down": {'trading_feed_up{source="deribit"}': 0},
    "Weight of the vote": {'{source="Tick"}': 0.25},
    "Share of agreement": {'{source="Tick"}': 0.75},
}
SHOWN_OF_SEVERAL = {
    "Market second": {
        'trading_market_second{series="btc-15m"}': 700,
        'trading_market_second{series="eth-5m"}': 300,
    },
    "Price of Up": {
        'trading_market_price{series="btc-15m"}': 0.6,
        'trading_market_price{series="eth-5m"}': 0.25,
    },
    "Price of Up over time": {
        'trading_market_price{series="btc-15m"}': 0.6,
        'trading_market_price{series="eth-5m"}': 0.25,
    },
    "Age of the newest quote": {
        'trading_quote_age_seconds{series="btc-15m"}': 0.5,
        'trading_quote_age_seconds{series="eth-5m"}': 61,
    },
    "Newest quote": {"{}": 61},
    "Sources": {'{source="coinbase"}': 0, '{source="deribit"}': 1},
    "Sources that are down": {'trading_feed_up{series="eth-5m", source="coinbase"}': 0},
    "Weight of the vote": {'{source="Tick"}': 0.3},
    "Share of agreement": {'{source="Tick"}': 0.75},
}
SHOWN_OF_CHOSEN = {
    "Price of Up": {'trading_market_price{series="eth-5m"}': 0.25},
    "Newest quote": {"{}": 61},
    "Sources": {'{source="coinbase"}': 0, '{source="deribit"}': 1},
    "Weight of the vote": {'{source="Tick"}': 0.35},
    "Share of agreement": {},
}
UNCHOSEN = {"Newest quote"}
"""Part of the bot's health, which is that of all series."""


def labelled() -> set[str]:
    """The exposed metrics that have the label `series` with several series."""
    families = exposed_families("btc-15m", "eth-5m")
    found = {sample.name for family in families for sample in family.samples if "series" in sample.labels}
    of_sources = {"trading_feed_up", "trading_feed_age_seconds", "trading_feed_failures_total"}
    results = {"trading_series_pnl", "trading_series_settled_trades", "trading_series_exposure"}
    return found | of_sources | results


def test_there_is_a_choice_of_series() -> None:
    """Several can be chosen, at first all; all includes the values without the label."""
    (variable,) = (one for one in build()["templating"]["list"] if one["name"] == "series")
    assert (variable["type"], variable["multi"], variable["includeAll"]) == ("query", True, True)
    assert variable["query"] == "label_values(trading_market_second, series)"
    assert variable["datasource"]["uid"] == "${datasource}"
    assert (variable["allValue"], variable["current"]["value"]) == (".*", ["$__all"])


def test_every_value_of_a_series_is_chosen_and_named() -> None:
    """A query of values with the label selects by the variable; it names the series, or combines them."""
    wanted, checked = labelled(), 0
    assert len(wanted) >= 15
    for panel in panels():
        for target in panel["targets"]:
            expr = target["expr"]
            if not metrics(expr) & wanted or panel["title"] in UNCHOSEN:
                continue
            checked += 1
            selections = sum(expr.count(name) for name in metrics(expr) & wanted)
            assert expr.count('series=~"$series"') == selections, panel["title"]
            combined = re.match(r"(sum|min|max|avg)\b", expr) is not None
            assert combined != ("{{series}}" in target["legendFormat"]), panel["title"]
            if panel["type"] == "stat":
                assert panel["options"]["textMode"] in ("auto", "name"), panel["title"]
    assert checked >= 18


@pytest.mark.parametrize(
    ("exposed", "chosen", "shown"),
    [
        pytest.param(ONE, ".*", SHOWN_OF_ONE, id="one series"),
        pytest.param(SEVERAL, ".*", SHOWN_OF_SEVERAL, id="two series"),
        pytest.param(SEVERAL, "(eth-5m)", SHOWN_OF_CHOSEN, id="one of two"),
    ],
)
def test_values_and_their_names(
    exposed: Mapping[str, str], chosen: str, shown: Mapping[str, Mapping[str, float]], tmp_path: Path
) -> None:
    """Prometheus' own evaluation of panels: values and labels that the legend consists of."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    expressions = dict(panel_expressions(chosen))
    case = {
        "interval": "15s",
        "input_series": [{"series": name, "values": value} for name, value in exposed.items()],
        "promql_expr_test": [
            {
                "expr": expressions[title],
                "eval_time": "0s",
                "exp_samples": [{"labels": name, "value": value} for name, value in samples.items()],
            }
            for title, samples in shown.items()
        ],
    }
    file = tmp_path / "panels_test.yml"
    file.write_text(yaml.safe_dump({"tests": [case]}))
    command = ["promtool", "test", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
