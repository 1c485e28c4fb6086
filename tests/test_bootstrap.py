"""The start in a new clone, as far as it can be tested without an installation."""

import subprocess
import sys

from config import ROOT


def test_the_lock_names_no_host_and_pins_every_file_by_hash():
    """requirements.lock has a hash for each requirement and no address."""
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    requirements = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert all("==" in line and line.endswith("\\") for line in requirements)
    assert "nautilus-trader==1.231.0 \\" in requirements
    assert "py-clob-client-v2==1.2.1 \\" in requirements


def test_missing_dependencies_after_an_installation_do_not_loop():
    """If the installation did not help, the bootstrap code reports it once instead of starting over
    forever."""
    code = (
        "import bootstrap; bootstrap.find_spec = lambda name: None; bootstrap.ensure_environment('runner.py')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"BOT_BOOTSTRAPPED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "remove .venv and try again" in done.stderr


def test_bad_usage_of_the_script_is_explained():
    """`./bot` without a known command lists the commands and exits with 2."""
    done = subprocess.run(["sh", str(ROOT / "bot"), "fly"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "run" in done.stderr
    assert "test" in done.stderr
