"""A protected process leaves no core dump and hides its environment from its own user's other processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from bot_process import ROOT
from process_access import UNPRIVILEGED, is_readable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses Linux' /proc")

HOLDER = """
import os, resource, sys
from common.process_memory import protect_memory

resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
if sys.argv[1] == "protected":
    protect_memory()
print("no core dump" if resource.getrlimit(resource.RLIMIT_CORE) == (0, 0) else "core dump", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(kind: str) -> Iterator[tuple[int, str]]:
    """A process with a secret in its environment: its id, and its line about core dumps."""
    with subprocess.Popen(
        [*UNPRIVILEGED, sys.executable, "-c", HOLDER, kind],
        cwd=ROOT,
        env={**os.environ, "A_SECRET": "secret"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.pid, process.stdout.readline()
        process.stdin.close()


def test_memory_and_environment_are_hidden() -> None:
    """Without the protection both can be read by another process of the user, with it neither; the limit of
    core dumps is 0."""
    with holder("open") as (pid, line):
        assert line == "core dump\n"
        assert is_readable(f"/proc/{pid}/environ")
    with holder("protected") as (pid, line):
        assert line == "no core dump\n"
        assert not is_readable(f"/proc/{pid}/environ")
        assert not is_readable(f"/proc/{pid}/mem")


def test_a_platform_without_the_call_starts_all_the_same() -> None:
    """On macOS only the limit is set; the missing call is no error."""
    script = (
        "import sys; sys.platform = 'darwin'; from common import process_memory as it; it.protect_memory()"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
