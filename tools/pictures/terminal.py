"""Runs a command in a terminal of a fixed width, and draws the last screen as SVG."""

import fcntl
import io
import os
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console

from errors import Fatal

ROWS = 100
"""Height of the terminal: nothing scrolls out of it."""
TOKENS = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\r\n|[\r\n]|[^\x1b\r\n]+|\x1b")
SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's own picture without its font, which a browser would fetch from another host."""


def run_in_terminal(
    command: Sequence[str], columns: int, folder: Path, environment: Mapping[str, str], timeout_s: float
) -> str:
    """What a command writes to a terminal with a number of columns, control sequences included.

    Raises
    ------
    Fatal
        If it fails, or does not end in time.
    """
    screen, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    process = subprocess.Popen(
        [*command],
        cwd=folder,
        env={**environment, "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    deadline = threading.Timer(timeout_s, process.terminate)
    deadline.start()
    try:
        written = b"".join(_chunks(screen))
        code = process.wait()
    finally:
        deadline.cancel()
        os.close(screen)
    output = written.decode()
    if code != 0:
        raise Fatal(f"{' '.join(command)} ended with {code}: {output[-500:]}", "Run it in a terminal")
    return output


def _chunks(screen: int) -> Iterable[bytes]:
    while True:
        try:
            chunk = os.read(screen, 65536)
        except OSError:  # Linux reports the end of a terminal as an input/output error
            return
        if not chunk:
            return
        yield chunk


def last_screen(output: str) -> list[str]:
    """The lines on the screen after an output, with their styles, and with the cursor moves carried out.

    Supports what rich's live display writes, which erases a line before it writes it again.

    Raises
    ------
    Fatal
        If the output has another control sequence, or writes over a line that was not erased.
    """
    lines, row, returned = [""], 0, False
    for found in TOKENS.finditer(output):
        token, parameter, final = found[0], found[1], found[2]
        if token in ("\n", "\r\n"):
            row, returned = row + 1, False
            lines += [""] * (row + 1 - len(lines))
        elif token == "\r":
            returned = True
        elif final == "A":
            row = max(0, row - int(parameter or 1))
        elif final == "K" and parameter == "2":
            lines[row] = ""
        elif final in ("h", "l"):
            pass  # shows or hides the cursor
        elif final == "m" or (final is None and token != "\x1b"):
            if returned and lines[row]:
                raise Fatal(f"the output writes over the line {lines[row]!r}", "Erase the line first")
            lines[row] += token
            returned = False
        else:
            raise Fatal(f"the control sequence {token!r} is not supported", "Add it to last_screen")
    while lines and not lines[-1]:
        lines.pop()
    return lines


def drawing(lines: Iterable[str], columns: int, title: str) -> str:
    """The lines as a picture of a terminal; longer ones continue on the next row, as in a terminal."""
    console = Console(
        width=columns, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in AnsiDecoder().decode("\n".join(lines)):
        for part in line.divide(range(columns, len(line), columns)):
            console.print(part, soft_wrap=True)
    return console.export_svg(title=title, code_format=SVG, unique_id="terminal", font_aspect_ratio=0.6)
