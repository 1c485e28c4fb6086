"""Schedules are the same for the same seed, survive JSON, name real faults, and shrink to what matters."""

from collections import Counter

import msgspec
import pytest

from tests.chaos.proxy import RELAY_FAULTS
from tests.chaos.schedule import (
    KINDS,
    LAST,
    START_AT,
    Injection,
    Layer,
    Schedule,
    decode,
    draw,
    encode,
    shrink,
)
from venue.faults import CATALOG, STANDING, Faults

DRAWN = [draw(7, number) for number in range(400)]


def test_a_schedule_depends_on_seed_and_number_only() -> None:
    """Drawn alone or after others it is the same; another seed gives another one."""
    assert draw(7, 399) == DRAWN[399]
    assert [draw(8, number) for number in range(20)] != DRAWN[:20]


def test_every_kind_of_fault_is_drawn() -> None:
    """400 schedules have every fault, both paths, and faults at points of an order's life; a fault that takes
    minutes is in few of a thousand; one that needs others comes with them."""
    faults = Counter(injection.fault for schedule in DRAWN for injection in schedule.injections)
    drawn = {name for name, kind in KINDS.items() if kind.drawn}
    seldom = {"hours_of_503", "stream_silent_long"}
    switches = {"switch_to_simulation", "switch_to_live"}
    assert faults.keys() | seldom == drawn == KINDS.keys() - switches
    assert faults["hours_of_503"] <= 3
    assert any("hours_of_503" in draw(7, number).text for number in range(5000))
    assert Counter(schedule.path for schedule in DRAWN).keys() == {"paper", "rehearsal"}
    assert any(injection.on for schedule in DRAWN for injection in schedule.injections)


def test_faults_are_drawn_where_they_can_strike() -> None:
    """At the start, or from the connected bot to the market's result; each fault once in a schedule."""
    for schedule in DRAWN:
        names = [injection.fault for injection in schedule.injections]
        # A fault that has no effect without them brings up to three others, a limit one.
        assert 1 <= len(names) == len(set(names)) <= 9
        if "killed_event" in names:
            assert {"delayed", "book_empty"} < set(names)
        if "order_lookup_404" in names:
            assert {"delayed", "book_empty", "user_feed_silent"} < set(names)
        if schedule.limit:
            assert [i.lasts for i in schedule.injections if i.fault.startswith("resolution_")] == [1750.0]
        for injection in schedule.injections:
            assert injection.at == 0 or START_AT[schedule.path] < injection.at <= LAST
            assert (injection.lasts > 0) == (injection.kind.lasts is not None)
        layers = [injection.kind.layer for injection in schedule.injections]
        assert layers.count(Layer.STORE) <= 1
        if "redis_value" in names and schedule.path == "rehearsal":
            # A worker that starts meanwhile would be one of simulation.
            assert not {Layer.PROCESS, Layer.DISK} & set(layers)
        # The relay has the address that a venue would need that is started again.
        if schedule.uses_relay:
            assert not {"kill_venue", "stop_venue"} & set(names)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.layer is Layer.VENUE])
def test_the_venue_can_be_armed_with_its_faults(name: str) -> None:
    """Each has the venue's name, and every value that can be drawn is one that the venue accepts."""
    faults = Faults()
    for parameter, values in KINDS[name].parameters.items():
        for value in values:
            faults.arm(name, 1, {parameter: value})
    assert name in CATALOG
    assert name not in STANDING or KINDS[name].lasts is not None, "a state of the venue has a duration"


def test_the_relay_has_its_faults() -> None:
    """The faults of the wire are those of the relay."""
    wire = {name: kind for name, kind in KINDS.items() if kind.layer is Layer.WIRE}
    assert {kind.acts_as or name for name, kind in wire.items()} == RELAY_FAULTS.keys()


def test_what_a_run_needs_for_its_faults() -> None:
    """A relay for the connections, a Redis for the mode store, and the bot's clock."""

    def needs(fault: str, **parameters: object) -> tuple[bool, bool, float]:
        schedule = Schedule(1, 1, injections=(Injection(fault, parameters=parameters),))
        return schedule.uses_relay, schedule.uses_redis, schedule.ahead_s

    assert needs("stream_stale_book") == (True, False, 0.0)
    assert needs("redis_hangs") == (False, True, 0.0)
    assert needs("machine_clock", seconds=-30) == (False, False, -30.0)
    assert needs("hang") == (False, False, 0.0)


def test_a_schedule_survives_json() -> None:
    """What is written to a file is what is read from it; an unknown fault or field is refused."""
    for schedule in DRAWN[:50]:
        assert decode(encode(schedule)) == schedule
    with pytest.raises(ValueError, match="unknown fault 'hung'; known: drop_before_read"):
        decode(encode(Schedule(1, 1, injections=(Injection("hung"),))))
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        decode(b'{"seed": 1, "number": 1, "faults": []}')


@pytest.mark.parametrize("needed", [("b",), ("a", "d"), ("a", "b", "c", "d"), ()])
def test_shrinking_keeps_what_the_failure_needs(needed: tuple[str, ...]) -> None:
    """Of four faults those remain without which it does not fail, in their order."""
    faults = tuple(Injection("hang", at=float(number), on=name) for number, name in enumerate("abcd"))
    tried = []

    def fails(schedule: Schedule) -> bool:
        tried.append(schedule)
        return set(needed) <= {injection.on for injection in schedule.injections}

    found = shrink(Schedule(1, 2, "rehearsal", 9, injections=faults), fails)
    assert tuple(injection.on for injection in found.injections) == needed
    assert (found.seed, found.number, found.path, found.market) == (1, 2, "rehearsal", 9)
    assert len(tried) <= 14
