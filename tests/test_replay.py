"""`view_paper_trades.py --replay`: a recorded decision is taken again, and comes out as it was."""

import asyncio
import json
import sqlite3
import zlib
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from ledger_builders import decision, market, open_ledger
from practice_run import CONSENSUS, NO_ORDERS, PracticeRun, missed_window

import view_paper_trades
from core.strategy_brain.strategies.replay import replay
from execution.ledger import LedgerReader, ledger_path
from models import Decision, Reason

MARKETS = 24
WITHOUT_ORDERS = {2, 3, 19, 20}


@pytest.fixture(scope="module")
def state(tmp_path_factory) -> Path:
    """A state folder with a whole run: eighteen recorded markets and six generated ones."""
    folder = tmp_path_factory.mktemp("replay")
    path = ledger_path(folder, "synthetic")
    # Bought whatever the vote is, so that the limit of open positions is reached.
    run = PracticeRun(
        path,
        {
            "require_agreement": False,
            "fusion_min_score": 0.0,
            "max_slippage": Decimal("0.2"),
            "divergence_threshold": 0.001,
        },
    )
    asyncio.run(run.play(range(18), range(40, 46), WITHOUT_ORDERS))
    with open_ledger(path, venue="synthetic", session="practice") as ledger:
        for number, reason in ((30, Reason.NOT_TRADABLE), (31, Reason.STALE_DATA)):
            ledger.record_decision(missed_window(run, market(number), reason))
    return folder


@pytest.fixture
def reader(state):
    with LedgerReader(ledger_path(state, "synthetic")) as reader:
        yield reader


def shown(capsys, state, *flags) -> tuple[int, str, str]:
    code = view_paper_trades.main(["--state", str(state), *flags])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def first(reader, reason) -> int:
    return next(row.id for row in reader.decisions() if row.reason == reason)


def test_every_row_of_a_whole_run_is_identical(reader):
    """Twenty-four markets, refused, bought, stopped by mode and risk: each row comes out again."""
    rows = reader.decisions()
    assert len({row.slug for row in rows}) >= 20
    assert {None, "mode", "risk", "not_tradable", "stale_data", "no_signals", "no_ask"} <= {
        row.reason for row in rows
    }
    voters = set()
    for row in rows:
        recorded = reader.decision(row.id)
        found = replay(recorded)
        assert found.identical, (row.id, row.reason, found.differences)
        assert found.outside == (
            row.reason if row.reason in ("mode", "risk", "not_tradable", "stale_data") else None
        )
        voters |= {vote.source for vote in recorded.votes if vote.signal is not None}
    assert len(voters) == 6


def test_a_row_of_the_mode_shows_what_the_brain_had_decided(reader):
    """The evidence under a refusal by mode or risk is the brain's own, and its decision comes out again."""
    for reason, detail in (("mode", NO_ORDERS), ("risk", "positions are open")):
        found = replay(reader.decision(first(reader, reason)))
        assert detail in found.recorded.detail
        assert found.again.reason is not found.recorded.reason
        assert found.again.votes == found.recorded.votes != ()
    assert replay(reader.decision(first(reader, "risk"))).again.buys


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({"edge": 0.5}, ("edge",)),
        ({"reason": Reason.NO_EDGE, "detail": "x"}, ("reason", "detail")),
        ({"outcome": None}, ("outcome",)),
        ({"ask": Decimal("0.001")}, ("ask",)),
    ],
)
def test_a_changed_row_is_found_out(reader, changes, differences):
    """Whatever of a row differs from what the brain computes is named."""
    recorded = reader.decision(first(reader, "risk"))
    bought = msgspec.structs.replace(recorded, reason=None, detail=replay(recorded).again.detail)
    assert replay(bought).identical
    assert replay(msgspec.structs.replace(bought, **changes)).differences == differences


def test_a_changed_vote_is_named(reader):
    """The source whose vote differs is in the list, not only that votes do."""
    recorded = reader.decision(first(reader, "no_ask"))
    one, *rest = recorded.votes
    forged = msgspec.structs.replace(recorded, votes=(msgspec.structs.replace(one, weight=0.99), *rest))
    assert replay(forged).differences == ("votes (OrderBookImbalance)",)
    assert replay(msgspec.structs.replace(recorded, votes=(*rest, one))).differences == (
        "votes (their order)",
    )


def test_the_gates_are_those_of_the_decision(reader):
    """Each gate passes up to the one that refused, with its reason; the rest is not reached."""
    names = ["window", "freshness", "history", "fusion", "trend", "agreement", "edge", "liquidity"]
    for reason, gate in (("no_signals", "fusion"), ("no_ask", "liquidity")):
        found = replay(reader.decision(first(reader, reason)))
        assert [result.gate for result in found.gates] == names
        (refusing,) = (result for result in found.gates if result.refusal is not None)
        assert (refusing.gate, refusing.refusal.reason) == (gate, reason)
        assert refusing.refusal.detail == found.recorded.detail
        passed = names.index(gate) + 1
        assert [result.reached for result in found.gates] == [True] * passed + [False] * (8 - passed)
    bought = replay(reader.decision(first(reader, None)))
    assert all(gate.reached and gate.refusal is None for gate in bought.gates)


# --- the command -----------------------------------------------------------------------------------


def test_a_person_sees_context_votes_gates_and_the_conclusion(capsys, state, reader, monkeypatch):
    """Every part of a decision is on the screen, and exit code 0 means that it is identical."""
    monkeypatch.setenv("COLUMNS", "200")
    number = first(reader, "risk")
    recorded = reader.decision(number)
    code, out, err = shown(capsys, state, "--replay", str(number))
    assert (code, err) == (0, "")
    assert f"Decision {number}: {recorded.context.market.slug}" in out
    assert f"{recorded.context.p} ({len(recorded.context.history)} prices" in out
    for vote in recorded.votes:
        assert vote.source in out
        assert (vote.abstained or f"confidence {vote.signal.confidence:.3f}") in out
    for gate in ("window", "freshness", "history", "fusion", "trend", "agreement", "edge", "liquidity"):
        assert gate in out
    assert f"no order, risk: {recorded.detail}" in out
    assert f"buy {recorded.outcome} at {recorded.ask}, at most {recorded.price_cap}" in out
    assert "identical; the recorded reason, risk, is given by a step outside the strategy brain" in out


def test_the_row_has_the_consensus_of_the_sources(capsys, state, reader, monkeypatch):
    """What the sources of the spot price agreed on at the decision is in its row, and shown with the spot."""
    monkeypatch.setenv("COLUMNS", "200")
    found = [row.id for row in reader.decisions() if reader.decision(row.id).context.consensus is not None]
    assert reader.decision(found[0]).context.consensus == CONSENSUS
    _, out, _ = shown(capsys, state, "--replay", str(found[0]))
    assert "65000.5 by binance, coinbase; excluded: pyth at 72000" in out


def test_without_a_number_the_newest_is_replayed(capsys, state, reader):
    """`--replay` alone is for the decision that was just on the screen."""
    newest = reader.recent_decisions(1)[0]
    code, out, _ = shown(capsys, state, "--replay")
    assert code == 0
    assert f"Decision {newest.id}: {newest.slug}" in out


def test_a_program_gets_the_same(capsys, state, reader):
    """With --json one object: both decisions whole, the gates and whether they are identical."""
    number = first(reader, "mode")
    code, out, _ = shown(capsys, state, "--replay", str(number), "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["identical"], found["differences"], found["outside"]) == (True, [], "mode")
    assert found["recorded"]["detail"] == NO_ORDERS
    assert found["again"]["votes"] == found["recorded"]["votes"]
    assert msgspec.convert(found["recorded"], Decision, strict=False) == reader.decision(number)


def test_a_forged_row_gives_exit_code_one(capsys, tmp_path, monkeypatch):
    """Evidence of a decision that was changed in the ledger: the differences are named."""
    monkeypatch.setenv("COLUMNS", "200")
    path = ledger_path(tmp_path, "recorded")
    with open_ledger(path) as ledger:
        ledger.record_decision(decision(1))
    database = sqlite3.connect(path)
    (evidence,) = database.execute("SELECT evidence FROM decisions").fetchone()
    assert "velocity_60s" in zlib.decompress(evidence).decode()
    database.close()
    code, out, _ = shown(capsys, tmp_path, "--replay", "1")
    assert code == 1
    assert "DIFFERENT in votes (TickVelocity" in out
    code, out, _ = shown(capsys, tmp_path, "--replay", "1", "--json")
    assert code == 1
    assert json.loads(out)["identical"] is False


@pytest.mark.parametrize("number", ["999999", "-1"])
def test_an_unknown_decision_is_one_line(capsys, state, number):
    """A number that is not in the ledger is named with the newest there is."""
    code, out, err = shown(capsys, state, "--replay", number)
    assert (code, out) == (1, "")
    assert f"decision {number} is not in the ledger" in err
    assert "the newest is" in err
