"""Telegram chat control: answers the commands of one private chat, in a thread of the supervisor.

The thread is in the supervisor's process, which survives every restart of the worker, and not in the
worker's, which trades: whatever happens to the connection, the library or an answer here costs the worker
nothing. It reads the ledger and the worker status from the disk, as `view_paper_trades.py` does, and changes
the mode and the halts through the functions of `redis_control.py`. Nothing in this package can switch to live
or arm.
"""

from runtime.chat.thread import ChatThread, start_chat

__all__ = ["ChatThread", "start_chat"]
