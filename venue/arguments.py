"""The command line of ``python -m venue``: parses and checks the options, also against the chosen source."""

import argparse
from pathlib import Path
from urllib.parse import urlsplit

from venue.amounts import micro
from venue.quote_load import MOST_QUOTES
from venue.schedule import Protocol
from venue.series import BTC_15M, KNOWN, LENGTHS, Series, parse_series
from venue.sources.choice import MIXED, NAMES, RECORDED, RECORDING, SEEDED, SHADOW, SYNTHETIC
from venue.sources.shadow.upstream import UpstreamVenue
from venue.sources.synthetic import DEFAULT_SEED
from venue.venue import VenueOptions

SPEED = 15.0
SCRIPTED = ("speed", "start_at", "first", "from_market", "real_time", "hold_clock", "protocol")
"""Options of scripted markets; a mirror follows its upstream instead."""
MIRRORED = ("upstream_gamma", "upstream_clob", "upstream_ws", "asset", "timeframe")
"""Options of a mirror only. `asset` and `timeframe` are another form of `series`, for one series."""


def read_arguments(arguments: list[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """The options, and the parser, with which later errors end the process with exit code 2."""
    parser = _parser()
    given = parser.parse_args(arguments)
    wrong = _misplaced(given) or _wrong_series(given)
    if wrong is not None:
        parser.error(wrong)
    return parser, given


def options_of(given: argparse.Namespace, protocol: Protocol = "v1") -> VenueOptions:
    """The venue options of a command line."""
    real_time = given.source == SHADOW or bool(given.real_time)
    return VenueOptions(
        speed=1.0 if real_time else given.speed or SPEED,
        state=given.state,
        balance=given.balance,
        start_at=given.start_at,
        first=given.first or 0,
        from_market=given.from_market or 0,
        real_time=real_time,
        hold=bool(given.hold_clock),
        resume=given.resume,
        redeem=given.redeem,
        external_lag=given.external_lag,
        protocol=protocol,
        quotes_per_second=given.quotes_per_second,
        start_series=wanted_series(given)[0],
    )


def upstream_of(given: argparse.Namespace) -> UpstreamVenue | None:
    """The venue to mirror; None for a source with markets of its own."""
    if given.source != SHADOW:
        return None
    return UpstreamVenue(
        gamma=given.upstream_gamma,
        clob=given.upstream_clob,
        ws=given.upstream_ws,
        series=wanted_series(given),
    )


def wanted_series(given: argparse.Namespace) -> tuple[Series, ...]:
    """The series of a command line."""
    one = Series(given.asset or BTC_15M.asset, given.timeframe or BTC_15M.timeframe)
    return given.series or (one,)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m venue",
        description="Practice venue: Polymarket's protocol on 127.0.0.1. Prints one JSON line when ready.",
    )
    parser.add_argument(
        "--source",
        choices=NAMES,
        default=RECORDED,
        help="source of the order books (recorded); mixed: a recorded and a generated market in turn; "
        "recording: a recording of the bot",
    )
    parser.add_argument(
        "--path", type=Path, help="recording: its folder, as given to --record, or one of its files"
    )
    parser.add_argument("--port", type=_port, default=0, help="TCP port; 0: any free port (0)")
    parser.add_argument("--state", type=Path, help="state folder; without it, state is kept in memory")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="resume the state folder's venue on its clock, which ran on in the meantime",
    )
    parser.add_argument("--balance", type=_balance, default=1000 * 10**6, help="a new account's pUSD (1000)")
    parser.add_argument(
        "--redeem",
        choices=("auto", "manual"),
        default="auto",
        help="whether winners are paid automatically (auto)",
    )
    parser.add_argument(
        "--quotes-per-second",
        type=_rate,
        default=0.0,
        metavar="N",
        help="additional quotes of the running markets per wall second, as a load (0)",
    )
    parser.add_argument("--exit-with-stdin", action="store_true", help="stop when stdin is closed")
    parser.add_argument("--verbose", action="store_true", help="log every request to stderr")
    parser.add_argument(
        "--series",
        type=_series,
        metavar="ASSET-LENGTH,…",
        help="the series of markets, such as btc-15m,eth-5m,btc-4h (btc-15m); the first one determines what "
        "--start-at, --first and --from-market count",
    )
    scripted = parser.add_argument_group("recorded, synthetic and mixed markets, and recordings")
    scripted.add_argument("--speed", type=_speed, help="market seconds per wall second (15)")
    scripted.add_argument(
        "--real-time",
        action="store_true",
        default=None,
        help="market time is the machine's time, as at the real venue",
    )
    scripted.add_argument(
        "--start-at", type=_second, help="start at this second of the next market, from 0 on"
    )
    scripted.add_argument(
        "--hold-clock",
        action="store_true",
        default=None,
        help="market time is held until POST /practice/clock starts or steps it",
    )
    scripted.add_argument(
        "--first", type=_index, help="index, from 0, of the first market of a new state (0)"
    )
    scripted.add_argument(
        "--from-market",
        type=_market,
        help="index of the first market to start with, also with an old state: earlier ones are skipped",
    )
    scripted.add_argument(
        "--seed",
        type=_seed,
        help=f"synthetic and mixed markets: their seed; a state folder keeps its own ({DEFAULT_SEED})",
    )
    scripted.add_argument(
        "--protocol",
        choices=("v1", "v2", "alternate"),
        help="protocol of the markets (synthetic: alternate, beginning with v1; others: v1)",
    )
    scripted.add_argument(
        "--external-lag",
        action="store_true",
        help="synthetic and mixed markets: delay the settlement price relays like the real ones",
    )
    mirrored = parser.add_argument_group("shadow: the live markets of another venue, orders on paper")
    mirrored.add_argument("--upstream-gamma", type=_http, metavar="URL", help="its catalogue")
    mirrored.add_argument("--upstream-clob", type=_http, metavar="URL", help="its order API")
    mirrored.add_argument("--upstream-ws", type=_ws, metavar="URL", help="its sockets, up to /ws/")
    mirrored.add_argument("--asset", type=_asset, help="btc, eth, sol … (btc)")
    mirrored.add_argument("--timeframe", choices=tuple(LENGTHS), help="length of the markets (15m)")
    return parser


def _misplaced(given: argparse.Namespace) -> str | None:
    """Why an option does not apply to this source; None if all do."""
    if given.source not in SEEDED and (given.seed is not None or given.external_lag):
        option = "--external-lag" if given.external_lag else "--seed"
        return f"{option}: not for {given.source} markets; use it with --source {SYNTHETIC} or {MIXED}"
    if (given.source == RECORDING) != (given.path is not None):
        return f"--source {RECORDING} and --path FOLDER need each other"
    named = vars(given)
    if given.real_time and (given.speed or 1.0, given.start_at) != (1.0, None):
        return "--real-time: market time is the machine's; leave out --speed and --start-at"
    if given.real_time and given.hold_clock:
        return "--hold-clock: with --real-time market time is the machine's; leave one of them out"
    if given.resume and given.state is None:
        return "--resume: a venue in memory has nothing to resume; add --state"
    if given.source != SHADOW:
        foreign = [name for name in MIRRORED if named[name] is not None]
        return f"{_flag(foreign[0])}: for a mirror only; use it with --source {SHADOW}" if foreign else None
    moved = [name for name in SCRIPTED if named[name] is not None and (name, named[name]) != ("speed", 1.0)]
    if moved:
        return f"{_flag(moved[0])}: a mirror follows its upstream's time; leave it out"
    missing = [name for name in MIRRORED[:3] if named[name] is None]
    return (
        f"--source {SHADOW} needs {_flag(missing[0])}: the address of the mirrored venue" if missing else None
    )


def _wrong_series(given: argparse.Namespace) -> str | None:
    """Why the series, or a second of the first one, do not apply; None if they do."""
    if given.series is not None and (given.asset, given.timeframe) != (None, None):
        return "--series: leave out --asset and --timeframe, which it replaces"
    strange = [each.name for each in given.series or () if each.name not in KNOWN]
    if strange and given.source != SHADOW:
        return f"--series: there are no markets of {strange[0]}; known: {', '.join(KNOWN)}"
    length = wanted_series(given)[0].length
    if given.start_at is not None and given.start_at >= length:
        return f"--start-at: '{given.start_at}' is not a second of a market from 0 to {length - 1}"
    return None


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _number(text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {low:g} to {high:g}")
    return value


def _series(text: str) -> tuple[Series, ...]:
    try:
        return parse_series(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _speed(text: str) -> float:
    return _number(text, 0.01, 10_000, "a speed")


def _rate(text: str) -> float:
    return _number(text, 0, MOST_QUOTES, "a rate")


def _port(text: str) -> int:
    return int(_number(text, 0, 65_535, "a port"))


def _index(text: str) -> int:
    return int(_number(text, 0, 10_000, "a market"))


def _market(text: str) -> int:
    return int(_number(text, 0, 10**7, "a market"))


def _seed(text: str) -> int:
    return int(_number(text, 0, 2**31 - 1, "a seed"))


def _second(text: str) -> int:
    return int(_number(text, 0, max(LENGTHS.values()) - 1, "a second of a market"))


def _balance(text: str) -> int:
    try:
        amount = micro(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is negative: give an amount of pUSD of at least 0")
    return amount


def _http(text: str) -> str:
    return _url(text, "http", "https").rstrip("/")


def _ws(text: str) -> str:
    return _url(text, "ws", "wss").rstrip("/") + "/"


def _url(text: str, *schemes: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in schemes or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address like {schemes[-1]}://host/path")
    return text


def _asset(text: str) -> str:
    if not (text.isascii() and text.isalnum() and text.islower()):
        raise argparse.ArgumentTypeError(f"{text!r} is not an asset as in a market's slug: btc, eth, sol")
    return text
