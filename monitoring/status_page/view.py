"""What the status page shows at one instant, as text and numbers; encoded as `status.json`."""

from models import Frozen


class Line(Frozen, frozen=True):
    """A text with its label; `tone` is its colour on the terminal: green, red, yellow, cyan, dim or empty."""

    label: str
    text: str
    tone: str = ""


class MarketNow(Frozen, frozen=True):
    """The running market; `second` and `window` are market seconds, 0 to 900."""

    start: str
    """Date and time, UTC."""
    title: str
    kind: str
    second: float
    window: tuple[float, float]
    phase: str
    """Time until the decision window, or where in it the market is."""
    up: str
    """Price of Up; empty without one."""
    down: str
    facts: tuple[str, ...]


class VoteView(Frozen, frozen=True):
    """One processor's vote; without a signal `direction` is empty and `detail` the reason."""

    name: str
    source: str
    weight: str
    direction: str = ""
    confidence: float = 0.0
    detail: str = ""


class DecisionView(Frozen, frozen=True):
    """The newest decision; `current` is True if it was made in the running market."""

    market: str
    second: int
    current: bool
    votes: tuple[VoteView, ...]
    decision: Line


class MarketView(Frozen, frozen=True):
    """A market with its decision, orders and result; `running` until it has a result."""

    start: str
    kind: str
    running: bool
    rows: tuple[Line, ...]


class PositionView(Frozen, frozen=True):
    """An unsettled trade; the last three are empty without a price since the purchase."""

    market: str
    side: str
    shares: str
    paid: str
    chance: str
    worth: str
    so_far: str


class TradeView(Frozen, frozen=True):
    """A trade; `outcome` is WIN, LOSS or PENDING, and `pnl` is empty while it is pending."""

    market: str
    kind: str
    side: str
    price: str
    paid: str
    score: str
    outcome: str
    pnl: str


class Figure(Frozen, frozen=True):
    """A number of the results with its explanation."""

    name: str
    value: str
    note: str
    tone: str = ""


class FunnelRow(Frozen, frozen=True):
    """A stage: the markets that reached it, their share of all, and what stopped the others."""

    stage: str
    markets: int
    share: float
    stops: str


class FeedView(Frozen, frozen=True):
    """An external source."""

    source: str
    age: str
    failures: int
    reconnects: int
    up: bool


class PageView(Frozen, frozen=True):
    """Everything that the page shows except the health and the plots."""

    time: str
    """UTC, of the worker status."""
    mode: str
    money: str
    """Real money or practice money."""
    profile: str
    allows_orders: bool
    mode_detail: str
    halted: str
    """The reason of a halt; empty without one."""
    pending: str
    """Unknown orders, missing results and a wrong clock; empty without any."""
    market: MarketNow | None
    decision: DecisionView | None
    markets: tuple[MarketView, ...]
    positions: tuple[PositionView, ...]
    trades: tuple[TradeView, ...]
    results: tuple[Figure, ...]
    funnel: tuple[FunnelRow, ...]
    feeds: tuple[FeedView, ...]
    system: tuple[Line, ...]
