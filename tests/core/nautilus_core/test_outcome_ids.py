"""The ids of a market's outcomes, by its protocol version."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from gamma_rows import row, v2_row
from polymarket._internal.protocol import is_v2_position_id

from core.nautilus_core.instruments.calendar import SlugCalendar
from core.nautilus_core.instruments.pairing import market_of
from errors import Refused, UnknownVersion
from models import ProtocolVersion

CALENDAR = SlugCalendar(asset="btc", kind="updown", timeframe="15m", interval=900)
HASH = str(int("01" + "5c" * 31, 16))
"""A CTF token that happens to begin with the module of a position id."""
FIRST = int(v2_row(7)["positionIds"][0])


def test_the_version_selects_the_ids() -> None:
    """Both kinds may be listed: a v1 market trades its tokens, a v2 market its positions."""
    both = v2_row(7)["positionIds"]
    old = market_of(row(7, positionIds=both), CALENDAR)
    assert (old.version, old.up_token, old.down_token) == ("v1", "71", "72")
    for ids in (both, json.dumps(both)):
        new = market_of(v2_row(7, positionIds=ids), CALENDAR)
        assert (new.version, [new.up_token, new.down_token]) == ("v2", both)


def test_the_first_outcome_may_be_down() -> None:
    """A position belongs to the label at its own place, as its outcome index states."""
    market = market_of(v2_row(7, outcomes='["Down", "Up"]'), CALENDAR)
    assert (market.down_token, market.up_token) == (str(FIRST), str(FIRST + 1))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"positionIds": None}, "positionIds is not a list"),
        ({"positionIds": [str(FIRST)]}, "zip"),
        ({"positionIds": [str(FIRST), hex(FIRST + 1)]}, "token id '0x"),
        ({"positionIds": [str(FIRST + 1), str(FIRST)]}, "is of outcome 1, not 0"),
        ({"positionIds": [str(FIRST), str(FIRST + 2)]}, "is of outcome 2, not 1"),
        ({"positionIds": [str(FIRST), str(FIRST + 257)]}, "is of another condition than"),
        ({"positionIds": ["71", "72"]}, "token id 71 has not the form of version v2"),
        ({"positionIds": [str(FIRST + (1 << 248)), str(FIRST + 1 + (1 << 248))]}, "is of module 2, not 1"),
        ({"positionIds": [str(FIRST | 1 << 40), str(FIRST + 1)]}, "has not the form of version v2"),
        ({"version": "v1", "clobTokenIds": v2_row(7)["positionIds"]}, "has not the form of version v1"),
    ],
)
def test_ids_that_contradict_the_version_are_refused(changes: dict[str, Any], why: str) -> None:
    """Other modules, conditions, outcomes and forms than the version's are refused, with the id."""
    with pytest.raises(Refused, match=why):
        market_of(v2_row(7, **changes), CALENDAR)


@pytest.mark.parametrize(
    ("version", "shown"), [("v3", "v3"), (None, "(none stated)"), (2, "2"), ("V1", "V1"), (["v1"], "['v1']")]
)
def test_an_unknown_version_is_refused_by_its_name(version: Any, shown: str) -> None:
    """It is an error of its own kind, because all later markets may have the version."""
    with pytest.raises(UnknownVersion) as caught:
        market_of(v2_row(7, version=version), CALENDAR)
    assert caught.value.version == shown
    assert f"is of protocol version {shown}, only v1 and v2 are supported" in str(caught.value)


@pytest.mark.parametrize(
    "value", [FIRST, FIRST + 1, FIRST | 1 << 40, FIRST | 1 << 103, FIRST | 1 << 104, int(HASH)]
)
def test_the_form_of_an_id_is_that_of_the_official_client(value: int) -> None:
    """The official client finds the same ids to be positions of Protocol V2."""
    expected = ProtocolVersion.V2 if is_v2_position_id(str(value)) else ProtocolVersion.V1
    assert ProtocolVersion.of_id(str(value)) is expected
