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


ONE_RUN = ("tests/patches/", "tests/test_many_series.py")
"""Files whose tests share a Nautilus node or a run of the bot."""
SLOW_LIMIT_S = 240
"""Limit of a slow test without its own: a loaded machine takes several times as long as an idle one."""


def pytest_collection_modifyitems(items):
    """Begin with the longest tests: at the end all workers but one would wait for them.

    The limit of a test is several times its duration, so the order of the limits is that of the durations.
    """

    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_LIMIT_S))

    def limit(item):
        found = item.get_closest_marker("timeout")
        return found.args[0] if found else 0

    items.sort(key=limit, reverse=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One worker more than cores: a third of the time a worker waits for the processes that it started."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let one worker run all tests of a file of `ONE_RUN`: each worker would start its own node or run.

    pytest-xdist 3.8's own mark for this, `xdist_group`, has no effect under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class OneWorkerPerRun(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return nodeid.partition("::")[0] if nodeid.startswith(ONE_RUN) else nodeid

    return OneWorkerPerRun(config, log)
