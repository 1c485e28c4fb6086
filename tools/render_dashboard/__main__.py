"""`python -m tools.render_dashboard --minutes M --out FILE`: renders the committed dashboard as a picture."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from errors import Fatal
from grafana.dashboard import FILE
from tools.chromium import photograph
from tools.render_dashboard.page import height, page
from tools.render_dashboard.series import Prometheus, Span


def render(prometheus: str, span: Span, out: Path, width: int) -> None:
    """Draw the dashboard for a time range into a PNG file.

    Raises
    ------
    Fatal
        If Prometheus or the browser fails.
    """
    board = json.loads(FILE.read_bytes())
    source = Prometheus(prometheus, span, board)
    data = {panel["id"]: source.of(panel) for panel in board["panels"] if panel["type"] != "row"}
    with tempfile.TemporaryDirectory() as folder:
        html = Path(folder) / "page.html"
        html.write_text(page(board, data, span, width))
        photograph(html, out, width, height(board))


def main(arguments: Sequence[str] | None = None) -> int:
    """Render; returns 0 on success, 1 on failure, 2 on invalid usage."""
    parser = argparse.ArgumentParser(prog="python -m tools.render_dashboard", description=__doc__)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", metavar="URL")
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the time range (%(default)g)")
    parser.add_argument(
        "--until",
        type=float,
        default=time.time(),
        metavar="T",
        help="end of the time range, epoch seconds (now)",
    )
    parser.add_argument("--out", type=Path, default=Path("dashboard.png"), help="output file (%(default)s)")
    parser.add_argument("--width", type=int, default=1600, help="in pixels (%(default)s)")
    given = parser.parse_args(arguments)
    try:
        span = Span(given.until - given.minutes * 60, given.until)
        render(given.prometheus, span, given.out, given.width)
    except Fatal as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
