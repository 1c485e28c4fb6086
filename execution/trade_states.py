"""How far the chain is with each trade of an order, as far as heard: what still has to be asked for."""

from execution.ledger import FillStatus

FINAL = (FillStatus.CONFIRMED, FillStatus.FAILED)


class TradeStates:
    """The trades of this process' orders and of those it took up, by order and trade id."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, FillStatus]] = {}

    def hear(self, order_id: str, trade_id: str, status: FillStatus) -> None:
        """Take note of a status; a last word stands, whatever is told after it."""
        states = self._states.setdefault(order_id, {})
        if states.get(trade_id) not in FINAL:
            states[trade_id] = status

    def stand(self, order_id: str) -> bool:
        """Whether any trade of an order has not failed."""
        return any(status is not FillStatus.FAILED for status in self._states.get(order_id, {}).values())

    def final(self, order_id: str) -> bool:
        """Whether the order has trades and the chain has said its last word on each."""
        states = self._states.get(order_id, {}).values()
        return bool(states) and all(status in FINAL for status in states)
