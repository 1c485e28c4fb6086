"""Entry point of `python -m runtime.worker`."""

if __name__ == "__main__":
    import gc
    import sys

    from common.lean_imports import leave_out_async_library, leave_out_httpx_command
    from core.nautilus_core.tick_schemes import leave_out_tiered_ticks
    from runtime.worker.plan_pipe import PlanPipe

    # Before the imports below, which take seconds. They create hardly any garbage to collect.
    gc.disable()
    plan_pipe = PlanPipe(sys.stdin.buffer)
    leave_out_httpx_command()
    leave_out_async_library()
    leave_out_tiered_ticks()
else:
    plan_pipe = None

import gc
import sys
from contextlib import ExitStack

import msgspec

import patches
from common.environment import prepare_environment
from common.process_exit import exit_process
from common.process_memory import protect_memory
from config import Settings, load_settings
from control.halt_file import HALT_FILE, HaltFile
from control.last_mode_switch import LAST_SWITCH_FILE
from control.mode_gate import ModeController
from control.mode_store import ConfiguredRedis
from control.running import open_store
from errors import BotError
from monitoring.log_file import log_to_file
from monitoring.terminal import TolerantConsole, print_error, replace_unencodable
from runtime.worker.assembly import build
from runtime.worker.exit_codes import exit_of
from runtime.worker.heartbeat import Heartbeat
from runtime.worker.order_gate import OrderGate
from runtime.worker.plan import WorkerPlan
from runtime.worker.plan_pipe import PlanPipe
from runtime.worker.start import StartLimit


def main(pipe: PlanPipe) -> int:
    """Wait for the plan and run the worker; the exit code is an `ExitCode`."""
    replace_unencodable(sys.stdout)
    heartbeat = Heartbeat(int(sys.argv[1]) if sys.argv[1:] else None)
    heartbeat.heartbeat()
    with ExitStack() as stack:
        try:
            # The runner has checked the certificates before it sends a plan.
            prepare_environment(certificates=False)
            settings = load_settings()
            patches.verify()
            plan = msgspec.json.decode(pipe.line(), type=WorkerPlan)
            start = StartLimit(settings.worker_start_seconds)
            stack.enter_context(log_to_file(settings.log_dir))
            worker = build(settings, plan, _order_gate(settings, plan), TolerantConsole(), start, heartbeat)
        except (BotError, OSError) as error:
            print_error(error)
            return exit_of(error)
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
