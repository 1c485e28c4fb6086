"""Entry point of `python -m worker`."""

import os
import signal
import sys
import threading

import msgspec
from rich.console import Console

import patches
from config import load_settings
from control.gate import Keeper
from control.halt import HALTED, HaltFile
from control.memory import MODE_MEMORY
from control.running import open_store
from errors import BotError, ConfigError, Fatal
from monitoring.console import log_to_file
from monitoring.terminal import replace_unencodable
from worker.gate import OrderGate
from worker.plan import Exit, WorkerPlan
from worker.worker import Worker


def _stop_with_parent() -> None:
    """Stop when standard input ends: the supervisor is gone."""

    def wait() -> None:
        while sys.stdin.readline():
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


def main() -> int:
    """Read the plan from standard input, and trade; the exit code is an `Exit`."""
    os.environ["NO_PROXY"] = "127.0.0.1,localhost"
    replace_unencodable(sys.stdout)
    try:
        settings = load_settings()
        plan = msgspec.json.decode(sys.stdin.readline(), type=WorkerPlan)
        log_to_file(settings.log_dir)
        patches.verify()
        store = None if plan.store is None else open_store(plan.store, settings.state_dir)
        keeper = Keeper(store, plan.armed, plan.armed, settings.state_dir / MODE_MEMORY)
        gate = OrderGate(keeper, HaltFile(plan.folder(settings.state_dir) / HALTED), plan.live_path)
        worker = Worker(settings, plan, gate, Console())
    except Fatal as error:
        print(f"error: {error}", file=sys.stderr)
        return Exit.MISCONFIGURED if isinstance(error, ConfigError) else Exit.FATAL
    except BotError as error:
        print(f"error: {error}", file=sys.stderr)
        return Exit.CRASHED
    _stop_with_parent()
    return worker.run()


if __name__ == "__main__":
    sys.exit(main())
