"""Keeps the memory of a process that holds keys from core dumps and from other processes of the same user."""

import ctypes
import sys
from contextlib import suppress

PR_SET_DUMPABLE = 4
"""Option of Linux' prctl(2)."""


def protect_memory() -> None:
    """Write no core dump, and let no other process but root's read the memory and environment.

    On Linux also a core dump that is piped to a program is left out, `/proc/<pid>/environ` and `mem` belong
    to root, and no debugger of this user can attach. Each process has to call this: a new program starts
    without. It has no effect where the platform lacks the call.
    """
    with suppress(ImportError):  # not on Windows, which writes no core dumps
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
