"""Authentication: L1 (a wallet's signature) to create keys, L2 (an HMAC with a key's secret) for the rest."""

import base64
import binascii
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Mapping

import msgspec

from venue.refusal import VenueRefusal
from venue.signing import auth_signer, checksum

FRESHNESS_SECONDS = 60
"""Maximum difference of a header's timestamp from the venue's clock."""

LARGEST_NONCE = 2**63
"""The database's integers are smaller."""

UNAUTHORIZED = VenueRefusal(401, "Unauthorized/Invalid api key")
BAD_L1 = VenueRefusal(401, "Invalid L1 Request headers")


class ApiKey(msgspec.Struct, frozen=True):
    """An account's API key. `address` is the account: the checksum address of the wallet that created it."""

    key: str
    secret: str
    passphrase: str
    address: str
    nonce: int

    def wire(self) -> dict[str, str]:
        """The key as JSON in the venue's answers."""
        return {"apiKey": self.key, "secret": self.secret, "passphrase": self.passphrase}


def new_key(address: str, nonce: int) -> ApiKey:
    """A random key for an account."""
    return ApiKey(
        key=str(uuid.uuid4()),
        secret=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        passphrase=secrets.token_hex(32),
        address=address,
        nonce=nonce,
    )


def hmac_signature(secret: str, timestamp: str, method: str, path: str, body: str = "") -> str:
    """The L2 signature: HMAC-SHA-256 of timestamp, method, path (no query) and body, in URL-safe base64.

    Raises
    ------
    ValueError
        If the secret is not base64.
    """
    try:
        key = base64.urlsafe_b64decode(secret)
    except binascii.Error as error:
        raise ValueError("the secret is not base64") from error
    message = f"{timestamp}{method}{path}{body}".encode()
    return base64.urlsafe_b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def check_l1(headers: Mapping[str, str], now_s: float) -> tuple[str, int]:
    """The wallet address and nonce proved by the L1 headers.

    Raises
    ------
    VenueRefusal
        401 if a header is missing or stale, or the signature is not the address's own.
    """
    try:
        address = checksum(headers["POLY_ADDRESS"])
        timestamp = headers["POLY_TIMESTAMP"]
        nonce = int(headers.get("POLY_NONCE", "0"))
        if not 0 <= nonce < LARGEST_NONCE:
            raise BAD_L1
        signature = headers["POLY_SIGNATURE"]
        if abs(now_s - int(timestamp)) > FRESHNESS_SECONDS:
            raise BAD_L1
    except (KeyError, ValueError) as error:
        raise BAD_L1 from error
    if auth_signer(address, timestamp, nonce, signature) != address:
        raise BAD_L1
    return address, nonce


def check_l2(
    headers: Mapping[str, str], key: ApiKey | None, method: str, path: str, body: str, now_s: float
) -> ApiKey:
    """The key proved by the L2 headers; `key` is the key named in them (None if it is unknown).

    Raises
    ------
    VenueRefusal
        401 if anything about them is wrong; the venue does not report what.
    """
    try:
        timestamp = headers["POLY_TIMESTAMP"]
        signature = headers["POLY_SIGNATURE"]
        stale = abs(now_s - int(timestamp)) > FRESHNESS_SECONDS
        if key is None or stale or checksum(headers["POLY_ADDRESS"]) != key.address:
            raise UNAUTHORIZED
        passphrase = headers["POLY_PASSPHRASE"]
    except (KeyError, ValueError) as error:
        raise UNAUTHORIZED from error
    expected = hmac_signature(key.secret, timestamp, method, path, body)
    same = hmac.compare_digest(expected.encode(), _header_bytes(signature))
    if not (same and hmac.compare_digest(_header_bytes(passphrase), key.passphrase.encode())):
        raise UNAUTHORIZED
    return key


def _header_bytes(text: str) -> bytes:
    """A header as it was sent: bytes that are no UTF-8 are lone surrogates in its text."""
    return text.encode(errors="surrogateescape")
