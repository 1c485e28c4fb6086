"""Settled markets for learning tests: written by hand, or drawn from a known distribution."""

import numpy as np

from feedback import LearningParams, MarketEvidence
from models import Outcome

BASE = {
    "OrderBookImbalance": 0.30,
    "TickVelocity": 0.25,
    "PriceDivergence": 0.18,
    "SpikeDetection": 0.12,
    "DeribitPCR": 0.10,
    "SentimentAnalysis": 0.05,
}
SOURCES = tuple(BASE)
PARAMS = LearningParams()
SECOND = 10**9
START_NS = 1_790_596_800 * SECOND
FAVOURITE = (0.62, 0.70, 0.80, 0.88, 0.93, 0.97, 0.985)
"""Typical prices of the favourite between minutes 13 and 14."""


def settled(number, votes, *, winner=Outcome.UP, p=0.5, traded=True, event=None):
    """Market `number` of a series, settled 900 s after the one before."""
    return MarketEvidence(
        event=event or f"0xc{number}",
        slug=f"btc-updown-15m-{number}",
        settled_ns=START_NS + number * 900 * SECOND,
        winner=winner,
        p=p,
        votes=votes,
        traded=traded,
    )


def series(count, right, *, source="TickVelocity", p=0.5, start=0):
    """`count` markets that Up wins, of which the source predicts the first `right` correctly."""
    return [
        settled(start + i, {source: Outcome.UP if i < right else Outcome.DOWN}, p=p) for i in range(count)
    ]


def world(seed, count, informed=None, accuracy=0.7):
    """Markets whose prices are fair: Up wins with the probability of its price.

    Each source votes by its own rule without information beyond the price: at random, with the favourite,
    against it, always Up, at random in every third market only. `informed` instead predicts the outcome with
    the given accuracy, whatever the price.
    """
    random = np.random.default_rng(seed)
    favourite = random.choice(FAVOURITE, size=count)
    p = np.where(random.random(count) < 0.5, favourite, 1 - favourite)
    up_wins = random.random(count) < p
    coins = random.random((count, len(SOURCES))) < 0.5
    deribit_votes = random.random(count) < 1 / 3
    correct = random.random(count) < accuracy
    markets = []
    for i in range(count):
        votes_up = dict(
            zip(SOURCES, [coins[i, 0], p[i] > 0.5, p[i] < 0.5, True, coins[i, 4], coins[i, 5]], strict=True)
        )
        if not deribit_votes[i]:
            del votes_up["DeribitPCR"]
        if informed is not None:
            votes_up[informed] = up_wins[i] == correct[i]
        votes = {source: Outcome.UP if up else Outcome.DOWN for source, up in votes_up.items()}
        winner = Outcome.UP if up_wins[i] else Outcome.DOWN
        markets.append(settled(i, votes, winner=winner, p=float(p[i])))
    return markets
