"""The session: the practice venues of a run, and that a rehearsal and its simulation share no market."""

import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from config import Settings
from errors import ConfigError
from execution.ledger import Venue
from runner import parse
from runtime.session import Flags, Session, TradingProfile

REHEARSAL = Flags(test_mode=True, live=True, venue=Venue.SYNTHETIC)
SPEED = 15.0


def venue_at(market: float) -> SimpleNamespace:
    """The ready line of a practice venue in whose schedule that market runs; it began an hour ago."""
    first = 1_790_596_800
    clock = {
        "wall_ns": time.time_ns() - 3600 * 10**9,
        "market_ns": round((first + 900 * market - 3600 * SPEED) * 1e9),
        "speed": SPEED,
    }
    ready = {"clock": clock, "first_start": first, "interval": 900, "source": {"seed": 57, "note": "n"}}
    return SimpleNamespace(ready=ready, url="http://127.0.0.1:1")


def option(profile: TradingProfile, name: str) -> str | None:
    arguments = profile._arguments()
    return arguments[arguments.index(name) + 1] if name in arguments else None


@pytest.fixture
def session(tmp_path) -> Session:
    return Session(REHEARSAL, Settings.model_validate({"state_dir": tmp_path}), None)


@pytest.mark.parametrize("switched_to", ["paper", "live"])
def test_a_switch_opens_no_market_that_the_other_profile_can_have_traded(session, switched_to):
    """The venue that is started second begins 500 markets after the one that runs at the first."""
    second = session.paper if switched_to == "paper" else session.live
    first = session.live if switched_to == "paper" else session.paper
    assert option(second, "--from-market") is None, "the first venue begins where its state is"
    first._process = venue_at(7.5)
    assert option(second, "--from-market") == "507"
    assert option(first, "--from-market") is None


def test_simulation_alone_continues_where_it_was(tmp_path):
    """Without --live there is no other profile, and no market is skipped."""
    flags = Flags(test_mode=True, venue=Venue.MIXED, first=3)
    only = Session(flags, Settings.model_validate({"state_dir": tmp_path}), None).paper
    assert (option(only, "--source"), option(only, "--first")) == ("mixed", "3")
    assert option(only, "--from-market") is None


@pytest.mark.parametrize(
    ("speed", "start_at", "expected"),
    [
        (None, None, ("15.0", "645")),
        (60.0, None, ("60.0", "240")),
        (0.5, None, ("0.5", "775")),
        (60.0, 300, ("60.0", "300")),
    ],
)
def test_a_test_run_begins_nine_seconds_before_its_window(tmp_path, speed, start_at, expected):
    """With any speed the worker has the same time to start; a second that is named is the second."""
    flags = Flags(test_mode=True, venue=Venue.MIXED, speed=speed, start_at=start_at)
    only = Session(flags, Settings.model_validate({"state_dir": tmp_path}), None).paper
    assert (option(only, "--speed"), option(only, "--start-at")) == expected


@pytest.mark.parametrize("flags", [Flags(), Flags(test_mode=True, venue=Venue.MIXED), REHEARSAL])
def test_practice_money_may_use_the_venues_current_library(flags):
    """Paper on live books, a test run and a rehearsal may; only real money may not."""
    flags.check(Settings(order_client="polymarket-client"))


def test_the_protocol_of_the_practice_markets(tmp_path):
    """It is the venue's own option; without it the venue decides, and its folder keeps it."""
    for wanted in (None, "v2"):
        flags = parse(["--test-mode", "--venue", "synthetic", *(["--protocol", wanted] if wanted else [])])
        only = Session(flags, Settings.model_validate({"state_dir": tmp_path}), None).paper
        assert option(only, "--protocol") == wanted


def test_paper_beside_real_money_mirrors_the_real_venue(tmp_path):
    """On Polymarket both profiles have the real markets: nothing is skipped there."""
    flags = msgspec.structs.replace(REHEARSAL, test_mode=False, venue=Venue.POLYMARKET)
    session = Session(flags, Settings.model_validate({"state_dir": tmp_path}), None)
    session.paper._process = venue_at(7)
    assert option(session.paper, "--source") == "shadow"
    assert option(session.paper, "--from-market") is None
    assert session.paper.running_market() is None


@pytest.mark.parametrize(
    ("arguments", "venue"),
    [
        (["--test-mode"], Venue.MIXED),
        ([], Venue.POLYMARKET),
        (["--live"], Venue.POLYMARKET),
        (["--test-mode", "--live"], Venue.MIXED),
        (["--test-mode", "--venue", "recorded"], Venue.RECORDED),
        (["--test-mode", "--venue", "synthetic"], Venue.SYNTHETIC),
        (["--test-mode", "--venue", "polymarket"], Venue.POLYMARKET),
    ],
)
def test_the_venue_of_a_run(arguments, venue):
    """The first run alternates recorded and generated markets; a venue that is named is the venue."""
    assert parse(arguments).venue is venue


def test_the_note_names_which_markets_there_are(session):
    """The header of a mixed run has the recording's dates and the seed; the others their own."""
    recorded = {
        "markets": 18,
        "recorded_from": "2026-09-28T09:00:00+00:00",
        "recorded_to": "2026-09-28T13:45:00+00:00",
    }
    real = "18 real Polymarket markets recorded on 2026-09-28 09:00–13:45 UTC"
    for source, note in (
        (recorded, real),
        (
            recorded | {"seed": 57},
            f"recorded and generated markets in turn: {real}; generated ones of seed 57",
        ),
        ({"note": "generated markets of seed 57"}, "generated markets of seed 57"),
    ):
        session.paper._process = SimpleNamespace(ready={"source": source})
        assert session.paper.note == note


@pytest.mark.parametrize(
    ("flags", "settings", "fragment"),
    [
        ({"live": True, "test_mode": True}, {}, "--test-mode cannot be combined with --live on Polymarket"),
        ({"first": 3}, {}, "--first applies to practice markets only"),
        ({"speed": 60.0}, {}, "--speed applies to practice markets only"),
        (
            {"live": True},
            {"order_client": "polymarket-client"},
            "ORDER_CLIENT is polymarket-client, which is",
        ),
        ({"protocol": "v2"}, {}, "--protocol applies to practice markets only"),
        ({"venue": Venue.MIXED}, {"market_asset": "eth"}, "practice markets are btc 15m, not eth 15m"),
    ],
)
def test_contradicting_flags_are_named(flags, settings, fragment):
    """Each combination that has no meaning is refused with the next step."""
    with pytest.raises(ConfigError, match=fragment):
        Flags(**flags).check(Settings.model_validate(settings))


SERIES = {"market_asset": "btc,eth", "market_timeframe": "15m,5m"}


@pytest.mark.parametrize(
    ("settings", "names", "start_at"),
    [
        ({}, None, "645"),
        (SERIES, "btc-5m,eth-5m,btc-15m,eth-15m", "125"),  # 260 − 9 × 15 of 300 s
        ({"market_asset": "eth", "market_timeframe": "4h"}, "eth-4h", "12345"),  # 12480 − 9 × 15
    ],
)
def test_the_practice_venue_has_the_series_of_the_settings(tmp_path, settings, names, start_at):
    """The shortest markets come first: a run begins nine seconds before their window."""
    flags = Flags(test_mode=True, venue=Venue.SYNTHETIC)
    flags.check(Settings.model_validate(settings))
    only = Session(flags, Settings.model_validate({"state_dir": tmp_path} | settings), None).paper
    assert (option(only, "--series"), option(only, "--start-at")) == (names, start_at)


def test_paper_orders_mirror_every_series(tmp_path):
    """The mirror of the real venue has all series; with one its asset and timeframe are named as before."""
    for settings, expected in ((SERIES, ("btc-5m,eth-5m,btc-15m,eth-15m", None)), ({}, (None, "btc"))):
        only = Session(Flags(), Settings.model_validate({"state_dir": tmp_path} | settings), None).paper
        assert (option(only, "--series"), option(only, "--asset")) == expected


@pytest.mark.parametrize(
    ("flags", "settings", "fragment"),
    [
        ({"venue": Venue.RECORDED}, SERIES, "the bundled practice markets are btc 15m, not btc 5m"),
        ({"venue": Venue.SYNTHETIC}, {"market_asset": "btc,bnb"}, "no generated markets of bnb"),
        ({"record": Path()}, SERIES, "--record records one series, .* give 4"),
    ],
)
def test_series_that_a_venue_does_not_have_are_named(flags, settings, fragment):
    """The bundled recordings have one series, generated markets five assets, a recording one series."""
    with pytest.raises(ConfigError, match=fragment):
        Flags(**flags).check(Settings.model_validate(settings))
