"""Markets by slug, from one bounded request to a configurable catalogue; one bad market spoils no other.

The stock provider asks a hard-coded host, once per slug, follows pages without an end, fails for all markets
if one is malformed, and never forgets an instrument.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from nautilus_trader.adapters.polymarket.common.gamma_markets import normalize_gamma_market_to_clob_format
from nautilus_trader.adapters.polymarket.common.symbol import get_polymarket_instrument_id
from nautilus_trader.adapters.polymarket.providers import PolymarketInstrumentProvider
from nautilus_trader.model.identifiers import InstrumentId

from common.bounded_http import BoundedHttp
from common.plain_text import escaped_json, one_line
from errors import Temporary

REQUEST_LIMIT_S = 10.0
"""Most seconds of a request to the catalogue, from connecting to the last byte."""
PAGE = 100
"""Markets on a page; a fraction of it is asked for."""
SHOWN_NAMES = 5
UNUSABLE = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError)
"""What the library lets out when a row holds something else than it expects."""

Admit = Callable[[Sequence[Any], Sequence[str]], Mapping[str, Mapping[str, Any]]]
Report = Callable[[str, str], None]


class SlugProvider(PolymarketInstrumentProvider):
    """Loads exactly the markets whose slugs `slugs()` names now.

    Parameters
    ----------
    slugs : Callable[[], list[str]]
        The markets that are wanted now.
    gamma_url : str
        Base URL of the catalogue.
    admit : Callable
        Chooses from the rows of an answer, given the slugs that were asked for, those that may be loaded.
    report : Callable[[str, str], None]
        Receives slug and reason of a market of which no instruments can be made.
    """

    def __init__(
        self,
        *args: Any,
        slugs: Callable[[], list[str]],
        gamma_url: str,
        admit: Admit,
        report: Report,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._slugs = slugs
        self._catalogue = BoundedHttp(gamma_url, total_s=REQUEST_LIMIT_S)
        self._admit = admit
        self._report = report

    async def load_all_async(self, filters: dict | None = None) -> None:
        """Load the wanted markets and forget all others.

        Raises
        ------
        Temporary
            If the catalogue gives no answer, or none that can be read.
        """
        slugs = self._slugs()
        listed = await self._ask(slugs)
        self._log_differences(slugs, listed)
        wanted: set[InstrumentId] = set()
        for slug, market in self._admit(listed, slugs).items():
            try:
                wanted |= self._load(market)
            except UNUSABLE as error:
                self._report(slug, f"its instruments cannot be created: {one_line(repr(error))}")
        # What is loaded stays as it is: the streams know its tick size better than the catalogue.
        for instrument_id in [known for known in self._instruments if known not in wanted]:
            del self._instruments[instrument_id]

    async def _ask(self, slugs: list[str]) -> list[Any]:
        try:
            answer = await self._catalogue.request_async(
                "GET", "/markets/keyset", params={"slug": slugs, "limit": str(PAGE)}
            )
            if answer.status_code != 200:
                raise Temporary(
                    f"the catalogue answered HTTP {answer.status_code}: {one_line(answer.text, 120)}"
                )
            return list(answer.json()["markets"])
        except (httpx.HTTPError, httpx.InvalidURL, KeyError, TypeError, ValueError) as error:
            raise Temporary(
                f"the catalogue gave no usable answer: {type(error).__name__}: {one_line(error)}"
            ) from None

    def _log_differences(self, slugs: list[str], listed: list[Any]) -> None:
        names = {str(row.get("slug")) if isinstance(row, dict) else repr(row)[:40] for row in listed}
        missing = [slug for slug in slugs if slug not in names]
        if missing:
            self._log.warning(f"not in the catalogue yet: {', '.join(missing)}")
        if strange := sorted(names.difference(slugs)):
            shown = ", ".join(one_line(name, 80) for name in strange[:SHOWN_NAMES])
            self._log.warning(
                f"the catalogue returned {len(strange)} markets that were not requested: {shown}"
            )

    def _load(self, market: Mapping[str, Any]) -> set[InstrumentId]:
        """Make the instruments of a market unless they are loaded; returns the ids of both."""
        # Nautilus logs instruments with all they hold.
        normalized = normalize_gamma_market_to_clob_format(escaped_json(dict(market)))
        found: set[InstrumentId] = set()
        for token in normalized["tokens"]:
            instrument_id = get_polymarket_instrument_id(normalized["condition_id"], token["token_id"])
            if instrument_id not in self._instruments:
                self._load_instrument(normalized, token["token_id"], token["outcome"])
            found.add(instrument_id)
        return found
