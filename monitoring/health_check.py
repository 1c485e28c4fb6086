"""Requests /health of a running bot; for the health check of a container, a service manager or a script.

`python -m monitoring.health_check [URL]` prints the answer. The exit code is 0 if the bot is healthy,
otherwise 1. Only the standard library is used, because a container's check runs every half minute.
"""

import sys
from collections.abc import Sequence
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

DEFAULT = "http://127.0.0.1:8000/health"
LIMIT_S = 5.0
MOST_BYTES = 10_000


def main(arguments: Sequence[str]) -> int:
    """Print the answer of /health; returns the exit code."""
    url = arguments[0] if arguments else DEFAULT
    healthy, answer = _answer(url)
    sys.stdout.write(f"{answer}\n")
    return 0 if healthy else 1


def _answer(url: str) -> tuple[bool, str]:
    """Whether the bot is healthy, and its answer or why there is none."""
    try:
        # A proxy of the environment is for the internet, not for an address on this machine.
        with build_opener(ProxyHandler({})).open(url, timeout=LIMIT_S) as response:
            return True, _text(response.read(MOST_BYTES))
    except HTTPError as error:
        return False, _text(error.read(MOST_BYTES))
    except (OSError, HTTPException, ValueError) as error:
        return False, f"{url} does not answer: {error}"


def _text(body: bytes) -> str:
    return body.decode(errors="replace").strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
