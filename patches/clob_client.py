"""Order client that does not wait inside the POST, and whose requests are limited in time and size.

py-clob-client-v2 since 1.1.0 polls up to 30 s for transaction hashes after a matched order, which would delay
the fill by that time. The hashes are not needed.
"""

from typing import Any

from execution.clob_http import BoundedClobClient


class PromptClobClient(BoundedClobClient):
    def _resolve_transactions_hashes(self, response: Any) -> Any:
        return response
