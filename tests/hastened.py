"""One run in accelerated time: a practice venue takes the place of Polymarket, and the bot runs against it.

Started by `faketime`, so that both venues, runner and worker share one clock. Arguments: a folder, and JSON
with `market` (the generated one that runs now), `arguments` and `settings` of the bot, and the `addresses` of
wallets to read afterwards. Writes `scene.json` to the folder: exit code, screen, the requests to the imitated
Polymarket, and the accounts there.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import process
from bot_process import BotProcess

RUN_SECONDS = 1800.0
LIMITS = {"WORKER_START_SECONDS": "600", "WORKER_HEARTBEAT_SECONDS": "600"}
"""The worker's limits count accelerated seconds, too: a start of 3 s takes 36 of them."""


def settings_of(venue: process.VenueProcess) -> dict[str, str]:
    """The settings with which this venue is Polymarket, and its services are the external services."""
    feeds = {f"{name.upper()}_URL": url for name, url in venue.ready["source"]["external"].items()}
    return feeds | {
        "CLOB_URL": venue.url,
        "GAMMA_URL": f"{venue.url}/gamma",
        "DATA_API_URL": f"{venue.url}/data-api",
        "WS_URL": venue.ws_url,
        "GEOBLOCK_URL": f"{venue.url}/api/geoblock",
    }


def play(
    folder: Path, market: int, arguments: list[str], settings: dict[str, str], addresses: Sequence[str] = ()
) -> dict[str, Any]:
    """Run the bot to its end."""
    # All waiting times are in accelerated seconds too.
    process.START_SECONDS = 600.0
    with (
        process.VenueProcess.start("--real-time", "--source", "synthetic", "--first", str(market)) as venue,
        BotProcess(folder, *arguments, settings=settings_of(venue) | LIMITS | settings) as bot,
    ):
        code = bot.wait(RUN_SECONDS)
        requests = [(row["method"], row["path"], row["status"]) for row in venue.get("/practice/log")]
        accounts = {address: venue.account(address) for address in addresses}
    return {"code": code, "screen": bot.output, "requests": requests, "accounts": accounts}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "scene.json").write_text(json.dumps(play(place, **json.loads(sys.argv[2]))))
