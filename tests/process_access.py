"""What another process of the same user can read of a process, and where the processes of a bot listen."""

import os
import subprocess
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

UNPRIVILEGED = ("setpriv", "--bounding-set=-sys_ptrace,-perfmon,-sys_admin") if os.geteuid() == 0 else ()
"""Runs a command without root's rights to look into every process: those of an ordinary user remain."""


def is_readable(path: str) -> bool:
    """Whether a program with these rights can read a file of /proc of a process that has them, too.

    Raises
    ------
    AssertionError
        If it cannot for another reason than the missing permission.
    """
    command = [*UNPRIVILEGED, "head", "-c", "1", path]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    assert ran.returncode == 0 or "Permission denied" in ran.stderr, f"{path}: {ran.stderr}"
    return ran.returncode == 0


class Listener(NamedTuple):
    """A listening TCP socket of a process."""

    pid: int
    address: str
    port: int


def listeners(pids: list[int]) -> list[Listener]:
    """The listening TCP sockets of these processes, from the kernel's own tables."""
    owners = {
        os.readlink(link): pid
        for pid in pids
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if link.is_symlink()
    }
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            pid = owners.get(f"socket:[{fields[9]}]")
            if fields[3] == "0A" and pid is not None:
                address, port = fields[1].split(":")
                found.append(Listener(pid, _address(address), int(port, 16)))
    return found


def _address(text: str) -> str:
    """An address of the kernel's table: words of four bytes in the machine's order."""
    raw = bytes.fromhex(text)
    return str(ip_address(b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))))
