"""The result of one preflight check."""

from collections.abc import Callable, Iterable
from enum import StrEnum

from errors import Fatal
from models import Frozen


class Status(StrEnum):
    """A run may start with warnings, but not with a failure."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(Frozen, frozen=True):
    """One line of the doctor's output: `todo` is what the operator should do, empty if nothing."""

    area: str
    status: Status
    what: str
    todo: str = ""


Check = Callable[[], Iterable[Finding]]
"""One check. It may wait for a service for a few seconds."""


def ok(area: str, what: str) -> Finding:
    return Finding(area, Status.OK, what)


def warn(area: str, what: str, todo: str) -> Finding:
    return Finding(area, Status.WARN, what, todo)


def fail(area: str, what: str, todo: str) -> Finding:
    return Finding(area, Status.FAIL, what, todo)


def finding_of_error(area: str, error: Fatal) -> Finding:
    """The finding for an error that would have ended the run."""
    return fail(area, Exception.__str__(error), error.next_step)


def run_check(area: str, check: Check) -> list[Finding]:
    """Run a check and return its findings; an exception becomes a finding."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except Fatal as error:
        found.append(finding_of_error(area, error))
    except Exception as error:  # noqa: BLE001  one broken check must not hide what the others found
        # The type only: the text of an unexpected error may contain anything, including a key.
        found.append(fail(area, f"the check itself failed with {type(error).__name__}", "Report this"))
    return found
