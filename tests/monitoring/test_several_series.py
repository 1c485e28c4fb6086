"""With several series each display names the series of a market; with one, none does."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from ledger_builders import NOON_NS, buy, decision, market, open_ledger, settlement
from rich.console import Console
from test_exporter import exporting, scrape
from test_watch import ALIVE, drawn, write_ledger

from events import Decided, FeedStatus, MarketOpened, SeriesStatus
from execution.ledger import LedgerReader, ledger_path
from models import Market, Outcome
from monitoring.grafana_exporter import ExporterParams, GrafanaMetricsExporter
from monitoring.json_lines import event_line
from monitoring.metrics.status_values import health
from monitoring.performance_tracker import performance
from monitoring.report.text_lines import performance_lines
from monitoring.status_page.model import PageModel
from monitoring.totals_reader import read_totals
from runtime.chat.answers import worker_lines
from runtime.output import Output, reporter

START = 1_790_596_800
BTC = SeriesStatus(
    series="btc-15m",
    slug=f"btc-updown-15m-{START}",
    second=712.0,
    p=Decimal("0.61"),
    quote_age_s=0.4,
    tradable=True,
    feeds=(FeedStatus(source="coinbase", age_s=0.4, failures=1, up=True),),
)
ETH = SeriesStatus(
    series="eth-5m",
    slug=f"eth-updown-5m-{START + 600}",
    second=336.0,
    second_length_s=1 / 3,
    p=Decimal("0.25"),
    quote_age_s=2.0,
    feeds=(FeedStatus(source="coinbase", age_s=3.0, failures=0, up=False),),
)
BOTH = msgspec.structs.replace(ALIVE, p=Decimal("0.61"), series=(BTC, ETH))
NAMES = ("btc-15m", "eth-5m")


def eth_market(number: int) -> Market:
    return market(number, slug=f"eth-updown-5m-{START + 900 * number}", interval=300)


def of_eth(number: int) -> Decided:
    made = decision(number)
    context = msgspec.structs.replace(made.context, market=eth_market(number))
    return Decided(decision=msgspec.structs.replace(made, context=context), final=True)


@pytest.mark.parametrize(("several", "header"), [(True, "ETH 5m 28 Sep 12:15"), (False, "28 Sep 12:15")])
def test_a_block_of_the_screen_names_its_series(several: bool, header: str) -> None:
    """The header begins with asset and length, and with the time alone for a single series."""
    stream = io.StringIO()
    console = Console(file=stream, width=160, color_system=None)
    screen = reporter(Output.BLOCKS, console, (780.0, 840.0), 15.0, several=several)
    screen.handle(of_eth(1))
    assert stream.getvalue().splitlines()[0].startswith(header)


def test_json_lines_have_the_series_of_a_market() -> None:
    """Each event about a market has it with several series; with one the lines are as before."""
    now = datetime(2026, 9, 28, tzinfo=UTC)
    event = MarketOpened(market=eth_market(1))
    assert json.loads(event_line(event, now, several=True))["series"] == "eth-5m"
    assert "series" not in json.loads(event_line(event, now))


def test_the_terminal_view_has_a_line_for_each_series(tmp_path: Path) -> None:
    """Start, price and countdown of each running market, and the series of each decision and position."""
    write_ledger(tmp_path, markets=4, worker_status=BOTH)
    with open_ledger(ledger_path(tmp_path, "recorded")) as ledger:
        ledger.record_decision(of_eth(9).decision)
    lines = drawn(tmp_path, 120, 40)
    assert lines[1].startswith("BTC 15m 28 Sep 12:00 ━")
    assert lines[1].rstrip().endswith("712 s  Up 0.610  decides in 1 min 08 s  quote 0 s old")
    assert lines[2].startswith("ETH 5m 28 Sep 12:10 ━")
    assert "Up 0.250  decides in 2 min 28 s" in lines[2]
    assert any("ETH 5m 28 Sep 14:15" in line for line in lines)
    assert any("BTC 15m 28 Sep 12:45" in line for line in lines)


def test_metrics_of_a_market_have_the_label_series(tmp_path: Path) -> None:
    """One value for each series, before the first heartbeat as well; totals have no label."""
    write_ledger(tmp_path, markets=11, worker_status=None)
    params = ExporterParams(
        host="127.0.0.1",
        port=0,
        ledger=ledger_path(tmp_path, "recorded"),
        max_exposure=Decimal(10),
        live_path=False,
        version="0.0.0",
        weights={"TickVelocity": 0.25},
        series=NAMES,
    )
    exporter = GrafanaMetricsExporter(params, now_ns=lambda: NOON_NS)
    exporter.start()
    try:
        assert scrape(exporter)["trading_market_second", ("eth-5m",)] == 0
        exporter.heartbeat(BOTH)
        exporter.handle(of_eth(12))
        found = scrape(exporter)
    finally:
        exporter.close()
    assert [found["trading_market_second", (name,)] for name in NAMES] == [712, 336]
    assert [found["trading_market_price", (name,)] for name in NAMES] == [0.61, 0.25]
    assert [found["trading_feed_up", (name, "coinbase")] for name in NAMES] == [1, 0]
    assert [found["trading_signal_votes_total", (name, "TickVelocity", "bullish")] for name in NAMES] == [
        0,
        1,
    ]
    assert ("trading_market_second", ()) not in found
    assert found["trading_settled_trades", ()] == 9
    assert found["trading_series_settled_trades", ("btc-15m",)] == 9
    assert found["trading_series_winning_trades", ("btc-15m",)] == 9
    assert found["trading_series_pnl", ("btc-15m",)] == pytest.approx(found["trading_total_pnl", ()])
    assert found["trading_series_open_positions", ("btc-15m",)] == 1
    assert found["trading_series_exposure", ("btc-15m",)] == pytest.approx(0.99693)


def test_a_single_series_has_the_metrics_it_always_had(tmp_path: Path) -> None:
    """No label on the state of the market; the results of the series are those of the ledger."""
    write_ledger(tmp_path, markets=3, worker_status=None)
    with exporting(tmp_path) as exporter:
        exporter.heartbeat(ALIVE)
        found = scrape(exporter)
    assert found["trading_market_second", ()] == 712
    assert found["trading_series_settled_trades", ("btc-15m",)] == found["trading_settled_trades", ()] == 1


def test_health_is_that_of_every_series() -> None:
    """A series without a quote, or without a market for a minute, is named; the others do not hide it."""
    silent = msgspec.structs.replace(ETH, quote_age_s=61.0)
    missing = msgspec.structs.replace(ETH, slug=None, quote_age_s=None)
    now = NOON_NS
    assert health(BOTH, now).reasons == ()
    assert health(msgspec.structs.replace(BOTH, series=(BTC, silent)), now).reasons == (
        f"no quote of {ETH.slug} for 61 s",
    )
    lost = msgspec.structs.replace(BOTH, series=(BTC, missing))
    assert health(lost, now, series_ns={"eth-5m": now - 59 * 10**9}).reasons == ()
    assert health(lost, now, series_ns={"eth-5m": now - 65 * 10**9}).reasons == (
        "no eth-5m market found for 65 s",
    )


def test_statistics_are_given_for_each_series(tmp_path: Path) -> None:
    """Trades of two series are two lines beside the total; trades of one are none."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        for number in (1, 2, 3):
            buy(ledger, number)
            ledger.record_settlement(settlement(number, Outcome.UP if number < 3 else Outcome.DOWN))
    with LedgerReader(path) as reader:
        trades = reader.trades()
    assert performance(trades, starting=Decimal(10)).by_series == ()
    trades[2] = msgspec.structs.replace(trades[2], slug=f"eth-updown-5m-{START}")
    found = performance(trades, starting=Decimal(10))
    assert [(group.name, group.statistics.n, group.statistics.wins) for group in found.by_series] == [
        ("btc-15m", 2, 2),
        ("eth-5m", 1, 0),
    ]
    lines = dict(performance_lines(found))
    assert lines["eth-5m"] == "1 settled (0 won, 1 lost), 0 pending, P&L -0.997 pUSD"


def test_the_status_page_names_the_series(tmp_path: Path) -> None:
    """The market that decides next, each market and trade by its series, and a line for every series."""
    write_ledger(tmp_path, markets=4, worker_status=None)
    totals = read_totals(ledger_path(tmp_path, "recorded"))
    page = PageModel(Decimal(10))
    page.handle(of_eth(9))
    view = page.view(BOTH, totals)
    assert view.market is not None
    assert view.market.start == "BTC 15m 28 Sep 12:00 UTC"
    assert view.markets[0].start == "ETH 5m 28 Sep 14:15"
    assert {trade.market[:7] for trade in view.trades} == {"BTC 15m"}
    texts = {line.label: line.text for line in view.system}
    assert texts["eth-5m"].startswith("28 Sep 12:10, Up 0.250, decides in 2 min 28 s, quote 2 s old")
    single = PageModel(Decimal(10)).view(ALIVE, totals)
    assert single.market is not None
    assert (single.market.start, single.trades[0].market) == ("28 Sep 12:00 UTC", "28 Sep 12:45")


def test_the_chat_has_a_line_for_each_series() -> None:
    """/status lists the running market of every series."""
    lines = worker_lines(BOTH, NOON_NS)
    assert [line.split(",")[0] for line in lines[:2]] == [f"Market: {BTC.slug}", f"Market: {ETH.slug}"]
