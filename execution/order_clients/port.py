"""The port between the adapter and a library of the venue that signs orders and sends them."""

from collections.abc import Callable
from typing import Any, Protocol

from execution.amounts import MarketBuy
from execution.outcomes import PostOutcome, classify
from models import Frozen, ProtocolVersion

CLOB_CLIENT_V2 = "py-clob-client-v2"
"""The library of live orders; NautilusTrader's adapter needs it as well."""
POLYMARKET_CLIENT = ("polymarket-client", "0.14.0")
"""The library for practice money, and its version."""


class WithheldError(Exception):
    """The order was not sent; the message is the reason."""


class SignedOrder(Frozen, frozen=True):
    """`order_id` is the EIP-712 hash that identifies it at the venue; `body` is the library's order."""

    order_id: str
    body: Any


class OrderAnswer(Frozen, frozen=True):
    """The venue's answer to an order, classified and as it came: `status` is None without an answer, `body`
    decoded JSON, or text.

    `posted_ns` is when the first byte of the order was handed to the socket, nanoseconds of the monotonic
    clock; None if none was.
    """

    outcome: PostOutcome
    status: int | None
    body: Any
    posted_ns: int | None = None


def answer_of(status: int | None, body: Any, posted_ns: int | None = None) -> OrderAnswer:
    """Classify an answer."""
    return OrderAnswer(outcome=classify(status, body), status=status, body=body, posted_ns=posted_ns)


class OrderClient(Protocol):
    """Signs market BUY orders of one wallet and sends them."""

    async def sign(self, token_id: str, amounts: MarketBuy, version: ProtocolVersion) -> SignedOrder:
        """Sign an order for an outcome of a market of this version, which is not a neg-risk market.

        Nothing is sent.
        """
        ...

    async def post(self, signed: SignedOrder, refusal: Callable[[], str | None]) -> OrderAnswer:
        """Send an order once as FAK, and classify the answer.

        Parameters
        ----------
        signed : SignedOrder
        refusal : Callable[[], str | None]
            Why the order must not be sent now; None if it may. Blocking. It is called in the thread that
            sends, so that nothing delays the first byte after it.

        Raises
        ------
        WithheldError
            If nothing was sent.
        """
        ...

    async def keep_connection(self) -> None:
        """Open the connections that the next orders are sent on, or keep them open, with cheap requests.

        Never raises; a failure is logged.
        """
        ...
