"""The patches run only on the libraries that they were written for."""

import pytest

import patches
from errors import Fatal
from patches import library


def test_the_installed_libraries_are_the_patched_ones():
    """Versions and sources of everything overridden are the ones the patches know."""
    patches.verify()


def test_another_version_ends_the_process(monkeypatch):
    """A library of another version is refused with its name and both versions."""
    monkeypatch.setitem(library.VERSIONS, "nautilus_trader", "1.232.0")
    with pytest.raises(Fatal, match=r"nautilus_trader is 1\.231\.0, the patches are for 1\.232\.0"):
        patches.verify()


def test_a_drifted_function_is_named(monkeypatch):
    """The same version with other code, as a local edit leaves it, is refused with the function's name."""
    function = next(iter(library.FINGERPRINTS))
    monkeypatch.setitem(library.FINGERPRINTS, function, "0" * 12)
    with pytest.raises(Fatal, match=f"{function.__qualname__} .* is not the code that was patched"):
        patches.verify()
