"""Seeded fault schedules: what goes wrong in one run, and when. Pure: no clock, no process, no file."""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from random import Random
from typing import Any, Literal, get_args

import msgspec

POINTS = ("decided", "sent", "unknown", "matched", "filled")
"""Points of an order's life that the ledger shows; a fault may begin at one of them."""
RESTARTING = "restarting"
"""The point at which a planned restart has started another worker process."""
COMMAND = "command: "
"""Prefix of a point that is a command of an order or of a settlement; see `tests.chaos.crashes`."""
Path = Literal["paper", "rehearsal"]
SWITCHED = "switched"
"""The point at which the worker that runs has recorded a mode switch."""
Situation = Literal["", "restart", "recording", "migration", "switch"]
"""What the bot does besides trading: planned restarts, without an order; a recording; the migration of an old
ledger; a mode switch, without an order."""
START_AT = {"paper": 480, "rehearsal": 320}
"""Market second of the start; a rehearsal makes its preflight checks first."""
READY = 100
"""Market seconds until the bot has usually connected."""
SWITCH_AT = 700
"""Market second of the mode switch: the worker has connected, and follows it in the next market."""
STORE_LAST = 740
"""Latest market second at which the mode store begins to hold a wrong value: it is right again before
the next market, whose worker would otherwise be one of simulation."""
SELDOM = 0.1
"""Share of the schedules in which a fault that takes minutes may be drawn."""
LAST = 985
"""Latest market second of a fault; the market ends at 900 and is resolved 30 to 90 s later."""


class Layer(StrEnum):
    """What fails."""

    VENUE = "venue"
    WIRE = "wire"
    PROCESS = "process"
    DISK = "disk"
    SEQUENCE = "sequence"
    """Several faults of the venue, one after the other."""
    ACCOUNT = "account"
    """Another client uses the account."""
    STORE = "store"
    """The Redis that holds the mode."""
    MACHINE = "machine"
    """The clock of the machine that the bot runs on."""
    OPERATOR = "operator"
    """What the operator does while the bot runs."""


AT_A_POINT = {Layer.PROCESS: 0.5, Layer.DISK: 0.5, Layer.STORE: 0.3, Layer.WIRE: 0.2}
"""Share of the faults that begin at a point of an order's life."""


class FaultKind(msgspec.Struct, frozen=True):
    """A fault that a schedule may contain.

    Attributes
    ----------
    layer : Layer
    lasts : tuple of two floats, optional
        Shortest and longest duration, market seconds. Without it, the fault applies `counts` times, or is an
        event such as kill -9.
    wall : bool
        Whether the duration is in wall seconds: the bot's limits for a connection are.
    acts_as : str
        The relay's name of the fault, if it is another one.
    counts : tuple of int
        The numbers of times to choose from.
    parameters : mapping
        Values to choose from, by parameter.
    halts : tuple of str
        Parts of the reasons with which the bot is right to halt.
    drawn : bool
        Whether it is a part of random schedules.
    seldom : bool
        Whether it is drawn less often, because it takes minutes.
    of_order : bool
        Whether it concerns an order: then it mostly begins before the first one.
    """

    layer: Layer
    lasts: tuple[float, float] | None = None
    counts: tuple[int, ...] = (1,)
    parameters: Mapping[str, tuple[Any, ...]] = {}
    halts: tuple[str, ...] = ()
    drawn: bool = True
    seldom: bool = False
    of_order: bool = False
    wall: bool = False
    acts_as: str = ""


def _order(
    lasts: tuple[float, float] | None = None,
    *,
    counts: tuple[int, ...] = (1,),
    halts: tuple[str, ...] = (),
    **parameters: tuple[Any, ...],
) -> FaultKind:
    return FaultKind(Layer.VENUE, lasts, counts, parameters, halts, of_order=True)


def _venue(
    lasts: tuple[float, float] | None = None,
    *,
    counts: tuple[int, ...] = (1,),
    halts: tuple[str, ...] = (),
    **parameters: tuple[Any, ...],
) -> FaultKind:
    return FaultKind(Layer.VENUE, lasts, counts, parameters, halts)


REFUSALS = ("orders in a row were refused",)
CASH = ("the ledger's cash is",)
UNSETTLED = ("cannot be settled",)
CORRECTED = (*CASH, "was corrected")
"""On paper the venue pays, so that the cash differs; on the live path the list of positions shows it."""
OPERATOR_HALT = "halted by the operator"
BOTH = (False, True)
BAD_NUMBERS = ("NaN", "Infinity", "1e400", "-1", "0", "7", "")
KINDS: dict[str, FaultKind] = {
    # answers to POST /order
    "drop_before_read": _order(counts=(1, 2)),
    "too_early_425": _order(counts=(1, 2), executed=BOTH),
    "rate_limit_429": _order(counts=(1, 2)),
    "error_500": _order(counts=(1, 2), executed=BOTH),
    "refused_4xx": _order(counts=(1, 3), executed=BOTH, halts=(*REFUSALS, "had ended as refused")),
    "unavailable_503": _order(
        (60, 400), variant=("trading_disabled", "cancel_only", "post_only", "overloaded"), halts=REFUSALS
    ),
    "html_403": _order(halts=REFUSALS),
    "tick_changed": _order(
        counts=(1, 3), tick=(0.1, 0.05, 0.001), halts=(*REFUSALS, "contradicts order-tick")
    ),
    "success_false": _order(counts=(1, 3), halts=REFUSALS),
    "unmatched": _order(counts=(1, 2)),
    "geoblocked": _order((60, 300), halts=REFUSALS),
    "delayed": _order(seconds=(0.2, 0.5, 1.0), success=BOTH),
    "live_fak": _order(),
    "hang": _order(seconds=(0.6, 2.0, 5.0)),
    "drop_after_accept": _order(),
    "trade_before_response": _order(seconds=(0.1, 0.3, 1.0)),
    # trades and the user stream
    "user_feed_silent": _order((30, 300)),
    "duplicate_trade": _order(),
    "out_of_order_trade": _order(),
    "failed_after_match": _order(),
    "retrying": _order(),
    "killed_event": _order(),
    "user_feed_refused": _order(counts=(1, 3)),
    "user_feed_drop": _order(),
    "user_feed_value": _order(event=("trade",), field=("price", "size"), value=BAD_NUMBERS),
    # data
    "market_feed_stall": _venue((15, 200)),
    "price_change_lost": _venue(counts=(1, 5)),
    "tick_size_change_lost": _venue((60, 400), lost=("event", "book", "both")),
    "market_feed_value": _venue(counts=(1, 5), field=("price", "size"), value=BAD_NUMBERS, raw=BOTH),
    "stray_frame": _venue(feed=("market", "user"), depth=(0, 100_000)),
    "gamma_500": _venue((15, 150)),
    "order_lookup_404": _order(counts=(1, 3)),
    "resolution_delay": _venue(seconds=(60.0, 150.0, 300.0)),
    "resolution_never": _venue((60, 300)),
    "resolution_disputed": _venue((60, 300)),
    "resolution_split": _venue(up=(0.5, 0.7), halts=UNSETTLED),
    "resolution_flipped": _venue((600, 700), seconds=(30.0, 90.0), halts=CORRECTED),
    "gamma_forgets": _venue((60, 300)),
    "clob_contradicts": _venue((60, 300), halts=UNSETTLED),
    "book_empty": _venue((15, 200)),
    "market_closes_early": _order((60, 300), seconds=(60.0, 300.0, 600.0), halts=REFUSALS),
    "api_key_revoked": _venue((15, 150), halts=REFUSALS),
    "stale_balance": _order((30, 200)),
    "clock_skew": _venue((60, 300), seconds=(-30, 30)),
    "drip_answer": _order(path=("/order", "/data/trades", "/gamma/*"), seconds=(0.05, 1.0)),
    "nested_answer": _order(path=("/order", "/data/trades", "/gamma/*")),
    "huge_answer": _order(path=("/order", "/data/trades", "/gamma/*"), compressed=BOTH),
    # external services
    "external_down": _venue((30, 300)),
    "external_slow": _venue((30, 300), seconds=(0.5, 2.0, 10.0)),
    "external_html": _venue((30, 300)),
    "external_429": _venue((30, 300)),
    "external_stale": _venue((30, 300)),
    # the connections between bot and venue
    "wire_delay": FaultKind(Layer.WIRE, (30, 200), parameters={"seconds": (0.05, 0.3, 1.0)}),
    "wire_hang": FaultKind(Layer.WIRE, (15, 200)),
    "wire_reset": FaultKind(Layer.WIRE, counts=(1, 3)),
    "wire_half": FaultKind(Layer.WIRE, counts=(1, 2)),
    "wire_garbage": FaultKind(Layer.WIRE, counts=(1, 2)),
    "wire_slow": FaultKind(Layer.WIRE, counts=(1, 2), parameters={"seconds": (0.01, 0.1)}),
    "stream_silent": FaultKind(Layer.WIRE, (15, 200)),
    # Longer than the bot waits for a message (60 s) and for the answer to a ping (20 s).
    "stream_silent_long": FaultKind(Layer.WIRE, (62, 75), wall=True, acts_as="stream_silent", seldom=True),
    "stream_no_pong": FaultKind(Layer.WIRE, (25, 35), wall=True),
    "stream_duplicated": FaultKind(Layer.WIRE, counts=(1, 20)),
    "stream_reordered": FaultKind(Layer.WIRE, counts=(1, 20)),
    "stream_missing": FaultKind(Layer.WIRE, counts=(1, 20)),
    "stream_stale_book": FaultKind(Layer.WIRE, counts=(1, 5)),
    # processes
    "kill_worker": FaultKind(Layer.PROCESS),
    "kill_supervisor": FaultKind(Layer.PROCESS),
    "kill_venue": FaultKind(Layer.PROCESS),
    "stop_worker": FaultKind(Layer.PROCESS, (15, 150)),
    "stop_venue": FaultKind(Layer.PROCESS, (15, 150)),
    # A halt file that cannot be read counts as a halt, until it can be read again; a ledger that cannot be
    # opened halts like one that cannot be written.
    "few_descriptors": FaultKind(
        Layer.PROCESS, (15, 100), halts=("HALTED cannot be read", "unable to open database file")
    ),
    # the disk
    "ledger_locked": FaultKind(Layer.DISK, (15, 200)),
    "disk_full": FaultKind(
        Layer.DISK, (15, 100), halts=("could not be recorded", "ledger cannot be written")
    ),
    # the mode store
    "redis_stopped": FaultKind(Layer.STORE, (15, 200)),
    "redis_hangs": FaultKind(Layer.STORE, (15, 200)),
    "redis_restarted": FaultKind(Layer.STORE),
    "redis_value": FaultKind(
        Layer.STORE, (15, 150), parameters={"value": ("", "2", "live", "0 ", "\xff\x00")}
    ),
    "switch_to_simulation": FaultKind(Layer.STORE, drawn=False),
    # the bot, which is armed, began in simulation
    "switch_to_live": FaultKind(Layer.STORE, drawn=False),
    # the bot's clock is ahead of the venue's, market seconds
    "machine_clock": FaultKind(Layer.MACHINE, parameters={"seconds": (-30, 30)}),
    # a restart of the matching engine: 425 for the first half, then orders that rest only
    "engine_restart": FaultKind(Layer.SEQUENCE, (60, 400), halts=REFUSALS, of_order=True),
    # an outage of the venue: orders are refused for one to two hours
    "hours_of_503": FaultKind(
        Layer.SEQUENCE,
        (3600, 7200),
        parameters={"variant": ("trading_disabled", "cancel_only", "post_only", "overloaded")},
        halts=REFUSALS,
        seldom=True,
    ),
    # another client with the same account pays in or out
    "balance_moved": FaultKind(Layer.ACCOUNT, parameters={"usd": (-5.0, 2.5)}, halts=CASH),
    # the operator halts trading, and lifts the halt
    "operator_halts": FaultKind(Layer.OPERATOR, (15, 400), halts=(OPERATOR_HALT,), of_order=True),
}
"""Faults by name; those of the venue have its own names and parameters."""


class Injection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault of a schedule.

    Attributes
    ----------
    fault : str
        Name in `KINDS`.
    at : float
        Market second, counted from the start of the first market.
    on : str
        Begins at this point of an order's life instead, the first time it is reached after `at`.
    lasts : float
        Market seconds until it is ended; 0 for one that applies `count` times.
    count : int
        How often it applies.
    parameters : dict
        Parameters of the fault.
    """

    fault: str
    at: float = 0.0
    on: str = ""
    lasts: float = 0.0
    count: int = 1
    parameters: dict[str, Any] = {}

    @property
    def kind(self) -> FaultKind:
        return KINDS[self.fault]

    @property
    def after_start(self) -> bool:
        """Whether it has to begin after the first worker has recorded its starting cash.

        A payment before would be a part of it; so would a stale balance between the request to renew the
        balance and the answer, which the real venue does not have. And a halt needs the state folder.
        """
        return self.kind.layer in (Layer.ACCOUNT, Layer.OPERATOR) or self.fault == "stale_balance"

    @property
    def text(self) -> str:
        """One line for a person."""
        when = f"at {self.at:.0f} s" if not self.on else f"at {self.on!r}"
        unit = "wall s" if self.kind.wall else "s"
        much = f" for {self.lasts:.0f} {unit}" if self.lasts else f" {self.count}×" if self.count > 1 else ""
        given = "".join(f" {name}={value!r}" for name, value in self.parameters.items())
        return f"{self.fault}{given} {when}{much}"


KILLED = (
    Injection("delayed", parameters={"seconds": 1.0, "success": True}),
    Injection("book_empty", on="decided", lasts=90.0),
)
"""An order that is accepted, and finds nothing when it is executed a second later."""
NEEDS: dict[str, tuple[Injection, ...]] = {
    "killed_event": KILLED,
    # Without a message that it was killed, the order is looked up.
    "order_lookup_404": (*KILLED, Injection("user_feed_silent", lasts=600.0)),
}
"""What has to happen so that a fault can be applied; drawn with it."""
Limit = Literal["", "MAX_POSITIONS", "MAX_TOTAL_EXPOSURE", "MAX_LOSS_PER_DAY"]
"""A limit of the settings that one order reaches: the next one is refused while the first is unsettled."""
LIMITED = 0.04
"""Share of the schedules with such a limit; they play a second market, whose first has no result yet."""
UNSETTLED_S = 1750.0
"""Market seconds without a result then, until after the second window."""


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The faults of one run. `market` is the number of the generated market it begins with."""

    seed: int
    number: int
    path: Path = "paper"
    market: int = 6
    situation: Situation = ""
    limit: Limit = ""
    injections: tuple[Injection, ...] = ()

    @property
    def halts(self) -> tuple[str, ...]:
        """Parts of the reasons with which the bot is right to halt."""
        return tuple(reason for injection in self.injections for reason in injection.kind.halts)

    @property
    def unbookable(self) -> bool:
        """Whether a market may pay other shares than 0, 1/2 and 1, which the operator has to book."""
        return any(i.fault == "resolution_split" and i.parameters["up"] != 0.5 for i in self.injections)

    @property
    def flipped(self) -> bool:
        """Whether a result may be published with the other winner first."""
        return any(i.fault == "resolution_flipped" for i in self.injections)

    @property
    def uses_relay(self) -> bool:
        """Whether the connections between bot and venue have to pass through the relay."""
        return any(injection.kind.layer is Layer.WIRE for injection in self.injections)

    @property
    def uses_redis(self) -> bool:
        """Whether the mode is held by a Redis of the run."""
        return any(injection.kind.layer is Layer.STORE for injection in self.injections)

    @property
    def ahead_s(self) -> float:
        """By how many market seconds the bot's clock is ahead of the venue's."""
        found = [i for i in self.injections if i.kind.layer is Layer.MACHINE]
        return float(found[0].parameters["seconds"]) if found else 0.0

    @property
    def command(self) -> str:
        """The command at which a process is killed; empty without one."""
        found = [i.on.removeprefix(COMMAND) for i in self.injections if i.on.startswith(COMMAND)]
        return found[0] if found else ""

    @property
    def text(self) -> str:
        """One line for a person."""
        faults = "; ".join(injection.text for injection in self.injections) or "no fault"
        during = f", {self.situation}" if self.situation else ""
        during += f", {self.limit} for one order" if self.limit else ""
        return f"{self.path}, market {self.market}{during}: {faults}"


# --- drawing -------------------------------------------------------------------------------------------


def draw(seed: int, number: int) -> Schedule:
    """The schedule with a number; the same for the same seed, independent of the other numbers."""
    random = Random(f"{seed}/{number}")
    path: Path = random.choices(("paper", "rehearsal"), (3, 1))[0]
    pool = [
        name
        for name, kind in sorted(KINDS.items())
        if kind.drawn and (not kind.seldom or random.random() < SELDOM)
    ]
    names = random.sample(pool, random.choices((1, 2, 3, 4), (3, 4, 2, 1))[0])
    if "kill_venue" in names or "stop_venue" in names:
        # The relay has the venue's address, which a venue that is started again would need.
        names = [name for name in names if KINDS[name].layer is not Layer.WIRE]
    stores = [name for name in names if KINDS[name].layer is Layer.STORE]
    # One at a time: a Redis that hangs cannot be changed.
    names = [name for name in names if name not in stores[1:]]
    if path == "rehearsal" and "redis_value" in names:
        # A worker that starts meanwhile would be one of simulation.
        names = [name for name in names if KINDS[name].layer not in (Layer.PROCESS, Layer.DISK)]
    limit = random.choice(get_args(Limit)[1:]) if random.random() < LIMITED else ""
    if limit:
        names = [name for name in names if not name.startswith(("resolution_", "clob_contradicts"))]
    needed = [one for name in names for one in NEEDS.get(name, ()) if one.fault not in names]
    if limit:
        needed.append(Injection("resolution_never", lasts=UNSETTLED_S))
    drawn = [_drawn(random, name, path) for name in names if name not in NEEDS]
    drawn += [Injection(name) for name in names if name in NEEDS]
    injections = sorted({one.fault: one for one in needed + drawn}.values(), key=lambda i: (i.at, i.fault))
    market = random.choice((6, random.randrange(40)))
    return Schedule(seed, number, path, market, limit=limit, injections=tuple(injections))


def _drawn(random: Random, fault: str, path: Path) -> Injection:
    kind = KINDS[fault]
    begin = START_AT[path] + READY
    # A fault of the first order has to be armed before it; one at a point of the order begins there.
    at_a_point = random.random() < AT_A_POINT.get(kind.layer, 0.0) and fault != "redis_value"
    on = random.choice(POINTS) if at_a_point else ""
    last = STORE_LAST if fault == "redis_value" else LAST
    at_first = random.random() < (0.85 if kind.of_order else 0.3)
    if kind.layer is Layer.WIRE and kind.lasts is not None:
        at_first = False  # it would be over before the bot connects
    at = 0.0 if on or at_first else round(random.uniform(begin, last), 1)
    if kind.layer is Layer.MACHINE:
        at = 0.0
    elif not on and (fault == "few_descriptors" or kind.layer in (Layer.DISK, Layer.ACCOUNT, Layer.STORE)):
        # There is neither an account nor a ledger before, and a worker without descriptors only starts again.
        at = at or float(begin + 1)
    parameters = {name: random.choice(values) for name, values in kind.parameters.items()}
    lasts = 0.0 if kind.lasts is None else round(random.uniform(*kind.lasts), 1)
    return Injection(fault, at, on, lasts, random.choice(kind.counts), parameters)


# --- shrinking -----------------------------------------------------------------------------------------


def smaller(schedule: Schedule) -> Iterator[Schedule]:
    """Schedules with fewer faults: each half, then without each one, the largest reduction first."""
    faults = schedule.injections
    half = len(faults) // 2
    parts = [faults[half:], faults[:half]] if half else []
    parts += [faults[:place] + faults[place + 1 :] for place in range(len(faults))]
    seen: set[int] = set()
    for part in parts:
        if len(part) < len(faults) and hash_of(part) not in seen:
            seen.add(hash_of(part))
            yield msgspec.structs.replace(schedule, injections=part)


def hash_of(injections: tuple[Injection, ...]) -> int:
    return hash(msgspec.json.encode(injections))


def shrink(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """The schedule without the faults that its failure does not need.

    `fails` runs a schedule and returns whether it fails in the same way. The result fails, and does not fail
    without any one of its faults.
    """
    while True:
        found = next((part for part in smaller(schedule) if fails(part)), None)
        if found is None:
            return schedule
        schedule = found


# --- files ---------------------------------------------------------------------------------------------


def encode(schedule: Schedule) -> bytes:
    """The schedule as JSON, for `--replay`."""
    return msgspec.json.format(msgspec.json.encode(schedule))


def decode(text: bytes) -> Schedule:
    """A schedule from JSON.

    Raises
    ------
    ValueError
        If it is not one, or names an unknown fault.
    """
    schedule = msgspec.json.decode(text, type=Schedule)
    unknown = [injection.fault for injection in schedule.injections if injection.fault not in KINDS]
    if unknown:
        raise ValueError(f"unknown fault {unknown[0]!r}; known: {', '.join(KINDS)}")
    return schedule
