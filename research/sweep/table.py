"""Shows the results of a sweep: tables for a terminal, CSV and JSON. The same results give the same bytes."""

import csv
import io
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models import Frozen
from monitoring.statistics import EDGE_WORTH_FINDING
from research.sweep.grid import Grid
from research.sweep.winners import Totals, Winner

CONFIDENCE = 0.95
SHOWN = 20
"""Points in the table of a terminal."""


class Sweep(Frozen, frozen=True):
    """All results.

    Attributes
    ----------
    totals : tuple of Totals
        Of each point of the grid, in its order.
    notes : tuple of str
        How they were computed, and what was left out.
    """

    source: str
    grid: Grid
    totals: tuple[Totals, ...]
    winners: tuple[Winner, ...]
    notes: tuple[str, ...] = ()


def show(sweep: Sweep, console: Console) -> None:
    """Print the best points and the winners, fitted to the console's width."""
    names, points = sweep.grid.names, sweep.grid.points
    first = sweep.totals[0]
    heading = f"SWEEP (simulation): {_number(len(points), 'point')}, {_number(first.markets, 'market')}"
    console.print(Text(f"{heading} of {sweep.source}", style="bold"))
    for note in sweep.notes:
        console.print(note)
    letters = [_letter(number) for number in range(len(names))]
    for letter, name in zip(letters, names, strict=True):
        console.print(f"{letter}: {name}")
    ranked = sorted(range(len(points)), key=lambda number: (-sweep.totals[number].sharpe, number))
    table = _table(["point", *letters, "trades", "won", "staked", "fees", "P&L", "Sharpe"])
    for number in ranked[:SHOWN]:
        found = sweep.totals[number]
        money = (f"{found.staked:.2f}", f"{found.fees:.4f}", f"{found.pnl:+.4f}")
        table.add_row(
            str(number + 1),
            *points[number].values,
            *(str(found.trades), str(found.won), *money, f"{found.sharpe:+.3f}"),
        )
    console.print(table)
    if len(ranked) > SHOWN:
        console.print(
            f"and {_number(len(ranked) - SHOWN, 'point')} with a lower Sharpe ratio: --csv shows all"
        )
    console.print(Text("\nThe best point, where it was chosen and on the markets after it", style="bold"))
    console.print(_winners_table(sweep.winners))
    for line in _explanation(sweep.winners):
        console.print(line)


def _winners_table(winners: Iterable[Winner]) -> Table:
    table = _table(["", "point", "markets", "P&L", "Sharpe", "deflated", "overfit", "then", "P&L after"])
    for winner in winners:
        after = winner.tested
        table.add_row(
            winner.name,
            str(winner.point + 1),
            str(winner.chosen.markets),
            f"{winner.chosen.pnl:+.4f}",
            f"{winner.chosen.sharpe:+.3f}",
            _percent(winner.deflated),
            _percent(winner.overfitting),
            "" if after is None else str(after.markets),
            "" if after is None else f"{after.pnl:+.4f}",
        )
    return table


def _explanation(winners: Sequence[Winner]) -> list[str]:
    best = winners[0]
    trials = _number(best.trials, "combination")
    lines = [
        "Sharpe: mean over deviation of the P&L per market. deflated: probability that it is above what the"
        f" best of all {trials} tried on these recordings reaches without an edge. overfit: probability"
        " (CSCV) that the best point of one half of the markets is below the median on the other half."
    ]
    tested = [winner.tested for winner in winners if winner.tested is not None]
    if tested:
        total = sum(found.pnl for found in tested)
        markets = sum(found.markets for found in tested)
        lines.append(f"Walk-forward: {total:+.4f} pUSD on {_number(markets, 'market')} after the choice.")
    return [*lines, f"Conclusion: {_conclusion(best)}"]


def _conclusion(best: Winner) -> str:
    found = best.chosen
    if found.needed is None:
        return "no point has a trade."
    if found.trades < found.needed:
        return (
            f"not distinguishable from chance. The best point traded {_number(found.trades, 'market')}, and"
            f" about {found.needed:,} are needed to see an edge of {100 * EDGE_WORTH_FINDING:g} points; with"
            " fewer, the rare losses that the price implies are missing and the statistics above too good."
        )
    if best.deflated is None or best.deflated < CONFIDENCE:
        return "not distinguishable from the best of as many combinations without an edge."
    return "better than the best of as many combinations without an edge. It is not a forecast."


def as_csv(sweep: Sweep) -> str:
    """One row per point, in the order of the grid."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    sums = Totals.__struct_fields__
    writer.writerow(["point", *sweep.grid.names, *sums, "best_of", "deflated", "overfitting"])
    for number, (point, found) in enumerate(zip(sweep.grid.points, sweep.totals, strict=True)):
        won = [winner for winner in sweep.winners if winner.point == number]
        values = (getattr(found, name) for name in sums)
        columns = (
            [winner.name for winner in won],
            [_plain(winner.deflated) for winner in won],
            [_plain(winner.overfitting) for winner in won],
        )
        writer.writerow([number + 1, *point.values, *values, *(";".join(column) for column in columns)])
    return stream.getvalue()


def as_json(sweep: Sweep) -> str:
    """One JSON object; money as exact numbers."""
    document = {
        "source": sweep.source,
        "notes": sweep.notes,
        "settings": sweep.grid.names,
        "points": [
            {"point": number, "settings": dict(zip(sweep.grid.names, point.values, strict=True))}
            | msgspec.structs.asdict(found)
            for number, (point, found) in enumerate(
                zip(sweep.grid.points, sweep.totals, strict=True), start=1
            )
        ],
        "winners": [msgspec.structs.asdict(winner) | {"point": winner.point + 1} for winner in sweep.winners],
    }
    encoder = msgspec.json.Encoder(decimal_format="number")
    return msgspec.json.format(encoder.encode(document), indent=2).decode()


def _table(headings: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold underline")
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    return table


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"A{number - 25}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _plain(value: float | None) -> str:
    return "" if value is None else repr(value)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
