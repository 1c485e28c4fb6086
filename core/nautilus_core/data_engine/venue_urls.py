"""The base URLs of one venue, apart from the node, since the supervisor never loads Nautilus."""

from models import Frozen


class VenueUrls(Frozen, frozen=True):
    """Base URLs of one venue. `ws` ends with a slash."""

    clob: str
    gamma: str
    data_api: str
    ws: str
