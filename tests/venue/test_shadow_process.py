"""`--source shadow` as a process: its options, its messages, and a mirror of another process."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from process import VenueProcess
from venue_builders import trader_at

from venue.__main__ import main
from venue.arguments import options_of, read_arguments, upstream_of
from venue.series import Series
from venue.sources.choice import chosen_source
from venue.venue import PracticeVenue, VenueOptions

NOWHERE = (
    *("--source", "shadow", "--upstream-gamma", "http://127.0.0.1:9/gamma"),
    *("--upstream-clob", "http://127.0.0.1:9/", "--upstream-ws", "ws://127.0.0.1:9/ws"),
)


def mirror_of(venue: VenueProcess) -> tuple[str, ...]:
    """The options with which a venue mirrors this one."""
    return (
        *("--source", "shadow", "--upstream-gamma", f"{venue.url}/gamma"),
        *("--upstream-clob", venue.url, "--upstream-ws", venue.ws_url),
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def test_the_options_say_what_is_mirrored_in_real_time() -> None:
    """Addresses are accepted with or without a last slash; market time is the machine's."""
    _, given = read_arguments([*NOWHERE, "--asset", "eth", "--timeframe", "4h"])
    upstream = upstream_of(given)
    assert upstream is not None
    assert (upstream.clob, upstream.ws) == ("http://127.0.0.1:9", "ws://127.0.0.1:9/ws/")
    assert upstream.series == (Series("eth", "4h"),)
    assert (options_of(given).speed, options_of(given).real_time) == (1.0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--source", "shadow"), "--source shadow needs --upstream-gamma: the address of the mirrored venue"),
        (NOWHERE[:-2], "--source shadow needs --upstream-ws: the address of the mirrored venue"),
        ((*NOWHERE, "--speed", "15"), "--speed: a mirror follows its upstream's time; leave it out"),
        ((*NOWHERE, "--start-at", "0"), "--start-at: a mirror follows its upstream's time; leave it out"),
        ((*NOWHERE, "--first", "3"), "--first: a mirror follows its upstream's time; leave it out"),
        ((*NOWHERE, "--seed", "3"), "--seed: not for shadow markets; use it with --source synthetic"),
        ((*NOWHERE, "--timeframe", "1h"), "--timeframe: invalid choice: '1h'"),
        ((*NOWHERE, "--asset", "BTC/USD"), "'BTC/USD' is not an asset as in a market's slug"),
        ((*NOWHERE, "--upstream-ws", "http://h"), "'http://h' is not an address like wss://host/path"),
        (
            ("--upstream-clob", "http://h"),
            "--upstream-clob: for a mirror only; use it with --source shadow",
        ),
        (("--asset", "eth"), "--asset: for a mirror only; use it with --source shadow"),
        (("--real-time", "--speed", "2"), "--real-time: market time is the machine's"),
        (NOWHERE, "the venue to mirror cannot be reached: http://127.0.0.1:9/time cannot be read"),
    ],
)
def test_what_cannot_be_mirrored_ends_with_its_reason(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and a line that names the option and what to do."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--source", "recorded"), "it was started with --source shadow"),
        ((*NOWHERE, "--series", "eth-5m", "--asset", "eth"), "--series: leave out --asset and --timeframe"),
    ],
)
def test_a_state_folder_stays_with_what_it_mirrored(
    tmp_path: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another source in the same folder is refused; the folder still works with the first one."""
    upstream = upstream_of(read_arguments(list(NOWHERE))[1])
    options = VenueOptions(state=tmp_path, real_time=True)
    PracticeVenue(chosen_source("shadow", None, tmp_path, upstream), options).close()
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--state", str(tmp_path)])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    PracticeVenue(chosen_source("shadow", None, tmp_path, upstream), options).close()


@pytest.mark.slow
def test_a_mirror_survives_the_upstreams_crash_and_its_own(tmp_path: Path) -> None:
    """Both are killed and restarted with their state: the account continues, the books are synchronised
    again."""
    with (
        VenueProcess.start("--real-time", state=tmp_path / "upstream") as upstream,
        VenueProcess.start(*mirror_of(upstream), state=tmp_path / "shadow") as shadow,
    ):
        assert shadow.ready["source"]["name"] == "shadow"
        trader = trader_at(shadow.url)
        # Two ahead of the running one: no boundary of real time can come between.
        slug = f"btc-updown-15m-{int(time.time()) // 900 * 900 + 1800}"
        wait_until(lambda: in_step(shadow, slug))
        up, down = json.loads(shadow.get("/gamma/markets", slug=slug)[0]["clobTokenIds"])
        assert trader.post(shadow.url, trader.limit(up, "BUY", 5, 10)).json()["success"]
        port = upstream.url.rpartition(":")[2]
        upstream.kill()
        wait_until(lambda: not in_step(shadow, slug))
        refused = trader.post(shadow.url, trader.buy(up, 100, 990))
        assert (refused.status_code, refused.json()["error"]) == (400, f"the orderbook {up} does not exist")
        upstream.restart("--real-time", "--port", port)
        shadow.kill()
        shadow.restart()
        wait_until(lambda: in_step(shadow, slug))
        original, mirrored = (venue.get("/book", token_id=down) for venue in (upstream, shadow))
        assert mirrored["bids"] == original["bids"] != []
        assert [order["status"] for order in shadow.account(trader.address)["orders"]] == ["LIVE", "CANCELED"]


def in_step(shadow: VenueProcess, slug: str) -> bool:
    """Whether the mirror of a market is certain."""
    return shadow.get("/practice/info")["source"]["doubts"].get(slug) == ""
