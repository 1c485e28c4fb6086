"""Entry point of `python -m runtime.worker`."""

if __name__ == "__main__":
    import gc
    import sys

    from runtime.worker.plan_pipe import PlanPipe

    # Before the imports below, which take seconds. They create hardly any garbage to collect.
    gc.disable()
    plan_pipe = PlanPipe(sys.stdin.buffer)
else:
    plan_pipe = None

import errno
import gc
import os
import sqlite3
import sys
from contextlib import ExitStack

import msgspec

import patches
from common.constants import ExitCode
from common.environment import prepare_environment
from common.process_exit import exit_process
from common.process_memory import protect_memory
from config import Settings, load_settings
from control.halt_file import HALT_FILE, HaltFile
from control.last_mode_switch import LAST_SWITCH_FILE
from control.mode_gate import ModeController
from control.mode_store import ConfiguredRedis
from control.running import open_store
from errors import BotError, ConfigError, Fatal, Temporary
from execution.ledger import LedgerLocked
from monitoring.log_file import log_to_file
from monitoring.terminal import TolerantConsole, print_error, replace_unencodable
from runtime.worker.assembly import build
from runtime.worker.heartbeat import Heartbeat
from runtime.worker.order_gate import OrderGate
from runtime.worker.plan import WorkerPlan
from runtime.worker.plan_pipe import PlanPipe
from runtime.worker.start import StartLimit

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_WRITTEN = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
"""SQLite names a full disk and the limit for the size of a file differently."""
SPARE_DESCRIPTORS = 32
"""More than one step of a worker's start opens."""


def _exit_of(error: BotError | OSError) -> ExitCode:
    """The exit code for a worker that cannot be built; it determines what the supervisor does next."""
    if isinstance(error, Temporary | LedgerLocked) or _out_of_space(error) or _out_of_descriptors():
        return ExitCode.UNAVAILABLE
    if isinstance(error, ConfigError):
        return ExitCode.MISCONFIGURED
    return ExitCode.FATAL if isinstance(error, Fatal) else ExitCode.CRASHED


def _out_of_space(error: BaseException | None) -> bool:
    """Whether a file could not be written because the disk is full, or a limit for files is reached."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) in NOT_WRITTEN
    if isinstance(error, OSError):
        return error.errno in NO_SPACE
    return error is not None and _out_of_space(error.__cause__)


def _out_of_descriptors() -> bool:
    """Whether almost no file can be opened, so that an error about one file is not specific to that file."""
    opened: list[int] = []
    try:
        # The failed step has closed what it had opened.
        opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(SPARE_DESCRIPTORS))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False


def main(pipe: PlanPipe) -> int:
    """Wait for the plan and run the worker; the exit code is an `ExitCode`."""
    replace_unencodable(sys.stdout)
    heartbeat = Heartbeat(int(sys.argv[1]) if sys.argv[1:] else None)
    heartbeat.heartbeat()
    with ExitStack() as stack:
        try:
            prepare_environment()
            settings = load_settings()
            patches.verify()
            plan = msgspec.json.decode(pipe.line(), type=WorkerPlan)
            start = StartLimit(settings.worker_start_seconds)
            stack.enter_context(log_to_file(settings.log_dir))
            worker = build(settings, plan, _order_gate(settings, plan), TolerantConsole(), start, heartbeat)
        except (BotError, OSError) as error:
            print_error(error)
            return _exit_of(error)
        # What exists now stays until the end: later collections do not examine it.
        gc.freeze()
        gc.enable()
        return worker.run()


def _order_gate(settings: Settings, plan: WorkerPlan) -> OrderGate:
    store = (
        None
        if plan.store is None
        else open_store(plan.store, settings.state_dir, ConfiguredRedis(**settings.redis))
    )
    controller = ModeController(store, plan.armed, plan.armed, settings.state_dir / LAST_SWITCH_FILE)
    return OrderGate(controller, HaltFile(plan.folder(settings.state_dir) / HALT_FILE), plan.live_path)


if plan_pipe is not None:
    protect_memory()
    exit_process(main(plan_pipe))
