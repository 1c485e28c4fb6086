"""A running bot's metrics, counted from its events, compared with its ledger read by another process."""

import time
import urllib.request
from decimal import Decimal

import pytest
from bot_process import BUYS, BotProcess
from prometheus_client.parser import text_string_to_metric_families
from test_whole_bot import TRADED

from execution.ledger import ledger_path
from monitoring.metrics.catalogue import CATALOGUE
from monitoring.metrics.ledger_values import ledger_values
from monitoring.totals_reader import read_totals


def scraped(url: str) -> dict[tuple[str, str], float]:
    """Samples by name, without the suffix of counters, and label value."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        page = answer.read().decode()
    return {
        (sample.name.removesuffix("_total"), next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def by_one_read(path) -> dict[tuple[str, str], float]:
    found = {}
    for name, value in ledger_values(read_totals(path), Decimal(10), time.time_ns()).items():
        for label, number in value.items() if isinstance(value, dict) else [("", value)]:
            found[name, label] = number
    return found


@pytest.mark.slow
def test_the_metrics_of_a_run_are_those_of_its_ledger(tmp_path):
    """After a settled trade, and after a decision of a restarted bot: every value that the bot counted from
    its events equals the one from its ledger, and no counter is below the one before."""
    path = ledger_path(tmp_path / "state", "recorded")
    counters = {spec.name for spec in CATALOGUE if spec.kind == "counter"}
    before: dict[tuple[str, str], float] = {}
    for _ in range(2):
        with BotProcess(tmp_path, *TRADED, settings=BUYS | {"GRAFANA_PORT": "0"}) as bot:
            url = bot.wait_for(r"metrics at (http://\S+/metrics)", 60)[1]
            deadline = time.monotonic() + 120
            while True:
                page = scraped(url)
                read = by_one_read(path)
                apart = {
                    key: (page.get(key), read[key])
                    for key in read
                    if page.get(key) != pytest.approx(read[key])
                }
                decided = sum(page[key] for key in page if key[0] == "trading_decisions")
                had = sum(before[key] for key in before if key[0] == "trading_decisions")
                if page["trading_settled_trades", ""] and decided > had and not apart:
                    break
                assert time.monotonic() < deadline, (apart, bot.output)
                time.sleep(0.2)
            assert page["trading_ledger_reading_age_seconds", ""] == 0
            assert len(read) > 80
            assert [key for key in before if key[0] in counters and page[key] < before[key]] == []
            before = {key: value for key, value in page.items() if key in read}
            bot.interrupt()
