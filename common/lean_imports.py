"""Keeps an import of httpx from importing its command, with Click and Pygments. Standard library only."""

import sys
from typing import Any

HTTPX_COMMAND = "httpx._main"


def leave_out_httpx_command() -> None:
    """Let httpx find no command, as if its optional dependencies were not installed.

    Has to be called before the first import of httpx.
    """
    modules: dict[str, Any] = sys.modules
    modules.setdefault(HTTPX_COMMAND, None)  # its import raises ImportError, which httpx expects
