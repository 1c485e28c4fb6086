"""The asyncio loop of the decisions, in its own thread."""

from common.loop_thread import LoopThread


class DecisionLoop(LoopThread):
    """Runs as long as the strategy."""

    def __init__(self) -> None:
        super().__init__("decisions")
