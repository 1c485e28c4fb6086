"""The practice venue as its own process, so that the worker can die and come back to the same account."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from config import ROOT, Settings
from errors import Fatal

STOP_LIMIT_S = 2.0
SECRETS = {name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr}


class PracticeVenueProcess:
    """A running `python -m venue`; `ready` is its first line: url, clock, source.

    Raises
    ------
    Fatal
        If it does not come up; its own last words are in the message.
    """

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        with log.open("a") as sink:
            before = sink.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "venue", *arguments, "--exit-with-stdin"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                text=True,
                env=_without_secrets(),
                start_new_session=True,
            )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            self._process.wait()
            words = log.read_text()[before:].strip().splitlines()
            raise Fatal(
                f"the practice venue did not start: {words[-1] if words else 'no reason given'}", f"See {log}"
            )
        self.ready: dict[str, Any] = json.loads(line)

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        """Stop it in good order: closing its standard input is the sign."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def _without_secrets() -> dict[str, str]:
    """The environment of a process that has no use for the operator's keys."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS}
