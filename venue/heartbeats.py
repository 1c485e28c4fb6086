"""Order heartbeats: an API key that stops sending them loses its resting orders."""

import uuid

import msgspec

SILENCE_SECONDS = 10.0
"""Wall seconds after an accepted heartbeat within which the next one is due."""
GRACE_SECONDS = 5.0
"""Further wall seconds until the orders are cancelled."""


class WrongHeartbeat(Exception):
    """A heartbeat with another id than the one of the last answer, which is `expected`."""

    def __init__(self, expected: str) -> None:
        super().__init__("Invalid Heartbeat ID")
        self.expected = expected


class _Registration(msgspec.Struct):
    next_id: str
    accepted_s: float


class Heartbeats:
    """The keys that send heartbeats, with the id of the next one. Times are wall seconds."""

    def __init__(self) -> None:
        self._keys: dict[str, _Registration] = {}

    def accept(self, key: str, heartbeat_id: str, now_s: float) -> str:
        """Register a key's heartbeat; the id of its next one. The first one has an empty id.

        Raises
        ------
        WrongHeartbeat
            If the id is not the one of the last answer. The time of the last heartbeat stays.
        """
        known = self._keys.get(key)
        if known is not None and heartbeat_id != known.next_id:
            raise WrongHeartbeat(known.next_id)
        if known is None and heartbeat_id:
            raise WrongHeartbeat("")
        self._keys[key] = _Registration(str(uuid.uuid4()), now_s)
        return self._keys[key].next_id

    def expired(self, now_s: float) -> list[str]:
        """Remove the keys whose heartbeat is overdue, and return them."""
        limit = now_s - SILENCE_SECONDS - GRACE_SECONDS
        silent = [key for key, known in self._keys.items() if known.accepted_s < limit]
        for key in silent:
            del self._keys[key]
        return silent
