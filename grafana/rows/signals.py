"""The six processors: whether they gave a signal, whether they agree, and their weights.

With several series each value is of the chosen ones together.
"""

from dataclasses import replace

from grafana.panels import BLUE, GREEN, GREY, PURPLE, RED, PanelStyle, Query, bars, lines
from grafana.rows.grid import CHOSEN, NOT_DECIDED, Line

NO_VOTE = "no processor has voted for a direction yet"


def signals() -> tuple[Line, ...]:
    ratio = PanelStyle(
        unit="percentunit",
        decimals=0,
        steps=((None, BLUE),),
        low=0,
        high=1,
        missing=NOT_DECIDED,
    )
    spoke = (
        f'sum by (source) (trading_signal_votes_total{{vote!="abstained", {CHOSEN}}}) / '
        f"(sum by (source) (trading_signal_votes_total{{{CHOSEN}}}) > 0)"
    )
    sided = f'trading_signal_votes_total{{vote=~"bullish|bearish", {CHOSEN}}}'
    # The share of each series counts with its number of votes.
    agreed = (
        f"sum by (source) (trading_signal_agreement_ratio{{{CHOSEN}}} * sum without (vote) ({sided})) / "
        f"(sum by (source) ({sided}) > 0)"
    )
    weight = f"avg by (source) (trading_signal_weight{{{CHOSEN}}})"
    return (
        Line(
            8,
            (
                bars(
                    "Share of decisions with a signal",
                    "Share of the decisions in which a processor had a signal; otherwise it abstained"
                    " with a reason.",
                    Query(spoke, "{{source}}"),
                    ratio,
                    8,
                    empty=NOT_DECIDED,
                ),
                bars(
                    "Share of agreement",
                    "Share of a processor's directional votes that agree with the fused signal.",
                    Query(agreed, "{{source}}"),
                    replace(ratio, missing=NO_VOTE),
                    8,
                    empty=NO_VOTE,
                ),
                bars(
                    "Weight of the vote",
                    "Learned from settled markets, between 0.05 and 0.50: see docs/learning.md. The mean of"
                    " several series.",
                    Query(weight, "{{source}}"),
                    PanelStyle(
                        unit="none",
                        decimals=3,
                        steps=((None, PURPLE),),
                        low=0,
                        high=0.5,
                        missing="bot is down",
                    ),
                    8,
                ),
            ),
        ),
        Line(
            8,
            (
                lines(
                    "Votes of the last five minutes",
                    "All processors together.",
                    Query(
                        f"sum by (vote) (increase(trading_signal_votes_total{{{CHOSEN}}}[5m])) > 0",
                        "{{vote}}",
                    ),
                    PanelStyle(
                        unit="none",
                        low=0,
                        missing=NOT_DECIDED,
                        colours={"bullish": GREEN, "bearish": RED, "neutral": BLUE, "abstained": GREY},
                    ),
                    12,
                    stacked=True,
                    empty="no decision was made in the last five minutes",
                ),
                lines(
                    "Weights over time",
                    "Adjusted slowly, as far as the sample supports. The mean of several series.",
                    Query(weight, "{{source}}"),
                    PanelStyle(unit="none", decimals=2, low=0),
                    12,
                ),
            ),
        ),
    )
