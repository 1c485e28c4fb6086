"""The assets at the external services: how they are named there, and the decimals of their prices."""

from collections.abc import Iterable

from venue.sources.price_path import UNIT

DECIMALS = {"btc": 2, "eth": 2, "sol": 2, "xrp": 4, "doge": 5}
"""Decimals of an exchange's prices in USD and USDT."""


def asset_named(symbol: str, form: str, assets: Iterable[str]) -> str | None:
    """The asset that a service calls by a symbol; None if the symbol is another one.

    Parameters
    ----------
    form : str
        The form of the service's symbols, with `{}` for the asset: "{}-USD".
    """
    return next((asset for asset in assets if form.format(_case(form, asset)) == symbol), None)


def symbol_of(asset: str, form: str) -> str:
    """The symbol of an asset at a service."""
    return form.format(_case(form, asset))


def steps(price: int, asset: str) -> int:
    """A price of 1e-8 USD in steps of the exchanges' prices (cents of bitcoin), rounded to the nearest."""
    step = step_of(asset)
    return (price + step // 2) // step


def step_of(asset: str) -> int:
    """The step of the exchanges' prices in units of 1e-8 USD."""
    return UNIT // 10 ** DECIMALS[asset]


def price_text(count: int, asset: str) -> str:
    """A number of steps as the exchanges write the price: "68923.67"."""
    whole, part = divmod(count, 10 ** DECIMALS[asset])
    return f"{whole}.{part:0{DECIMALS[asset]}d}"


def _case(form: str, asset: str) -> str:
    """Symbols are in one case, which the rest of the form shows."""
    return asset.upper() if form.isupper() else asset
