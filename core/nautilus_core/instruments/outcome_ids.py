"""Reads the protocol version of a market and the ids of its outcomes from the catalogue's description.

The version alone selects the field of the ids: a market may have both.
"""

import re
from collections.abc import Mapping
from typing import Any

from common.bounded_http import parse_json
from common.plain_text import one_line
from errors import UnknownVersion
from models import ProtocolVersion

FIELDS = {ProtocolVersion.V1: "clobTokenIds", ProtocolVersion.V2: "positionIds"}
"""The catalogue's field with the ids that a version trades."""
OUTCOME_ID = re.compile(r"[0-9]{1,78}")
BINARY_MODULE = 1
"""Module of the positions of a market with two outcomes outside of neg-risk events."""


def version_of(gamma: Mapping[str, Any]) -> ProtocolVersion:
    """The protocol version of a market.

    Raises
    ------
    UnknownVersion
        If it has none, or one that this bot does not support.
    """
    stated = gamma.get("version")
    if not isinstance(stated, str) or stated not in ProtocolVersion:
        shown = "(none stated)" if stated is None else one_line(str(stated), 40)
        raise UnknownVersion(one_line(gamma.get("slug", ""), 200), shown)
    return ProtocolVersion(stated)


def outcome_ids(gamma: Mapping[str, Any]) -> list[str]:
    """The ids of the outcomes that are traded, in the order of the outcomes.

    Raises
    ------
    UnknownVersion
        If the version is not supported.
    KeyError, TypeError, ValueError
        If there are no ids, or their form is not that of the version.
    """
    version = version_of(gamma)
    ids = [str(value) for value in json_list(gamma, FIELDS[version])]
    for index, text in enumerate(ids):
        if OUTCOME_ID.fullmatch(text) is None:
            raise ValueError(f"token id {text[:100]!r}")
        if ProtocolVersion.of_id(text) is not version:
            raise ValueError(f"token id {text} has not the form of version {version}")
        if version is ProtocolVersion.V2:
            _check_position(int(text), int(ids[0]), index)
    return ids


def _check_position(position: int, first: int, index: int) -> None:
    """Check that a position is the outcome with this index, of the same condition as the first one.

    Raises
    ------
    ValueError
        With the part of the id that differs.
    """
    if position >> 248 != BINARY_MODULE:
        raise ValueError(f"position id {position} is of module {position >> 248}, not {BINARY_MODULE}")
    if position >> 8 != first >> 8:
        raise ValueError(f"position id {position} is of another condition than {first}")
    if position & 0xFF != index:
        raise ValueError(f"position id {position} is of outcome {position & 0xFF}, not {index}")


def json_list(gamma: Mapping[str, Any], key: str) -> list[Any]:
    """A list of the catalogue, which may be a JSON text.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is missing, or not a list.
    """
    value = gamma[key]
    parsed = parse_json(value) if isinstance(value, str) else value
    if not isinstance(parsed, list):
        raise TypeError(f"{key} is not a list")
    return parsed
