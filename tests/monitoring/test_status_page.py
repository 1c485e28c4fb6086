"""The status page: true at each heartbeat, bounded, read-only, and without effect on anything else."""

import http.client
import json
import re
import socket
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from ledger_builders import NOON_NS, buy, decision, fill, intent, market, open_ledger, refusal, settlement
from test_exporter import bought, until
from test_watch import ALIVE, write_ledger

from events import Decided, FeedStatus, FillMoved, MarketOpened, OrderMoved, Settled
from execution.ledger import FillStatus, ledger_path
from models import Level, OrderState, Outcome, Reason, Tick
from monitoring.grafana_exporter import ExporterParams, GrafanaMetricsExporter
from monitoring.market_block import MarketBlock
from monitoring.status_page import StatusPage, StatusPageParams
from monitoring.status_page import observer as module
from monitoring.status_page.model import PageModel

FILES = Path(module.__file__).with_name("files")
PATHS = ("/", "/page.css", "/page.js", "/icon.svg", "/status.json", "/plots.json")
EVIL = "<img src=x onerror=alert(1)>\u202e\n"


class Served:
    """An exporter with its page, on a free port."""

    def __init__(self, exporter, page):
        self.exporter, self.page = exporter, page

    def send(self, *events):
        """Deliver events as a worker does: to the exporter first."""
        for event in events:
            self.exporter.handle(event)
            self.page.handle(event)

    def beat(self, worker_status):
        self.exporter.heartbeat(worker_status)
        self.page.heartbeat(worker_status)

    def ask(self, path, method="GET", host=None):
        """Status, headers and body of a response."""
        address = self.exporter.url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request(method, path, headers={"Host": host or address})
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def json(self, path="/status.json"):
        return json.loads(self.ask(path)[2])

    def shown(self, worker_status=ALIVE):
        """The page after a heartbeat."""
        self.beat(worker_status)
        return self.json()["page"]


@contextmanager
def serving(state, *, port=0):
    ledger = ledger_path(state, "recorded")
    params = ExporterParams(
        host="127.0.0.1",
        port=port,
        ledger=ledger,
        max_exposure=Decimal(10),
        live_path=False,
        version="0.0.0",
        weights={"TickVelocity": 0.25},
        names=frozenset({"prometheus.lan"}),
    )
    exporter = GrafanaMetricsExporter(params, now_ns=lambda: NOON_NS)
    page = StatusPage(StatusPageParams(ledger=ledger, max_exposure=Decimal(10)), exporter, lambda: NOON_NS)
    exporter.start()
    served = Served(exporter, page)
    served.message = page.start()
    try:
        yield served
    finally:
        page.close()
        exporter.close()


@pytest.fixture
def served(tmp_path):
    """A page beside a ledger in which nothing has happened."""
    open_ledger(ledger_path(tmp_path, "recorded")).close()
    with serving(tmp_path) as found:
        yield found


RUNNING = msgspec.structs.replace(ALIVE, slug=market(50).slug, p=Decimal("0.95"), second=795.0)


def test_a_trade_from_the_vote_to_the_result(served):
    """Price, votes, decision, fill, open position and result are shown at the heartbeat after their event."""
    served.send(MarketOpened(market=market(50)))
    page = served.shown(RUNNING)
    assert (page["market"]["up"], page["market"]["down"]) == ("0.950", "0.050")
    assert (page["market"]["start"], page["market"]["phase"]) == ("29 Sep 00:30 UTC", "deciding")
    assert page["decision"] is None
    assert page["markets"] == [{"start": "29 Sep 00:30", "kind": "", "running": True, "rows": []}]

    served.send(*bought(50))
    page = served.shown(RUNNING)
    assert page["decision"]["current"]
    assert page["decision"]["votes"] == [
        {
            "name": "Tick",
            "source": "TickVelocity",
            "weight": "0.25",
            "direction": "bullish",
            "confidence": 0.75,
            "detail": "",
        }
    ]
    assert page["markets"][0]["rows"] == [
        {"label": "decision", "text": "BUY Up at 0.90  (score 62, weight 0.25)", "tone": "green"},
        {"label": "order", "text": "filled 1.1 at 0.900, fee 0.00693", "tone": ""},
    ]
    assert page["positions"] == [
        {
            "market": "29 Sep 00:30",
            "side": "Up",
            "shares": "1.1",
            "paid": "0.9969",
            "chance": "95.0%",
            "worth": "1.0450",
            "so_far": "+0.0481",
        }
    ]
    assert page["trades"][0]["outcome"] == "PENDING"

    served.send(
        Settled(
            market=market(50),
            settlement=settlement(50, settled_ns=NOON_NS),
            pnl=Decimal("0.10307"),
            total_pnl=Decimal("0.10307"),
        )
    )
    page = served.shown(msgspec.structs.replace(RUNNING, slug=market(51).slug, p=Decimal("0.2")))
    assert page["markets"][0]["rows"][-1] == {"label": "result", "text": "Up won +0.1031", "tone": "green"}
    assert (page["markets"][0]["running"], page["decision"]["current"]) == (False, False)
    assert page["positions"] == []
    assert (page["trades"][0]["outcome"], page["trades"][0]["pnl"]) == ("WIN", "+0.1031")
    results = {figure["name"]: (figure["value"], figure["tone"]) for figure in page["results"]}
    assert results["Equity"] == ("1000.10", "")
    assert results["P&L"] == results["Today"] == ("+0.1031", "green")
    assert results["Won"] == ("1 of 1", "")
    assert {row["stage"]: row["markets"] for row in page["funnel"]}["matched"] == 1


def test_a_pending_position_keeps_the_last_price_of_its_market(served):
    """After the market's end the value is that of its last price, not of the next market's."""
    served.send(*bought(50))
    served.shown(RUNNING)
    later = msgspec.structs.replace(RUNNING, slug=market(51).slug, p=Decimal("0.2"))
    assert served.shown(later)["positions"][0]["chance"] == "95.0%"


def test_a_restarted_worker_shows_the_markets_of_the_earlier_one(tmp_path):
    """The newest markets with their decision, fill and result are read from the ledger at the start."""
    with open_ledger(ledger_path(tmp_path, "recorded")) as ledger:
        buy(ledger, 1)
        ledger.record_settlement(settlement(1, Outcome.DOWN))
        ledger.record_decision(refusal(2, Reason.LOW_SCORE))
    with serving(tmp_path) as served:
        page = served.shown()
    assert [(entry["start"], entry["running"]) for entry in page["markets"]] == [
        ("28 Sep 12:30", True),
        ("28 Sep 12:15", False),
    ]
    assert [row["text"] for row in page["markets"][0]["rows"]] == [
        "skip, low score: said so  (score 62, weight 0.25)"
    ]
    assert [row["text"] for row in page["markets"][1]["rows"]] == [
        "BUY Up at 0.90  (score 62, weight 0.25)",
        "filled 1.1 at 0.900, fee 0.00693",
        "Down won -0.9969",
    ]
    assert page["decision"]["market"] == "28 Sep 12:30"


def test_orders_without_a_fill_are_shown(served):
    """An order that found no match has its row, and the market no position."""
    events = [*bought(50)[:3], OrderMoved(intent=intent(0, 50), state=OrderState.NO_FILL, reason="")]
    served.send(*events)
    page = served.shown(RUNNING)
    assert page["markets"][0]["rows"][-1] == {"label": "order", "text": "no fill", "tone": "yellow"}
    assert page["positions"] == []


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"mode": "live", "armed": True}, {"mode": "LIVE (armed)", "money": "real money"}),
        ({}, {"mode": "SIMULATION", "money": "practice money"}),
        ({"halted": "three refusals"}, {"halted": "three refusals"}),
        ({"unknown_orders": 2}, {"pending": "2 orders of unknown outcome"}),
        ({"slug": None, "p": None}, {"market": None}),
    ],
)
def test_the_state_of_the_bot(changes, shown):
    """Mode, halt, unknown orders and the time between markets are shown as they are."""
    view = PageModel(Decimal(10)).view(msgspec.structs.replace(ALIVE, **changes), None)
    assert {name: getattr(view, name) for name in shown} == shown
    assert view.results == ()


def test_feeds_and_health(served):
    """Each feed has its age, failures and state; the health is that of /health."""
    assert served.json() == {
        "health": served.json("/health"),
        "plots": 0,
        "page": None,
    }
    page = served.shown(msgspec.structs.replace(ALIVE, reconnects={"market": 2, "user": 0, "coinbase": 1}))
    assert page["feeds"] == [
        {"source": "coinbase", "age": "0 s", "failures": 0, "reconnects": 1, "up": True},
        {"source": "deribit", "age": "never", "failures": 3, "reconnects": 0, "up": False},
    ]
    assert page["system"][0] == {"label": "Reconnections", "text": "market 2, user 0", "tone": ""}
    assert served.json()["health"]["status"] == "ok"


def test_a_shown_market_keeps_no_evidence_in_memory():
    """Of the books of a decision only the best prices are kept, and neither history nor price paths."""
    levels = tuple(Level(price=Decimal(80 - i) / 100, size=Decimal(i + 1)) for i in range(20))
    path = tuple(Tick(second=i, price=Decimal(65_000)) for i in range(900))
    full = decision(history=400)
    book = msgspec.structs.replace(full.context.up_book, bids=levels)
    context = msgspec.structs.replace(full.context, up_book=book, down_book=book, spot_path=path)
    block = MarketBlock(market())
    block.decided(Decided(decision=msgspec.structs.replace(full, context=context), final=True))
    assert block.decision is not None
    kept = block.decision.context
    assert kept.up_book.bids == kept.down_book.bids == levels[:1]
    assert (kept.history, kept.ticks, kept.spot_path) == ((), (), ())
    assert block.decision.votes == full.votes


def test_a_long_history_makes_no_longer_page(tmp_path):
    """However much has happened: eight markets, twelve trades, twenty positions and twenty feeds."""
    write_ledger(tmp_path, markets=40, worker_status=None)
    feeds = tuple(FeedStatus(source=f"f{n}", age_s=1.0, failures=0, up=True) for n in range(1000))
    with serving(tmp_path) as served:
        for number in range(100, 140):
            served.send(*bought(number))
        page = served.shown(msgspec.structs.replace(ALIVE, feeds=feeds))
    assert [len(page[name]) for name in ("markets", "trades", "positions", "feeds")] == [8, 12, 20, 20]
    assert page["trades"][0]["market"] == page["markets"][0]["start"] == page["positions"][0]["market"]


def test_what_others_wrote_is_sent_as_text(served):
    """A name with HTML, a line break or a bidirectional override is one text without control characters."""
    feed = FeedStatus(source=EVIL, age_s=1.0, failures=0, up=True)
    found = served.shown(msgspec.structs.replace(ALIVE, title=EVIL, halted=EVIL, feeds=(feed,)))
    text = "<img src=x onerror=alert(1)>\\u202e\\x0a"
    assert found["market"]["title"] == found["halted"] == found["feeds"][0]["source"] == text
    assert served.json()["health"]["reasons"] == [f"halted: {text}"]
    script = (FILES / "page.js").read_text()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def names(plots):
    """The name of each plot."""
    return [re.search(r'<svg id="plot-([^"]+)"', figure)[1] for figure in plots["figures"]]


def settle_another(served):
    """Buy and settle a market; returns when the plots have been drawn again."""
    before = served.json()["plots"]
    won = settlement(50, settled_ns=NOON_NS + 10**13)
    served.send(*bought(50))
    served.send(Settled(market=market(50), settlement=won, pnl=Decimal("0.1"), total_pnl=Decimal(0)))
    until(lambda: served.json()["plots"] != before)


def test_the_plots_are_those_of_the_report(tmp_path):
    """They are drawn at the start and after each settlement, equity first; their version tells them apart."""
    write_ledger(tmp_path, markets=4, worker_status=None)
    with serving(tmp_path) as served:
        until(lambda: served.json()["plots"] != 0)
        first = served.json("/plots.json")
        settle_another(served)
        second = served.json("/plots.json")
    assert names(first) == ["equity", "calibration-price", "groups", "signals", "calibration-model"]
    assert names(second) == names(first)
    assert "over 1 settlements" in first["figures"][0]
    assert "over 2 settlements" in second["figures"][0]


def test_without_a_settled_trade_there_is_no_plot(served):
    """Neither at the start nor after a purchase."""
    served.send(*bought(50))
    assert served.json("/plots.json") == {"version": 0, "figures": []}


def test_a_ledger_that_is_gone_costs_the_votes_only(tmp_path):
    """What needs no file is drawn and served further."""
    write_ledger(tmp_path, markets=4, worker_status=None)
    with serving(tmp_path) as served:
        until(lambda: served.json()["plots"] != 0)
        ledger_path(tmp_path, "recorded").unlink()
        settle_another(served)
        assert "signals" not in names(served.json("/plots.json"))
        assert served.shown(RUNNING)["trades"][0]["outcome"] == "WIN"


def test_a_reversed_fill_leaves_no_trade(served):
    """A fill that fails on the chain is in no list of the page any more."""
    served.send(*bought(50), FillMoved(fill=fill(50), status=FillStatus.FAILED))
    page = served.shown(RUNNING)
    assert (page["trades"], page["positions"]) == ([], [])


def answered(served, request):
    """All bytes of the response to a request."""
    host, port = served.exporter.url.removeprefix("http://").split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as connection,
        connection.makefile("rb") as read,
    ):
        connection.sendall(request.encode())
        return read.read()


def test_the_browser_may_load_nothing_foreign(served):
    """Every response forbids other origins, frames and caching; HEAD has the same headers without a body."""
    for path in PATHS:
        status, headers, body = served.ask(path)
        assert status == 200
        assert headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert int(headers["Content-Length"]) == len(body) > 10
        assert answered(served, f"HEAD {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").endswith(b"\r\n\r\n")


def test_the_files_need_no_other_host():
    """No address of another host, no inline script and no inline style: the policy would refuse both."""
    for path in FILES.iterdir():
        text = path.read_text()
        assert set(re.findall(r"https?://[^\s\"'<]+", text)) <= {"http://www.w3.org/2000/svg"}
        assert not re.findall(r"<style|style=|\son\w+=|javascript:|url\(|@import", text)
    assert re.findall(r"<script[^>]*>", (FILES / "index.html").read_text()) == [
        '<script src="page.js" defer>'
    ]


def test_a_web_site_reads_nothing(served):
    """Under a name of its own that resolves to this machine it gets 403, for page, metrics and health; a name
    of the settings is answered."""
    for path in (*PATHS, "/metrics", "/health", "/nothing"):
        status, _, body = served.ask(path, host="evil.example")
        assert status == 403
        assert body.endswith(b"the names in GRAFANA_HOST and GRAFANA_ALLOWED_HOSTS only\n")
    assert served.ask("/metrics", host="prometheus.lan:8000")[0] == 200


def test_it_only_reads(served):
    """Every method that could change something is refused, on every path of the page."""
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert {served.ask(path, method)[0] for path in PATHS} == {405}


def test_other_paths_do_not_exist(served):
    """No file outside the page's own is sent, however the path is written."""
    for path in ("/nothing", "/../observer.py", "/files/page.js", "/%2e%2e/observer.py", "//etc/passwd"):
        assert served.ask(path)[0] == 404
    assert served.ask("/health")[0] == 503
    assert b"# HELP" in served.ask("/metrics")[2]


def test_an_error_of_the_page_costs_nothing_else(served, monkeypatch):
    """A request that fails is answered with 500; the metrics, and later the page, are served."""
    with monkeypatch.context() as patched:
        patched.setattr(module, "escaped_json", lambda value: 1 / 0)
        served.beat(ALIVE)
        assert served.ask("/status.json")[0] == 500
        assert served.ask("/metrics")[0] == 200
    assert served.json()["page"]["mode"] == "SIMULATION"


def test_a_port_in_use_costs_the_page_only(tmp_path):
    """Without its port the page says nothing, collects nothing and ends at once."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        serving(tmp_path, port=taken.getsockname()[1]) as served,
    ):
        assert served.message is None
        served.send(Decided(decision=decision(1), final=True))
        served.beat(ALIVE)


def test_the_start_message_names_the_address(served):
    """The operator reads where the page is."""
    assert served.message == f"status page at {served.exporter.url}/"


def test_the_day_ends_at_midnight_without_an_event(served):
    """Today's P&L is that of the UTC day of the heartbeat; the other results stay."""
    won = settlement(50, settled_ns=NOON_NS)
    served.send(*bought(50))
    served.send(Settled(market=market(50), settlement=won, pnl=Decimal("0.1"), total_pnl=Decimal(0)))
    before, after = (
        {figure["name"]: figure["value"] for figure in served.shown(now)["results"]}
        for now in (ALIVE, msgspec.structs.replace(ALIVE, ts_ns=NOON_NS + 12 * 3600 * 10**9))
    )
    assert (before["Today"], after["Today"]) == ("+0.1031", "+0.0000")
    assert before["P&L"] == after["P&L"] == "+0.1031"


def test_earlier_markets_that_cannot_be_read_cost_themselves_only(tmp_path, monkeypatch):
    """Whatever the error is, the page starts, and shows what happens from now on."""
    write_ledger(tmp_path, markets=4, worker_status=None)
    monkeypatch.setattr(module, "recent_blocks", lambda *given: 1 / 0)
    with serving(tmp_path) as served:
        assert served.message.startswith("status page at ")
        assert served.shown()["markets"] == []
        served.send(*bought(50))
        assert len(served.shown()["markets"]) == 1
