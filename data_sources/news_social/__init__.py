"""Sentiment: the Fear & Greed index and, with a key, the votes on CryptoPanic's news."""

from data_sources.news_social.source import (
    NewsSocialSource,
    get_news_social_source,
    reset_news_social_source,
)

__all__ = ["NewsSocialSource", "get_news_social_source", "reset_news_social_source"]
