"""Number of examples of a property test: a fifth in the quick suite, all of them in `./bot check`."""

import os


def examples(count: int) -> int:
    """The number of examples for this run; `count` is the number in CI."""
    return count if os.environ.get("EXAMPLES") == "all" else count // 5
