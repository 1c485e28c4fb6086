"""Entry point of `python -m runtime.worker`."""

import errno
import os
import signal
import sys
import threading
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
from runtime.worker.start import StartLimit

SPARE_DESCRIPTORS = 32
"""More than one step of a worker's start opens."""


def _stop_with_parent() -> None:
    """Stop the process when standard input ends: the supervisor is gone."""

    def wait() -> None:
        while sys.stdin.buffer.readline():
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


def _exit_of(error: BotError | OSError) -> ExitCode:
    """The exit code for a worker that cannot be built; it determines what the supervisor does next."""
    if isinstance(error, Temporary | LedgerLocked) or _out_of_descriptors():
        return ExitCode.UNAVAILABLE
    if isinstance(error, ConfigError):
        return ExitCode.MISCONFIGURED
    return ExitCode.FATAL if isinstance(error, Fatal) else ExitCode.CRASHED


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


def main() -> int:
    """Read the plan from standard input and run the worker; the exit code is an `ExitCode`."""
    replace_unencodable(sys.stdout)
    heartbeat = Heartbeat(int(sys.argv[1]) if sys.argv[1:] else None)
    heartbeat.heartbeat()
    with ExitStack() as stack:
        try:
            prepare_environment()
            settings = load_settings()
            # Bytes: the plan is UTF-8 whatever the console's encoding is.
            plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerPlan)
            start = StartLimit(settings.worker_start_seconds)
            stack.enter_context(log_to_file(settings.log_dir))
            patches.verify()
            worker = build(settings, plan, _order_gate(settings, plan), TolerantConsole(), start, heartbeat)
        except (BotError, OSError) as error:
            print_error(error)
            return _exit_of(error)
        _stop_with_parent()
        return worker.run()


def _order_gate(settings: Settings, plan: WorkerPlan) -> OrderGate:
    store = (
        None
        if plan.store is None
        else open_store(plan.store, settings.state_dir, ConfiguredRedis(**settings.redis))
    )
    controller = ModeController(store, plan.armed, plan.armed, settings.state_dir / LAST_SWITCH_FILE)
    return OrderGate(controller, HaltFile(plan.folder(settings.state_dir) / HALT_FILE), plan.live_path)


if __name__ == "__main__":
    protect_memory()
    exit_process(main())
