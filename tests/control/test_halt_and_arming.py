"""The halt and its removal by a person, and the typed confirmation that arms live trading."""

import pytest

from control.arming import arm
from control.halt_file import HaltFile
from errors import Fatal, Temporary


def test_a_halt_keeps_its_first_reason_until_it_is_lifted(tmp_path):
    """The first reason and time are kept; removing the halt returns them and leaves no file."""
    file = HaltFile(tmp_path / "live" / "HALTED")
    assert file.standing() is None
    file.raise_("three refusals")
    file.raise_("something later")
    assert file.standing().startswith("three refusals (since 2")
    assert HaltFile(file.path).lift().startswith("three refusals")
    assert file.standing() is None
    assert file.lift() is None


@pytest.mark.parametrize(
    "content", [b"", b"stop!", b"\xff\xfe\x00", b"[]", b"1", b'"x"', b"{}", b'{"why": "x"}', b"null"]
)
def test_whatever_is_in_it_a_file_halts(content, tmp_path):
    """A file made by hand, or damaged, is a halt with a reason text, never no halt."""
    file = HaltFile(tmp_path / "HALTED")
    file.path.write_bytes(content)
    assert file.standing()
    assert file.lift()


def test_what_cannot_be_read_or_removed_is_a_halt_too(tmp_path):
    """A folder of that name is a halt; removing it reports an error."""
    file = HaltFile(tmp_path / "HALTED")
    file.path.mkdir()
    assert "cannot be read" in file.standing()
    with pytest.raises(Temporary, match="cannot be removed"):
        file.lift()


@pytest.mark.parametrize(
    ("confirm", "typed", "armed"),
    [
        ("yes", None, True),
        ("", None, False),
        ("", "LIVE", True),
        ("", " LIVE ", True),
        ("", "live", False),
        ("", "yes", False),
        ("", "", False),
        ("", "LIVE!", False),
        ("", EOFError, False),
        ("", KeyboardInterrupt, False),
    ],
)
def test_only_live_typed_or_the_setting_arms(confirm, typed, armed):
    """LIVE typed exactly, or LIVE_TRADING_CONFIRM=yes; all else ends the start and names what was typed."""

    def answer(prompt):
        assert "LIVE" in prompt
        if isinstance(typed, str):
            return typed
        raise typed

    ask = None if typed is None else answer
    if armed:
        assert arm(confirm, ask).startswith("armed by")
    else:
        with pytest.raises(Fatal, match="not armed") as refused:
            arm(confirm, ask)
        assert refused.value.exit_code == 1
