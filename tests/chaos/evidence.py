"""What remains of a run, as plain values: the venue's database, the bot's ledger, and what the run observed.

Both databases are read as SQLite files, without the code that wrote them. The processes must have stopped.
"""

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from ledger_comparison import MICRO, MILLS, Paths, Trade, ledger_fills, rows, venue_copy, venue_trades

PAID_AFTER_NS = 5_000_000_000
"""Longest time from a payout of the venue until it is recorded: results are read once a second, one market
after the other."""
STARTING_BALANCE = Decimal(1000)
"""pUSD of a new account at the practice venue."""


class Limits(msgspec.Struct, frozen=True):
    """The limits of the settings, pUSD, and the decision window in market seconds."""

    order: Decimal = Decimal("1.00")
    exposure: Decimal = Decimal("10.00")
    positions: int = 5
    day_loss: Decimal = Decimal("5.00")
    window: tuple[float, float] = (320.0, 880.0)


class Reading(msgspec.Struct, frozen=True):
    """The venue's clock: market time is `market_ns` at `wall_ns`, and runs `speed` times as fast."""

    wall_ns: int
    market_ns: int
    speed: float

    def market_s(self, wall_ns: int) -> float:
        return (self.market_ns + (wall_ns - self.wall_ns) * self.speed) / 1e9


class Order(msgspec.Struct, frozen=True):
    """An order at the venue. `start` is that of its market; `bought` are the shares of trades that stand."""

    id: str
    start: int
    created_ns: int
    status: str
    bought: Decimal


class Purchase(msgspec.Struct, frozen=True):
    """A trade at the venue that did not fail."""

    order_id: str
    start: int
    outcome: str
    shares: Decimal
    price: Decimal
    usd: Decimal
    fee: Decimal
    match_ns: int

    @property
    def cost(self) -> Decimal:
        return self.usd + self.fee


class Resolution(msgspec.Struct, frozen=True):
    """A market's result at the venue: what an Up share pays, and when that was published."""

    up_pays: Decimal
    wall_ns: int

    def pays(self, outcome: str) -> Decimal:
        return self.up_pays if outcome == "Up" else 1 - self.up_pays


class Decision(msgspec.Struct, frozen=True):
    """A row of the ledger's decisions; `reason` is None if it buys."""

    id: int
    slug: str
    second: float
    reason: str | None


class Intent(msgspec.Struct, frozen=True):
    """A row of the ledger's orders."""

    intent_id: str
    decision_id: int
    slug: str
    usd: Decimal
    price_cap: Decimal
    state: str
    order_id: str
    created_ns: int


class Settled(msgspec.Struct, frozen=True):
    """A position of the ledger: its cost with fees, and what a settled one is paid; None while it is open."""

    slug: str
    cost: Decimal
    paid: Decimal | None


class Mode(msgspec.Struct, frozen=True):
    """A row of the ledger's mode changes."""

    ts_ns: int
    mode: str
    allows_orders: bool


class Halt(msgspec.Struct, frozen=True):
    """A row of the ledger's halts: `event` is halt or resume."""

    ts_ns: int
    event: str
    why: str


class Recovery(msgspec.Struct, frozen=True):
    """The time from the end of a fault, while no other one lasted, until the bot was healthy.

    Attributes
    ----------
    fault : str
    seconds : float
        Wall seconds; until the next fault or the end of the run if the bot was not healthy by then.
    healthy : bool
        Whether it was.
    waited_s : float
        Seconds of these in which a process of the bot could have run, and had no processor.
    """

    fault: str
    seconds: float
    healthy: bool = True
    waited_s: float = 0.0

    @property
    def own_s(self) -> float:
        """The bot's own part of the time."""
        return self.seconds - self.waited_s


class Observed(msgspec.Struct, frozen=True):
    """What the run itself saw.

    Attributes
    ----------
    clocks : tuple of Reading
        The venue's clock, oldest first; one more for each venue that was started again.
    armed : bool
        Whether the run was armed for live orders.
    moved : Decimal
        pUSD that another client paid into the account.
    flipped : bool
        Whether a result may have been published with the other winner first.
    unbookable : bool
        Whether a market may pay shares of 1 that the operator has to book.
    ahead_s : float
        Market seconds by which the bot's clock was ahead of the venue's.
    halts : tuple of str
        Parts of the reasons with which the faults of the schedule may halt the bot.
    covered : tuple of str
        Slugs of the markets in whose whole decision window, from the bot's start on, a worker ran.
    recoveries : tuple of Recovery
        After each fault that a worker or its quotes need time to recover from, and at the end of the run.
    operator_halts : tuple of (int, int)
        Wall times in nanoseconds at which the operator halted trading, and lifted the halt.
    exit_code : int, optional
        Of the last supervisor, after Ctrl-C; None if it had to be killed.
    orphans : tuple of str
        Processes of the run that were left after it.
    held_locks : tuple of str
        Locks that were still held after it.
    output : str
        The screen.
    problems : tuple of str
        What the run waited for in vain.
    """

    clocks: tuple[Reading, ...] = ()
    armed: bool = False
    moved: Decimal = Decimal(0)
    flipped: bool = False
    unbookable: bool = False
    ahead_s: float = 0.0
    halts: tuple[str, ...] = ()
    covered: tuple[str, ...] = ()
    recoveries: tuple[Recovery, ...] = ()
    operator_halts: tuple[tuple[int, int], ...] = ()
    exit_code: int | None = 0
    orphans: tuple[str, ...] = ()
    held_locks: tuple[str, ...] = ()
    output: str = ""
    problems: tuple[str, ...] = ()


class Evidence(msgspec.Struct, frozen=True):
    """Everything that the invariants are checked on."""

    limits: Limits = Limits()
    observed: Observed = Observed()
    # the venue's database
    orders: tuple[Order, ...] = ()
    purchases: tuple[Purchase, ...] = ()
    trades: dict[str, Trade] = {}
    resolutions: dict[int, Resolution] = {}
    balance: Decimal = STARTING_BALANCE
    unpaid: Decimal = Decimal(0)
    """Value of resolved positions that were not redeemed."""
    live_orders: tuple[str, ...] = ()
    """Ids of orders at the venue of the live path."""
    # the ledger
    starts: dict[str, int] = {}
    """Start of each market, by slug."""
    decisions: tuple[Decision, ...] = ()
    intents: tuple[Intent, ...] = ()
    fills: dict[str, list[Trade]] = {}
    positions: tuple[Settled, ...] = ()
    starting_cash: Decimal = STARTING_BALANCE
    drifts: tuple[Decimal, ...] = ()
    """Differences booked as deposit or withdrawal, one per run."""
    cash_differences: tuple[Decimal, ...] = ()
    paid_after: tuple[Decimal, ...] = ()
    """The payouts that were recorded after each of these checks, within `PAID_AFTER_NS`."""
    modes: tuple[Mode, ...] = ()
    halts: tuple[Halt, ...] = ()
    damage: tuple[str, ...] = ()
    """Messages of SQLite's integrity and foreign key checks."""


def collect(folder: Path, profile: str, limits: Limits, observed: Observed) -> Evidence:
    """Read both databases of a stopped bot.

    Parameters
    ----------
    folder : Path
        The bot's folder.
    profile : str
        Name of the trading profile's folder.
    """
    paths = Paths.of(folder, profile)
    live = Paths.of(folder, "rehearsal-synthetic")
    with TemporaryDirectory() as copies:
        (Path(copies) / "live").mkdir()
        venue = venue_copy(paths.venue, Path(copies))
        live_venue = venue_copy(live.venue, Path(copies) / "live") if live.venue.exists() else None
        resolutions = _resolutions(venue)
        return Evidence(
            limits=limits,
            observed=observed,
            orders=_orders(venue),
            purchases=_purchases(venue),
            trades=venue_trades(venue),
            resolutions=resolutions,
            balance=_first(venue, "SELECT sum(balance) FROM account") / MICRO,
            unpaid=_unpaid(venue, resolutions),
            live_orders=() if live_venue is None else _order_ids(live_venue),
            **_ledger(paths.ledger),
        )


def _order_ids(venue: Path) -> tuple[str, ...]:
    return tuple(order for (order,) in rows(venue, 'SELECT id FROM "order"'))


def _first(path: Path, query: str) -> Decimal:
    found = rows(path, query)
    return Decimal(found[0][0] or 0) if found else Decimal(0)


def _orders(venue: Path) -> tuple[Order, ...]:
    query = (
        "SELECT o.id, o.start, o.created_ns, o.status, coalesce(sum(t.shares), 0)"
        " FROM \"order\" o LEFT JOIN trade t ON t.order_id = o.id AND t.status <> 'FAILED'"
        " GROUP BY o.id ORDER BY o.created_ns"
    )
    return tuple(
        Order(order, start, created, status, Decimal(bought) / MICRO)
        for order, start, created, status, bought in rows(venue, query)
    )


def _purchases(venue: Path) -> tuple[Purchase, ...]:
    query = (
        "SELECT order_id, start, outcome, shares, price, usd, fee, match_ns FROM trade"
        " WHERE status <> 'FAILED' ORDER BY match_ns"
    )
    return tuple(
        Purchase(
            order_id=order,
            start=start,
            outcome=outcome,
            shares=Decimal(shares) / MICRO,
            price=Decimal(price) / MILLS,
            usd=Decimal(usd) / MICRO,
            fee=Decimal(fee) / MICRO,
            match_ns=match_ns,
        )
        for order, start, outcome, shares, price, usd, fee, match_ns in rows(venue, query)
    )


def _resolutions(venue: Path) -> dict[int, Resolution]:
    query = (
        "SELECT r.start, coalesce(s.up_pays, r.up_won * 1000000), r.wall_ns"
        " FROM resolution r LEFT JOIN split s USING (start)"
    )
    return {start: Resolution(Decimal(up) / MICRO, wall_ns) for start, up, wall_ns in rows(venue, query)}


def _unpaid(venue: Path, resolutions: dict[int, Resolution]) -> Decimal:
    held = rows(venue, "SELECT start, outcome, shares FROM position WHERE shares > 0")
    return sum(
        (
            Decimal(shares) / MICRO * resolutions[start].pays(outcome)
            for start, outcome, shares in held
            if start in resolutions
        ),
        Decimal(0),
    )


def _ledger(path: Path) -> dict[str, object]:
    decisions = rows(path, "SELECT id, slug, second, reason FROM decisions ORDER BY id")
    intents = rows(
        path,
        "SELECT intent_id, decision_id, slug, usd, price_cap, state, order_id, created_ns FROM intents"
        " ORDER BY created_ns",
    )
    runs = rows(path, "SELECT starting_cash, cash_drift FROM runs ORDER BY id")
    checks = rows(path, "SELECT ts_ns, difference FROM cash_checks ORDER BY id")
    payouts = rows(path, "SELECT ts_ns, amount FROM redemptions")
    damage = [
        text
        for check in ("PRAGMA integrity_check", "PRAGMA foreign_key_check")
        for text, *_ in rows(path, check)
        if text != "ok"
    ]
    return {
        "starts": dict(rows(path, "SELECT slug, start FROM markets")),
        "decisions": tuple(Decision(*row) for row in decisions),
        "intents": tuple(
            Intent(name, decision, slug, Decimal(usd), Decimal(cap), state, order or "", created)
            for name, decision, slug, usd, cap, state, order, created in intents
        ),
        "fills": dict(ledger_fills(path)),
        "positions": _positions(path),
        "starting_cash": Decimal(runs[0][0]) if runs else STARTING_BALANCE,
        "drifts": tuple(Decimal(drift) for _, drift in runs),
        "cash_differences": tuple(Decimal(difference) for _, difference in checks),
        "paid_after": tuple(
            sum((Decimal(paid) for at, paid in payouts if ts_ns < at < ts_ns + PAID_AFTER_NS), Decimal(0))
            for ts_ns, _ in checks
        ),
        "modes": tuple(
            Mode(ts_ns, mode, bool(allows))
            for ts_ns, mode, allows in rows(
                path, "SELECT ts_ns, mode, allows_orders FROM mode_changes ORDER BY id"
            )
        ),
        "halts": tuple(Halt(*row) for row in rows(path, "SELECT ts_ns, event, why FROM halts ORDER BY id")),
        "damage": tuple(str(text) for text in damage),
    }


def _positions(path: Path) -> tuple[Settled, ...]:
    """Cost and payout of each market with a fill that stands, computed from the fills."""
    pays = {
        slug: {"Up": Decimal(up), "Down": Decimal(down)}
        for slug, up, down in rows(path, "SELECT slug, up_pays, down_pays FROM settlements")
    }
    found = []
    query = "SELECT slug, outcome, shares, price, fee FROM fills WHERE status <> 'FAILED' ORDER BY rowid"
    bought = rows(path, query)
    for slug in dict.fromkeys(slug for slug, *_ in bought):
        own = [tuple(row[1:]) for row in bought if row[0] == slug]
        cost = sum((_down(Decimal(s) * Decimal(p)) + Decimal(f) for _, s, p, f in own), Decimal(0))
        paid = None
        if slug in pays:
            paid = Decimal(0)
            for side, share_pays in pays[slug].items():
                shares = sum((Decimal(s) for outcome, s, _, _ in own if outcome == side), Decimal(0))
                paid += _down(shares * share_pays)
        found.append(Settled(slug, cost, paid))
    return tuple(found)


def _down(amount: Decimal) -> Decimal:
    """Rounded down to a millionth of a pUSD, as the venue does."""
    return Decimal(int(amount * MICRO)) / MICRO
