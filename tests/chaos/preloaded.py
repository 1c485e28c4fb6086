"""Starts the processes of a bot by fork(2) of a process that has imported their modules already.

The imports are half of the CPU time of a schedule. Runner, worker and venue remain processes of their own,
with the pipes, sessions, environment and descriptors that they were started with; they are killed and awaited
like others. A process that needs another interpreter (a shifted clock, a stop at a command, a broken build)
is started as usual, and so is one whose parent has a database open: SQLite must not be carried over a fork.
"""

import ctypes
import gc
import importlib
import io
import os
import runpy
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bot_process import FORKED, ROOT

MODULES = ("runner", "runtime.worker.__main__", "venue.__main__")
OTHER_INTERPRETER = ("LD_PRELOAD", "CHAOS_STOP", "CHAOS_BUILD")
"""Variables that change a process before its first import."""
LIVE = "--live"
PR_SET_NAME = 15
STANDARD = 3
"""Number of the standard streams."""


def preload() -> None:
    """Import the modules of all processes, and let this process and its forks start others from here on."""
    gc.disable()
    for name in MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    gc.enable()
    subprocess._fork_exec = forking(subprocess._fork_exec)  # type: ignore[attr-defined]


def program_of(arguments: Sequence[str]) -> tuple[str, list[str]] | None:
    """The module or script of a command line of the bot, and its arguments; None for another program."""
    match list(arguments):
        case [sys.executable, "-m", ("runtime.worker" | "venue") as module, *rest]:
            return module, rest
        case [sys.executable, script, *rest] if script == str(ROOT / "runner.py"):
            return script, rest
    return None


def forking(fork_exec: Callable[..., int]) -> Callable[..., int]:
    """The function of `subprocess` that starts a program, for those of the bot without a new interpreter."""

    def start(arguments: Sequence[str], *others: Any) -> int:
        _, _, keep, folder, environment, stdin, _, _, stdout, _, stderr, _, error_pipe, _, new_session = (
            others[:15]
        )
        program = program_of(arguments)
        variables = _decoded(environment)
        if program is None or _needs_interpreter(variables):
            return fork_exec(arguments, *others)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                gc.freeze()  # nothing of the parent is collected, which would close descriptors of this one
                _take_streams((stdin, stdout, stderr), set(keep) - {error_pipe})
                if new_session:
                    os.setsid()
                if folder is not None:
                    os.chdir(folder)
                code = _run(*program, list(arguments), variables)
            except BaseException:  # noqa: BLE001  as the interpreter does at the end of a program
                traceback.print_exc()
            finally:
                _end(code)
        return pid

    return start


def _needs_interpreter(variables: Mapping[str, str]) -> bool:
    """Whether a program has to be started as usual.

    The preflight checks of a live run have used NautilusTrader, whose threads do not survive a fork.
    """
    checked = LIVE in sys.argv
    return (
        checked
        or any(name in variables for name in OTHER_INTERPRETER)
        or any(".sqlite" in file for file in _open_files())
    )


def _open_files() -> Iterator[str]:
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            yield os.readlink(f"/proc/self/fd/{descriptor}")


def _decoded(environment: Sequence[bytes] | None) -> Mapping[str, str]:
    if environment is None:
        return dict(os.environ)
    return dict(os.fsdecode(entry).partition("=")[::2] for entry in environment)


def _take_streams(streams: Sequence[int], keep: set[int]) -> None:
    """Make the descriptors the standard streams; take away all others but those to keep. −1 is inherited."""
    high = [os.dup(one) if 0 <= one < STANDARD else one for one in streams]
    for number, one in enumerate(high):
        if one >= 0:
            os.dup2(one, number)
    # Objects of the parent may still close their descriptors here, such as an event loop that is replaced: no
    # file of this program may have these numbers.
    nothing = os.open(os.devnull, os.O_RDWR)
    for one in map(int, os.listdir("/proc/self/fd")):
        if one >= STANDARD and one != nothing and one not in keep:
            os.dup2(nothing, one, inheritable=False)
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(
        io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8"
    )  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _writer(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _writer(2)  # type: ignore[misc]


def _writer(descriptor: int) -> io.TextIOWrapper:
    raw = io.BufferedWriter(io.FileIO(descriptor, "wb", closefd=False))
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _run(program: str, arguments: list[str], command: list[str], variables: Mapping[str, str]) -> int:
    """Run the program as `__main__`; returns its exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(variables)
    sys.orig_argv = command
    sys.argv = [program, *arguments]
    name = FORKED + Path(program).name.removesuffix(".py").rpartition(".")[2]
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
    for folder in variables.get("PYTHONPATH", "").split(os.pathsep):
        hook = Path(folder, "sitecustomize.py")
        if folder and hook.exists():
            runpy.run_path(str(hook))
    try:
        if program.endswith(".py"):
            runpy.run_path(program, run_name="__main__")
        else:
            sys.modules.pop(f"{program}.__main__")  # it is executed again, as the main module
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    return 0


def _end(code: int) -> None:
    """End this process without what its parent would do at its own end."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code)


def _serve(pipe: Connection, inherited: Sequence[Connection], play: Callable[[Any, Path], Any]) -> None:
    os.setsid()  # Ctrl-C is for the command alone
    for one in inherited:
        one.close()
    with suppress(EOFError):
        while True:
            schedule, folder = pipe.recv()
            pipe.send(play(schedule, folder))


class PlayingProcess:
    """A process that plays one schedule after the other; forked before this process has threads."""

    def __init__(self, play: Callable[[Any, Path], Any], earlier: Sequence["PlayingProcess"] = ()) -> None:
        context = get_context("fork")
        self._pipe, other = context.Pipe()
        # A pipe ends with the command only if no other process has it.
        inherited = [self._pipe, *(one._pipe for one in earlier)]
        self._process = context.Process(target=_serve, args=(other, inherited, play), daemon=True)
        self._process.start()
        other.close()

    def play(self, schedule: Any, folder: Path) -> Any:
        self._pipe.send((schedule, folder))
        return self._pipe.recv()
