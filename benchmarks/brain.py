"""Measures one decision of the strategy brain on frozen contexts: its time, its bytecode and its memory.

    python -m benchmarks.brain

The prices and books are those of the decision windows of the recorded markets that come with the bot. These
have no external values: a spot price path, a strike, a put/call ratio and a sentiment index are generated, so
that all six processors and the fair value do their full work.
"""

import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from benchmarks.bench_table import print_measurements
from benchmarks.results import Measurement, at_most
from config import Settings
from core.nautilus_core.instruments.pairing import market_of
from core.strategy_brain.strategies.decide import decide
from models import BrainParams, DecisionContext, PutCall, Sentiment, Spot, Strike, Tick
from research.recordings import BUNDLED, list_markets
from research.sweep.market_states import MarketStates, ViewSettings
from settings_mapping import market_calendar

NAME = "brain"
CONTEXTS_PER_MARKET = 20
ROUNDS = 6
"""The first one is not measured."""
COUNTED = 40
"""Contexts of which bytecode and memory are counted, which takes a hundred times as long."""
PATH_BEGIN_S, FIRST_PRICE, SIGMA = -60, 84_000.0, 1e-4
COMPARISON = "free of noise: for comparing two versions"


def contexts(settings: Settings) -> list[DecisionContext]:
    """Contexts of the decision windows of all bundled markets, with external values."""
    view = ViewSettings(
        max_history=settings.max_price_history,
        tick_buffer=settings.tick_buffer_size,
        quote_stability_required=settings.quote_stability_required,
        min_spread=settings.quote_min_spread,
    )
    calendar, found = market_calendar(settings), []
    for listed in list_markets(BUNDLED):
        recorded = listed.read()
        states = MarketStates(recorded, market_of(recorded.gamma, calendar), settings.trade_window_start)
        node = states.root(view)
        first, last = (states.first_at(s) for s in (settings.trade_window_start, settings.trade_window_end))
        first = max(first, node.tradable_from)
        for index in range(first, last, max(1, (last - first) // CONTEXTS_PER_MARKET)):
            node = node.decide_at(index)
            assert node.context is not None  # a decision was made
            found.append(with_externals(node.context))
    return found


def with_externals(context: DecisionContext) -> DecisionContext:
    """The context with generated external values; the contexts of one market share the spot prices."""
    numbers, price = random.Random(context.market.start), FIRST_PRICE
    path: list[Tick] = []
    for second in range(PATH_BEGIN_S, int(context.second) + 1):
        price *= 1 + SIGMA * numbers.gauss(0, 1)
        path.append(Tick(second=float(second), price=round(Decimal(price), 2)))
    now_ns = context.now_ns
    return msgspec.structs.replace(
        context,
        spot=Spot(source="generated", price=path[-1].price, source_ns=now_ns, received_ns=now_ns),
        spot_path=tuple(path),
        strike=Strike(price=path[-PATH_BEGIN_S].price, rule=context.market.rule, source="generated"),
        put_call=PutCall(
            source="generated",
            overall=1.1,
            short=1.3,
            put_open_interest=1300.0,
            call_open_interest=1000.0,
            source_ns=now_ns,
            received_ns=now_ns,
        ),
        sentiment=Sentiment(
            source="generated", score=20.0, classification="fear", source_ns=now_ns, received_ns=now_ns
        ),
        absent={},
    )


def durations_ms(seen: Sequence[DecisionContext], params: BrainParams) -> list[float]:
    """Milliseconds of each decision."""
    found = []
    for number in range(ROUNDS):
        for context in seen:
            began = time.perf_counter_ns()
            decide(context, params)
            ended = time.perf_counter_ns()
            if number:
                found.append((ended - began) / 1e6)
    return found


def instructions(seen: Sequence[DecisionContext], params: BrainParams) -> list[int]:
    """Bytecode instructions that the interpreter executes for each decision."""
    count = 0

    def executed(code: object, offset: int) -> None:
        nonlocal count
        count += 1

    monitoring, found = sys.monitoring, []
    monitoring.use_tool_id(monitoring.PROFILER_ID, "benchmark")
    monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.INSTRUCTION, executed)
    monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.INSTRUCTION)
    try:
        for context in seen:
            before = count
            decide(context, params)
            found.append(count - before)
    finally:
        monitoring.set_events(monitoring.PROFILER_ID, 0)
        monitoring.free_tool_id(monitoring.PROFILER_ID)
    return found


def peak_kb(seen: Sequence[DecisionContext], params: BrainParams) -> list[float]:
    """Memory that Python has allocated at the same time during each decision, kB."""
    found = []
    tracemalloc.start()
    for context in seen:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        decide(context, params)
        found.append((tracemalloc.get_traced_memory()[1] - before) / 1000)
    tracemalloc.stop()
    return found


def measure() -> Sequence[Measurement]:
    settings = Settings()
    seen, params = contexts(settings), settings.brain_params()
    for context in seen:
        decision = decide(context, params)
        if len(decision.votes) != 6 or decision.fused is None:
            raise RuntimeError(f"a context has no complete decision: {decision.detail}")
    times = durations_ms(seen, params)
    counted = seen[:: max(1, len(seen) // COUNTED)]
    return [
        Measurement(
            name=NAME,
            what=f"a decision, median of {len(times):,}",
            value=statistics.median(times),
            unit="ms",
            no_target="the target is for the slowest hundredth",
        ),
        Measurement(
            name=NAME,
            what="a decision, 99 % are below",
            value=statistics.quantiles(times, n=100)[98],
            unit="ms",
            target=at_most(1.0),
        ),
        Measurement(
            name=NAME,
            what="bytecode instructions of a decision, median",
            value=statistics.median(instructions(counted, params)),
            unit="",
            no_target=COMPARISON,
        ),
        Measurement(
            name=NAME,
            what="memory allocated during a decision, median peak",
            value=statistics.median(peak_kb(counted, params)),
            unit="kB",
            no_target=COMPARISON,
        ),
    ]


if __name__ == "__main__":
    sys.exit(print_measurements(measure()))
