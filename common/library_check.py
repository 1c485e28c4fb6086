"""Refuses to use a library of another version, or with other code, than the one a module was written for."""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from errors import Fatal


def require_version(package: str, wanted: str) -> None:
    """Check the installed version of a package.

    Raises
    ------
    Fatal
        With both versions.
    """
    try:
        found = version(package)
    except PackageNotFoundError:
        found = "not installed"
    if found != wanted:
        raise Fatal(
            f"{package} is {found}, the patches are for {wanted}",
            "Run ./bot once to install the pinned versions",
        )


def require_source(fingerprints: Mapping[Callable[..., Any], str]) -> None:
    """Check the `fingerprint` of each function.

    Raises
    ------
    Fatal
        With the name of the function that differs.
    """
    for function, wanted in fingerprints.items():
        found = fingerprint(function)
        if found != wanted:
            raise Fatal(
                f"{function.__qualname__} in {function.__module__} is not the code that was patched"
                f" ({found}, not {wanted})",
                "Remove .venv and run ./bot to install the pinned versions",
            )


def fingerprint(function: Callable[..., Any]) -> str:
    """First 12 hex digits of the SHA-256 of a function's source text."""
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]
