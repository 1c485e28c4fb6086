"""Put on PYTHONPATH by tests: records every file and folder that a process creates or writes, with its umask.

Files opened by NautilusTrader and SQLite are not recorded; the umask is theirs, too.
"""

import os
import sys
from pathlib import Path

if "UMASK_REPORT" in os.environ:
    report = os.open(os.environ["UMASK_REPORT"], os.O_WRONLY | os.O_APPEND)
    WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def record(event: str, arguments: tuple[object, ...]) -> None:
        writes = event == "os.mkdir" or (event == "open" and int(str(arguments[2])) & WRITES)
        name = arguments[0] if writes else None
        if isinstance(name, bytes | str | os.PathLike) and not os.fsdecode(name).startswith("/dev/"):
            status = Path("/proc/self/status").read_text()
            umask = status.partition("Umask:")[2].split()[0]
            os.write(report, f"{umask} {os.fsdecode(name)}\n".encode())

    sys.addaudithook(record)
