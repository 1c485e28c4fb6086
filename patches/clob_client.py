"""Order client that never blocks inside the POST, and whose requests are bounded.

py-clob-client-v2 since 1.1.0 polls up to 30 s for transaction hashes after a matched order; the
fill would reach the strategy that much later. The hashes are of no use to it.
"""

from typing import Any

from execution.clob_http import BoundedClobClient


class PromptClobClient(BoundedClobClient):
    def _resolve_transactions_hashes(self, response: Any) -> Any:
        return response
