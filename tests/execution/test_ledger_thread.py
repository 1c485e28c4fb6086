"""The ledger's thread: calls in their order, and those that are deferred while an order may follow."""

from collections.abc import Iterator

import pytest

from execution import ledger_thread
from execution.ledger_thread import LedgerThread


@pytest.fixture
def made() -> list[str]:
    """The calls that were made, in their order."""
    return []


@pytest.fixture
def thread() -> Iterator[LedgerThread]:
    def failed(error: BaseException) -> None:
        raise AssertionError from error

    running = LedgerThread(failed)
    yield running
    running.close()


def made_until_now(thread: LedgerThread, made: list[str]) -> list[str]:
    return thread.submit(lambda: list(made)).result(20)


def test_nothing_is_deferred_when_no_order_may_follow(thread: LedgerThread, made: list[str]) -> None:
    """Deferred calls then run like all others, in the order of the calls."""
    thread.post(made.append, "first")
    thread.post_deferred("mark", made.append, "mark")
    thread.post(made.append, "last")
    assert made_until_now(thread, made) == ["first", "mark", "last"]


def test_a_deferred_call_waits_until_no_order_may_follow(thread: LedgerThread, made: list[str]) -> None:
    """The rows of an order do not wait; of the calls with one key the last one is made, once."""
    near = [True]
    thread.defer_while(lambda: near[0])
    thread.post_deferred("mark", made.append, "first mark")
    thread.post_deferred("export", made.append, "export")
    thread.post_deferred("mark", made.append, "second mark")
    thread.post_due()
    thread.post(made.append, "order")
    assert made_until_now(thread, made) == ["order"]
    near[0] = False
    thread.post_due()
    thread.post_due()
    assert made_until_now(thread, made) == ["order", "second mark", "export"]


def test_a_call_is_deferred_for_a_minute_at_most(
    thread: LedgerThread, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted from the first call of its key: later ones do not extend it."""
    now = [1000.0]
    monkeypatch.setattr(ledger_thread.time, "monotonic", lambda: now[0])
    thread.defer_while(lambda: True)
    thread.post_deferred("mark", made.append, "first mark")
    now[0] += 59.9
    thread.post_deferred("mark", made.append, "second mark")
    thread.post_deferred("export", made.append, "export")
    assert made_until_now(thread, made) == []
    now[0] += 0.1
    thread.post_due()
    assert made_until_now(thread, made) == ["second mark"]


def test_the_end_of_the_thread_loses_no_deferred_call(thread: LedgerThread, made: list[str]) -> None:
    """What was deferred is made before the thread ends."""
    thread.defer_while(lambda: True)
    thread.post_deferred("mark", made.append, "mark")
    thread.close()
    assert made == ["mark"]
