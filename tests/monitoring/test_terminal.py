"""No text of another program controls the operator's terminal, wherever it is shown."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from monitoring.terminal import PlainConsole, TolerantConsole, print_error, relay_plain

ROOT = Path(__file__).resolve().parents[2]
ATTACK = "\x1b[2J\x1b]0;title\x07\r\x9b5n\u202eevil"
SHOWN = "\ufffd[2J\ufffd]0;title\ufffd\ufffd\ufffd5n\ufffdevil"
BY_RICH = "\ufffd[2J\ufffd]0;title\ufffd5n\ufffdevil"
"""Rich removes the bell and the carriage return itself."""


def test_styles_remain_and_control_characters_of_texts_do_not() -> None:
    """On a terminal, a line is red by rich's own sequence, and its text's sequences have no effect."""
    screen = io.StringIO()
    console = PlainConsole(file=screen, force_terminal=True, color_system="standard", width=60)
    console.print(Text(ATTACK, "red"))
    assert screen.getvalue() == f"\x1b[31m{BY_RICH}\x1b[0m\n"


def test_also_inside_of_a_table() -> None:
    """What is nested in other renderables is cleaned, too."""
    screen = io.StringIO()
    table = Table.grid()
    table.add_row("a", Text(ATTACK))
    PlainConsole(file=screen, width=60).print(table)
    assert "\ufffd[2J\ufffd]0;title" in screen.getvalue()
    assert "\x1b" not in screen.getvalue()


def test_an_error_is_one_line_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither control characters nor rich's markup in an error's text have an effect."""
    print_error(f"[red]{ATTACK}[/nothing] {'x' * 300}")
    assert capsys.readouterr().err == f"error: [red]{BY_RICH}[/nothing] {'x' * 300}\n"


def test_a_relay_passes_text_on_without_controls() -> None:
    """Characters of several bytes that arrive in parts are complete again on the other side."""
    source, fill = os.pipe()
    drain, sink = os.pipe()
    relay = threading.Thread(target=relay_plain, args=(source, sink))
    relay.start()
    for part in (b"\x1b[2J \xe2\x86", b"\x92 end\n"):
        os.write(fill, part)
    os.close(fill)
    relay.join()
    os.close(sink)
    assert os.read(drain, 1000).decode() == "\ufffd[2J → end\n"
    os.close(drain)
    os.close(source)


def test_a_relay_reads_on_when_nobody_reads_it() -> None:
    """The writer is never blocked, however much it writes, and the relay ends with it."""
    source, fill = os.pipe()
    drain, sink = os.pipe()
    os.close(drain)
    relay = threading.Thread(target=relay_plain, args=(source, sink))
    relay.start()
    with open(fill, "wb") as writer:
        writer.write(b"x" * 1_000_000)
    relay.join()
    os.close(sink)
    os.close(source)


LOGS = """
import logging, sys
from pathlib import Path
from loguru import logger
from monitoring.log_file import log_to_file

text = sys.argv[2].encode("latin-1").decode("unicode_escape")
with log_to_file(Path(sys.argv[1])):
    logger.warning(text)
    logging.getLogger("a.library").warning(text)
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("while it was handled")
"""


def test_the_log_file_holds_no_control_characters(tmp_path: Path) -> None:
    """Records of the bot, of libraries, and the text of an exception after its traceback."""
    escaped = ATTACK.encode("unicode_escape").decode()
    subprocess.run([sys.executable, "-c", LOGS, str(tmp_path), escaped], cwd=ROOT, check=True)
    text = (tmp_path / "bot.log").read_text()
    assert text.count(SHOWN) == 3
    assert "Traceback" in text
    assert text.replace("\n", "").isprintable()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_output_on_a_full_disk_is_discarded() -> None:
    """Printing raises nothing; what a process does between two messages is done."""
    with open("/dev/full", "w") as full:
        console = TolerantConsole(file=full)
        console.print("a message")
        console.print("another one")


FULL = """
import sys
from pathlib import Path
from loguru import logger
from monitoring.log_file import log_to_file
with log_to_file(Path(sys.argv[1])):
    logger.warning("one")
    logger.warning("two")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_costs_the_log_only(tmp_path: Path) -> None:
    """Records that cannot be written put no traceback on the terminal."""
    (tmp_path / "bot.log").symlink_to("/dev/full")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
