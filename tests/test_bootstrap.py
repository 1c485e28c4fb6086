"""The start in a new clone, as far as it can be tested without an installation."""

import os
import subprocess
import sys

import pytest

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


def test_settings_of_the_interpreter_that_end_in_a_traceback_are_dropped():
    """Python has read them when the script begins: it is started again without them, once, and its children
    do not inherit them."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import bootstrap; bootstrap.ensure_environment('runner.py')\n"
        "import os; print(sys.flags.inspect, sys.flags.safe_path, sys.warnoptions,"
        " [name for name in os.environ if name.startswith('PYTHON')], sys.argv)"
    )
    dropped = {"PYTHONINSPECT": "1", "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        env={**dropped, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("0 False [] ['PYTHONUTF8'] ['-c', '--help']\n", "")


def test_settings_of_libraries_that_are_meant_for_other_programs_are_dropped():
    """With each of these the worker or the practice venue ended with a traceback, again and again."""
    code = (
        "import os, bootstrap; bootstrap.ensure_environment('runner.py')\n"
        "import loguru, prometheus_client, websockets.frames, eth_hash.auto, eth_keys\n"
        "eth_hash.auto.keccak(b''); eth_keys.KeyAPI().backend; print(sorted(os.environ))"
    )
    dropped = {
        "ECC_BACKEND_CLASS": "no.such.Backend",
        "ETH_HASH_BACKEND": "nonsense",
        "LOGURU_LEVEL": "nonsense",
        "PROMETHEUS_MULTIPROC_DIR": "/nonexistent",
        "WEBSOCKETS_MAX_LOG_SIZE": "x",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**dropped, "OTHER": "1", "LC_CTYPE": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("['LC_CTYPE', 'OTHER']\n", "")


@pytest.mark.slow
def test_every_command_starts_without_its_folder_on_the_path():
    """PYTHONSAFEPATH hides the project's modules from a script; and a normal exit is no traceback."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONINSPECT": "1"}
    for command in (
        "runner.py",
        "redis_control.py",
        "view_paper_trades.py",
        "book_result.py",
        "state_backup.py",
    ):
        done = subprocess.run(
            [sys.executable, str(ROOT / command), "--help"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), command
