"""Lets the plain `python SCRIPT.py` work in a bare clone: install what is missing, then start over.

Standard library only, and no syntax that an old Python would choke on: it runs before anything is installed.
"""

import os
import signal
import sys
from importlib.util import find_spec

HERE = os.path.dirname(os.path.abspath(__file__))


def ensure_environment(script: str) -> None:
    """Return if the dependencies are importable, else replace this process by `./bot exec SCRIPT ARGS`.

    `script` is the file name of the running script, in the project's folder. Ctrl-C ends the process
    without a traceback from here on, until somebody has something to stop in good order.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.version_info >= (3, 12) and find_spec("nautilus_trader") and find_spec("msgspec"):
        return
    if os.environ.get("BOT_BOOTSTRAPPED"):
        sys.exit("dependencies are still missing after the installation: remove .venv and try again")
    os.environ["BOT_BOOTSTRAPPED"] = "1"
    if not os.path.exists("/bin/sh"):
        sys.exit("there is no /bin/sh here: run `uv run " + script + "` instead")
    sys.stdout.flush()
    os.execv("/bin/sh", ["sh", os.path.join(HERE, "bot"), "exec", script, *sys.argv[1:]])
