"""The exporter: real HTTP, correct values across restarts, and the health check."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from ledger_builders import NOON_NS, buy, decision, fill, intent, market, open_ledger, refusal, settlement
from long_ledger import history
from prometheus_client.parser import text_string_to_metric_families
from test_watch import ALIVE, write_ledger

from events import (
    CashChecked,
    Decided,
    FeedStatus,
    Filled,
    FillMoved,
    ModeChanged,
    OrderMoved,
    OrderSent,
    OrderSigned,
    OrderTraced,
    Redeemed,
    Settled,
)
from execution.ledger import FillStatus, ledger_path
from models import Consensus, OrderStage, OrderState, OrderTrace, Reason
from monitoring import grafana_exporter
from monitoring.grafana_exporter import ExporterParams, GrafanaMetricsExporter
from monitoring.metrics.catalogue import CATALOGUE, MOST_VALUES
from monitoring.metrics.status_values import NO_QUOTE_S, STUCK_S, health, state_values
from monitoring.totals_reader import read_totals
from tools.metrics_page import document

OLD_NAMES = (
    *("trading_total_pnl", "trading_roi", "trading_win_rate", "trading_sharpe_ratio", "trading_max_drawdown"),
    *("trading_open_positions", "trading_total_exposure", "trading_risk_utilization"),
    *("trading_current_capital", "trading_avg_signal_score", "trading_avg_signal_confidence", "trades_total"),
    *("trading_total_trades_total", "trading_winning_trades_total", "trading_losing_trades_total"),
    *("trading_orders_placed_total", "trading_orders_filled_total", "trading_orders_rejected_total"),
    *("trading_trade_duration_seconds_sum", "trading_trade_duration_seconds_count"),
)


@contextmanager
def exporting(state, *, port=0, now_ns=lambda: NOON_NS):
    exporter = GrafanaMetricsExporter(
        ExporterParams(
            host="127.0.0.1",
            port=port,
            ledger=ledger_path(state, "recorded"),
            max_exposure=Decimal(10),
            live_path=False,
            version="0.0.0",
            weights={"TickVelocity": 0.25},
        ),
        now_ns=now_ns,
    )
    exporter.start()
    try:
        yield exporter
    finally:
        exporter.close()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scrape(exporter) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample, by name and label values."""
    families = text_string_to_metric_families(get(f"{exporter.url}/metrics")[1])
    return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}


def until(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline


def test_every_old_name_resolves_and_agrees_with_the_ledger(tmp_path):
    """The names of the first version all exist, both trade counters are equal, with the ledger's values."""
    write_ledger(tmp_path, markets=11, worker_status=None)
    with exporting(tmp_path) as exporter:
        exporter.heartbeat(ALIVE)
        found = scrape(exporter)
    assert not [name for name in OLD_NAMES if (name, ()) not in found]
    assert found["trades_total", ()] == found["trading_total_trades_total", ()] == 10
    assert found["trading_winning_trades_total", ()] == found["trading_settled_trades", ()] == 9
    assert found["trading_total_pnl", ()] == pytest.approx(9 * (1.1 - 0.99 - 0.00693))
    assert found["trading_current_capital", ()] == pytest.approx(1000 + found["trading_total_pnl", ()])
    assert found["trading_open_positions", ()] == 1
    assert found["trading_verdict", ("chance",)] == 1
    assert found["trading_decisions_total", ("no_ask",)] == 10
    assert found["trading_funnel_stops", ("unconfirmed",)] == 10
    assert found["trading_order_outcomes_total", ("matched",)] == 10
    assert found["trading_trade_duration_seconds_bucket", ("300.0",)] == 0
    assert found["trading_trade_duration_seconds_bucket", ("900.0",)] == 9
    assert found["trading_trade_duration_seconds_sum", ()] == pytest.approx(sum(range(891, 900)))
    assert found["trading_win_rate_low", ()] < found["trading_win_rate", ()] == 100


def test_a_restarted_worker_counts_on(tmp_path):
    """The first scrape of a new process has the ledger's values: no counter begins at zero again."""
    write_ledger(tmp_path, markets=4, worker_status=None)
    seen = []
    for _ in range(2):
        with exporting(tmp_path) as exporter:
            seen.append(scrape(exporter)["trades_total", ()])
    assert seen == [3, 3]


def bought(number):
    """The events of an order that is matched and filled at once."""
    wanted = intent(0, number)
    return (
        Decided(decision=decision(number), final=False, decision_id=1000 + number),
        OrderSent(intent=wanted),
        OrderSigned(intent=wanted, order_id=f"0xo{number}-1"),
        OrderMoved(intent=wanted, state=OrderState.MATCHED, reason="answered"),
        Filled(fill=fill(number)),
    )


def test_events_count_without_a_read_of_the_ledger(tmp_path):
    """After the start a trade, its settlement and payout are counted from their events alone, without the
    file."""
    write_ledger(tmp_path, markets=3, worker_status=None)
    with exporting(tmp_path) as exporter:
        assert scrape(exporter)["trades_total", ()] == 2
        shutil.rmtree(tmp_path / "recorded")
        for event in bought(50):
            exporter.handle(event)
        found = scrape(exporter)
        assert found["trades_total", ()] == found["trading_orders_placed_total", ()] == 3
        assert found["trading_decisions_total", ("buy",)] == 3
        assert found["trading_open_positions", ()] == 2
        exposed = found["trading_total_exposure", ()]
        won = settlement(50, settled_ns=fill(50).ts_ns + 200 * 10**9)
        exporter.handle(
            Settled(market=market(50), settlement=won, pnl=Decimal("0.10307"), total_pnl=Decimal(0))
        )
        owing = scrape(exporter)["trading_unredeemed_pusd", ()]
        exporter.handle(Redeemed(slug=market(50).slug, amount=Decimal("1.1")))
        exporter.handle(CashChecked(difference=Decimal("-0.25")))
        after = scrape(exporter)
    assert exposed - after["trading_total_exposure", ()] == pytest.approx(0.99693)
    assert after["trading_total_pnl", ()] - found["trading_total_pnl", ()] == pytest.approx(0.10307)
    assert after["trading_winning_trades_total", ()] == 2
    assert after["trading_trade_duration_seconds_bucket", ("300.0",)] == 1
    assert owing - after["trading_unredeemed_pusd", ()] == pytest.approx(1.1)
    assert after["trading_cash_difference_pusd", ()] == -0.25
    assert after["trading_ledger_reading_age_seconds", ()] == 0


def test_a_repeated_settlement_counts_once(tmp_path):
    """The event of a settlement that is counted already changes nothing."""
    open_ledger(ledger_path(tmp_path, "recorded")).close()
    with exporting(tmp_path) as exporter:
        for event in bought(1):
            exporter.handle(event)
        event = Settled(market=market(1), settlement=settlement(1), pnl=Decimal(0), total_pnl=Decimal(0))
        exporter.handle(event)
        once = scrape(exporter)
        exporter.handle(event)
        twice = scrape(exporter)
    changing = {"trading_loop_age_seconds", "process_cpu_seconds_total"}
    ours = [key for key in once if key[0].startswith("trad") and key[0] not in changing]
    assert once["trading_winning_trades_total", ()] == 1
    assert {key: once[key] for key in ours} == {key: twice[key] for key in ours}


def test_a_reversal_takes_the_money_back_and_no_counter_falls(tmp_path):
    """A fill that fails on the chain is removed from exposure and P&L; every counter is unchanged."""
    write_ledger(tmp_path, markets=3, worker_status=None)
    with exporting(tmp_path) as exporter:
        before = scrape(exporter)
        for event in bought(50):
            exporter.handle(event)
        won = settlement(50, settled_ns=fill(50).ts_ns + 200 * 10**9)
        exporter.handle(Settled(market=market(50), settlement=won, pnl=Decimal(0), total_pnl=Decimal(0)))
        settled = scrape(exporter)
        exporter.handle(FillMoved(fill=fill(50), status=FillStatus.FAILED))
        after = scrape(exporter)
    for name in ("trading_total_pnl", "trading_total_exposure", "trading_settled_trades"):
        assert after[name, ()] == pytest.approx(before[name, ()])
    counters = [key for key in after if key[0].endswith(("_total", "_bucket", "_count"))]
    assert len(counters) > 40
    assert [key for key in counters if after[key] < settled[key]] == []


@pytest.mark.parametrize(
    ("hours", "shown"), [(0, 0.10307), (11, 0.10307), (12, 0.0)], ids=["now", "before midnight", "midnight"]
)
def test_the_day_ends_at_midnight_without_an_event(tmp_path, hours, shown):
    """The day's P&L is that of the UTC day of the scrape."""
    now = [NOON_NS]
    open_ledger(ledger_path(tmp_path, "recorded")).close()
    with exporting(tmp_path, now_ns=lambda: now[0]) as exporter:
        for event in bought(1):
            exporter.handle(event)
        won = settlement(1, settled_ns=NOON_NS)
        exporter.handle(Settled(market=market(1), settlement=won, pnl=Decimal(0), total_pnl=Decimal(0)))
        now[0] += hours * 3600 * 10**9
        assert scrape(exporter)["trading_day_pnl", ()] == pytest.approx(shown)


def test_a_trade_reversed_on_the_chain_leaves_the_money_and_not_the_counter(tmp_path):
    """Exposure and P&L exclude a failed fill; the counter of trades does not fall, which would be a
    restart."""
    path = ledger_path(tmp_path, "recorded")
    with open_ledger(path) as ledger:
        intent_id = buy(ledger, 1)
        ledger.record_fill_status(fill(1).trade_id, FillStatus.FAILED)
        ledger.record_state(intent_id, OrderState.REVERSED)
    with exporting(tmp_path) as exporter:
        found = scrape(exporter)
    assert found["trades_total", ()] == 1
    assert found["trading_open_positions", ()] == found["trading_total_exposure", ()] == 0


@pytest.mark.slow
def test_years_of_history_cost_a_scrape_nothing(tmp_path, monkeypatch):
    """With 100,000 decisions and 20,000 trades the ledger is read once, and there are no more series."""
    reads = []
    monkeypatch.setattr(
        grafana_exporter, "read_totals", lambda *args: (reads.append(args), read_totals(*args))[1]
    )
    history(ledger_path(tmp_path / "long", "recorded"), 100_000)
    write_ledger(tmp_path / "short", markets=3, worker_status=None)
    with exporting(tmp_path / "short") as exporter:
        series = len(scrape(exporter))
    with exporting(tmp_path / "long") as exporter:
        found = scrape(exporter)
        for number in range(100):
            for event in bought(10**6 + number):
                exporter.handle(event)
            scrape(exporter)
        after = scrape(exporter)
    assert len(reads) == 2
    assert found["trades_total", ()] == 20_000
    assert after["trades_total", ()] == 20_100
    assert found["trading_decisions_total", ("no_ask",)] == 80_000
    assert len(found) == series < 250


def test_a_ledger_that_cannot_be_read_costs_its_own_numbers_only(tmp_path):
    """A damaged file at the start: no counter shows a false zero, the age grows, the rest is served."""
    now = [NOON_NS]
    write_ledger(tmp_path, markets=3, worker_status=None)
    for file in ledger_path(tmp_path, "recorded").parent.glob("ledger.sqlite*"):
        file.write_bytes(b"not a database" * 1000)
    with exporting(tmp_path, now_ns=lambda: now[0]) as exporter:
        exporter.heartbeat(ALIVE)
        for event in bought(50):
            exporter.handle(event)
        now[0] += 90 * 10**9
        found = scrape(exporter)
    assert found["trading_ledger_reading_age_seconds", ()] == 90
    assert not {name for name, _ in found} & {"trades_total", "trading_decisions_total", "trading_total_pnl"}
    assert found["trading_market_second", ()] == 712
    assert found["trading_signal_votes_total", ("TickVelocity", "bullish")] == 1


def test_an_event_that_does_not_fit_leaves_the_last_numbers_and_their_age(tmp_path):
    """After an event of an unknown order the values stay, and the age counts from there."""
    now = [NOON_NS]
    write_ledger(tmp_path, markets=3, worker_status=None)
    with exporting(tmp_path, now_ns=lambda: now[0]) as exporter:
        with pytest.raises(KeyError):
            exporter.handle(Filled(fill=fill(77)))
        now[0] += 90 * 10**9
        found = scrape(exporter)
    assert found["trading_ledger_reading_age_seconds", ()] == 90
    assert found["trades_total", ()] == 2


def test_everything_is_there_before_anything_happened(tmp_path):
    """Without a ledger, a status or an event every metric of the catalogue is exposed, at zero."""
    with exporting(tmp_path) as exporter:
        names = {name for name, _ in scrape(exporter)}
    for spec in CATALOGUE:
        if spec.values or not spec.label:
            assert (f"{spec.name}_total" if spec.kind == "counter" else spec.name) in names


@pytest.mark.parametrize(("version", "shown"), [("v1", ["v1"]), ("v2", ["v2"]), ("", [])])
def test_the_protocol_version_of_the_running_market(version, shown):
    """One of the supported versions is 1 while a market runs; /health names it, and none between markets."""
    now = msgspec.structs.replace(ALIVE, version=version)
    values = state_values(now, NOON_NS, live_path=False)["trading_market_version"]
    assert set(values) == {"v1", "v2"}
    assert [name for name, value in values.items() if value] == shown
    assert health(now, NOON_NS).market_version == (version or None)


@pytest.mark.parametrize(
    ("mode", "live_path", "shown"),
    [("simulation", False, "simulation"), ("simulation", True, "rehearsal"), ("live", True, "live")],
)
def test_one_mode_holds(mode, live_path, shown):
    """Exactly one mode is 1, and live means real money only: a rehearsal has its own name."""
    found = state_values(msgspec.structs.replace(ALIVE, mode=mode), NOON_NS, live_path=live_path)
    assert [name for name, value in found["trading_mode"].items() if value] == [shown]


@pytest.mark.parametrize(
    ("consensus", "price", "agreeing", "outliers"),
    [
        (None, 0.0, 0.0, 0.0),
        (
            Consensus(
                Decimal("65000.5"),
                {"binance": Decimal(65000), "pyth": Decimal(65001)},
                {"coinbase": Decimal(72000)},
            ),
            65000.5,
            2.0,
            1.0,
        ),
    ],
)
def test_the_consensus_of_the_sources(consensus, price, agreeing, outliers):
    """The median of the agreeing sources is a metric, and how many agree and how many are excluded."""
    found = state_values(msgspec.structs.replace(ALIVE, consensus=consensus), NOON_NS, live_path=False)
    assert found["trading_consensus_price"] == price
    assert found["trading_consensus_sources"] == {"agreeing": agreeing, "outlier": outliers}


def test_market_data_that_was_not_used():
    """Quotes that a newer one replaced and frames that were dropped unread, by kind; and the loop's tasks."""
    now = msgspec.structs.replace(ALIVE, dropped={"quotes": 7, "frames": 90}, tasks=31)
    found = state_values(now, NOON_NS, live_path=False)
    assert found["trading_dropped_market_data"] == {"quotes": 7.0, "frames": 90.0}
    assert found["trading_event_loop_tasks"] == 31.0


def test_events_become_latencies_and_votes(tmp_path):
    """A decision is timed until it was recorded, which is before its event, and an order until its answer;
    each processor's vote is counted under its own name."""
    now = NOON_NS + 40_000_000
    with exporting(tmp_path, now_ns=lambda: now) as exporter:
        made = decision(now_ns=NOON_NS)
        exporter.handle(Decided(decision=made, final=True, recorded_ns=NOON_NS + 15_000_000))
        wanted = intent(1, created_ns=now - 400_000_000)
        exporter.handle(OrderSent(intent=wanted))
        exporter.handle(OrderMoved(intent=wanted, state=OrderState.UNKNOWN, reason=""))
        exporter.handle(OrderMoved(intent=wanted, state=OrderState.MATCHED, reason=""))
        exporter.handle(ModeChanged(mode="simulation", allows_orders=True, why="the store says so"))
        found = scrape(exporter)
    assert found["trading_decision_latency_seconds_sum", ()] == pytest.approx(0.015)
    assert found["trading_order_latency_seconds_count", ()] == 1
    assert found["trading_order_latency_seconds_bucket", ("0.5",)] == 1
    assert found["trading_signal_votes_total", ("TickVelocity", "bullish")] == 1
    assert found["trading_signal_agreement_ratio", ("TickVelocity",)] == 1
    assert (found["trading_fused_score", ()], found["trading_fused_weight", ()]) == (61.5, 0.25)
    assert found["trading_mode_changes_total", ()] == 1


def test_the_steps_of_an_order_are_timed(tmp_path):
    """The steps of the orders in the ledger and of those that follow are summarised in seconds from the
    quote, the same after a restart; steps that no order reached are zero."""
    path = ledger_path(tmp_path, "recorded")
    with open_ledger(path) as ledger:
        for number, context_ns in ((1, 300_000), (2, 500_000)):
            ledger.record_trace(buy(ledger, number), {OrderStage.QUOTE: 0, OrderStage.CONTEXT: context_ns})
    last = {OrderStage.QUOTE: 0, OrderStage.CONTEXT: 900_000, OrderStage.SIGNED: 3_000_000}
    with exporting(tmp_path) as exporter:
        before = scrape(exporter)
        with open_ledger(path) as ledger:
            intent_id = buy(ledger, 3)
            ledger.record_trace(intent_id, last)
        exporter.handle(
            OrderTraced(trace=OrderTrace(intent_id=intent_id, slug="btc-1", created_ns=NOON_NS, stages=last))
        )
        after = scrape(exporter)
    with exporting(tmp_path) as exporter:
        again = scrape(exporter)
    context = [f"trading_order_stage_{name}_seconds" for name in ("median", "p95", "p99", "max")]
    assert [before[name, ("context",)] for name in context] == pytest.approx([0.0003, 0.0005, 0.0005, 0.0005])
    for found in (after, again):
        assert [found[name, ("context",)] for name in context] == pytest.approx([0.0005, *[0.0009] * 3])
        assert [found[name, ("signed",)] for name in context] == pytest.approx([0.003] * 4)
        assert [found[name, ("answered",)] for name in context] == [0] * 4


def test_foreign_names_make_no_series_without_end(tmp_path):
    """A thousand sources, streams or unknown processors add a bounded number of series."""
    hostile = msgspec.structs.replace(
        ALIVE,
        feeds=tuple(FeedStatus(source=f'f{n}"\n', age_s=1.0, failures=0, up=True) for n in range(1000)),
        reconnects={f"s{n}": n for n in range(1000)},
    )
    with exporting(tmp_path) as exporter:
        before = len(scrape(exporter))
        exporter.heartbeat(hostile)
        made = decision(now_ns=NOON_NS)
        for number in range(1000):
            votes = tuple(msgspec.structs.replace(vote, source=f"p{number}") for vote in made.votes)
            exporter.handle(Decided(decision=msgspec.structs.replace(made, votes=votes), final=True))
        assert len(scrape(exporter)) - before <= 4 * MOST_VALUES


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_wrong(tmp_path):
    """Prometheus' own checker accepts the page without a complaint."""
    write_ledger(tmp_path, markets=3, worker_status=None)
    with exporting(tmp_path) as exporter:
        exporter.heartbeat(ALIVE)
        page = get(f"{exporter.url}/metrics")[1]
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_taken_port_costs_the_metrics_only(tmp_path):
    """When the port is in use the exporter reports it and the worker continues."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        exporting(tmp_path, port=taken.getsockname()[1]) as exporter,
    ):
        exporter.heartbeat(ALIVE)
        exporter.handle(Decided(decision=refusal(reason=Reason.NO_ASK), final=True))
        assert exporter.url is None
        assert "set GRAFANA_PORT to another port" in exporter.start()


STATUSES = {
    "alive": (ALIVE, 0.0, 200, ""),
    "no heartbeat yet": (None, 0.0, 503, "not sent a heartbeat yet"),
    "a slow second": (ALIVE, STUCK_S - 1, 200, ""),
    "blocked loop": (ALIVE, STUCK_S + 1, 503, "the event loop is blocked"),
    "halted": (msgspec.structs.replace(ALIVE, halted="by hand"), 0.0, 503, "halted: by hand"),
    "no quote": (msgspec.structs.replace(ALIVE, quote_age_s=NO_QUOTE_S + 1), 0.0, 503, "no quote of btc"),
    "nothing heard since": (
        msgspec.structs.replace(ALIVE, quote_age_s=NO_QUOTE_S - 5),
        STUCK_S - 1,
        503,
        "no quote of btc",
    ),
    "between markets": (msgspec.structs.replace(ALIVE, slug=None, quote_age_s=None), 0.0, 200, ""),
    "orders withheld": (msgspec.structs.replace(ALIVE, allows_orders=False), 0.0, 200, ""),
}


@pytest.mark.parametrize(("worker_status", "later_s", "status", "fragment"), STATUSES.values(), ids=STATUSES)
def test_health_is_the_truth(worker_status, later_s, status, fragment):
    """503 exactly while there is no heartbeat, no quote for a minute inside a market, or a halt, with the
    reason."""
    found = health(worker_status, NOON_NS + int(later_s * 1e9))
    assert found.http_status == status
    assert fragment in " ".join(found.reasons)
    assert bool(found.reasons) == (status == 503)


def test_a_bot_without_a_market_is_not_well(tmp_path):
    """A gap between two markets is no problem; a minute without a market makes /health fail."""
    gap = msgspec.structs.replace(ALIVE, slug=None, quote_age_s=None)
    with exporting(tmp_path) as exporter:
        exporter.heartbeat(ALIVE)
        for later_s, status in ((NO_QUOTE_S - 5, 200), (NO_QUOTE_S + 5, 503)):
            ts_ns = NOON_NS + int(later_s * 1e9)
            exporter.heartbeat(msgspec.structs.replace(gap, ts_ns=ts_ns))
            assert exporter.health(ts_ns).http_status == status
        assert "no market found for 65 s" in exporter.health(ts_ns).reasons
        exporter.heartbeat(msgspec.structs.replace(ALIVE, ts_ns=ts_ns))
        assert exporter.health(ts_ns).http_status == 200


def test_health_is_served(tmp_path):
    """/health answers with the status and the reasons as JSON, / with links, anything else with 404."""
    with exporting(tmp_path) as exporter:
        status, body = get(f"{exporter.url}/health")
        assert (status, json.loads(body)["status"]) == (503, "starting")
        exporter.heartbeat(ALIVE)
        status, body = get(f"{exporter.url}/health")
        assert (status, json.loads(body)["status"]) == (200, "ok")
        assert json.loads(body)["market"] == ALIVE.slug
        assert "/metrics" in get(exporter.url)[1]
        assert get(f"{exporter.url}/nothing")[0] == 404


def test_the_page_of_metrics_is_up_to_date():
    """docs/metrics.md lists the exposed metrics; update it: python -m tools.metrics_page >
    docs/metrics.md."""
    page = Path(__file__).resolve().parents[2] / "docs/metrics.md"
    assert page.read_text() == document()
