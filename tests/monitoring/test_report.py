"""The HTML report: complete, self-contained, safe, and correct without data."""

import re
import shutil
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_builders import NOON_NS, buy, market, open_ledger, refusal, settlement

from errors import Fatal
from execution.ledger import FillStatus
from models import Outcome, Reason
from monitoring.equity_curve import EquityPoint
from monitoring.funnel import funnel
from monitoring.performance_tracker import performance
from monitoring.report import Report, render, write
from monitoring.report.calibration import by_model, by_price
from monitoring.report.html import Markup, tag
from monitoring.report.plots import thinned
from monitoring.report.reader import ReportReader
from monitoring.report.scales import Scale, ticks, time_ticks
from tools.devtools import Browser

EVIL = "<script>alert(1)</script>\"'&<img src=http://evil.example/x>"
PLOTS = {
    *("plot-equity", "plot-calibration-price", "plot-calibration-model", "plot-groups", "plot-signals"),
    "plot-funnel",
}


class Page(HTMLParser):
    """Collects elements with their attributes, and fails on tags that do not close."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self._open = [], "", []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in self.VOID:
            self._open.append(name)

    def handle_endtag(self, name):
        assert self._open.pop() == name

    def handle_data(self, data):
        self.text += data

    def ids(self):
        return {attributes["id"] for _, attributes in self.elements if "id" in attributes}

    def find(self, name):
        return [attributes for tag_name, attributes in self.elements if tag_name == name]


def report_of(path, **changes):
    with ReportReader(path) as reader:
        trades = reader.trades()
        report = Report(
            title="PAPER TRADES",
            period="recorded",
            generated=datetime(2026, 11, 22, tzinfo=UTC),
            trades=trades,
            performance=performance(trades, reader.votes(), starting=Decimal(1000)),
            funnel=funnel(reader.market_progress()),
            account=[("Cash", "999 pUSD")],
            positions=reader.positions(),
            weights=reader.weights(),
            evidence=reader.evidence(trade.decision_id for trade in trades),
            untraded=reader.untraded(25),
        )
    return msgspec.structs.replace(report, **changes)


@pytest.fixture
def ledger_path(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        for number in range(1, 7):
            buy(ledger, number, outcome=Outcome.DOWN if number % 2 else Outcome.UP)
            ledger.record_fill_status(f"t{number}-1", FillStatus.CONFIRMED)
        for number in range(1, 6):
            winner = Outcome.UP if number in (2, 3) else Outcome.DOWN
            ledger.record_settlement(settlement(number, winner, NOON_NS + number * 10**12))
        ledger.record_mark(market(6).slug, 899.0, Decimal("0.97"))
        ledger.record_delay(market(6).slug, "the resolution is disputed")
        ledger.record_weights(5, {"TickVelocity": 0.25}, {"TickVelocity": 0.262})
        ledger.record_decision(refusal(7, Reason.DISAGREEMENT))
    return path


def test_everything_is_there(ledger_path):
    """Each plot with title and description, each section, and the values of the statistics in sentences."""
    page = Page(render(report_of(ledger_path)))

    assert page.ids() >= PLOTS
    for svg in page.find("svg"):
        assert set(svg["aria-labelledby"].split()) <= page.ids()
    for fragment in (
        *("60.0% (n = 5, 95 % interval 23.1% to 88.2%); break-even after fees is 90.6%", "999 pUSD"),
        *("Not distinguishable from chance: 5 distinct markets", "disagreement 1", "TickVelocity"),
        *("Drawdown", "Profit factor", "Sharpe", "0.90 to 0.96"),
    ):
        assert fragment in page.text, fragment


def test_recorded_and_generated_markets_are_told_apart(ledger_path):
    """Each trade's market is called recorded or generated, and each kind has a sum of its own."""
    report = report_of(ledger_path)
    trades = [
        msgspec.structs.replace(row, origin="synthetic-57-1" if number % 2 else "btc-updown-15m-1790586000")
        for number, row in enumerate(report.trades)
    ]
    found = performance(trades, starting=Decimal(1000))
    text = Page(render(msgspec.structs.replace(report, trades=trades, performance=found))).text
    assert f"{market(1).slug} recorded" in text
    assert f"{market(2).slug} generated" in text
    assert "Recorded3 settled" in text
    assert "Generated2 settled" in text


def test_open_positions_are_apart_from_the_results(ledger_path):
    """Each pending position has its mark, waiting time and reason; without positions there is no section."""
    report = report_of(ledger_path)
    page = Page(render(report))
    bare = Page(render(msgspec.structs.replace(report, positions=(), weights=())))

    assert {"open-positions", "weights"} <= page.ids()
    for fragment in (
        "97.0%",
        "1.0670",
        "+0.0701",
        "PENDING",
        " days ",
        " h: the resolution is disputed",
        "+0.0120",
    ):
        assert fragment in page.text, fragment
    assert {"open-positions", "weights"}.isdisjoint(bare.ids())
    assert page.text.count("1.0670") == 1


def test_no_win_rate_without_its_interval(ledger_path):
    """Every table with a win rate has n, the interval and the value to compare it with beside it."""
    html = render(report_of(ledger_path))
    heads = [re.findall(r"<th [^>]*>(.*?)</th>", head) for head in re.findall(r"<thead>.*?</thead>", html)]
    with_rates = [head for head in heads if "won" in head or "right" in head]

    assert len(with_rates) == 7
    for head in with_rates:
        assert {"n", "95 % interval"} <= set(head)
        assert {"break-even", "implied chance", "market&#x27;s price"} & set(head)


def test_the_page_makes_no_request(ledger_path):
    """No script, no address to fetch, and a policy that makes the browser refuse both."""
    html = render(report_of(ledger_path))
    page = Page(html)

    assert {name for name, _ in page.elements}.isdisjoint({"script", "img", "iframe", "object", "a"})
    assert [link["href"] for link in page.find("link")] == ["data:,"]
    assert "url(" not in html
    assert "@import" not in html
    assert set(re.findall(r"https?://[^\s\"<]+", html)) == {"http://www.w3.org/2000/svg"}
    (policy,) = [meta["content"] for meta in page.find("meta") if "http-equiv" in meta]
    assert "default-src 'none'" in policy


def test_what_others_wrote_is_text(ledger_path):
    """A market's name, a note or a source with HTML in it is shown as text, and changes no element."""
    report = report_of(ledger_path)
    trades = [msgspec.structs.replace(trade, slug=EVIL) for trade in report.trades]
    sources = tuple(msgspec.structs.replace(s, source=EVIL) for s in report.performance.by_source)
    evil = msgspec.structs.replace(
        report,
        title=EVIL,
        period=EVIL,
        trades=trades,
        performance=msgspec.structs.replace(report.performance, by_source=sources),
        account=[(EVIL, EVIL)],
    )
    page = Page(render(evil))

    assert [name for name, _ in page.elements] == [name for name, _ in Page(render(report)).elements]
    assert page.text.count(EVIL) >= 8


def test_empty_book(tmp_path):
    """Without trades each section states so; there is no plot and no rate."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path):
        pass
    page = Page(render(report_of(path)))

    assert page.find("svg") == []
    assert page.text.count("No settled trade yet.") == 3
    for fragment in (
        "No market seen yet.",
        "No trade yet.",
        "No directional vote",
        ("no trade is settled yet"),
    ):
        assert fragment in page.text


@pytest.mark.parametrize("settled", [0, 1])
def test_few_trades(tmp_path, settled):
    """One pending trade, or one settled, is drawn without a division by zero."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        buy(ledger, 1)
        if settled:
            ledger.record_settlement(settlement(1))
    page = Page(render(report_of(path)))

    assert ("plot-equity" in page.ids()) is bool(settled)


def test_written_whole_or_not_at_all(ledger_path, tmp_path):
    """The file is the complete page without temporary files; a path that is not writable is an error text."""
    report = report_of(ledger_path)
    folder = tmp_path / "out"
    folder.mkdir()
    write(report, folder / "report.html")

    assert [file.name for file in folder.iterdir()] == ["report.html"]
    assert (folder / "report.html").read_text(encoding="utf-8") == render(report)
    with pytest.raises(Fatal, match=r"cannot be written: No such file or directory\. Choose another file"):
        write(report, folder / "missing" / "report.html")
    with pytest.raises(Fatal, match="is a folder"):
        write(report, folder)


def test_votes_are_of_the_filled_decision_or_the_last(tmp_path):
    """A bought market gives the votes of its purchase; another its last ones; an open one gives none."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        buy(ledger, 1)  # decision 1
        ledger.record_decision(refusal(1))
        ledger.record_decision(refusal(2))
        ledger.record_decision(refusal(2))  # decision 4
        buy(ledger, 3)
        ledger.record_settlement(settlement(1))
        ledger.record_settlement(settlement(2, Outcome.DOWN))
        with ReportReader(path) as reader:
            votes = reader.votes()

    assert [(vote.decision_id, vote.side, vote.winner) for vote in votes] == [
        (1, Outcome.UP, Outcome.UP),
        (4, Outcome.UP, Outcome.DOWN),
    ]
    assert [vote.chance for vote in votes] == [0.895, 0.895]


class TestCalibration:
    def test_by_hand(self, ledger_path):
        """Five trades at 90 cents, three won, are one bin; the pending one is in none."""
        (found,) = by_price(report_of(ledger_path).trades)

        assert (found.n, found.markets, found.won) == (5, 5, 0.6)
        assert found.chance == pytest.approx(0.9, abs=1e-5)
        assert (found.low, found.high) == pytest.approx((0.2307, 0.8824), abs=1e-4)

    def test_model(self, ledger_path):
        """The modelled probability has its own bins; trades without one are omitted."""
        trades = report_of(ledger_path).trades
        trades[0] = msgspec.structs.replace(trades[0], fair=None)
        trades[1] = msgspec.structs.replace(trades[1], fair=1.0)

        assert [(found.n, found.chance) for found in by_model(trades)] == [(4, pytest.approx(0.9325))]


class TestPlotting:
    @given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
    def test_ticks_are_round_and_inside(self, low, span):
        """Between two and thirteen ticks, evenly spaced and inside the range."""
        found = ticks(low, low + span)

        assert 2 <= len(found) <= 13
        assert all(low - span * 1e-6 <= tick <= low + span * (1 + 1e-6) for tick in found)
        steps = [after - before for before, after in pairwise(found)]
        assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)

    def test_ticks_need_a_range(self):
        """An empty range is an error, not an endless axis."""
        with pytest.raises(ValueError, match="no range"):
            ticks(1, 1)

    @given(st.integers(0, 2 * 10**9), st.integers(1, 4 * 10**8))
    def test_time_ticks_are_few_and_inside(self, low, span):
        """However long a run was, the time axis has at most fifteen labels, all within its own period."""
        marks = time_ticks(low, low + span)

        assert len(marks) <= 15
        assert all(low <= moment <= low + span for moment, _ in marks)

    def test_a_time_has_its_date_where_the_day_changes(self):
        """The first time and the first one of a day; each time of a longer axis is a date with its year."""
        noon = NOON_NS // 10**9
        assert [label for _, label in time_ticks(noon, noon + 17 * 3600, 5)] == [
            *("28 Sep 12:00", "18:00", "29 Sep 00:00"),
        ]
        assert [label for _, label in time_ticks(noon, noon + 3 * 86400, 5)] == [
            *("29 Sep 2026", "30 Sep 2026", "01 Oct 2026"),
        ]

    def test_scale(self):
        """Ends map to ends, also downwards."""
        scale = Scale(low=0, high=10, start=300, stop=100)

        assert (scale(0), scale(5), scale(10)) == (300, 200, 100)

    @given(st.lists(st.integers(-50, 50), min_size=1, max_size=400), st.integers(1, 20))
    def test_thinning_keeps_every_extreme(self, steps, columns):
        """Fewer points, and still the same start, end, highest and lowest."""
        curve = [EquityPoint(ts_ns=n * 7, equity=Decimal(step)) for n, step in enumerate(steps)]
        kept = thinned(curve, columns)

        assert len(kept) <= max(4 * columns, 1)
        assert (kept[0], kept[-1]) == (curve[0], curve[-1])
        for extreme in (min, max):
            assert extreme(p.equity for p in kept) == extreme(p.equity for p in curve)


@given(st.text(), st.text())
def test_tag_escapes_all_but_markup(text, value):
    """Whatever text and attribute are, a parser reads them back without controls, and nothing else."""
    html = tag("p", text, tag("b", "x"), title=value)
    page = Page(html)
    assert page.text == f"{plain(text)}x"
    assert page.elements == [("p", {"title": plain(value)}), ("b", {})]
    assert isinstance(html, Markup)


def plain(text: str) -> str:
    """The text with U+FFFD for each control, format or separator character of Unicode."""
    controls = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return "".join(
        "\ufffd" if unicodedata.category(each) in controls and each not in "\n\t" else each for each in text
    )


DRAWN = """
[...document.querySelectorAll("svg")].map(svg => {
  const frame = svg.getBoundingClientRect();
  const inside = mark => { const box = mark.getBoundingClientRect();
    return box.left >= frame.left && box.right <= frame.right
      && box.top >= frame.top && box.bottom <= frame.bottom; };
  const count = kind => [...svg.querySelectorAll(kind)].filter(inside).length;
  return { id: svg.id, width: frame.width, height: frame.height, words: count("text"),
    dots: count(".dot"), whiskers: count(".whisker"),
    curve: svg.querySelector(".curve")?.getTotalLength() ?? 0 };
})"""
"""The layout in Chromium: each plot's size, and its marks inside of it."""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_in_a_browser(ledger_path, tmp_path):
    """Chromium draws every plot with all of its data inside, sends no request, and reports no error."""
    target = tmp_path / "report.html"
    write(report_of(ledger_path), target)
    with Browser(target.as_uri(), tmp_path / "profile") as browser:
        drawn = {plot["id"]: plot for plot in browser.evaluate(DRAWN)}
        overflow = browser.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        asked = [event["request"]["url"] for event in browser.events("Network.requestWillBeSent")]
        logged = [*browser.events("Log.entryAdded"), *browser.events("Runtime.consoleAPICalled")]

    assert (logged, overflow) == ([], 0)
    assert [url for url in asked if not url.startswith("data:")] == [target.as_uri()]
    assert set(drawn) == PLOTS
    for plot in drawn.values():
        assert plot["width"] > 500
        assert plot["height"] > 100
        assert plot["words"] >= 4
    marks = {name: (plot["dots"], plot["whiskers"]) for name, plot in drawn.items()}
    assert marks == {
        "plot-equity": (1, 0),
        "plot-calibration-price": (1, 1),
        "plot-calibration-model": (1, 1),
        "plot-groups": (3, 3),
        "plot-signals": (1, 1),
        "plot-funnel": (0, 0),
    }
    assert drawn["plot-equity"]["curve"] > 500


TOPS = """
[...document.querySelectorAll(".plots figure")].map(
  figure => Math.round(figure.getBoundingClientRect().top))"""
TOO_WIDE = """
(() => {
  document.querySelectorAll("details").forEach(each => each.open = true);
  const page = document.documentElement;
  const past = [...document.querySelectorAll("body *")].filter(each =>
    !each.closest("svg, .scroll table")
    && each.getBoundingClientRect().right > page.clientWidth + 1);
  const cut = [...document.querySelectorAll(".scroll")].filter(each => each.querySelector(".cards")
    && each.scrollWidth > each.clientWidth);
  return [page.scrollWidth > page.clientWidth, past.map(each => each.outerHTML),
    cut.map(each => each.ariaLabel)];
})()"""
"""Whether the page scrolls sideways, elements that are cut at its right edge, and tables of decisions that
are cut; with everything opened."""


def shared_rows(browser, width):
    """How many plots stand beside another one, on a screen of a width; nothing may be too wide for it."""
    browser.ask(
        "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
    )
    assert browser.evaluate(TOO_WIDE) == [False, [], []], width
    tops = browser.evaluate(TOPS)
    return sum(tops.count(top) > 1 for top in tops)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_plots_share_a_row_on_a_wide_screen(ledger_path, tmp_path):
    """Six plots are in three rows on a desktop and on a laptop, and each has its own row on a phone, where
    the page does not scroll sideways."""
    target = tmp_path / "report.html"
    write(report_of(ledger_path), target)
    with Browser(target.as_uri(), tmp_path / "profile") as browser:
        assert [shared_rows(browser, width) for width in (1280, 1024, 390)] == [6, 6, 0]
