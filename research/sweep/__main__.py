"""Sweep from the command line: `python -m research.sweep --set TREND_UP_THRESHOLD=0.6,0.65`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from errors import Fatal
from monitoring.terminal import PlainConsole, print_error, replace_unencodable
from research.options import add_selection, count

INTERRUPTED = 130
SAMPLE = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Compute the points that are missing in the folder, and show the whole grid."""
    replace_unencodable(sys.stdout)
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except Fatal as error:
        print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        print_error("interrupted. The results are kept, and the same command continues")
        return INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    # Imported here, because --help does not need them and NautilusTrader takes seconds.
    from config import load_settings
    from research.recordings.selection import Defects
    from research.sweep.sweep import SweepOptions, sweep
    from research.sweep.table import as_csv, as_json, show

    settings = load_settings()
    found = sweep(
        SweepOptions(
            path=options.recordings,
            defects=Defects(options.defects),
            era=options.era,
            sets=tuple(options.set),
            folds=options.folds,
            workers=options.workers,
            scheduler=options.scheduler,
            sample=options.sample if options.screen else None,
            folder=options.out or settings.state_dir / "sweep",
        ),
        settings,
    )
    console = PlainConsole(highlight=False, markup=False)
    if options.csv:
        console.print(as_csv(found), end="", soft_wrap=True)
    elif options.json:
        console.print(as_json(found), soft_wrap=True)
    else:
        show(found, console)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m research.sweep",
        description="Backtests every combination of settings, and shows what the best one is worth.",
        epilog="Example: python -m research.sweep --set TREND_UP_THRESHOLD=0.6,0.7 --set MIN_EDGE=0,0.02",
    )
    add_selection(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE,...",
        help="a setting by its name in .env, and its values; several --set are combined",
    )
    parser.add_argument(
        "--folds",
        type=int,
        default=0,
        metavar="K",
        help="walk-forward folds: choose on the first markets, test on the next ones, K times",
    )
    parser.add_argument(
        "--workers",
        type=count,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes; default: one per core",
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="compute on a Dask cluster, tcp://HOST:PORT")
    parser.add_argument(
        "--screen",
        action="store_true",
        help="evaluate the grid on the strategy brain alone, and repeat the winners on the engine",
    )
    parser.add_argument(
        "--sample",
        type=count,
        default=SAMPLE,
        metavar="N",
        help=f"with --screen: further points that are repeated on the engine; default: {SAMPLE}",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where each point's result is kept, so that a second start continues; default: STATE_DIR/sweep",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print one JSON object")
    shown.add_argument("--csv", action="store_true", help="print one row per point")
    return parser


if __name__ == "__main__":
    from common.process_exit import exit_process

    exit_process(main())
