"""`./bot check`: all steps of CI, fastest first, each with its name and time.

`./bot check STEP ...` runs only the named steps.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

STEPS: dict[str, list[str]] = {
    "format": [f"{BIN}/ruff", "format", "--check", "."],
    "lint": [f"{BIN}/ruff", "check", "."],
    "lock": ["sh", "-c", "! grep -n '://' requirements.lock requirements-runtime.lock"],
    "imports": [f"{BIN}/lint-imports", "--no-cache"],
    "types": [f"{BIN}/basedpyright"],
    "dead-code": [f"{BIN}/vulture"],
    "dependencies": [f"{BIN}/deptry", "."],
    "derived": [
        "sh",
        "-c",
        f"{sys.executable} config.py | diff .env.example - && {sys.executable} -m grafana.dashboard --check"
        f" && {sys.executable} -m tools.order_lifecycle_table | diff docs/order-lifecycle.md -"
        f" && {sys.executable} -m tools.unverified_page | diff docs/unverified.md -"
        f" && {sys.executable} -m tools.settings_page | diff docs/settings.md -"
        f" && {sys.executable} -m tools.licences_page | diff docs/licences.md -"
        f" && {sys.executable} -m tools.performance_page benchmarks/result.json | diff docs/performance.md -",
    ],
    # Into the folder site; a broken link or heading is an error.
    "docs": [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "docs", "site"],
    "tests": ["env", "EXAMPLES=all", sys.executable, "-m", "pytest", "-n", "2", "-q"],
    # They mostly wait for processes and the practice clock: five at a time use two cores well.
    "slow-tests": [
        *(sys.executable, "-m", "pytest", "-n", "5", "--dist", "worksteal", "-q", "-m", "slow"),
        "--durations=40",
    ],
}


def main() -> int:
    """Run the steps; the exit code is 1 if any failed, 2 for an unknown step."""
    names = sys.argv[1:] or list(STEPS)
    if unknown := [name for name in names if name not in STEPS]:
        print(f"unknown step {unknown[0]}; there are: {', '.join(STEPS)}", file=sys.stderr)
        return 2
    failed = []
    with tempfile.NamedTemporaryFile("r") as report:
        environment = {**os.environ, "LEFT_OUT_REPORT": report.name}
        for name in names:
            began = time.monotonic()
            code = subprocess.run(STEPS[name], cwd=ROOT, env=environment, check=False).returncode
            result = "ok" if code == 0 else f"FAILED ({code})"
            print(f"--- {name}: {result} in {time.monotonic() - began:.1f} s", flush=True)
            if code:
                failed.append(name)
        left_out = report.read().splitlines()
    print(
        f"{len(names) - len(failed)} of {len(names)} steps passed"
        + (f"; failed: {', '.join(failed)}" if failed else "")
        + "".join(f"; {line}" for line in left_out)
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
