"""The whole bot for a day of markets, one worker for six hours of market time, and the bot under load.

    python -m tests.endurance [--only day|worker|load] [--speed N] [--markets N] [--report FILE]

`day` runs 96 markets through runner, supervisor, workers and practice venue with the restarts every 90
minutes of market time; `worker` runs 24 markets without a restart: memory, file descriptors, threads, tasks,
and the sizes of ledger and logs are sampled from outside. `load` runs one market each with 10, 100, 1,000 and
10,000 additional quotes a second. The exit code is 1 if a decision window was missed, if something grew that
must not, or if a limit of the load was not kept; 2 if none failed, but one could not be measured.
"""
