"""Backtest from the command line: `python -m research.backtest --recordings bundled --html report.html`."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from errors import Fatal
from monitoring.terminal import PlainConsole, print_error
from research.options import add_selection, count


def main(arguments: Sequence[str] | None = None) -> int:
    """Trade the recorded markets with the settings of this folder, and show the result."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except Fatal as error:
        print_error(error)
        return error.exit_code


def _run(options: argparse.Namespace) -> int:
    # Imported here, because --help does not need them and NautilusTrader takes seconds.
    import view_paper_trades
    from config import load_settings
    from monitoring.report import write_page
    from research.backtest.progress import show_progress
    from research.backtest.sharded import SelectionRules, run_listed
    from research.recordings import BUNDLED, list_markets
    from research.recordings.selection import Defects
    from research.report.page import progress_page, render
    from research.report.run_reader import own_fill_rates, read_run

    settings = load_settings()
    folder = BUNDLED if options.recordings == "bundled" else Path(options.recordings)
    markets = list_markets(folder)
    rules = SelectionRules(defects=Defects(options.defects), era=options.era)
    with tempfile.TemporaryDirectory() as scratch:
        folder_out = Path(options.out or scratch) / view_paper_trades.BACKTEST_PROFILE
        path = folder_out / "ledger.db"
        folder_out.mkdir(parents=True, exist_ok=True)
        with (
            progress_page(options.html, len(markets)) as advance_page,
            show_progress(len(markets)) as advance_bar,
        ):

            def advance() -> None:
                advance_page()
                advance_bar()

            contents = run_listed(markets, settings, path, advance, rules=rules, workers=options.workers)
            if options.html is not None:
                found = read_run(path)
                rates, errors = own_fill_rates(settings.state_dir)
                page = render(
                    found,
                    f"Recordings: {options.recordings}",
                    recorded=len(markets),
                    left_out={left.slug: left.reason for left in contents.left_out},
                    own_rates=rates,
                    errors=errors,
                )
                write_page(page, options.html)
        results = view_paper_trades.load(path, view_paper_trades.BACKTEST_PROFILE, None)
        console = PlainConsole(highlight=False, markup=False)
        if options.json:
            console.print(view_paper_trades.as_json(results), soft_wrap=True)
        else:
            view_paper_trades.show(results, console)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m research.backtest",
        description="Trades recorded markets with the bot's own strategy and settings, without a network.",
    )
    add_selection(parser)
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with plots to FILE")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--workers",
        type=count,
        default=1,
        metavar="N",
        help="processes; the result does not depend on it; default: 1",
    )
    parser.add_argument(
        "--out", metavar="FOLDER", help="keep the run's ledger in FOLDER; it must not have one"
    )
    return parser


if __name__ == "__main__":
    from common.process_exit import exit_process

    exit_process(main())
