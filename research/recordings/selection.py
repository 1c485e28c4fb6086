"""Selects the markets of a recording that are traded, and counts those left out, with the reasons."""

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from errors import Fatal
from models import Frozen
from research.recording_file import RecordingError
from research.recordings import ListedMarket, RecordedMarket, RuleEra, read_markets
from research.recordings.catalogue import market_from

ALL_ERAS = "all"
"""In the place of an era: markets of all eras together."""


class Defects(StrEnum):
    """What happens with recorded markets that have defects."""

    REFUSE = "refuse"
    """The recording is refused."""
    LEAVE_OUT = "leave-out"
    """Markets with defects are left out."""
    USE = "use"
    """Markets with gaps or crossed books are traded; those without a result or an object are left out."""


class MixedEras(Fatal):
    """Markets under different rules in one result."""


class LeftOut(Frozen, frozen=True):
    """A market that is not traded, and why."""

    slug: str
    reason: str


class Contents(Frozen, frozen=True):
    """What a result is about.

    Attributes
    ----------
    traded : dict of str to int
        Number of markets that were traded, by the label of their rule era.
    left_out : tuple of LeftOut
    with_defects : int
        Number of traded markets that have defects.
    """

    traded: dict[str, int]
    left_out: tuple[LeftOut, ...] = ()
    with_defects: int = 0
    first: str = ""
    """File and slug of the first market that was traded."""

    def joined(self, other: "Contents", *, one_era: bool) -> "Contents":
        """This and a later part of a result.

        Raises
        ------
        MixedEras
            If `one_era` and they are of different rule eras.
        """
        if one_era and self.traded and other.traded and self.traded.keys() != other.traded.keys():
            raise mixed_eras(other.first, next(iter(other.traded)), next(iter(self.traded)))
        traded = Counter(self.traded) + Counter(other.traded)
        return Contents(
            traded=dict(traded),
            left_out=self.left_out + other.left_out,
            with_defects=self.with_defects + other.with_defects,
            first=self.first or other.first,
        )

    @property
    def note(self) -> str:
        """One line for the result: the eras, and the share of markets left out with the reasons."""
        count, missing = sum(self.traded.values()), len(self.left_out)
        eras = ", ".join(
            label if len(self.traded) == 1 else f"{label} ({number})"
            for label, number in sorted(self.traded.items())
        )
        parts = [f"backtest of {count} markets", f"rule era {eras}" if count else "no rule era"]
        if len(self.traded) > 1:
            parts[-1] = f"MIXED rule eras {eras}"
        if self.with_defects:
            parts.append(f"{self.with_defects} with defects")
        reasons = Counter(left.reason for left in self.left_out)
        detail = "".join(f"; {number}: {reason}" for reason, number in reasons.most_common())
        parts.append(
            f"left out {missing} of {count + missing} ({missing / max(1, count + missing):.0%}){detail}"
        )
        return ", ".join(parts)


def mixed_eras(market: str, label: str, other: str) -> MixedEras:
    """The error of a market of another rule era than those before it."""
    return MixedEras(
        f"{market} is of rule era {label}, the markets before it of {other}",
        f"Select one with --era {other}, or mix them with --era {ALL_ERAS}",
    )


def era_of(recorded: RecordedMarket, delay_ns: int | None = None) -> RuleEra:
    """The rules under which a market is traded; `delay_ns` replaces the recorded taker delay."""
    market, _ = market_from(recorded.gamma, Path(recorded.source))
    return RuleEra(
        rule=market.rule,
        protocol=market.version,
        fee_rate=market.fee_rate,
        delay_ns=recorded.delay_ns if delay_ns is None else delay_ns,
    )


class Selection:
    """The markets of a recording that are traded; iterating reads them one after another.

    Parameters
    ----------
    listed : iterable of ListedMarket
        Of `list_markets`.
    defects : Defects
    era : str or None
        The label of the only era that is traded, or ALL_ERAS; None: the recording must have one era.
    timeframe : str
        The settings' one.
    delay_ns : int or None
        Replaces the recorded taker delays.
    """

    def __init__(
        self,
        listed: Iterable[ListedMarket],
        *,
        defects: Defects = Defects.REFUSE,
        era: str | None = None,
        timeframe: str = "15m",
        delay_ns: int | None = None,
    ) -> None:
        self._listed = list(listed)
        self._defects = defects
        self._era = era
        self._timeframe = timeframe
        self._delay_ns = delay_ns
        self._traded: Counter[str] = Counter()
        self._left_out: list[LeftOut] = []
        self._with_defects = 0
        self._first = ""

    @property
    def contents(self) -> Contents:
        """What has been read so far."""
        return Contents(
            traded=dict(self._traded),
            left_out=tuple(self._left_out),
            with_defects=self._with_defects,
            first=self._first,
        )

    def __iter__(self) -> Iterator[RecordedMarket]:
        """Read the markets.

        Raises
        ------
        RecordingError, Fatal
            If one is unusable, has defects that are not allowed, or another timeframe than the settings'.
        MixedEras
            If one is of another rule era than those before it.
        """
        for listed in self._listed:
            timeframe = listed.slug.split("-")[2]
            if timeframe != self._timeframe:
                what = f"{listed.slug} is a {timeframe} market, MARKET_TIMEFRAME is {self._timeframe}"
                raise Fatal(what, f"Set MARKET_TIMEFRAME={timeframe}, or leave the market out")
        for found in self._read():
            label = era_of(found, self._delay_ns).label
            if self._era not in (None, ALL_ERAS, label):
                self._left_out.append(LeftOut(slug=found.slug, reason=f"rule era {label}"))
                continue
            if self._era is None and self._traded and label not in self._traded:
                (other,) = self._traded
                raise mixed_eras(f"{found.source}: {found.slug}", label, other)
            self._first = self._first or f"{found.source}: {found.slug}"
            self._traded[label] += 1
            self._with_defects += bool(found.defects)
            yield found

    def _read(self) -> Iterator[RecordedMarket]:
        """The markets whose defects are allowed."""
        refuse = self._defects is Defects.REFUSE
        for found in read_markets(self._listed, None if refuse else self._leave_out):
            if refuse and len(found.defects) > 0:
                more = f" (and {len(found.defects) - 1} more)" if len(found.defects) > 1 else ""
                raise Fatal(
                    f"the recording of {found.slug} has defects: {found.defects[0]}{more}",
                    "Leave such markets out with --defects leave-out, or trade them with --defects use",
                )
            if found.defects and self._defects is Defects.LEAVE_OUT:
                self._left_out.append(LeftOut(slug=found.slug, reason="defects in its books"))
            else:
                yield found

    def _leave_out(self, slug: str, error: RecordingError) -> None:
        reason = error.fault.replace(slug, "it").split(":")[0]
        self._left_out.append(LeftOut(slug=slug, reason=reason))
