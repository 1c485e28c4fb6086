"""Reads a backtest's ledger for the report."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from errors import Fatal
from execution.ledger import LIVE_PROFILE, DecisionRow, LedgerReader, TradeRow, Venue, ledger_path
from models import BrainParams, Frozen, Market
from monitoring.funnel import Funnel, funnel
from monitoring.performance_tracker import Performance, performance
from monitoring.report.decision_text import EXPLAINED, DecisionEvidence, UntradedMarket
from monitoring.report.reader import ReportReader
from research.report.ablation import Ablation, DecidedMarket, RecordedDecision, ablations
from research.report.edge import FillRate

OWN_PROFILES = ((Venue.POLYMARKET.value, "your paper trades"), (LIVE_PROFILE, "your live trades"))
"""Profiles that trade Polymarket's markets, and their names in the report."""


class RunResults(Frozen, frozen=True):
    """What a run did.

    Attributes
    ----------
    markets : dict[str, Market]
        By slug, in their order.
    trades : list[TradeRow]
        Oldest first.
    seconds : dict[int, float]
        Market second of each decision, by its id.
    params : BrainParams or None
        Of the first decision; None without one.
    halted : str or None
        Why the run opened no further position, if it halted.
    note : str
        The run's own description.
    evidence : dict[int, DecisionEvidence]
        Of the decisions of the last trades, by id.
    untraded : list[UntradedMarket]
        The last markets without a trade, newest first.
    """

    markets: dict[str, Market]
    trades: list[TradeRow]
    seconds: dict[int, float]
    performance: Performance
    funnel: Funnel
    ablations: list[Ablation]
    params: BrainParams | None
    halted: str | None = None
    note: str = ""
    evidence: dict[int, DecisionEvidence] = {}
    untraded: list[UntradedMarket] = []

    @property
    def fill_rate(self) -> FillRate | None:
        """How often the run traded; None without a market."""
        return fill_rate("this backtest", list(self.markets.values()), self.trades, len(self.markets))


def read_run(path: Path) -> RunResults:
    """Read the newest run of a ledger, and repeat its decisions without each processor.

    Raises
    ------
    Fatal
        If the ledger cannot be read.
    """
    with ReportReader(path) as reader, reader.snapshot():
        trades, decisions = reader.trades(), reader.decisions()
        flow, last = reader.cash_flow(), reader.last_run()
        return RunResults(
            markets={market.slug: market for market in reader.markets_since(0)},
            trades=trades,
            seconds={row.id: row.second for row in decisions},
            performance=performance(
                trades, reader.votes(), starting=Decimal(0) if flow is None else flow.starting
            ),
            funnel=funnel(reader.market_progress()),
            ablations=ablations(_decided_markets(reader, decisions, trades)),
            params=reader.decision(decisions[0].id).params if decisions else None,
            halted=reader.halt(),
            note="" if last is None else last.note,
            evidence=reader.evidence(trade.decision_id for trade in trades[-EXPLAINED:]),
            untraded=reader.untraded(EXPLAINED),
        )


def _decided_markets(
    reader: LedgerReader, rows: list[DecisionRow], trades: list[TradeRow]
) -> Iterator[DecidedMarket]:
    """The settled markets one after another: the contexts of all of them do not fit into memory."""
    by_decision = {trade.decision_id: trade for trade in trades}
    for slug, group in groupby(sorted(rows, key=lambda row: (row.slug, row.id)), lambda row: row.slug):
        settled = reader.settlement(slug)
        if settled is None or settled.outcome is None:
            continue
        yield DecidedMarket(
            decisions=tuple(
                RecordedDecision(id=row.id, decision=reader.decision(row.id), trade=by_decision.get(row.id))
                for row in group
            ),
            winner=settled.outcome,
        )


def own_fill_rates(state_dir: Path) -> tuple[list[FillRate], list[str]]:
    """How often the user's own bot traded on Polymarket: on paper, and with real money, if it ran.

    The second list has the errors of ledgers that cannot be read: no reason to lose a backtest's report.
    """
    rates: list[FillRate] = []
    errors: list[str] = []
    for profile, name in OWN_PROFILES:
        path = ledger_path(state_dir, profile)
        if not path.is_file():
            continue
        try:
            with ReportReader(path) as reader, reader.snapshot():
                observed = len(reader.market_progress())
                rate = fill_rate(name, reader.markets_since(0), reader.trades(), observed)
        except Fatal as error:
            errors.append(str(error))
        else:
            rates += [] if rate is None else [rate]
    return rates, errors


def fill_rate(
    name: str, markets: Sequence[Market], trades: Iterable[TradeRow], observed: int
) -> FillRate | None:
    """The fill rate of `observed` of the markets of a ledger; None without one."""
    if not observed or not markets:
        return None
    return FillRate(
        name=name,
        traded=len({trade.event for trade in trades if trade.pnl is not None}),
        markets=observed,
        # A ledger also has markets that were loaded and not observed: they are of the same lengths.
        seconds=sum(market.interval for market in markets) * observed // len(markets),
    )
