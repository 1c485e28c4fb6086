"""The venue as a process: its ready line, its end, its persistence."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from process import VenueProcess
from venue_builders import trader_at
from websockets.sync.client import connect

from venue.__main__ import main


def test_the_ready_line_has_all_a_parent_needs(practice_venue: VenueProcess) -> None:
    """Event, address on loopback, process id, both clocks, and the origin of the recordings."""
    ready = practice_venue.ready
    assert ready["event"] == "ready"
    assert ready["url"].startswith("http://127.0.0.1:")
    os.kill(ready["pid"], 0)
    assert ready["clock"]["speed"] == 2.0
    assert ready["clock"]["market_ns"] % (900 * 10**9) == pytest.approx(10 * 10**9, abs=10**9)
    assert ready["source"]["markets"] == 18
    assert "CC BY 4.0" in ready["source"]["licence"]
    assert ready["clock"]["held"] is False
    first, later = (practice_venue.get("/practice/clock") for _ in range(2))
    elapsed = (later["wall_ns"] - first["wall_ns"]) * 2
    assert later["market_ns"] - first["market_ns"] == pytest.approx(elapsed, abs=1_000)


def test_a_killed_venue_comes_back_with_everything(tmp_path: Path) -> None:
    """After kill -9 all of the account and its market is restored; closing stdin then ends it cleanly."""
    venue = VenueProcess.start("--speed", "1", "--start-at", "60", state=tmp_path)
    trader = trader_at(venue.url)
    slug = venue.get("/practice/info")["current"]
    token = json.loads(venue.get(f"/gamma/markets/slug/{slug}")["clobTokenIds"])[0]
    bought = trader.post(venue.url, trader.buy(token, 500, 990)).json()
    resting = trader.post(venue.url, trader.limit(token, "BUY", 10, 20)).json()
    before, stopped_at = venue.account(trader.address), venue.clock.market_s()
    venue.kill()
    venue.restart("--speed", "1")
    with venue:
        assert stopped_at <= venue.clock.market_s() < stopped_at + 10
        assert venue.get("/practice/info")["current"] == slug
        after = venue.account(trader.address)
        assert {k: v for k, v in after.items() if k != "trades"} == {
            k: v for k, v in before.items() if k != "trades"
        }
        assert [trade["id"] for trade in after["trades"]] == bought["tradeIDs"]
        client = trader.client(venue.url)
        assert [order["id"] for order in client.get_open_orders()] == [resting["orderID"]]
        assert json.loads(venue.get(f"/gamma/markets/slug/{slug}")["clobTokenIds"])[0] == token
        while {trade["status"] for trade in venue.account(trader.address)["trades"]} != {"CONFIRMED"}:
            pass
        assert venue.close_stdin() == 0


def test_a_second_venue_on_the_same_folder_refuses_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with exit code 2 and one line that names the folder and the solution; the first one
    continues."""
    with VenueProcess.start(state=tmp_path) as venue:
        refused = refusal(capsys, "--state", str(tmp_path))
        assert f"--state {tmp_path}: another venue runs on this folder" in refused
        assert venue.get("/ok") == "OK"


def test_sigterm_ends_it_at_once_though_clients_wait(tmp_path: Path) -> None:
    """With a request hanging for a minute and a socket open it ends in less than 1.5 s, with exit code 0."""
    launched = time.monotonic()
    venue = VenueProcess.start("--start-at", "10", "--speed", "1", state=tmp_path)
    started = time.monotonic()
    trader = trader_at(venue.url)
    token = json.loads(venue.get("/gamma/markets")[0]["clobTokenIds"])[0]
    venue.fault("hang")
    order = trader.buy(token, 100, 990)
    with connect(venue.ws_url + "market", proxy=None), ThreadPoolExecutor() as pool:
        hanging = pool.submit(trader.post, venue.url, order)
        while not venue.account(trader.address)["trades"]:
            pass
        began = time.monotonic()
        assert venue.stop() == 0
        # A machine so busy that the start took longer may take as long for the end.
        assert time.monotonic() - began < max(1.5, started - launched)
        assert isinstance(hanging.exception(), httpx.RemoteProtocolError)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The last line of a venue that cannot be started with these options; it prints nothing else to
    stdout."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    return output.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--speed", "0"), "'0' is not a speed from 0.01 to 10000"),
        (("--start-at", "900"), "'900' is not a second of a market from 0 to 899"),
        (("--balance", "-5"), "'-5' is negative"),
        (("--state", "/proc/nowhere"), "give a writable folder"),
    ],
)
def test_bad_usage_is_exit_2_with_what_is_wrong(
    arguments: tuple[str, str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line names the argument, its value and the allowed ones."""
    assert text in refusal(capsys, *arguments)


def test_a_taken_port_is_named(practice_venue: VenueProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """Starting on a port in use ends with exit code 2 and the port's number."""
    port = practice_venue.url.rpartition(":")[2]
    assert f"--port {port}" in refusal(capsys, "--port", port)
