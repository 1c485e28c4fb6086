"""Access to the venue and to its files: programs of this machine, and their owner."""

import json
import stat
from pathlib import Path

import pytest
from process import HTTP, VenueProcess
from test_venue_feeds import tokens_of
from venue_builders import Bench, trader_at
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from venue.ledger import VenueLedger
from venue.wire.app import make_app
from venue.wire.callers import refused_because

FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "evil.example:{port}"},
    {"Host": "127.0.0.1.evil.example:{port}"},
    {"Host": "localhost@evil.example"},
    {"Host": "evil.example#127.0.0.1"},
    {"Host": ""},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1:{port}.evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]
LOCAL = [
    {},
    {"Host": "localhost:{port}"},
    {"Host": "[::1]:{port}"},
    {"Host": "127.0.0.1"},
    {"Origin": "http://127.0.0.1:{port}"},
    {"Host": "localhost:{port}", "Origin": "http://localhost:{port}", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
]
ADDRESS = "0x" + "11" * 20


def filled(headers: dict[str, str], venue: VenueProcess) -> dict[str, str]:
    port = venue.url.rpartition(":")[2]
    return {name: value.format(port=port) for name, value in headers.items()}


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_another_site_cannot_give_itself_money(practice_venue: VenueProcess, headers: dict[str, str]) -> None:
    """A foreign Host, Origin or fetch site is a 403 with the reason, and the account is not opened."""
    sent = filled(headers, practice_venue)
    body = {"address": ADDRESS, "balance": "1000000"}
    answer = HTTP.post(practice_venue.url + "/practice/accounts", json=body, headers=sent)
    assert answer.status_code == 403
    (name,) = headers
    assert answer.json()["error"].startswith(f"{name} {sent[name]!r}")
    assert HTTP.get(practice_venue.url + "/practice/account", params={"address": ADDRESS}).status_code == 404


@pytest.mark.parametrize("headers", LOCAL, ids=str)
def test_programs_of_this_machine_may_ask(practice_venue: VenueProcess, headers: dict[str, str]) -> None:
    """Loopback under each of its names, without an Origin or with the venue's own, is answered."""
    sent = filled(headers, practice_venue)
    assert HTTP.get(practice_venue.url + "/practice/clock", headers=sent).status_code == 200
    body = {"name": "gamma_500"}
    assert HTTP.post(practice_venue.url + "/practice/faults", json=body, headers=sent).status_code == 200


def test_every_route_refuses_another_site(practice_venue: VenueProcess) -> None:
    """Each route of the application answers 403 to a foreign Origin, and no fault applies."""
    practice_venue.fault("gamma_500", None)
    routes = {
        (route.method, route.resource.canonical)
        for route in make_app(Bench().venue).router.routes()
        if route.resource is not None and route.method not in ("*", "HEAD")
    }
    assert len(routes) > 50
    assert ("POST", "/practice/clock") in routes
    for method, path in routes:
        url = practice_venue.url + path.replace("{", "").replace("}", "")
        answer = HTTP.request(method, url, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403, (method, path)
    assert practice_venue.get("/practice/faults")[0]["struck"] == 0


def test_another_site_cannot_order_with_stolen_keys_or_listen(practice_venue: VenueProcess) -> None:
    """A signed order with a foreign Origin is refused before it exists, and a stream does not open."""
    trader = trader_at(practice_venue.url)
    body = json.dumps(trader.buy(tokens_of(practice_venue)[1], 100, 990))
    headers = {**trader.headers("POST", "/order", body), "Origin": "https://evil.example"}
    assert HTTP.post(practice_venue.url + "/order", content=body, headers=headers).status_code == 403
    assert practice_venue.account(trader.address)["orders"] == []
    for channel in ("market", "user"):
        with pytest.raises(InvalidStatus) as refused:
            connect(practice_venue.ws_url + channel, proxy=None, origin="https://evil.example").__enter__()  # pyright: ignore[reportArgumentType]
        assert refused.value.response.status_code == 403


def test_a_request_without_a_host_is_refused() -> None:
    """HTTP/1.0 allows it; no supported client sends it."""
    assert refused_because({}) == "Host '' is not a loopback name; use one of 127.0.0.1, localhost, ::1"


# --- files -----------------------------------------------------------------------------------


def modes(folder: Path) -> dict[str, str]:
    """The permissions of a folder and of everything in it."""
    found = {".": folder, **{path.name: path for path in folder.rglob("*")}}
    return {name: oct(stat.S_IMODE(path.stat().st_mode)) for name, path in found.items()}


def test_state_is_private(tmp_path: Path) -> None:
    """Folder 0700, database and its companions 0600, although the parent's umask makes new files readable
    by all."""
    state = tmp_path / "deep" / "state"
    with VenueProcess.start(state=state) as venue:
        trader_at(venue.url)
        found = modes(state)
        assert found.pop(".") == "0o700"
        assert {"venue.sqlite3", "venue.sqlite3-wal"} <= found.keys()
        assert set(found.values()) == {"0o600"}
        assert oct(stat.S_IMODE((tmp_path / "deep").stat().st_mode)) == "0o700"


def test_state_of_an_older_version_becomes_private(tmp_path: Path) -> None:
    """Files readable by all are closed at the next start, including those of a killed venue."""
    venue = VenueProcess.start(state=tmp_path)
    venue.kill()
    tmp_path.chmod(0o755)
    left = list(tmp_path.iterdir())
    assert len(left) > 1
    for path in left:
        path.chmod(0o644)
    with VenueProcess.start(state=tmp_path):
        found = modes(tmp_path)
    assert found.pop(".") == "0o700"
    assert set(found.values()) == {"0o600"}


def test_a_folder_with_other_things_keeps_its_mode(tmp_path: Path) -> None:
    """In a folder used by other programs only the venue's database is made private."""
    other = tmp_path / "notes.txt"
    other.write_text("")
    other.chmod(0o644)
    tmp_path.chmod(0o755)
    VenueLedger(tmp_path).close()
    assert modes(tmp_path) == {".": "0o755", "notes.txt": "0o644", "venue.sqlite3": "0o600"}
