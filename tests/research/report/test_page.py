"""The report's page: sections and sentences, self-contained, escaped, and the page while a run goes on."""

import re
import shutil
import sys
from pathlib import Path

import msgspec
import pytest
from ledger_builders import NOON_NS, buy, market, open_ledger, refusal, send, settlement
from report_builders import trade, trades

from errors import Fatal
from execution.ledger import FillStatus
from execution.ledger.writer import Ledger
from models import OrderState, Outcome, Reason
from monitoring.report import write_page
from research.report.edge import Estimate, FillRate, edge
from research.report.page import progress_page, render
from research.report.run_reader import fill_rate, own_fill_rates, read_run
from research.report.sections import conclusion
from tools.devtools import Browser

sys.path.insert(0, str(Path(__file__).parents[2] / "monitoring"))

from test_report import Page, shared_rows

EVIL = "<script>alert(1)</script>\"'&<img src=http://evil.example/x>"
SECTIONS = {
    *(
        "result",
        "plots",
        "required-sample",
        "markets",
        "equity",
        "ask-seen-and-price-paid",
        "by-price-and-second",
    ),
    *("calibration", "with-and-without-each-processor", "by-signal", "funnel", "trades", "method"),
}
PLOTS = {
    "plot-equity",
    "plot-edge-groups",
    "plot-calibration-price",
    "plot-calibration-model",
    "plot-signals",
    "plot-funnel",
}


@pytest.fixture
def ledger_path(tmp_path):
    """Five settled trades, three won; a sixth order without a fill; a market that was refused."""
    path = tmp_path / "ledger.db"
    with open_ledger(path) as ledger:
        for number in range(1, 6):
            buy(ledger, number)
            ledger.record_fill_status(f"t{number}-1", FillStatus.CONFIRMED)
            winner = Outcome.UP if number < 4 else Outcome.DOWN
            ledger.record_settlement(settlement(number, winner, NOON_NS + number * 10**12))
        ledger.record_state(send(ledger, 6), OrderState.NO_FILL)
        ledger.record_decision(refusal(7, Reason.DISAGREEMENT))
        for number in (6, 7):
            ledger.record_settlement(settlement(number, Outcome.UP, NOON_NS + number * 10**12))
    return path


def page_of(path, **changes):
    return render(read_run(path), "Recordings: test", **{"recorded": 9} | changes)


def test_everything_is_there(ledger_path):
    """Each section and plot, and the numbers in sentences: five trades at 0.90, three of them won."""
    page = Page(page_of(ledger_path, left_out={"m-8": "gap", "m-9": "gap"}))

    assert page.ids() >= SECTIONS | PLOTS
    for fragment in (
        "7 markets, 5 trades: cannot tell. The edge after fees is -30.63 points (95 % interval -75.97 to"
        " +4.10)",
        "to see an edge of 2 points, about 1,978 trades are needed, that is 29 more days at 68.6 trades a",
        "9 recorded markets: 2 (22%) left out of the run (gap 2); 2 (22%) not traded"
        " (disagreement 1, no fill 1).",
        *("twap60, v1, fee 0.07, 15 min", "Edge at any time", "790 to 800 s"),
        *("0.90 to 0.96", "without TickVelocity", "Orders: matched 5, no fill 1", "m-9", "position_size_usd"),
    ):
        assert fragment in page.text, fragment


def test_a_halted_run_is_named(ledger_path):
    """A run that halted is shown as such, until it is resumed."""
    assert "halted" not in page_of(ledger_path)
    with Ledger(ledger_path) as ledger:
        ledger.join_last_run()
        ledger.record_halt("internal error: <x>")
    assert "bought nothing afterwards: internal error: <x>" in Page(page_of(ledger_path)).text


def test_the_edge_after_fees_comes_first(ledger_path):
    """The conclusion and the edge after fees are above every win rate."""
    text = Page(page_of(ledger_path)).text
    assert text.index("cannot tell") < text.index("after fees0.9063-30.63") < text.index("60.0%")


def test_no_win_rate_without_its_interval(ledger_path):
    """Every table with a share won has n, the interval and the break-even or chance beside it."""
    html = page_of(ledger_path)
    heads = [re.findall(r"<th [^>]*>(.*?)</th>", head) for head in re.findall(r"<thead>.*?</thead>", html)]
    with_rates = [head for head in heads if "won" in head or "right" in head]

    assert len(with_rates) == 8
    for head in with_rates:
        assert {"n", "95 % interval"} <= set(head)
        assert {"break-even", "implied chance", "market&#x27;s price"} & set(head)


def test_the_same_run_gives_the_same_bytes(ledger_path):
    """The page has no time of its own and no random number without a seed."""
    assert page_of(ledger_path) == page_of(ledger_path)


def test_self_contained_and_escaped(ledger_path):
    """No script, no address to fetch; what others wrote is text and changes no element."""
    run = read_run(ledger_path)
    evil = msgspec.structs.replace(
        run,
        trades=[msgspec.structs.replace(each, slug=EVIL) for each in run.trades],
        markets=dict.fromkeys((EVIL, *run.markets), next(iter(run.markets.values()))),
    )
    html = render(evil, EVIL, recorded=9, left_out={EVIL: EVIL})
    page = Page(html)

    assert {name for name, _ in page.elements}.isdisjoint({"script", "img", "iframe", "object", "a"})
    assert page.text.count(EVIL) >= 8
    assert "refresh" not in html
    assert set(re.findall(r"https?://[^\s\"<&]+", html)) == {
        "http://www.w3.org/2000/svg",
        "http://evil.example/x",
    }


def test_a_run_without_trades(tmp_path):
    """Without markets, and with a refusal only, each section states that there is nothing to show."""
    path = tmp_path / "ledger.db"
    with open_ledger(path) as ledger:
        assert "No market." in Page(page_of(path, recorded=0)).text
        ledger.record_decision(refusal(1))
    page = Page(page_of(path, recorded=1))
    assert "1 market, no settled trade: nothing can be concluded." in page.text
    assert page.text.count("No settled trade yet.") == 5


class TestConclusion:
    RATE = FillRate(name="this backtest", traded=7, markets=18, seconds=18 * 900)

    def test_too_small(self):
        """18 markets, 7 trades: the sample and the days that are missing."""
        assert conclusion(18, edge(trades(7, 7)), self.RATE) == (
            "18 markets, 7 trades: cannot tell. The edge after fees is +18.88 points (95 % interval -22.08 to"
            " +18.88); to see an edge of 2 points, about 3,242 trades are needed, that is 87 more days at"
            " 37.3 trades a day (this backtest)."
        )

    @pytest.mark.parametrize(
        ("low", "pnl", "text"),
        [
            (0.001, 0.2, "a profit. The edge after fees is +1.10 points (95 % interval +0.10 to +2.10). It"),
            (-0.03, -0.2, "a loss. The edge after fees is -2.00 points (95 % interval -3.00 to -1.00). It"),
            (-0.01, 0.2, "no edge is shown. The edge after fees is +0.00 points"),
            (0.001, -0.2, "no edge is shown. The edge after fees is +1.10 points"),
        ],
    )
    def test_large_sample(self, low, pnl, text):
        """With the required sample: a profit or a loss where edge and P&L exclude zero on the same side."""
        small = edge(trades(7, 7))
        found = msgspec.structs.replace(
            small,
            numbers=msgspec.structs.replace(small.numbers, n=3242, markets=3242),
            after=Estimate(mean=low + 0.01, low=low, high=low + 0.02),
            mean_pnl=Estimate(mean=pnl, low=pnl - 0.1, high=pnl + 0.1),
        )
        assert conclusion(5000, found, self.RATE).startswith(f"5,000 markets, 3,242 trades: {text}")
        fewer = msgspec.structs.replace(found, numbers=msgspec.structs.replace(found.numbers, markets=3241))
        assert "cannot tell" in conclusion(5000, fewer, self.RATE)


def test_own_fill_rate(tmp_path):
    """The paper and the live ledger of the user are read, with the markets that were observed."""
    assert own_fill_rates(tmp_path) == ([], [])
    for profile in ("polymarket", "live"):
        (tmp_path / profile).mkdir()
    with open_ledger(tmp_path / "polymarket" / "ledger.sqlite") as ledger:
        buy(ledger, 1)
        ledger.record_settlement(settlement(1))
        ledger.record_decision(refusal(2))
        ledger.record_market(market(3))
    with open_ledger(tmp_path / "live" / "ledger.sqlite"):
        pass
    (rate,), errors = own_fill_rates(tmp_path)
    assert errors == []
    assert rate == FillRate(name="your paper trades", traded=1, markets=2, seconds=1800)
    assert fill_rate("x", [], [trade(1)], 1) is None


def test_an_unreadable_ledger_does_not_cost_the_report(ledger_path, tmp_path):
    """A damaged ledger of the user is named in the report, which is complete otherwise."""
    (tmp_path / "polymarket").mkdir()
    (tmp_path / "polymarket" / "ledger.sqlite").write_bytes(b"x" * 5000)
    rates, errors = own_fill_rates(tmp_path)
    assert (rates, len(errors)) == ([], 1)
    text = Page(page_of(ledger_path, own_rates=rates, errors=errors)).text
    assert f"The fill rate of your own bot is not known: {errors[0]}" in text
    assert "cannot tell" in text


class TestProgress:
    def test_follows_the_run(self, tmp_path):
        """The page reloads itself and shows the markets that are done, at most once a second."""
        path, now = tmp_path / "report.html", [0.0]
        with progress_page(path, 18, lambda: now[0]) as advance:
            first = path.read_text()
            now[0] = 0.9
            advance()
            assert path.read_text() == first
            now[0] = 4.0
            advance()
            page = Page(path.read_text())
        assert "0 of 18 markets" in Page(first).text
        assert "2 of 18 markets, 4 s elapsed, about 32 s left" in page.text
        assert {"http-equiv": "refresh", "content": "2"} in page.find("meta")

    @pytest.mark.parametrize(
        ("error", "text"),
        [(Fatal("no room", "Free some"), "no room. Free some"), (KeyboardInterrupt(), "Key")],
    )
    def test_a_failure_is_shown(self, tmp_path, error, text):
        """A page of a run that failed contains the error and does not reload."""
        path = tmp_path / "report.html"
        with pytest.raises(type(error)):
            fail_after_a_market(path, error)
        assert f"The run ended after 1 of 18 markets: {text}" in path.read_text()
        assert "refresh" not in path.read_text()

    def test_a_path_that_cannot_be_written(self, tmp_path):
        """It is reported before the run starts; without a path there is no page."""
        with pytest.raises(Fatal, match="is a folder"), progress_page(tmp_path, 1):
            pytest.fail("the run must not start")
        with progress_page(None, 1) as advance:
            advance()
        assert list(tmp_path.iterdir()) == []


def fail_after_a_market(path, error):
    with progress_page(path, 18) as advance:
        advance()
        raise error


OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
OUTSIDE = """
[...document.querySelectorAll("svg")].flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll(".dot, .whisker, .band, .curve, .stage, text")].filter(mark => {
    const box = mark.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1
      || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
  }).map(mark => svg.id + " " + mark.outerHTML);
})"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_in_a_browser(ledger_path, tmp_path):
    """Chromium draws all plots inside their frames, without a request, an error or a horizontal scroll bar,
    on a desktop and on a phone; on the desktop they share rows."""
    target = tmp_path / "report.html"
    write_page(page_of(ledger_path), target)
    with Browser(target.as_uri(), tmp_path / "profile") as browser:
        for width in (1280, 390):
            browser.ask(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=900,
                deviceScaleFactor=1,
                mobile=width < 500,
            )
            assert (browser.evaluate(OVERFLOW), browser.evaluate(OUTSIDE)) == (0, [])
        assert [shared_rows(browser, width) for width in (1280, 390)] == [6, 0]
        assert set(browser.evaluate("[...document.querySelectorAll('svg')].map(svg => svg.id)")) == PLOTS
        asked = [event["request"]["url"] for event in browser.events("Network.requestWillBeSent")]
        assert [url for url in asked if not url.startswith("data:")] == [target.as_uri()]
        assert [*browser.events("Log.entryAdded"), *browser.events("Runtime.consoleAPICalled")] == []
