"""The chat's commands: the same effects as the operator's commands, true answers, and never live."""

import ast
import os
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_builders import buy, market, open_ledger, refusal, settlement

from config import ROOT, Settings
from control.halt_file import HALT_FILE
from control.last_mode_switch import LAST_SWITCH_FILE, LastModeSwitch, LastModeSwitchFile
from control.mode_file import FileModeStore
from control.mode_store import ModeValue
from events import FeedStatus, WorkerStatus
from execution.ledger import LedgerReader, Mode, ledger_path
from models import Outcome
from monitoring.performance_tracker import performance
from monitoring.status_file import STATUS_FILE
from runtime.chat.answers import daily_text, profit_text
from runtime.chat.commands import NEVER_LIVE, Answer, ChatCounts, Command, Commands, parse
from runtime.chat.message_parts import split
from view_paper_trades import load


def commands(state: Path, profile: str = "recorded", counts: ChatCounts | None = None) -> Commands:
    """The commands of a bot without Redis: port 9 is closed."""
    values = Settings.model_validate({"state_dir": state, "redis_host": "127.0.0.1", "redis_port": 9})
    return Commands(values, lambda: profile, (profile,), counts or ChatCounts())


@pytest.fixture
def state(tmp_path):
    """A state folder whose recorded profile has a won, a lost and a pending trade."""
    with open_ledger(ledger_path(tmp_path, "recorded")) as ledger:
        for number in (1, 2, 3):
            ledger.record_decision(refusal(number))
            buy(ledger, number)
        ledger.record_settlement(settlement(1))
        ledger.record_settlement(settlement(2, Outcome.DOWN))
    return tmp_path


def status(**changes):
    fields = {
        "ts_ns": time.time_ns(),
        "profile": "recorded",
        "mode": "simulation",
        "armed": False,
        "halted": None,
        "allows_orders": True,
        "mode_detail": "",
        "slug": market(4).slug,
        "second": 712.0,
        "window": (780.0, 840.0),
        "feeds": (
            FeedStatus(source="coinbase", age_s=0.4, failures=0, up=True),
            FeedStatus(source="deribit", age_s=None, failures=3, up=False),
        ),
    }
    return WorkerStatus(**fields | changes)


def write_status(state, worker_status):
    (state / "recorded" / STATUS_FILE).write_bytes(msgspec.json.encode(worker_status))


def test_status_begins_with_what_is_at_stake(state):
    """Orders, market, feeds, the last mode switch, and what the chat ignored."""
    write_status(state, status())
    counts = ChatCounts(ignored=3, late=1)
    lines = commands(state, counts=counts).answer("/status").text.splitlines()
    assert lines == [
        "Orders: no real money: SIMULATION, profile recorded",
        f"Market: {market(4).slug}, second 712 of 900, no price, decides in 1 min 08 s",
        "Feeds: 1 of 2 up, down: deribit",
        "Last mode switch: none yet: each bot keeps the mode it was started with",
        "Chat: ignored 3 messages of other senders, 1 that were too late; 0 answers not sent",
    ]


def test_status_of_a_worker_that_restarts(state):
    """Without a heartbeat for a minute the last state of the worker is not shown as the present one."""
    write_status(state, status(ts_ns=time.time_ns() - 61 * 10**9))
    lines = commands(state).answer("/status").text.splitlines()
    assert lines[0] == "Orders: unknown: no heartbeat from it, it starts or restarts"
    assert lines[1].startswith("Worker: no heartbeat for 1 min 01 s")
    assert not any("Market" in line for line in lines)


def test_trades_are_listed_with_their_results(state):
    """One line a trade, the newest last, under the profile's name."""
    assert commands(state).answer("/trades").text.splitlines() == [
        "Profile recorded, no real money",
        "The last 3 of 3 trades, times UTC:",
        f"#1 09-28 12:00 {market(1).slug} Up $1.00 at 0.900: WIN +0.1031",
        f"#2 09-28 12:00 {market(2).slug} Up $1.00 at 0.900: LOSS -0.9969",
        f"#3 09-28 12:00 {market(3).slug} Up $1.00 at 0.900: PENDING",
    ]


def test_profit_has_no_win_rate_alone(state):
    """Interval and break-even are in the line of the win rate, and the conclusion is there."""
    lines = commands(state).answer("/profit").text.splitlines()
    assert lines[1] == "Trades: 2 settled (1 won, 1 lost), 1 pending"
    (rate,) = (line for line in lines if line.startswith("Win rate"))
    assert "50.0% (n = 2, 95 % interval 9.5% to 90.5%); break-even" in rate
    assert any(line.startswith("Conclusion: ") for line in lines)
    assert any("P&L -0.894 pUSD" in line for line in lines)


def of_series(state, slugs):
    """The answer to /profit for trades with these slugs, of which the first won and the others lost."""
    results = load(ledger_path(state, "recorded"), "recorded", None)
    won, lost, _ = results.trades
    made = [won, *[lost] * (len(slugs) - 1)]
    trades = [
        msgspec.structs.replace(trade, slug=slug, intent_id=f"i{number}", condition_id=f"0xc{number}")
        for number, (trade, slug) in enumerate(zip(made, slugs, strict=True))
    ]
    found = performance(trades, starting=Decimal(1000))
    return profit_text(msgspec.structs.replace(results, trades=trades, performance=found))


def test_profit_of_several_series(state):
    """A line for each series, before the cash; none with one."""
    lines = of_series(
        state, ["btc-updown-15m-1790596800", "eth-updown-5m-1790596800", "eth-updown-5m-1790597100"]
    ).splitlines()
    assert lines[-3:-1] == [
        "btc-15m: 1 settled (1 won, 0 lost), 0 pending, P&L +0.103 pUSD",
        "eth-5m: 2 settled (0 won, 2 lost), 0 pending, P&L -1.994 pUSD",
    ]
    assert lines[-1].startswith("Cash: ")
    one = of_series(state, [f"eth-updown-5m-{1790596800 + 300 * number}" for number in range(3)])
    assert "eth-5m" not in one


def test_profit_of_many_series_is_one_message(state):
    """The twelve with the most trades, and the sum of the others."""
    assets = ("btc", "eth", "sol", "xrp", "doge", "bnb", "hype", "zec")
    slugs = [f"{asset}-updown-{length}-1790596800" for length in ("15m", "5m", "4h") for asset in assets]
    twice = [f"{slug[:-1]}1" for slug in slugs[10:20]]
    text = of_series(state, [*slugs, *twice])
    lines = text.splitlines()
    names = [line.partition(":")[0] for line in lines if " settled (0 won, " in line]
    assert names[:4] == ["bnb-15m", "bnb-4h", "bnb-5m", "btc-4h"]
    assert len(names) == 12
    assert sum("2 settled (0 won, 2 lost), 0 pending, P&L -1.994 pUSD" in line for line in lines) == 10
    assert "12 other series: 12 settled, 0 pending, P&L -10.863 pUSD" in lines
    assert len(split(text)) == 1


def test_a_trade_belongs_to_its_utc_day(state):
    """Each of the last seven days has a line; the sum of a day's settled trades is exact."""
    with LedgerReader(ledger_path(state, "recorded")) as reader:
        trades = reader.trades()
    lines = daily_text(trades, date(2026, 9, 29)).splitlines()
    assert lines[1:4] == [
        "2026-09-29: no trade",
        "2026-09-28: 1 won, 1 lost, 1 pending, P&L -0.8939 pUSD",
        "2026-09-27: no trade",
    ]
    assert len(lines) == 8


def test_the_funnel_has_every_stage(state):
    """Markets by stage, and the decisions and orders by result."""
    lines = commands(state).answer("/funnel").text.splitlines()
    assert lines[2] == "seen: 3"
    assert "confirmed: 0 (stopped: unconfirmed 3)" in lines
    assert lines[-1].startswith("Decisions: buy 3, ")


def test_before_the_first_worker_there_is_nothing_yet(tmp_path):
    """A profile without a ledger is no error."""
    text = commands(tmp_path).answer("/trades").text
    assert text.endswith("Nothing yet: the first worker has not started.")
    assert "it has not reported yet" in commands(tmp_path).answer("/status").text


def test_a_damaged_ledger_is_reported(tmp_path):
    """The answer names the file; no exception leaves the command."""
    path = ledger_path(tmp_path, "recorded")
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 100)
    text = commands(tmp_path).answer("/profit").text
    assert text.startswith("/profit failed: ")
    assert "ledger.sqlite" in text


def test_halt_and_resume_have_the_effects_of_the_operators_commands(state):
    """/halt halts every profile with its reason on one line, and /resume lifts what stands."""
    chat = commands(state)
    halted = chat.answer("/halt the fan\x1b[2J\nis loud")
    assert halted.changed == r"/halt the fan\x1b[2J is loud"
    assert "recorded is halted: the fan\\x1b[2J is loud (chat) (since " in halted.text
    assert "live is halted: " in halted.text
    assert all((state / profile / HALT_FILE).exists() for profile in ("live", "recorded"))
    assert "HALTED recorded: the fan" in chat.answer("/status").text
    assert "recorded may trade again" in chat.answer("/RESUME@a_bot").text
    assert not any((state / profile / HALT_FILE).exists() for profile in ("live", "recorded"))
    assert chat.answer("/resume") == Answer("Nothing was halted.", "/resume")


def test_a_halt_reaches_a_profile_that_does_not_exist_yet(tmp_path):
    """Before the first worker the profile of the run has no folder; its worker starts halted."""
    assert "mixed is halted" in commands(tmp_path, "mixed").answer("/halt").text
    assert (tmp_path / "mixed" / HALT_FILE).exists()


def test_a_halt_that_one_profile_refuses_names_both(state):
    """The profiles that were halted and the one that was not are in the answer."""
    (state / "live" / f".{HALT_FILE}.{os.getpid()}.tmp").mkdir(parents=True)
    text = commands(state).answer("/halt").text
    assert "recorded is halted: manual halt (chat)" in text
    assert "It failed: " in text
    assert "Stop the bot instead" in text


def test_sim_switches_to_simulation(state):
    """The mode file and the memory of the last switch have simulation, as after redis_control.py sim."""
    LastModeSwitchFile(state / LAST_SWITCH_FILE).save(LastModeSwitch(Mode.LIVE, "the mode file"))
    answer = commands(state).answer("/sim")
    assert answer.text.startswith("The mode is now SIMULATION, stored in ")
    assert FileModeStore(state).read().value is ModeValue.SIMULATION
    assert LastModeSwitchFile(state / LAST_SWITCH_FILE).load().mode is Mode.SIMULATION


@pytest.mark.parametrize("text", ["/halt", "/resume now", "/sim"])
def test_a_late_command_changes_nothing(text, state):
    """It is answered, so that its sender knows, and counted."""
    counts = ChatCounts()
    answer = commands(state, counts=counts).answer(text, late=True)
    assert "was not executed" in answer.text
    assert (answer.changed, counts.late) == ("", 1)
    assert not (state / "live").exists()
    assert not (state / LAST_SWITCH_FILE).exists()


def test_a_late_question_has_no_answer(state):
    """What was asked hours ago is not answered all at once."""
    assert commands(state).answer("/status", late=True) is None


@pytest.mark.parametrize("text", ["/live", "/LIVE --yes", "/off", "/arm", "/live@a_bot yes"])
def test_live_is_refused_with_the_place_to_do_it(text, state):
    """The chat names the command that it does not have."""
    assert commands(state).answer(text) == Answer(NEVER_LIVE)


@settings(max_examples=30)
@given(
    text=st.sampled_from(("live", "off", "0", "sim 0", "resume live", "halt live", "arm LIVE"))
    | st.text(max_size=30)
)
def test_no_text_leads_to_live(tmp_path_factory, text):
    """Whatever is written, no place of the state folder that decides on the mode has live in it."""
    state = tmp_path_factory.mktemp("state")
    for written in (text, f"/{text}"):
        commands(state).answer(written)
    assert FileModeStore(state).read().value is not ModeValue.LIVE
    last = LastModeSwitchFile(state / LAST_SWITCH_FILE).load()
    assert last is None or last.mode is Mode.SIMULATION


def test_the_package_has_no_way_to_live():
    """No module of the chat names the switch to live, the arming, or the menu that has them."""
    names = set()
    for path in (ROOT / "runtime" / "chat").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.ImportFrom | ast.Import):
                names |= {alias.name for alias in node.names}
    assert {"halt", "resume", "simulate"} <= names
    assert not names & {"switch_to_live", "_switch", "arm", "wallet", "redis_control", "main"}


def test_the_first_message_of_a_chat_is_answered_with_the_commands(state):
    """Telegram sends /start when the chat is opened."""
    chat = commands(state)
    assert chat.answer("/start") == chat.answer("/help")


def test_help_lists_every_command():
    """Each command has its line, and the list states what the chat never does."""
    text = commands(Path("unused")).answer("/help").text
    assert [line.partition(":")[0] for line in text.splitlines()[:-1]] == [
        "/status",
        "/trades",
        "/profit",
        "/daily",
        "/funnel",
        "/halt",
        "/resume",
        "/sim",
        "/help",
    ]
    assert text.splitlines()[-1] == NEVER_LIVE


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("/halt  two  words ", (Command.HALT, "two words")),
        ("/Halt@bot\nreason", (Command.HALT, "reason")),
        ("halt", (None, "")),
        ("/halted", (None, "")),
        ("//halt", (None, "")),
        ("", (None, "")),
    ],
)
def test_only_a_whole_command_is_one(text, parsed):
    """A command begins with one slash and is not the beginning of another word."""
    assert parse(text) == parsed


def test_the_guide_has_every_command():
    """The table of docs/chat.md lists the commands in the order of /help."""
    page = (ROOT / "docs" / "chat.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1].split()[0] for line in page.splitlines() if line.startswith("| `/")]
    assert rows == [f"/{command}" for command in Command]
