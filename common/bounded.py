"""Limits the time of a call that may block indefinitely: a name look-up, a slow server, a blocked disk."""

import threading
from collections.abc import Callable
from concurrent.futures import Future


def bounded[Result](call: Callable[[], Result], seconds: float, name: str) -> Result:
    """Run a call in its own thread and wait for its result for a limited time.

    Parameters
    ----------
    call : Callable
        Its effects must be harmless after the timeout: the thread is abandoned, not ended.
    seconds : float
    name : str
        Name of the thread.

    Raises
    ------
    TimeoutError
        If the call did not return in time.
    Exception
        Every exception of the call.
    """
    result: Future[Result] = Future()

    def run() -> None:
        try:
            result.set_result(call())
        except Exception as error:  # noqa: BLE001  raised again in the caller
            result.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return result.result(seconds)
