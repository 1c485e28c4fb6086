"""One instance per process of an engine or a source, created by the first call with its settings."""

import threading
from collections.abc import Callable
from typing import Any

from errors import Fatal


class Singleton[**P, T]:
    """A factory that returns the same instance until it is reset.

    Parameters
    ----------
    factory : callable
        Creates the instance; called once, with the settings of the first `get`.
    """

    def __init__(self, factory: Callable[P, T]) -> None:
        self._factory = factory
        self._lock = threading.Lock()
        self._made: tuple[T, tuple[Any, ...], dict[str, Any]] | None = None

    def get(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the instance. Settings belong to the first call; repeating the same ones later is allowed.

        Raises
        ------
        Fatal
            If it already exists with other settings, which would have no effect.
        """
        with self._lock:
            if self._made is None:
                self._made = (self._factory(*args, **kwargs), args, kwargs)
            instance, made_args, made_kwargs = self._made
        if (args or kwargs) and (args, kwargs) != (made_args, made_kwargs):
            name = type(instance).__name__
            raise Fatal(
                f"{name} already exists with other settings", "Pass the settings on the first call only"
            )
        return instance

    def reset(self) -> T | None:
        """Remove and return the instance, so that its owner can close it. For tests."""
        with self._lock:
            made, self._made = self._made, None
        return made[0] if made else None
