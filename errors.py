"""The error classes, by what the code or the operator must do next.

BotError
├── Refused      no order may be sent; the message is the reason. Do not retry unchanged.
│   └── UnknownVersion   a market is of a protocol version that needs a newer bot
├── Temporary    nothing happened yet; retry a limited number of times.
└── Fatal        stop the process. `exit_code` and `next_step` are for the operator.
    └── ConfigError   a setting is wrong: exit code 2

The outcome of an order that was sent is not an error but a value: see `execution.outcomes`.
"""


class BotError(Exception):
    """Base of all errors that this project raises intentionally."""


class Refused(BotError):
    """No order exists, and none may be sent unchanged."""


class UnknownVersion(Refused):
    """A market of a protocol version that this bot does not support.

    Parameters
    ----------
    slug, version : str
        The market, and the version that the catalogue states, on one line without control characters.
    """

    def __init__(self, slug: str, version: str) -> None:
        super().__init__(f"market {slug} is of protocol version {version}, only v1 and v2 are supported")
        self.version = version


class Temporary(BotError):
    """A passing failure: retry with a limit."""


class Fatal(BotError):
    """The process has to stop.

    Parameters
    ----------
    message : str
        What is wrong, with the name and value concerned.
    next_step : str
        What the operator has to do, in one sentence.
    """

    exit_code = 1

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}. {self.next_step}" if self.next_step else message


class ConfigError(Fatal):
    """A setting or a flag is wrong; a restart without changing it does not help."""

    exit_code = 2
