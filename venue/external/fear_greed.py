"""The Fear & Greed index: one value a day, published at midnight UTC of market time."""

import math

from aiohttp import web

from venue.external.access import service
from venue.external.feeds import DAY, Feeds
from venue.external.services import PATHS
from venue.refusal import VenueRefusal
from venue.sources.price_path import draws
from venue.wire.common import is_number, json_answer

routes = web.RouteTableDef()

HISTORY = 365
"""Days returned for a limit of 0, which means all."""
MEMORY, REMEMBERED = 0.85, 30
"""Fraction of a day's sentiment that carries over to the next day, and the number of days summed."""
MIDDLE, SWING = 50.0, 24.0
"""Mean and standard deviation of the index over the days."""
LOWEST, HIGHEST = 5, 95

CLASSES = ((25, "Extreme Fear"), (45, "Fear"), (56, "Neutral"), (76, "Greed"), (101, "Extreme Greed"))
"""(first value above the class, its name)"""


def value_of(seed: int, day: int) -> int:
    """A day's index: exponentially weighted random sentiment of the last days, around the mean."""
    moods = (MEMORY**ago * draws(seed, "mood", day - ago).gauss(0, 1) for ago in range(REMEMBERED))
    swing = SWING * math.sqrt(1 - MEMORY**2) * sum(moods)
    return min(HIGHEST, max(LOWEST, round(MIDDLE + swing)))


def class_of(value: int) -> str:
    return next(name for limit, name in CLASSES if value < limit)


@routes.get(PATHS["fear_greed"] + "/fng/")
@service("fear_greed")
async def index(request: web.Request, feeds: Feeds) -> web.Response:
    """Newest first; only the newest has the time until the next update."""
    asked = request.query.get("limit", "1")
    if not is_number(asked):
        raise VenueRefusal(400, "limit is not a number")
    today = feeds.now("fear_greed").second
    days = min(int(asked), HISTORY) or HISTORY
    data = [_entry(feeds, today - ago * DAY) for ago in range(days)]
    next_day = feeds.moment(today // DAY * DAY + DAY)
    left = next_day.wall_ns - feeds.answered_ns("fear_greed")
    data[0]["time_until_update"] = str(math.ceil(left / 10**9))
    return json_answer({"name": "Fear and Greed Index", "data": data, "metadata": {"error": None}})


def _entry(feeds: Feeds, second: int) -> dict[str, str]:
    value = value_of(feeds.seed, feeds.day(second))
    return {
        "value": str(value),
        "value_classification": class_of(value),
        "timestamp": str(feeds.day_start(second).wall_s),
    }
