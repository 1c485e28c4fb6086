"""Bounds the time of a call that may block for ever: a name look-up, a dripping server, a hung disk."""

import threading
from collections.abc import Callable
from concurrent.futures import Future


def bounded[Result](call: Callable[[], Result], seconds: float, name: str) -> Result:
    """Run a call in a thread of its own and wait for its result, at most so long.

    Parameters
    ----------
    call : Callable
        Its effects have to be harmless after the time is over: the thread is left behind, not ended.
    seconds : float
    name : str
        Of the thread.

    Raises
    ------
    TimeoutError
        If the call did not return in time.
    Exception
        Whatever the call raises.
    """
    result: Future[Result] = Future()

    def run() -> None:
        try:
            result.set_result(call())
        except Exception as error:  # noqa: BLE001  passed on to the caller
            result.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return result.result(seconds)
