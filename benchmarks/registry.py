"""All benchmarks of `./bot bench`, in the order of the table."""

from models import Frozen


class Benchmark(Frozen, frozen=True, kw_only=True):
    """An entry; its texts are those of `./bot bench --list` and of docs/performance.md."""

    name: str
    """For `--only`, and the name of its measurements."""
    module: str
    """The module of this package with `measure()`."""
    seconds: int
    """Expected duration on two idle cores; its share of the progress bar. All together take less than 600."""
    measures: str
    """What its figures are, and how they are measured."""
    limits: str
    """What its figures do not show."""
    targets: str
    """Its targets, or `none: ` and why it has none."""


BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark(
        name="brain",
        module="brain",
        seconds=20,
        measures="One decision of the strategy brain on a frozen context: gates, six signal processors, "
        "fusion. Prices and books are those of the decision windows of the recorded markets that come with "
        "the bot; the external values are generated, so that every processor does its full work.",
        limits="The external values are there already, and nothing is written or sent. Bytecode and memory "
        "are for comparing two versions of the code: unlike times they do not depend on the machine's load.",
        targets="99 % of the decisions take at most 1 ms",
    ),
    Benchmark(
        name="books",
        module="book_updates",
        seconds=20,
        measures="One message of the market stream from its raw JSON to the strategy's market view: "
        "decoding, validation, both books, quotes. The messages are a recorded market's books as the venue "
        "sends them. The reference is the stock adapter's parsing of the same messages, by turns.",
        limits="WebSocket and Nautilus' data engine are not part of it. The stock adapter validates nothing, "
        "compares no prices and updates no market view: a ratio above 1 is what these cost.",
        targets="no Decimal and no sort for each level of a message",
    ),
    Benchmark(
        name="venue",
        module="practice_venue",
        seconds=30,
        measures="Messages that the practice venue sends to WebSocket clients at 60 times the real speed, "
        "and signed orders that it verifies, matches, books and answers; the clients run in another process. "
        "Per second of the clock, and per second of the venue's processor time.",
        limits="The clients use the machine's other cores. The figures per second of processor time are what "
        "one free core can serve: they show that the venue is not what the other benchmarks measure.",
        targets="5,000 messages and 200 orders for a second of processor time: five times the heaviest load, "
        "and the fastest orders, of the other benchmarks",
    ),
    Benchmark(
        name="footprint",
        module="footprint",
        seconds=130,
        measures="Start, resident memory and processor time of the bot with its own practice venue, metrics "
        "and status page, beside a NautilusTrader node with the stock data client and a strategy that "
        "subscribes to the same markets and does nothing; by turns, at the markets' own rate and with 10, "
        "100 and 1,000 additional quotes per second. Also the time from the command of a test run to its "
        "first decision.",
        limits="The node has no orders, no feeds, no ledger, no metrics and no supervisor, and its venue "
        "already runs. The bot needs two Python processes: the worker, which trades, and the supervisor. The "
        "target of the memory is for the worker; together they need more than 1.15 times the node's. The "
        "output is a pipe: a terminal in which the waiting line is drawn costs more.",
        targets="start 1.2, memory of the worker 1.15 and processor time 1.2 times those of the node, of the "
        "worker alone and with the supervisor; a first decision within 12 s",
    ),
    Benchmark(
        name="series",
        module="many_series",
        seconds=100,
        measures="Processor time and memory of a worker with eight series (btc, eth, sol, xrp in 5 and in 15 "
        "minutes), beside a worker with one, in test mode on generated markets at 15 times the real speed; "
        "the windows that pass without a decision, of two of each 5-minute and one of each 15-minute series; "
        "and the time from the quote to the first byte of an order's POST, from the ledger, with settings "
        "that buy in nearly every window.",
        limits="Windows of one length coincide: the orders of up to four series are sent at the same time, "
        "and each waits for the transactions of the others. At 15 times the speed a second has 15 times the "
        "markets, quotes and decisions of a real one: compare the ratio, not the percentage. The practice "
        "venue uses the same processor.",
        targets="each further series costs at most as much processor time as the first and a tenth of its "
        "memory; no window is missed",
    ),
    Benchmark(
        name="tick_to_order",
        module="tick_to_order",
        seconds=145,
        measures="From a tick to the first byte of the order's POST at the venue, and to the known answer, "
        "by turns on one practice venue: the bot's worker, a Nautilus node with the stock adapter, and a "
        "script with each official client; on loopback, and with a round trip of 20 ms for every request of "
        "every sender. The stock adapter and the scripts request tick size, kind of market, fee rate and "
        "price before an order, one after the other: on loopback such a request costs a millisecond, over a "
        "network a round trip. So the ratio to the stock adapter has its target with the round trip, half of "
        "which, the POST's way to the venue, is part of every sender's time; on loopback the bot is ahead by "
        "much less than four times. Before each turn the libraries forget what they know about the market, "
        "as for a strategy that buys each market once; `python -m benchmarks.tick_to_order --known-market` "
        "leaves that out. The steps of the bot's orders, from its ledger, are in a table of their own.",
        limits="The network's jitter, encryption, Polymarket's taker delay and the way of the tick to this "
        "machine come on top, for every sender.",
        targets="on loopback half of the orders within 5 ms and 99 % within 20 ms; with the round trip at "
        "most a quarter of the stock adapter's median, and 99 % within 30 ms, half a round trip more than on "
        "loopback: none of them opens a connection",
    ),
    Benchmark(
        name="order_clients",
        module="order_clients",
        seconds=10,
        measures="Signature and POST of an order with each of the two libraries behind the bot's port, by "
        "turns, against one practice venue that answers without matching. "
        "`python benchmarks/order_clients.py` also compares them under faults.",
        limits="Loopback: the network to Polymarket and its matching come on top of both.",
        targets="none: both libraries are kept, and docs/upgrades.md states when which one is used",
    ),
    Benchmark(
        name="orders",
        module="thousand_orders",
        seconds=40,
        measures="Seeded orders on moving books through the bot's engine, ledger and adapter: orders that "
        "are stuck, above their limit or recorded differently than at the venue. "
        "`python benchmarks/thousand_orders.py` sends a thousand, also through the stock adapter.",
        limits="It counts errors, not time: market time runs six times as fast, and orders wait for others.",
        targets="no order breaks a guarantee",
    ),
    Benchmark(
        name="backtest",
        module="backtest_throughput",
        seconds=30,
        measures="Rows (book changes and quotes) per second of a backtest with the bot's strategy, risk "
        "limits, order lifecycle and ledger, beside a strategy that does nothing on the same engine.",
        limits="Generated markets: reading a recording's files is not part of it. "
        "`python benchmarks/backtest_throughput.py` plays a whole day and measures the memory.",
        targets="at least 0.8 of the speed of the strategy that does nothing",
    ),
    Benchmark(
        name="sweep",
        module="sweep_screen",
        seconds=20,
        measures="Processor time of a point of a grid over the bundled markets: the screen of a sweep, for "
        "64 points, beside the backtest engine, for one of them. The results of both are compared.",
        limits="A grid that changes the price history costs more for each point, because fewer market states "
        "are shared.",
        targets="a point on the screen takes at most a twentieth of a point on the engine",
    ),
    Benchmark(
        name="scrape",
        module="scrape",
        seconds=20,
        measures="A scrape of /metrics by another process while orders are decided, filled and settled, and "
        "the time that each of these events takes on the node's loop; with a ledger of 10,000 decisions, "
        "beside one of 1,000.",
        limits="Prometheus' own work is not part of it. A bot has far fewer events than the hundred a second "
        "here.",
        targets="at most twice the time with ten times the history",
    ),
)
