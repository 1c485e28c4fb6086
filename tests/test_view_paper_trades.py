"""The viewer: its output for people and for programs, its exit codes, and its start time."""

import io
import json
import os
import stat
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from ledger_builders import NOON_NS, buy, market, open_ledger, send, settlement
from rich.console import Console

import view_paper_trades
from execution.ledger import LedgerReader, Mode, Venue, ledger_path
from execution.ledger.writer import Ledger
from models import OrderStage, OrderState, Outcome
from monitoring.performance_tracker import performance

ROOT = Path(view_paper_trades.__file__).parent


@pytest.fixture
def state(tmp_path):
    """A state folder with a recorded profile: a win, a loss, a pending trade and an unknown order."""
    with open_ledger(ledger_path(tmp_path, "recorded"), note="recorded markets of 2026-09-28") as ledger:
        buy(ledger, 1)
        buy(ledger, 2, outcome=Outcome.DOWN, shares="1.25", price="0.8", fee="0.014")
        buy(ledger, 3, shares="1.0526", price="0.95", fee="0.0035")
        ledger.record_settlement(settlement(1))
        ledger.record_settlement(settlement(2))
        ledger.record_cash_check(Decimal("996.98307"))
        ledger.record_state(send(ledger, 4), OrderState.UNKNOWN)
    return tmp_path


def run(capsys, state, *flags):
    code = view_paper_trades.main(["--state", str(state), *flags])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def at_width(monkeypatch):
    """Sets the width that the output is fitted to."""
    return lambda columns: monkeypatch.setenv("COLUMNS", str(columns))


@pytest.mark.parametrize("columns", [80, 120])
def test_table_fits_and_is_complete(capsys, state, at_width, columns):
    """At 80 and at 120 columns every column is complete, and no line is longer than the screen."""
    at_width(columns)

    code, out, _ = run(capsys, state)

    lines = out.splitlines()
    spent = ["spent"] if columns == 120 else []
    headings = [
        "#",
        "time",
        "market",
        "dir",
        "stake",
        *spent,
        "price",
        "fee",
        "score",
        "conf",
        "outcome",
        "P&L",
    ]
    assert code == 0
    assert max(map(len, lines)) <= columns
    assert next(line for line in lines if line.lstrip().startswith("#")).split() == headings
    place = market(2).slug if columns == 120 else "09-28 12:30"
    row = next(line for line in lines if line.startswith("2 "))
    assert row.split() == [
        *("2", "09-28", "12:00", *place.split(), "DOWN", "1.00", *(["1.000000"] if spent else []), "0.800"),
        *("0.0140", "61.5", "72%", "LOSS", "-1.014"),
    ]


def with_origins(state, *origins):
    """The results of the ledger, as if its trades were in practice markets of these origins."""
    results = view_paper_trades.load(ledger_path(state, "recorded"), "mixed", None)
    trades = [
        msgspec.structs.replace(row, origin=origin)
        for row, origin in zip(results.trades, origins, strict=True)
    ]
    found = performance(trades, starting=Decimal(1000))
    return msgspec.structs.replace(results, trades=trades, performance=found)


@pytest.mark.parametrize("columns", [80, 120])
def test_recorded_and_generated_markets_are_told_apart(state, columns):
    """Each trade's market is called recorded or generated, each kind has its own sum, and it still fits."""
    screen = Console(file=io.StringIO(), width=columns, highlight=False, markup=False)
    results = with_origins(state, "btc-updown-15m-1790586000", "synthetic-57-1", "synthetic-57-3")
    view_paper_trades.show(results, screen)
    lines = screen.file.getvalue().splitlines()
    assert lines[0].endswith("practice venue, recorded and generated markets")
    assert max(map(len, lines)) <= columns
    rows = [next(line for line in lines if line.startswith(f"{n} ")) for n in (1, 2, 3)]
    kinds = ["recorded", "generated", "generated"]
    if columns == 80:
        assert [row.split()[3:5] for row in rows] == [
            [time, kind] for time, kind in zip(("12:15", "12:30", "12:45"), kinds, strict=True)
        ]
    else:
        assert [row.split()[3:5] for row in rows] == [
            [market(n).slug, kind] for n, kind in zip((1, 2, 3), kinds, strict=True)
        ]
    text = " ".join(" ".join(lines).split())
    assert "Recorded 1 settled (1 won, 0 lost), 0 pending, P&L +0.103 pUSD" in text
    assert "Generated 1 settled (0 won, 1 lost), 1 pending, P&L -1.014 pUSD" in text
    document = json.loads(view_paper_trades.as_json(results))
    groups = {group["name"]: group["statistics"]["n"] for group in document["performance"]["by_kind"]}
    assert groups == {"recorded": 1, "generated": 1}


@pytest.mark.parametrize("origin", ["", "btc-updown-15m-1790586000"])
def test_one_kind_of_market_has_no_sums_of_its_own(state, origin):
    """Where all markets are of one kind its sum is the total's."""
    screen = Console(file=io.StringIO(), width=120, highlight=False, markup=False)
    view_paper_trades.show(with_origins(state, origin, origin, origin), screen)
    assert not any(line.startswith(("Recorded", "Generated")) for line in screen.file.getvalue().splitlines())


def test_header_names_venue_period_and_note(capsys, state, at_width):
    """The kind of markets, the period, and that it is a simulation are shown above the numbers."""
    at_width(120)

    _, out, _ = run(capsys, state)

    assert out.startswith("PAPER TRADES (simulation): practice venue, recorded real markets\n")
    assert "recorded markets of 2026-09-28; traded 2026-09-28 12:00 to 2026-09-28 12:00 UTC" in out


def test_no_win_rate_stands_alone(capsys, state, at_width):
    """The line with the win rate has n, the interval and the break-even, and the conclusion follows."""
    at_width(200)

    _, out, _ = run(capsys, state)

    (line,) = [line for line in out.splitlines() if line.startswith("Win rate")]
    assert "50.0% (n = 2, 95 % interval 9.5% to 90.5%); break-even after fees is 85.9%" in line
    assert "Not distinguishable from chance: 2 distinct markets settled" in out


def test_unfinished_business_is_shown(capsys, state, at_width):
    """Orders in flight, money to redeem and the cash comparison are in the text."""
    at_width(200)

    _, out, _ = run(capsys, state)

    assert "1 order without a known outcome" in out
    assert "1.10 pUSD won in 1 market" in out
    assert "996.9856" in out
    assert "the venue's 996.9831" in out


def test_plain_when_not_a_terminal(capsys, state):
    """Piped output contains no escape codes."""
    _, out, _ = run(capsys, state)

    assert "\x1b" not in out


def test_json_is_one_object_with_exact_money(capsys, state):
    """--json prints the same numbers for programs, money to the last digit."""
    code, out, _ = run(capsys, state, "--json")

    document = json.loads(out, parse_float=Decimal)
    assert code == 0
    assert {
        *("n", "wins", "losses", "pending", "staked", "fees", "pnl", "win_rate", "wilson_low"),
        *("wilson_high", "break_even", "verdict", "cash", "venue", "since"),
    } <= set(document)
    assert (document["n"], document["wins"], document["losses"], document["pending"]) == (2, 1, 1, 1)
    assert document["pnl"] == Decimal("-0.91093")
    assert (document["venue"], document["mode"], document["since"]) == ("recorded", "simulation", None)
    assert document["orders_in_flight"] == 1
    cash = document["cash"]
    assert cash["difference"] == cash["venue_cash"] - cash["ledger_cash"]
    assert cash["venue_cash"] == Decimal("996.98307")


def test_json_has_performance_and_funnel(capsys, state):
    """--json contains the tracker's numbers and the funnel with every name, zeros included."""
    document = json.loads(run(capsys, state, "--json")[1], parse_float=Decimal)

    found = document["performance"]
    assert found["equity"] == 1000 + document["pnl"] == Decimal("999.08907")
    assert (found["realised"], found["drawdown"]["amount"]) == (document["pnl"], Decimal("0.91093"))
    assert {group["name"]: group["statistics"]["n"] for group in found["by_side"]} == {"Up": 1, "Down": 1}
    versions = {group["name"]: group["statistics"]["n"] for group in found["by_version"]}
    assert versions == {"v1": 2, "v2": 0}
    assert [source["source"] for source in found["by_source"]] == ["TickVelocity"]
    stages = {stage["stage"]: stage["markets"] for stage in document["funnel"]["stages"]}
    assert next(iter(stages)) == "seen"
    assert (stages["seen"], stages["ordered"], stages["matched"], stages["confirmed"]) == (4, 4, 3, 0)
    assert document["funnel"]["decisions"]["no_ask"] == 0
    assert document["funnel"]["orders"]["unknown"] == 1


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 24)])
def test_the_results_fit_one_screen(state, columns, rows):
    """Without --details: a screen of 24 lines, the essential statistics, and the command for the rest."""
    screen = Console(file=io.StringIO(), width=columns, highlight=False, markup=False)
    results = view_paper_trades.load(ledger_path(state, "recorded"), "recorded", None)
    view_paper_trades.show(results, screen)
    lines = screen.file.getvalue().splitlines()
    assert len(lines) <= rows
    assert max(map(len, lines)) <= columns
    names = {line.split("  ")[0] for line in lines}
    assert {"Trades", "Win rate", "Per trade", "Money", "Conclusion", "Cash", "Markets"} <= names
    assert lines[-1] == "every statistic: python view_paper_trades.py --venue recorded --details"


def test_the_table_has_the_newest_trades(state):
    """Of many trades the newest five are in the table, numbered as in --details, and the rest is counted."""
    screen = Console(file=io.StringIO(), width=120, highlight=False, markup=False)
    results = view_paper_trades.load(ledger_path(state, "recorded"), "recorded", None)
    many = msgspec.structs.replace(results, trades=results.trades * 4)
    view_paper_trades.show(many, screen)
    text = screen.file.getvalue()
    numbers = [line.split()[0] for line in text.splitlines() if " DOWN " in line or " UP " in line]
    assert numbers == ["8", "9", "10", "11", "12"]
    assert "7 earlier trades, every statistic: " in text


def test_performance_signals_and_funnel_in_the_text(capsys, state, at_width):
    """The table view shows equity, drawdown, each signal with its interval, and what stopped markets."""
    at_width(200)

    _, out, _ = run(capsys, state, "--details")

    lines = {line.split("  ")[0].strip(): line for line in out.splitlines()}
    assert "999.089 pUSD from 1000.000, realised -0.911" in lines["Equity"]
    assert "0.911 pUSD from peak to trough, at most 0.09% of the peak" in lines["Drawdown"]
    assert "0.10 pUSD gained for each one lost" in lines["Profit factor"]
    assert "n = 2 markets): not distinguishable from zero" in lines["Sharpe"]
    assert "right 100.0% (n = 2 votes in 2 markets, 95 % interval 34.2% to 100.0%)" in lines["TickVelocity"]
    assert lines["matched"].split() == ["matched", "3", "unknown", "1"]
    assert "Decisions: buy 4; orders: matched 3, unknown 1" in out


def traced(state) -> None:
    """Store the times of two orders' steps: one was answered, the other withheld before the POST."""
    with Ledger(ledger_path(state, "recorded")) as ledger:
        ledger.record_trace(
            "i1-1",
            {
                OrderStage.QUOTE: 0,
                OrderStage.CONTEXT: 300_000,
                OrderStage.DECIDED: 1_100_000,
                OrderStage.POSTED: 4_250_000,
                OrderStage.ANSWERED: 160_000_000,
            },
        )
        ledger.record_trace("i2-1", {OrderStage.QUOTE: 0, OrderStage.CONTEXT: 500_000})


@pytest.mark.parametrize("columns", [80, 120])
def test_the_latency_of_the_orders_is_a_detail(capsys, state, at_width, columns):
    """--details has each step with the number of its orders and without a percentile of so few; it fits, and
    the first screen has no more lines than before."""
    at_width(columns)
    short = run(capsys, state)[1]
    assert "Latency" not in run(capsys, state, "--details")[1]
    traced(state)

    _, out, _ = run(capsys, state, "--details")

    lines = out[out.index("Latency of the orders") :].splitlines()
    assert [line.rsplit(maxsplit=6) for line in lines[2:6]] == [
        ["prices and books frozen", "2", "0.30", "–", "–", "0.50", "0.30"],
        ["decided", "1", "1.10", "–", "–", "1.10", "0.80"],
        ["first byte of the POST", "1", "4.25", "–", "–", "4.25", "3.15"],
        ["answered by the venue", "1", "160.00", "–", "–", "160.00", "155.75"],
    ]
    assert max(map(len, lines)) <= columns
    assert run(capsys, state)[1] == short


def test_the_latency_is_in_the_json_and_in_the_report(capsys, state, tmp_path):
    """Nanoseconds for programs, null for a percentile of too few orders; a section of the HTML report."""
    traced(state)
    target = tmp_path / "report.html"
    found = json.loads(run(capsys, state, "--json", "--html", str(target))[1])["order_latency"]
    assert [(row["stage"], row["orders"], row["p50_ns"]) for row in found] == [
        ("context", 2, 300_000),
        ("decided", 1, 1_100_000),
        ("posted", 1, 4_250_000),
        ("answered", 1, 160_000_000),
    ]
    assert found[0]["p99_ns"] is None
    page = target.read_text(encoding="utf-8")
    assert 'id="latency-of-the-orders"' in page
    assert "first byte of the POST" in page
    later = json.loads(run(capsys, state, "--json", "--since", "2026-09-29")[1])
    assert later["order_latency"] == []


def test_html_is_written_instead_of_the_table(capsys, state, tmp_path):
    """--html writes the report, prints its path and no table; with --json the object is still printed."""
    target = tmp_path / "report.html"

    code, out, err = run(capsys, state, "--html", str(target))
    _, both, _ = run(capsys, state, "--html", str(target), "--json")

    page = target.read_text(encoding="utf-8")
    assert (code, err) == (0, "")
    assert out == f"The report is in {target}. Open it in a browser.\n"
    assert page.startswith("<!DOCTYPE html>")
    assert "practice venue, recorded real markets" in page
    assert 'id="plot-equity"' in page
    assert json.loads(both)["n"] == 2


def test_html_that_cannot_be_written(capsys, state, tmp_path):
    """A missing folder is exit 1 and one line with what to do."""
    code, out, err = run(capsys, state, "--html", str(tmp_path / "no" / "report.html"))

    assert (code, out) == (1, "")
    assert "Choose another file for --html" in err


@pytest.mark.parametrize(
    ("surplus", "recorded", "agrees"),
    [
        ("0", False, True),
        ("1.1", False, True),
        ("1.1", True, True),
        ("0.5", False, False),
        ("-1.1", True, False),
        ("2.2", True, False),
    ],
)
def test_a_payout_around_the_comparison_is_no_difference(tmp_path, surplus, recorded, agrees):
    """A redemption may be paid before the comparison, and be recorded after it or not yet."""
    path = ledger_path(tmp_path, "rehearsal-synthetic")
    path.parent.mkdir(parents=True)
    with open_ledger(path) as ledger:
        buy(ledger)
        ledger.record_settlement(settlement())
        ledger.record_cash_check(Decimal("999.00307") + Decimal(surplus))
        if recorded:
            ledger.record_redemption(market().slug, Decimal("1.1"))
    assert view_paper_trades.load(path, "rehearsal-synthetic", None).cash_agrees is agrees


def test_since_begins_with_the_balance_of_then(capsys, state):
    """With --since equity starts with the balance after the earlier trades."""
    found = json.loads(run(capsys, state, "--json", "--since", "2026-09-28T12:00:02")[1], parse_float=Decimal)

    assert found["performance"]["starting"] == Decimal("1000.10307")
    assert found["performance"]["equity"] == Decimal("999.08907")
    assert found["funnel"]["stages"][0]["markets"] == 3


def test_since_leaves_out_what_was_before(capsys, state):
    """--since counts from the given moment, UTC, also when it is written with another offset."""
    _, later, _ = run(capsys, state, "--json", "--since", "2026-09-28T12:00:02")
    _, shifted, _ = run(capsys, state, "--json", "--since", "2026-09-28T14:00:02+02:00")
    _, nothing, _ = run(capsys, state, "--json", "--since", "2026-09-29")

    assert json.loads(later)["n"] == 1
    assert later == shifted
    assert json.loads(nothing)["n"] == 0


def test_empty_ledger(capsys, tmp_path):
    """A ledger without trades is shown as such, with nulls instead of rates, and is no failure."""
    path = ledger_path(tmp_path, "synthetic")
    Ledger(path).close()

    code, out, _ = run(capsys, tmp_path, "--json")
    table_code, text, _ = run(capsys, tmp_path)

    document = json.loads(out)
    assert (code, table_code) == (0, 0)
    assert (document["n"], document["win_rate"], document["break_even"]) == (0, None, None)
    assert set(document["cash"].values()) == {None}
    assert "no trades" in text


def test_without_a_ledger_the_command_to_run_is_shown(capsys, tmp_path):
    """Before the first run: exit 1, nothing on stdout, one line with the command on stderr."""
    code, out, err = run(capsys, tmp_path)
    live_code, _, live = run(capsys, tmp_path, "--live")
    venue_code, _, venue = run(capsys, tmp_path, "--venue", "synthetic")

    assert (code, live_code, venue_code) == (1, 1, 1)
    assert out == ""
    assert err.count("\n") == 1
    assert "python runner.py --test-mode" in err
    assert "python runner.py --live" in live
    assert "python runner.py --test-mode --venue synthetic" in venue


@pytest.mark.parametrize(
    "flags",
    [["--since", "yesterday"], ["--venue", "kalshi"], ["--nonsense"], ["--live", "--venue", "recorded"]],
)
def test_bad_usage(state, capsys, flags):
    """Wrong flags exit 2 with the usage."""
    with pytest.raises(SystemExit) as ended:
        run(capsys, state, *flags)

    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_newest_book_is_the_default(capsys, state):
    """Without --venue the paper profile that ran last is shown; --venue selects one, live is never mixed
    in."""
    later = iter(range(NOON_NS + 10**12, NOON_NS + 10**13, 10**9))
    for mode, venue, book in (
        (Mode.SIMULATION, Venue.SYNTHETIC, "synthetic"),
        (Mode.LIVE, Venue.POLYMARKET, "live"),
    ):
        with Ledger(ledger_path(state, book), lambda: next(later)) as ledger:
            ledger.open_run(mode=mode, venue=venue, clock_speed=1, starting_cash=Decimal(50))

    def shown(*flags):
        return json.loads(run(capsys, state, "--json", *flags)[1])

    assert shown()["book"] == "synthetic"
    assert shown("--venue", "recorded")["n"] == 2
    assert (shown("--live")["mode"], shown("--live")["venue"]) == ("live", "polymarket")
    assert "real money" in run(capsys, state, "--live")[1]


def test_trades_of_a_practice_session_that_is_over(capsys, state, at_width):
    """A pending trade of an ended practice venue is named as one that stays pending."""
    at_width(200)
    with open_ledger(ledger_path(state, "recorded"), session="next") as ledger:
        buy(ledger, 5)
        _, out, _ = run(capsys, state)

    assert "1 pending from practice sessions that are over" in out


def test_damaged_ledger(capsys, state):
    """A damaged file is exit 1 and a message, not a traceback."""
    ledger_path(state, "recorded").write_bytes(b"garbage" * 1000)

    code, out, err = run(capsys, state, "--venue", "recorded")

    assert (code, out) == (1, "")
    assert "not a database" in err


def test_while_the_bot_writes(capsys, state):
    """The viewer reads the committed rows without disturbing the bot."""
    path = ledger_path(state, "recorded")
    with open_ledger(path) as ledger:
        buy(ledger, 8)
        _, out, _ = run(capsys, state, "--json")
        buy(ledger, 9)
        with LedgerReader(path) as reader:
            assert len(reader.trades()) == 5

    assert json.loads(out)["pending"] == 2


class TestScript:
    def script(self, *flags, **environment):
        return subprocess.run(
            [sys.executable, str(ROOT / "view_paper_trades.py"), *flags],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
        )

    def test_runs_by_itself(self, state):
        """The script runs from any folder and exits 0; NO_COLOR and a pipe give plain text."""
        done = self.script("--state", str(state), NO_COLOR="1")

        assert done.returncode == 0, done.stderr
        assert "Conclusion" in done.stdout
        assert "\x1b" not in done.stdout

    def test_help_names_every_flag(self):
        """--help exits 0 and explains all flags and the exit codes."""
        done = self.script("--help")

        assert done.returncode == 0
        for fragment in ("--json", "--html", "--live", "--venue", "--state", "--since", "Exit code"):
            assert fragment in done.stdout

    def test_is_executable(self):
        """It can be started by its name."""
        assert (ROOT / "view_paper_trades.py").stat().st_mode & stat.S_IXUSR

    def test_imports_nothing_heavy(self):
        """The viewer does not import the trading engine."""
        code = (
            "import sys, view_paper_trades;"
            "print([m for m in sys.modules if m.split('.')[0] in"
            " ('nautilus_trader', 'pandas', 'numpy', 'pydantic', 'asyncio')])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )

        assert done.stdout == "[]\n"


def marked(state, *, delay=""):
    """The pending trade's market is at 0.97 for Up; `delay` is why its result is late."""
    with open_ledger(ledger_path(state, "recorded")) as ledger:
        ledger.record_mark(market(3).slug, 825.0, Decimal("0.90"))
        ledger.record_mark(market(3).slug, 899.0, Decimal("0.97"))
        if delay:
            ledger.record_delay(market(3).slug, delay)


def test_an_open_position_is_marked_and_stays_pending(capsys, state, at_width):
    """It shows the value at the market's price, separate from every sum of results."""
    at_width(200)
    _, before, _ = run(capsys, state, "--details")
    marked(state)

    _, out, _ = run(capsys, state, "--details")

    worth = Decimal("1.0526") * Decimal("0.97")
    assert f"implied chance 97.0%: worth {worth:.4f} (+0.0176), PENDING" in out
    assert "~+0.018" in out
    money = next(line for line in before.splitlines() if line.startswith("Money"))
    assert money in out


def test_marks_are_in_the_json(capsys, state):
    """The JSON has the mark, its value and the unrealised result of each pending trade."""
    marked(state, delay="the resolution is disputed")

    _, out, _ = run(capsys, state, "--json")

    (position,) = json.loads(out)["positions"]
    assert position["slug"] == market(3).slug
    assert position["mark"]["p"] == 0.97
    assert position["value"] == 1.021022
    assert position["delay"] == "the resolution is disputed"


def test_a_late_resolution_is_shown_with_its_delay_and_reason(capsys, state, at_width):
    """A market that is over without an outcome is named with its waiting time and the venue's reason."""
    at_width(250)
    marked(state, delay="the resolution is disputed")

    _, out, _ = run(capsys, state)

    assert "waiting for the official outcome for" in out
    assert "the resolution is disputed" in out


def test_a_halt_and_learnt_weights_are_shown(capsys, state, at_width):
    """An active halt and learnt weights are among the lines of the account."""
    at_width(200)
    with open_ledger(ledger_path(state, "recorded")) as ledger:
        ledger.record_weights(10, {"TickVelocity": 0.25}, {"TickVelocity": 0.26})
        ledger.record_mode(Mode.LIVE, False, "mode store lost")
    (state / "recorded" / "HALTED").write_text('{"why": "3 orders in a row were refused", "since": "12:00"}')

    _, out, _ = run(capsys, state)

    assert "3 orders in a row were refused (since 12:00). To continue: python redis_control.py resume" in out
    assert "live, no new position since" in out
    assert "changed 1 time: TickVelocity 0.250 → 0.260" in out


def test_a_rehearsal_is_shown_as_one(capsys, tmp_path):
    """The profile of a rehearsal is found, and never called live or paper."""
    with open_ledger(ledger_path(tmp_path, "rehearsal-synthetic"), venue=Venue.SYNTHETIC) as ledger:
        buy(ledger, 1)

    code, out, _ = run(capsys, tmp_path)

    assert code == 0
    assert out.startswith("LIVE REHEARSAL (practice money): practice venue, generated markets")


def test_a_rehearsal_without_trades_shows_how_to_make_some(capsys, tmp_path):
    """The command shown is the one that fills this profile; with --live it has the right flag."""
    code, _, err = run(capsys, tmp_path, "--venue", "rehearsal-synthetic")
    with pytest.raises(SystemExit):
        run(capsys, tmp_path, "--live", "--venue", "recorded")

    assert code == 1
    assert "python runner.py --test-mode --live --venue synthetic" in err
    assert "--venue rehearsal-recorded" in capsys.readouterr().err


def test_a_book_that_cannot_be_read_hides_no_other(capsys, state):
    """An old damaged ledger does not prevent the newest from being shown; named, or newest, it is
    explained."""
    damaged = ledger_path(state, "synthetic")
    damaged.parent.mkdir()
    damaged.write_bytes(b"garbage" * 1000)
    os.utime(damaged, ns=(NOON_NS - 10**12, NOON_NS - 10**12))

    code, out, _ = run(capsys, state)
    os.utime(damaged, ns=(NOON_NS + 10**12, NOON_NS + 10**12))
    newest_code, _, newest = run(capsys, state)

    assert (code, newest_code) == (0, 1)
    assert out.startswith("PAPER TRADES")
    assert "not a database" in newest
