"""The wallets that Polymarket derives from a signing key, by signature type. Pure.

Each is the CREATE2 address of a factory contract on Polygon, so that it is known before it is deployed.
Source: the venue's official client, `polymarket-client` 0.14.0, whose functions the tests compare with.
"""

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

PROXY_FACTORY = "aB45c5A4B0c941a2F231C04C3f49182e1A254052"
PROXY_IMPLEMENTATION = "44e999d5c2F66Ef0861317f9A4805AC2e90aEB4f"
SAFE_FACTORY = "aacFeEa03eb1561C4e67d661e40682Bd20E3541b"
SAFE_CODE_HASH = "2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf"
DEPOSIT_FACTORY = "00000000000Fb5C9ADea0298D729A0CB3823Cc07"
DEPOSIT_IMPLEMENTATION = "58CA52ebe0DadfdF531Cde7062e76746de4Db1eB"
DEPOSIT_BEACON = "7A18EDfe055488A3128f01F563e5B479D92ffc3a"


def wallets_of(signer: str) -> dict[int, tuple[str, ...]]:
    """Addresses that a signature type can mean for a key; a deposit wallet is one of two kinds.

    Parameters
    ----------
    signer : str
        The key's own address.
    """
    owner = bytes.fromhex(signer.removeprefix("0x"))
    return {0: (to_checksum_address(owner),), 1: (_proxy(owner),), 2: (_safe(owner),), 3: _deposit(owner)}


def _proxy(owner: bytes) -> str:
    code = (
        f"3d3d606380380380913d393d73{PROXY_FACTORY}5af4602a57600080fd5b602d8060366000396000f3363d3d373d3d3d363d73"
        f"{PROXY_IMPLEMENTATION}5af43d82803e903d91602b57fd5bf352e831dd" + f"{32:064x}" + f"{0:064x}"
    )
    return _create2(PROXY_FACTORY, keccak(owner), keccak(bytes.fromhex(code)))


def _safe(owner: bytes) -> str:
    return _create2(SAFE_FACTORY, keccak(_word(owner)), bytes.fromhex(SAFE_CODE_HASH))


def _deposit(owner: bytes) -> tuple[str, ...]:
    """Through the factory's beacon, as now, and as a proxy of its own, as before."""
    arguments = _word(bytes.fromhex(DEPOSIT_FACTORY)) + _word(owner)
    beacon = (
        (0x6100523D8160233D3973 + (len(arguments) << 56)).to_bytes(10, "big").hex()
        + DEPOSIT_BEACON
        + "60195155f3363d3d373d3d363d602036600436635c60da"
        + "1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6c"
        + "b3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3"
    )
    proxy = (
        (0x61003D3D8160233D3973 + (len(arguments) << 56)).to_bytes(10, "big").hex()
        + DEPOSIT_IMPLEMENTATION
        + "6009"
        + "5155f3363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076"
        + "cc3735a920a3ca505d382bbc545af43d6000803e6038573d6000fd5b3d6000f3"
    )
    salt = keccak(arguments)
    hashes = (keccak(bytes.fromhex(code) + arguments) for code in (beacon, proxy))
    return tuple(_create2(DEPOSIT_FACTORY, salt, code_hash) for code_hash in hashes)


def _word(value: bytes) -> bytes:
    return value.rjust(32, b"\x00")


def _create2(factory: str, salt: bytes, code_hash: bytes) -> str:
    return to_checksum_address(keccak(b"\xff" + bytes.fromhex(factory) + salt + code_hash)[12:])
