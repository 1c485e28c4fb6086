"""The tool that makes the pictures of docs/: screens are those of a terminal, pictures name no machine."""

import os
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bot_process import ROOT

from errors import Fatal
from tools.pictures.__main__ import PICTURES, main, require_anonymous
from tools.pictures.terminal import drawing, last_screen, run_in_terminal

MOST_BYTES = 400_000
COMMITTED = [ROOT / "docs" / f"{name}.{'svg' if 'terminal' in name else 'png'}" for name in PICTURES]


def texts(svg: str) -> list[str]:
    """The rows of a picture that are not empty."""
    rows: dict[str, str] = {}
    for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        rows[element.attrib["y"]] = rows.get(element.attrib["y"], "") + "".join(element.itertext())
    shown = (row.replace("\xa0", " ").rstrip() for row in rows.values())
    return [row for row in shown if row]


def test_a_live_display_leaves_its_last_state():
    """Two rows are drawn, erased, and drawn again; the cursor's visibility is no text."""
    output = (
        "banner\r\n\x1b[?25l10 %\r\nwaiting\r\x1b[2K\x1b[1A\x1b[2K\x1b[1m100 %\x1b[0m\r\n\x1b[?25hdone\r\n"
    )
    assert last_screen(output) == ["banner", "\x1b[1m100 %\x1b[0m", "done"]


@pytest.mark.parametrize(
    ("output", "named"), [("a\x1b[3J", "3J"), ("\x1b]0;title", "x1b"), ("abc\rx", "abc")]
)
def test_an_output_that_is_not_supported_stops(output, named):
    """An unknown control sequence, or a line written over another, is named instead of a wrong picture."""
    with pytest.raises(Fatal, match=named):
        last_screen(output)


def test_a_picture_has_every_row_and_no_address():
    """Rows that are too long continue below; the picture needs no other file."""
    svg = drawing(["\x1b[32m▲ Up\x1b[0m <&> 0.90", "", "x" * 25], 10, "python runner.py")
    assert texts(svg) == ["python runner.py", "▲ Up <&> 0", ".90", "xxxxxxxxxx", "xxxxxxxxxx", "xxxxx"]
    assert re.findall(r"https?:[^\s\"]+", svg) == ["http://www.w3.org/2000/svg"]


def test_a_path_of_the_machine_stops(tmp_path):
    """A picture with the folder of its run or of the checkout is not made."""
    require_anonymous("state, logs", tmp_path)
    for place in (tmp_path, ROOT):
        with pytest.raises(Fatal, match="would show the path"):
            require_anonymous(f"files {place}/state", tmp_path)


def test_an_unknown_picture_is_bad_usage(capsys):
    """It is named, and nothing runs."""
    with pytest.raises(SystemExit, match="2"):
        main(["selfie"])
    assert (
        "selfie is not one of terminal-80, terminal-120, report, research-report" in capsys.readouterr().err
    )


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: file.name)
def test_the_committed_pictures_are_small(file):
    """A picture of the documentation has less than 400 kB."""
    assert 1000 < file.stat().st_size < MOST_BYTES


@pytest.mark.parametrize("columns", [80, 120])
def test_the_committed_screens_fit_their_terminal(columns):
    """The terminal's pictures show a market with its six votes, and no row is wider than the terminal."""
    _, *rows = texts((ROOT / "docs" / f"terminal-{columns}.svg").read_text(encoding="utf-8"))
    assert any(row.startswith("  votes     Book") and "F&G" in row for row in rows)
    assert max(map(len, rows)) <= columns
    assert not re.search(r"/(tmp|home|root|work)/", "\n".join(rows))


COMMAND = """
from rich.console import Console
from rich.live import Live
from rich.text import Text
console = Console()
with Live(Text("waiting"), console=console, transient=True) as live:
    console.print(f"{console.width} columns", style="dim", highlight=False)
    live.update(Text("one\\ntwo"), refresh=True)
console.print("end")
"""


@pytest.mark.slow
def test_a_command_runs_in_a_terminal_of_that_width(tmp_path: Path):
    """The width and the colours are those of a terminal; what a live display drew last is gone; a failure is
    reported with its output."""
    environment = {"PATH": os.environ["PATH"]}
    output = run_in_terminal([sys.executable, "-c", COMMAND], 57, tmp_path, environment, 60)
    assert last_screen(output) == ["\x1b[2m57 columns\x1b[0m", "end"]
    with pytest.raises(Fatal, match=r"ended with 3: .*lost"):
        run_in_terminal([sys.executable, "-c", "print('lost'); exit(3)"], 57, tmp_path, environment, 60)
