"""Lets every test import the builders beside this file, in every import mode of pytest."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

sys.path.insert(0, str(Path(__file__).parent))

from left_out import pytest_unconfigure  # noqa: F401  # a hook of pytest

# No assertion depends on the duration of an example, which depends on the load of the machine.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
# A mutation run tests each mutant with the same examples, and does not search for the simplest one that
# fails.
settings.register_profile(
    "mutants",
    settings.get_profile("unhurried"),
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)


LONGEST = (
    "test_a_new_user_arrives_and_every_command_does_what_it_says",
    "test_a_restart_in_every_market_changes_no_decision",
    "test_the_decision_is_mirror_symmetric_in_ten_thousand_markets",
)


def pytest_collection_modifyitems(items):
    """Begin with the tests that take minutes: at the end all workers but one would wait for them."""
    items.sort(key=lambda item: item.originalname not in LONGEST)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One worker more than cores: a third of the time a worker waits for the processes that it started."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let one worker run all tests of a file that starts a Nautilus node: each worker would start its own.

    pytest-xdist 3.8's own mark for this, `xdist_group`, has no effect under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class OneWorkerPerNode(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return nodeid.partition("::")[0] if nodeid.startswith("tests/patches/") else nodeid

    return OneWorkerPerNode(config, log)
