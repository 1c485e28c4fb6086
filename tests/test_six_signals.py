"""All six processors on the generated venue: real processes, real feeds on loopback."""

import json
import re
import urllib.request

import pytest
from bot_process import BUYS, ROOT, BotProcess
from decision_replay import encode, replay

from execution.ledger import LedgerReader, ledger_path
from models import Decision, MarketKind, OrderStage, Reason

SIX = {
    "OrderBookImbalance",
    "TickVelocity",
    "PriceDivergence",
    "SpikeDetection",
    "DeribitPCR",
    "SentimentAnalysis",
}


def decisions(folder) -> list[Decision]:
    with LedgerReader(ledger_path(folder / "state", "synthetic")) as ledger:
        return [ledger.decision(row.id) for row in ledger.decisions()]


def arm(bot: BotProcess, name: str, **parameters: object) -> None:
    """Arm a fault of the practice venue whose address is on the screen."""
    url = bot.wait_for(r"practice venue at (http://127\.0\.0\.1:\d+)")[1]
    body = json.dumps({"name": name, "count": None, "parameters": parameters}).encode()
    request = urllib.request.Request(
        f"{url}/practice/faults", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


def in_window(found: list[Decision]) -> bool:
    return bool(found) and all(780 <= decision.context.second < 840 for decision in found)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_decision_has_six_votes_or_named_abstentions(tmp_path):
    """In a whole market all six vote or give a reason, nothing blocks a loop, and every row replays."""
    report = tmp_path / "blocking.txt"
    settings = {"PYTHONPATH": str(ROOT / "tests" / "detector"), "BLOCKING_REPORT": str(report)}
    arguments = ("--test-mode", "--venue", "synthetic", "--start-at", "0", "--markets", "1")
    with BotProcess(tmp_path, *arguments, settings=settings) as bot:
        assert bot.wait(110) == 0, bot.output
    assert not report.exists(), report.read_text()
    found = [decision for decision in decisions(tmp_path) if decision.votes]
    assert in_window(found)
    for decision in found:
        assert {vote.source for vote in decision.votes} == SIX
        assert all(vote.signal is not None or vote.abstained for vote in decision.votes)
        assert decision.context.spot is not None
        assert decision.context.put_call is not None
        assert decision.context.sentiment is not None
        assert decision.context.consensus is not None
        assert decision.context.consensus.n >= 2
    assert any(decision.context.strike is not None for decision in found)
    assert all(encode(replay(encode(decision))) == encode(decision) for decision in found if _pure(decision))
    shown = re.sub(r"\s+", " ", bot.output)
    assert all(name in shown for name in ("Book", "Tick", "Div", "Spike", "PCR", "F&G"))


@pytest.mark.slow
def test_dead_sources_cost_their_votes_only(tmp_path):
    """With every external source dead, decisions still come inside the window, and the absences are named."""
    with BotProcess(tmp_path, "--test-mode", "--venue", "synthetic", "--markets", "1") as bot:
        arm(bot, "external_down", service="all")
        assert bot.wait(90) == 0, bot.output
    found = [decision for decision in decisions(tmp_path) if decision.votes]
    assert in_window(found)
    for decision in found:
        assert {"coinbase", "deribit", "fear_greed"} <= decision.context.absent.keys()
        assert all(vote.signal is not None or vote.abstained for vote in decision.votes)


@pytest.mark.slow
def test_a_source_that_hangs_costs_its_vote_and_no_time(tmp_path):
    """With Coinbase answering after 10 s its vote is missing, and no order has waited for it."""
    arguments = ("--test-mode", "--venue", "synthetic", "--markets", "1")
    # Neither the bot's deadline nor the source's limit, 5 s, then hides a decision that waits.
    settings = {**BUYS, "FEED_DEADLINE_SECONDS": "20"}
    with BotProcess(tmp_path, *arguments, settings=settings) as bot:
        arm(bot, "external_slow", service="coinbase,coinbase_exchange", seconds=10)
        assert bot.wait(90) == 0, bot.output
    found = [decision for decision in decisions(tmp_path) if decision.votes]
    assert in_window(found)
    assert all("coinbase" in decision.context.absent for decision in found)
    with LedgerReader(ledger_path(tmp_path / "state", "synthetic")) as ledger:
        traces = ledger.order_traces()
    assert traces
    for trace in traces:
        assert list(trace.stages) == list(OrderStage)
        assert trace.stages[OrderStage.POSTED] < 5e9


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_first_run_has_a_recorded_and_a_generated_market(tmp_path):
    """`--test-mode --markets 2` ends with 0 and equal cash; all six can vote in the generated market only."""
    with BotProcess(tmp_path, "--test-mode", "--markets", "2") as bot:
        assert bot.wait(240) == 0, bot.output
    assert "Traceback" not in bot.output
    assert re.search(r"recorded and generated markets in turn: 18 real .* generated ones of\s+│?", bot.output)
    assert "practice venue, recorded and generated markets" in bot.output
    with LedgerReader(ledger_path(tmp_path / "state", "mixed")) as ledger:
        check = ledger.last_cash_check()
        found = [ledger.decision(row.id) for row in ledger.decisions()]
    assert check is not None
    assert abs(check.difference) <= 1e-5
    assert {decision.context.market.kind for decision in found} == set(MarketKind)
    for decision in found:
        kind = decision.context.market.kind
        assert f"{kind}  Up " in bot.output
        if decision.votes:
            generated = kind is MarketKind.GENERATED
            assert ("coinbase" not in decision.context.absent) is generated
            assert (decision.context.spot is not None) is generated
            assert (decision.context.strike is not None) is generated
            assert {vote.source for vote in decision.votes} == SIX
    assert any(decision.votes for decision in found if decision.context.market.kind is MarketKind.GENERATED)


def _pure(decision: Decision) -> bool:
    """Whether the brain alone decided; the risk engine and the mode are not in its context."""
    return decision.reason not in (Reason.RISK, Reason.MODE)
