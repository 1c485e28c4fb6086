"""Results recorded by the operator: what the ledger stores, and what is refused."""

import io
from decimal import Decimal

import pytest
from ledger_builders import buy, market, open_ledger, refusal, settlement

import book_result
from control.locks import hold_state
from execution.ledger import LedgerReader, Mode, Venue, ledger_path
from execution.ledger.writer import Ledger
from models import Split, TradeOutcome

SLUG = market().slug
HALVES = ("--up", "0.5", "--down", "0.5", "--reason", "paid half\x1b[2J each")


@pytest.fixture
def live(tmp_path, monkeypatch):
    """A live ledger with one pending position; its bot has stopped."""
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    path = ledger_path(tmp_path / "state", "live")
    with open_ledger(path, mode=Mode.LIVE, venue=Venue.POLYMARKET) as ledger:
        buy(ledger)
        ledger.record_decision(refusal(2))
        ledger.record_delay(SLUG, "closed without a winner: Up 0.7, Down 0.3")
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command; returns its exit code and its output."""

    def command(*words, typed=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        try:
            code = book_result.main(words)
        except SystemExit as left:
            code = left.code
        shown = capsys.readouterr()
        assert "Traceback" not in shown.out + shown.err
        return code, shown.out + shown.err

    return command


def booked(path):
    with LedgerReader(path) as reader:
        return reader.settlement(SLUG), reader.trades()


def test_without_a_market_the_waiting_ones_are_listed(live, run):
    """Slug, position, and the reason for waiting: the data needed to find it at the venue."""
    code, shown = run()
    assert code == 0
    assert f"{SLUG}: 1.1 Up for 0.99693 pUSD; closed without a winner: Up 0.7, Down 0.3" in shown


def test_a_confirmed_result_stands_in_the_ledger_with_its_reason(live, run):
    """The position is settled at the typed values, by the operator, with the reason; trading sums follow."""
    code, shown = run(SLUG, *HALVES, typed="yes\n")
    assert (code, "payout 0.55 pUSD" in shown) == (0, True)
    settled, (trade,) = booked(live)
    assert (settled.source, settled.outcome) == ("operator", None)
    assert settled.split == Split(up=Decimal("0.5"), down=Decimal("0.5"))
    assert settled.reason == r"paid half\x1b[2J each"
    assert (trade.payout, trade.pnl, trade.outcome) == (
        Decimal("0.55"),
        Decimal("-0.44693"),
        TradeOutcome.LOSS,
    )
    with Ledger(live) as ledger:
        ledger.open_run(
            mode=Mode.LIVE, venue=Venue.POLYMARKET, clock_speed=1.0, starting_cash=Decimal("999.55307")
        )
    with LedgerReader(live) as reader:
        assert reader.pending_settlements() == []
        assert reader.claimable() == {SLUG: Decimal("0.55")}
    code, shown = run()
    assert (code, shown) == (0, "No position is without a result.\n")


@pytest.mark.parametrize(("up", "down", "won"), [("1", "0", "Up"), ("0.0", "1.00", "Down")])
def test_one_and_nothing_are_an_outcome_that_won(live, run, up, down, won):
    """A result that the bot could not read may still have a winner; the shares then pay like any other."""
    assert run(SLUG, "--up", up, "--down", down, "--reason", "seen", "--yes")[0] == 0
    settled, _ = booked(live)
    assert (settled.outcome, settled.split) == (won, None)


@pytest.mark.parametrize("typed", ["", "no\n", "y\n"])
def test_nothing_is_booked_without_yes(live, run, typed):
    """Any other answer leaves the ledger unchanged."""
    code, shown = run(SLUG, *HALVES, typed=typed)
    assert (code, "Nothing was recorded." in shown) == (1, True)
    assert booked(live)[0] is None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((SLUG,), "give the payout of both shares"),
        ((SLUG, "--up", "1", "--reason", "x"), "give the payout of both shares"),
        ((SLUG, "--up", "0.5", "--down", "0.5"), "give a --reason"),
        ((SLUG, "--up", "0.5", "--down", "0.5", "--reason", "  "), "give a --reason"),
        ((SLUG, "--up", "0.6", "--down", "0.5", "--reason", "x"), "more than the 1 pUSD"),
        ((SLUG, "--up", "1.5", "--down", "0", "--reason", "x"), "not an amount from 0 to 1"),
        ((SLUG, "--up", "NaN", "--down", "0", "--reason", "x"), "not an amount from 0 to 1"),
        ((SLUG, "--up", "0.3333333", "--down", "0", "--reason", "x"), "at most 6 decimals"),
        (("--up", "0.5"), "name the market"),
        (("--book", "nowhere"), "Name the book with --book"),
    ],
)
def test_bad_usage_is_named(live, run, words, why):
    """Exit code 2, and the message names what is missing or wrong."""
    code, shown = run(*words)
    assert (code, why in shown) == (2, True)
    assert booked(live)[0] is None


@pytest.mark.parametrize(
    ("slug", "why"), [(market(2).slug, "was not bought"), ("btc-updown-15m-0", "was not bought")]
)
def test_a_market_that_was_not_bought_is_refused(live, run, slug, why):
    """There is nothing to record in it."""
    code, shown = run(slug, *HALVES, "--yes")
    assert (code, why in shown) == (1, True)


def test_a_settled_market_is_refused(live, run):
    """A result is recorded once: the venue's, or the first one of an operator."""
    with Ledger(live) as ledger:
        ledger.join_last_run()
        ledger.record_settlement(settlement())
    code, shown = run(SLUG, *HALVES, "--yes")
    assert (code, "is settled by gamma: Up won" in shown) == (1, True)


def test_a_market_that_runs_is_refused(live, run, monkeypatch):
    """Its result is not known yet."""
    monkeypatch.setattr("book_result.time.time_ns", lambda: 0)
    code, shown = run(SLUG, *HALVES, "--yes")
    assert (code, "has not ended yet" in shown) == (1, True)
    assert booked(live)[0] is None


def test_the_bot_has_to_be_stopped(live, run, tmp_path):
    """A running bot has its own sums in memory: nothing is recorded beside it."""
    with hold_state(tmp_path / "state"):
        code, shown = run(SLUG, *HALVES, "--yes")
    assert (code, "Stop it before you record a result" in shown) == (1, True)
    with Ledger(live):
        code, shown = run(SLUG, *HALVES, "--yes")
    assert (code, "Stop that bot first" in shown) == (1, True)
    assert booked(live)[0] is None
