"""What follows the end of a worker, without a process and without a clock."""

import pytest

from errors import Fatal
from runtime.restart_policy import CrashLimit, Restart, WorkerRestarts, ended_how
from runtime.supervisor import Silence

CRASHED, UNAVAILABLE, RESTART = 1, 69, 75
KILLED = -9


@pytest.mark.parametrize(
    ("code", "follows"),
    [(0, 0), (2, 2), (3, 1), (75, Restart())],
    ids=["done", "misconfigured", "fatal", "planned restart"],
)
def test_what_is_no_failure_of_the_moment(code, follows):
    """A worker that is done, misconfigured or at its end ends the run; a planned restart follows at once."""
    assert WorkerRestarts().ended(code, 100.0) == follows


def test_crashes_are_retried_with_growing_delay_and_then_end_the_run():
    """The delay doubles with each crash; the fifth within ten minutes ends the run with its cause."""
    restarts = WorkerRestarts()
    delays = [restarts.ended(CRASHED, 100.0 + n).delay_s for n in range(4)]
    assert delays == [1.0, 2.0, 4.0, 8.0]
    with pytest.raises(Fatal, match=r"the worker crashed 5 times within 10 minutes, last by signal SIGKILL"):
        restarts.ended(KILLED, 700.0)


def test_old_crashes_are_forgotten():
    """A crash counts for ten minutes: one every three minutes never ends the run."""
    restarts = WorkerRestarts()
    delays = [restarts.ended(CRASHED, 180.0 * n).delay_s for n in range(50)]
    assert delays[-1] == 8.0  # this one, and those of three, six and nine minutes ago


def test_an_outage_of_the_venue_is_retried_for_ever():
    """A thousand failed starts do not end the run; the delay grows to 15 s and the message gives the time."""
    restarts = WorkerRestarts()
    outcomes = [restarts.ended(UNAVAILABLE, 20.0 * n) for n in range(1000)]
    assert [outcome.delay_s for outcome in outcomes[:6]] == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert outcomes[-1].delay_s == 15.0
    assert outcomes[0].message == "The worker could not start; starting it again in 1 s."
    assert "(4 times in a row, for 1.0 minutes)" in outcomes[3].message
    assert restarts.failed_starts == 1000
    # It counts as no crash, and the next one starts from the first delay.
    assert restarts.ended(CRASHED, 20_001.0).delay_s == 1.0
    assert restarts.failed_starts == 0
    assert restarts.ended(UNAVAILABLE, 20_010.0).delay_s == 1.0


def test_a_hung_worker_counts_as_a_crash():
    """A worker without a heartbeat is replaced, and the message gives that as the cause."""
    outcome = WorkerRestarts().ended(KILLED, 100.0, hung=True)
    assert outcome == Restart(1.0, "The worker ended without a heartbeat; starting it again in 1 s.")


def test_the_cap_names_what_crashed():
    """The same limit applies to the practice venue, with its own name and log."""
    limit = CrashLimit("the practice venue", "See logs/venue.log")
    for n in range(4):
        limit.crashed(float(n), "with exit code 1")
    with pytest.raises(
        Fatal, match=r"the practice venue crashed 5 times .* with exit code 1\. See logs/venue"
    ):
        limit.crashed(5.0, "with exit code 1")


@pytest.mark.parametrize(
    ("code", "fragment"), [(1, "with exit code 1"), (-15, "by signal SIGTERM"), (-99, "by signal 99")]
)
def test_how_a_process_ended(code, fragment):
    """Signals are named, and an unknown signal is given by its number."""
    assert ended_how(code) == fragment


def test_silence_counts_only_while_the_supervisor_itself_runs():
    """After a night's sleep of the machine, or a stop of the supervisor, the worker has its full time
    again."""
    silence = Silence(100.0)
    for tick in range(1, 101):
        silence.polled(100.0 + tick / 10, received=False)
    assert silence.seconds == pytest.approx(10.0)
    silence.polled(110.0 + 8 * 3600, received=False)
    assert silence.seconds == pytest.approx(11.0)
    silence.polled(110.1 + 8 * 3600, received=True)
    assert silence.seconds == 0.0
