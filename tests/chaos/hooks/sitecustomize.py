"""Put on PYTHONPATH by `tests.chaos`: the entries of a test into the processes of a bot.

- `CHAOS_RELAY`, `CHAOS_UPSTREAM`: the practice venue announces the relay's address instead of its own, which
  is written to the file.
- `CHAOS_STOP`, `CHAOS_STOPPED`: the worker, or the supervisor in a migration, stops itself (SIGSTOP) before a
  command, once, and writes its process id to the file.
- `CHAOS_VENUE_CLOCK`: the practice venue has the machine's clock, although that of the bot is shifted.
- `CHAOS_BUILD`: a JSON file with `file`, `old` and `new`: a deliberately broken build of the bot.
"""

import json
import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
STOPS = {
    "execution/execution_engine.py": "stop_points.in_engine(ExecutionEngine)",
    "execution/ledger/writer.py": "stop_points.in_ledger(Ledger)",
    "execution/ledger/connection.py": "_migrate = stop_points.in_migration(_migrate)",
    "execution/settlement/redeemers.py": "stop_points.in_redeemer(PracticeRedeemer)",
    "runtime/worker/run_control.py": "stop_points.in_run_control(RunControl)",
}
"""Appended to a module of the process that stops at a command."""
IS_VENUE = sys.orig_argv[1:3] == ["-m", "venue"]


class Announcement:
    """Standard output of the venue, whose only line has its address."""

    def __init__(self, relay: str, file: Path) -> None:
        self._relay = relay
        self._file = file
        self._stream = sys.__stdout__.buffer
        self.buffer = self

    def write(self, line: bytes) -> int:
        own = json.loads(line)["url"]
        fresh = self._file.with_suffix(".new")
        fresh.write_text(own)
        fresh.replace(self._file)
        # The addresses of the external services are below the same host and port.
        host, relay = (url.removeprefix("http://").encode() for url in (own, self._relay))
        self._stream.write(line.replace(host, relay))
        return len(line)

    def flush(self) -> None:
        self._stream.flush()


def changed_sources() -> dict[Path, tuple[str, str]]:
    """For each changed file: the text to replace, and its replacement; an empty text appends."""
    found = {}
    if "CHAOS_BUILD" in os.environ:
        build = json.loads(Path(os.environ["CHAOS_BUILD"]).read_text())
        found[ROOT / build["file"]] = (build["old"], build["new"])
    if "CHAOS_STOP" in os.environ and not IS_VENUE:
        for file, call in STOPS.items():
            found[ROOT / file] = ("", f"\nimport stop_points\n{call}\n")
    return found


def import_changed(sources: dict[Path, tuple[str, str]]) -> None:
    """Let the imports of this process take the changed sources."""
    unchanged = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> object:
        change = sources.get(Path(loader.path))
        if change is None:
            return unchanged(loader, name)
        old, new = change
        source = Path(loader.path).read_text()
        text = source.replace(old, new) if old else source + new
        return compile(text, loader.path, "exec", dont_inherit=True)

    SourceFileLoader.get_code = get_code


if "CHAOS_VENUE_CLOCK" in os.environ and IS_VENUE and "LD_PRELOAD" in os.environ:
    unshifted = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "FAKETIME")}
    os.execve(sys.executable, sys.orig_argv, unshifted)
if sources := changed_sources():
    import_changed(sources)
if "CHAOS_RELAY" in os.environ and IS_VENUE:
    sys.stdout = Announcement(os.environ["CHAOS_RELAY"], Path(os.environ["CHAOS_UPSTREAM"]))
