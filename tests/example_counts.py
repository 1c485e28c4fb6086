"""How many examples a property test draws: a fifth in the quick suite, all of them in `./bot check`."""

import os


def examples(count: int) -> int:
    """The number of examples for this run; `count` is what CI draws."""
    return count if os.environ.get("EXAMPLES") == "all" else count // 5
