"""Command-line options that the programs on recorded markets share. Imports nothing slow."""

import argparse


def add_selection(parser: argparse.ArgumentParser) -> None:
    """The options that choose the markets: --recordings, --defects and --era."""
    parser.add_argument(
        "--recordings",
        default="bundled",
        metavar="bundled|PATH",
        help="a folder or file of recordings, see docs/research.md; default: bundled, 18 markets",
    )
    parser.add_argument(
        "--defects",
        choices=["refuse", "leave-out", "use"],
        default="refuse",
        help="markets with gaps, crossed books or a clock that ran backwards: refuse the recordings "
        "(default), leave such markets out, or use them",
    )
    parser.add_argument(
        "--era",
        metavar="ERA",
        help="the markets of one rule era, such as twap60-v1-fee0.07-150ms, or of all; "
        "default: an error if there are several",
    )


def count(text: str) -> int:
    """Convert a number above 0; raises ArgumentTypeError for any other text."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)
