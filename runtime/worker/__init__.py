"""The worker process: one node, one strategy, one ledger, until it is told to stop.

The supervisor starts it as `python -m runtime.worker`, writes a `WorkerPlan` as one line of JSON to its
standard input and keeps the pipe open; when it closes, the supervisor is gone and the worker stops as on
SIGTERM.
"""
