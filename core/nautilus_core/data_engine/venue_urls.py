"""Base URLs of one venue, in a module of their own because the supervisor does not import Nautilus."""

from models import Frozen


class VenueUrls(Frozen, frozen=True):
    """Base URLs of one venue. `ws` ends with a slash."""

    clob: str
    gamma: str
    data_api: str
    ws: str
