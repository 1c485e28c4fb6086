"""Keeps httpx from importing what is not needed or not installed. Standard library only."""

import sys
from typing import Any

HTTPX_COMMAND = "httpx._main"
ASYNC_LIBRARY = "sniffio"


def leave_out_httpx_command() -> None:
    """Let httpx find no command, as if its optional dependencies were not installed.

    Has to be called before the first import of httpx.
    """
    modules: dict[str, Any] = sys.modules
    modules.setdefault(HTTPX_COMMAND, None)  # its import raises ImportError, which httpx expects


def leave_out_async_library() -> None:
    """Let httpx find no library that names the kind of the running event loop, which is asyncio's.

    Otherwise httpx looks for it several times in each request, in each folder of `sys.path`.
    """
    modules: dict[str, Any] = sys.modules
    modules.setdefault(ASYNC_LIBRARY, None)
