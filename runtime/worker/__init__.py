"""The worker process: runs one node with one strategy and one ledger until it is stopped.

The supervisor starts it as `python -m runtime.worker`, writes a `WorkerPlan` as one line of JSON to its
standard input and keeps the pipe open; when it closes, the supervisor is gone and the worker stops as on
SIGTERM.
"""
