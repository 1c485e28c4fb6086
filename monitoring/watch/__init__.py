"""The terminal view of a running bot: `view_paper_trades.py --watch`. Read-only."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from monitoring.watch.screen import screen
from monitoring.watch.snapshot import SnapshotReader

REFRESH_S = 0.5


def watch(state_dir: Path, profile: str | None, console: Console) -> None:
    """Show a profile until q or Ctrl-C; in a pipe, show it once.

    Parameters
    ----------
    state_dir : Path
        Parent folder of the profiles.
    profile : str or None
        The profile; None: always the one with the newest heartbeat.
    """
    reader = SnapshotReader(state_dir, profile)
    if not console.is_terminal:
        console.print(screen(reader.read(time.time_ns()), console.width, 1_000))
        return
    # Ctrl-C would otherwise end the process without restoring the terminal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                snapshot = reader.read(time.time_ns())
                live.update(screen(snapshot, console.width, console.height), refresh=True)
                if pressed(REFRESH_S) in ("q", "Q"):
                    return
    except KeyboardInterrupt:
        return


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """A function that waits for a key for a number of seconds; without single-key input it only waits."""
    if not sys.stdin.isatty() or sys.platform == "win32":
        yield lambda seconds: time.sleep(seconds) or ""
        return
    import select
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        return sys.stdin.read(1) if ready else ""

    try:
        yield pressed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
