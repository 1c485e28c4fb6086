"""A refusal by the venue: a status and the venue's own text."""

import msgspec

UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)
"""Errors of decoding a client's JSON: not JSON, of another type, not UTF-8, a long number, or too deep."""


class VenueRefusal(Exception):
    """An answer other than success.

    Parameters
    ----------
    status : int
        HTTP status.
    text : str
        The venue's error text, verbatim.
    order_id : str, optional
        Included as `orderID` where the venue does so.
    """

    def __init__(self, status: int, text: str, order_id: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.order_id = order_id

    def body(self) -> dict[str, str]:
        """The JSON body."""
        body = {"error": self.text}
        if self.order_id is not None:
            body["orderID"] = self.order_id
        return body
