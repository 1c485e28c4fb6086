"""Parses Fear & Greed and CryptoPanic payloads, and blends them into one sentiment."""

from data_sources.parsing import (
    SECOND,
    count,
    decode_object,
    epoch_ns,
    integer,
    iso_ns,
    mapping,
    number,
    sequence,
    text,
)
from data_sources.types import MalformedPayload, NewsPost, NewsSentiment
from models import Frozen, Sentiment

SOURCE = "fear_greed"
NEWS_SOURCE = "cryptopanic"
DAY_S = 86_400
SHORTEST_LIFETIME_S = 60.0
"""Around its renewal the index states a lifetime of zero or less; it is then requested once a minute."""


class FearGreed(Frozen, frozen=True):
    """The index and its remaining lifetime in seconds."""

    sentiment: Sentiment
    lifetime_s: float


def parse_fear_greed(body: bytes, received_ns: int) -> FearGreed:
    """`GET /fng/?limit=1`: numbers as strings, time in seconds.

    ``{"data":[{"value":"55","value_classification":"Neutral","timestamp":"1700000000",
    "time_until_update":"24000"}]}``. Without `time_until_update` it is valid until the next midnight UTC,
    when the index is renewed.
    """
    entries = sequence(SOURCE, "data", decode_object(SOURCE, body).get("data"))
    if not entries:
        raise MalformedPayload(f"{SOURCE}: data is empty")
    newest = mapping(SOURCE, "data[0]", entries[0])
    score = number(SOURCE, "value", newest.get("value"))
    stated = newest.get("time_until_update")
    if stated is None:
        lifetime_s = float(DAY_S - received_ns // SECOND % DAY_S)
    else:
        lifetime_s = float(integer(SOURCE, "time_until_update", stated))
    return FearGreed(
        sentiment=Sentiment(
            source=SOURCE,
            score=float(score),
            classification=text(SOURCE, "value_classification", newest.get("value_classification")),
            source_ns=epoch_ns(SOURCE, "timestamp", newest.get("timestamp"), SECOND),
            received_ns=received_ns,
        ),
        lifetime_s=min(max(lifetime_s, SHORTEST_LIFETIME_S), DAY_S),
    )


def parse_posts(body: bytes, received_ns: int) -> NewsSentiment:
    """`GET /api/v1/posts/`: headlines with their readers' votes, newest first.

    `source_ns` is the newest post's time; without posts it is the time of receipt.
    """
    results = sequence(NEWS_SOURCE, "results", decode_object(NEWS_SOURCE, body).get("results"))
    posts = tuple(_post(entry) for entry in results)
    positive = sum(post.positive for post in posts)
    negative = sum(post.negative for post in posts)
    votes = positive + negative
    return NewsSentiment(
        source=NEWS_SOURCE,
        score=100 * positive / votes if votes else None,
        positive=positive,
        negative=negative,
        posts=posts,
        source_ns=max((post.published_ns for post in posts), default=received_ns),
        received_ns=received_ns,
    )


def _post(entry: object) -> NewsPost:
    post = mapping(NEWS_SOURCE, "post", entry)
    # Plans without vote counts omit the object; a malformed one is an error.
    votes = mapping(NEWS_SOURCE, "votes", post.get("votes") or {})
    return NewsPost(
        title=text(NEWS_SOURCE, "title", post.get("title")),
        positive=count(NEWS_SOURCE, "votes.positive", votes.get("positive", 0)),
        negative=count(NEWS_SOURCE, "votes.negative", votes.get("negative", 0)),
        published_ns=iso_ns(NEWS_SOURCE, "published_at", post.get("published_at")),
    )


def blend(index: Sentiment, news: NewsSentiment, news_weight: float) -> Sentiment:
    """The index moved towards the news by `news_weight`, with the earlier of the two times of receipt.

    Unchanged without votes: no votes are no information, not a neutral value.
    """
    if news.score is None:
        return index
    score = (1 - news_weight) * index.score + news_weight * news.score
    return Sentiment(
        source=f"{index.source}+{news.source}",
        score=score,
        classification=classify(score),
        source_ns=index.source_ns,
        received_ns=min(index.received_ns, news.received_ns),
    )


def classify(score: float) -> str:
    """The index's names of its bands: 0–24, 25–44, 45–55, 56–75, 76–100."""
    bands = ((25, "Extreme Fear"), (45, "Fear"), (55.5, "Neutral"), (75.5, "Greed"))
    return next((name for limit, name in bands if score < limit), "Extreme Greed")
