"""The patches run only on the libraries that they were written for."""

import pytest
from coincurve import PrivateKey
from eth_account import Account

import patches
from errors import Fatal
from execution.order_clients import clob_client_v2
from execution.order_clients.clob_client_v2 import verify_signing
from patches import library


def test_the_installed_libraries_are_the_patched_ones():
    """Versions and sources of all overridden functions are those that the patches expect."""
    patches.verify()


def test_another_version_ends_the_process(monkeypatch):
    """A library of another version is refused with its name and both versions."""
    monkeypatch.setitem(library.VERSIONS, "nautilus_trader", "1.232.0")
    with pytest.raises(Fatal, match=r"nautilus_trader is 1\.231\.0, the patches are for 1\.232\.0"):
        patches.verify()


def test_a_drifted_function_is_named(monkeypatch):
    """The same version with other code, such as a local edit, is refused with the function's name."""
    function = next(iter(library.FINGERPRINTS))
    monkeypatch.setitem(library.FINGERPRINTS, function, "0" * 12)
    with pytest.raises(Fatal, match=f"{function.__qualname__} .* is not the code that was patched"):
        patches.verify()


def test_a_library_that_signs_something_else_ends_the_process(monkeypatch):
    """If an order's id were no longer its hash, a test signature would show it before the first real one."""
    monkeypatch.setattr(clob_client_v2, "ORDER_TYPE_HASH", bytes(32))
    with pytest.raises(Fatal, match=r"the order id is 0x[0-9a-f]{64}, expected 0x"):
        verify_signing()


def test_a_signature_of_another_key_ends_the_process(monkeypatch):
    """A signature that is not the account's own is detected."""
    stranger = Account.create()
    monkeypatch.setattr(clob_client_v2, "PrivateKey", lambda secret: PrivateKey(bytes(stranger.key)))
    with pytest.raises(Fatal, match=f"the signature is {stranger.address}'s"):
        verify_signing()
