"""The wallets of a key, compared with the venue's official client."""

from eth_account import Account
from polymarket._internal import wallet as official
from polymarket._internal.environment import get_environment_config
from polymarket.environments import PRODUCTION

from execution.wallets import wallets_of


def test_every_wallet_is_the_one_that_the_official_client_derives():
    """Own, proxy, safe and both kinds of deposit wallet, of twenty keys."""
    config = get_environment_config(PRODUCTION).wallet_derivation
    for number in range(1, 21):
        signer = Account.from_key(number.to_bytes(32, "big")).address
        assert wallets_of(signer) == {
            0: (signer,),
            1: (official.derive_proxy_wallet_address(signer, config),),
            2: (official.derive_safe_wallet_address(signer, config),),
            3: (
                official.derive_beacon_deposit_wallet_address(signer, config),
                official.derive_uups_deposit_wallet_address(signer, config),
            ),
        }
