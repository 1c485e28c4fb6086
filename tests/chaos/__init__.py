"""Fault schedules: the whole bot against the practice venue while it, the network and processes fail.

    python -m tests.chaos --schedules 100 --seed 1 [--workers 2] [--results FILE] [--report FILE]
    python -m tests.chaos --replay FILE
    python -m tests.chaos --crashes [--only TEXT]

One schedule is one run of the bot over one generated market. What goes wrong in it, and when, is drawn from
the seed. After the run the invariants are checked against the venue's own database. The schedule of a failing
run is written to a file, shrunk, and printed with the command that repeats it. The exit code is 1 if any
invariant was violated.
"""
