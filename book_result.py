"""Records the payout of a market when the venue publishes no result that the bot can read.

The bot settles markets automatically, also those that pay 0.5 per share. A market with any other result stays
pending and halts trading until the operator records it here. The ledger keeps the result with its reason.
"""

if __name__ == "__main__":
    import sys
    from os.path import dirname

    sys.path.insert(0, dirname(__file__))  # PYTHONSAFEPATH leaves it out
    from bootstrap import ensure_environment

    ensure_environment("book_result.py")

import argparse
import sys
import time
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from common.atomic_file import create_private_files
from common.plain_text import one_line
from config import load_settings
from control.locks import holder, state_lock
from errors import BotError, ConfigError, Fatal, Refused
from execution.ledger import LIVE_PROFILE, LedgerReader, TradeRow, ledger_path
from execution.ledger.writer import Ledger
from models import Outcome, Settlement, Split
from monitoring.terminal import replace_unencodable

OPERATOR = "operator"
"""Source of a settlement recorded by this command."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; bad usage exits with 2."""
    parser = argparse.ArgumentParser(
        prog="python book_result.py",
        description="Records what a market paid when the venue publishes no result that the bot can read.",
        epilog="Without MARKET, lists the positions without a result. Stop the bot before you record one.\n"
        'Example: python book_result.py btc-updown-15m-1790586000 --up 0.5 --down 0.5 --reason "refunded"',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("market", nargs="?", help="the market's slug")
    parser.add_argument("--up", type=_part, metavar="PUSD", help="payout per Up share, 0 to 1")
    parser.add_argument("--down", type=_part, metavar="PUSD", help="payout per Down share, 0 to 1")
    parser.add_argument(
        "--reason", default="", help="why, and where it can be verified; stored in the ledger"
    )
    parser.add_argument("--book", default=LIVE_PROFILE, help="profile, such as polymarket (default: live)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    given = parser.parse_args(arguments)
    if given.market is None:
        if given.up is not None or given.down is not None or given.reason:
            parser.error("name the market")
        return given
    if given.up is None or given.down is None:
        parser.error("give the payout of both shares with --up and --down")
    if given.up + given.down > 1:
        parser.error(
            f"--up {given.up} and --down {given.down} add up to more than the 1 pUSD that a pair is worth"
        )
    if not given.reason.strip():
        parser.error("give a --reason: the ledger stores it with the result")
    return given


def _part(text: str) -> Decimal:
    try:
        part = Decimal(text)
    except InvalidOperation:
        part = Decimal(-1)
    if not part.is_finite() or not 0 <= part <= 1 or part != part.quantize(Decimal("0.000001")):
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount from 0 to 1 with at most 6 decimals")
    return part


def settlement_of(slug: str, up: Decimal, down: Decimal, reason: str, now_ns: int) -> Settlement:
    """The settlement to record; payouts of 1 and 0 mean that an outcome won."""
    winner = None
    if {up, down} == {Decimal(0), Decimal(1)}:
        winner = Outcome.UP if up == 1 else Outcome.DOWN
    return Settlement(
        slug=slug,
        outcome=winner,
        source=OPERATOR,
        settled_ns=now_ns,
        split=None if winner is not None else Split(up=up, down=down),
        reason=one_line(reason),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit code 0 on success, 1 if nothing was recorded, 2 on bad usage or settings."""
    create_private_files()
    replace_unencodable(sys.stdout)
    replace_unencodable(sys.stderr)
    given = parse(arguments)
    try:
        state_dir = load_settings().state_dir
        path = ledger_path(state_dir, given.book)
        if not path.is_file():
            raise ConfigError(f"there is no ledger at {path}", "Name the book with --book")
        if given.market is None:
            return _list(path)
        if (who := holder(state_lock(state_dir))) is not None:
            raise Fatal(f"{who} runs on {state_dir}", "Stop it before you record a result")
        return _book(path, given)
    except KeyboardInterrupt:
        return 1
    except BotError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, Fatal) else 1


def _list(path: Path) -> int:
    with LedgerReader(path) as reader:
        waiting = reader.positions()
    for position in waiting:
        print(f"{_described(position.trade)}; {position.delay or 'no reason is recorded'}")
    if not waiting:
        print("No position is without a result.")
    return 0


def _book(path: Path, given: argparse.Namespace) -> int:
    with Ledger(path) as ledger:
        ledger.join_last_run()
        with LedgerReader(path) as reader:
            known = reader.settlement(given.market)
            trades = [each.trade for each in reader.positions() if each.trade.slug == given.market]
            unsettled = reader.pending_settlements()
        if known is not None:
            why = f" ({known.reason})" if known.reason else ""
            raise Refused(f"{given.market} is settled by {known.source}: {known.result}{why}")
        if given.market not in unsettled:
            raise Refused(f"{given.market} was not bought: there is nothing to record")
        now_ns = time.time_ns()
        if any(now_ns < trade.end_ns for trade in trades):
            raise Refused(f"{given.market} has not ended yet")
        settlement = settlement_of(given.market, given.up, given.down, given.reason, now_ns)
        print(f"{given.market}: {settlement.result}. Reason: {settlement.reason}")
        for trade in trades:
            print(f"{_described(trade)}; payout {_plain(trade.shares * settlement.pays(trade.side))} pUSD")
        if (
            not given.yes
            and _prompt("A recorded result cannot be changed. Type 'yes' to record it: ").lower() != "yes"
        ):
            print("Nothing was recorded.")
            return 1
        ledger.record_settlement(settlement)
    print("Recorded. Start the bot again; if trading is halted: python redis_control.py resume")
    return 0


def _described(trade: TradeRow) -> str:
    return f"{trade.slug}: {_plain(trade.shares)} {trade.side} for {_plain(trade.cost + trade.fee)} pUSD"


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _prompt(question: str) -> str:
    try:
        return input(question).strip()
    except EOFError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
