"""What one check found."""

from collections.abc import Callable, Iterable
from enum import StrEnum

from errors import Fatal
from models import Frozen


class Status(StrEnum):
    """A run may start with warnings, and not with a failure."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(Frozen, frozen=True):
    """One line of the doctor's: `todo` says what the operator does about it, empty if nothing."""

    area: str
    status: Status
    what: str
    todo: str = ""


Check = Callable[[], Iterable[Finding]]
"""Looks at one thing. It may wait for somebody else, a few seconds at most."""


def ok(area: str, what: str) -> Finding:
    return Finding(area, Status.OK, what)


def warn(area: str, what: str, todo: str) -> Finding:
    return Finding(area, Status.WARN, what, todo)


def fail(area: str, what: str, todo: str) -> Finding:
    return Finding(area, Status.FAIL, what, todo)


def finding_of_error(area: str, error: Fatal) -> Finding:
    """The words of an error that would have ended the run."""
    return fail(area, Exception.__str__(error), error.next_step)


def run_check(area: str, check: Check) -> list[Finding]:
    """The findings of a check, whatever becomes of it."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except Fatal as error:
        found.append(finding_of_error(area, error))
    except Exception as error:  # noqa: BLE001  one broken check must not hide what the others found
        # The type only: the text of an error nobody thought of may hold anything, a key among it.
        found.append(fail(area, f"the check itself failed with {type(error).__name__}", "Report this"))
    return found
