"""Makes `python SCRIPT.py` work in a fresh clone: installs missing dependencies and restarts the script.

Uses the standard library only, and no syntax that an old Python rejects: it runs before the installation.
"""

import os
import signal
import sys
from importlib.util import find_spec

MEANT_FOR_OTHERS = (
    "ECC_BACKEND_CLASS",
    "ETH_HASH_BACKEND",
    "LOGURU_",
    "PROMETHEUS_MULTIPROC_DIR",
    "WEBSOCKETS_",
)
"""Settings of libraries that are meant for other programs, and that can keep this one from starting."""
OF_THE_INTERPRETER = ("PYTHONINSPECT", "PYTHONSAFEPATH", "PYTHONWARNINGS")
"""Settings of Python that turn a warning or a normal exit into a traceback, or hide the project's folder."""
HERE = os.path.dirname(os.path.abspath(__file__))


def ensure_environment(script: str) -> None:
    """Return if the dependencies are importable, otherwise replace this process by `./bot exec SCRIPT ARGS`.

    `script` is the file name of the running script, in the project's folder. From here on Ctrl-C ends the
    process without a traceback, until a command installs its own handler.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in [name for name in os.environ if name.startswith(MEANT_FOR_OTHERS)]:
        del os.environ[name]
    if os.environ.get("COLUMNS", "").strip("0") == "":
        os.environ.pop("COLUMNS", None)  # a terminal of unknown width; the output would be empty
    changed = [name for name in OF_THE_INTERPRETER if os.environ.pop(name, "")]
    if changed and hasattr(sys, "orig_argv") and os.name == "posix":
        # Python has read them already: only a new interpreter is free of them.
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    if sys.version_info >= (3, 12) and find_spec("nautilus_trader") and find_spec("msgspec"):
        return
    if os.environ.get("BOT_BOOTSTRAPPED"):
        sys.exit("dependencies are still missing after the installation: remove .venv and try again")
    os.environ["BOT_BOOTSTRAPPED"] = "1"
    if not os.path.exists("/bin/sh"):
        sys.exit(
            "there is no /bin/sh here: run the bot in Docker or in WSL 2, as docs/deployment.md describes"
        )
    sys.stdout.flush()
    os.execv("/bin/sh", ["sh", os.path.join(HERE, "bot"), "exec", script, *sys.argv[1:]])


def run_tests(script: str, folder: str) -> None:
    """Replace this process by pytest on a folder of tests, with the further arguments of the command line.

    Installs missing dependencies first, like `ensure_environment`. `script` and `folder` are relative to the
    project's folder.
    """
    ensure_environment(script)
    os.chdir(HERE)
    sys.stdout.flush()
    # As many workers as `./bot test`; a later -n takes precedence.
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "-n", "auto", folder, *sys.argv[1:]])
