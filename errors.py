"""The one error tree, by what the operator or the code must do next.

BotError
├── Refused      no order may exist; the reason says why. Do not retry as it is.
├── Temporary    nothing happened yet; try again, a limited number of times.
└── Fatal        stop the process. `exit_code` and `next_step` tell the operator how to go on.
    └── ConfigError   a setting is wrong: exit code 2

What became of an order that was sent is not an error but a value: see `execution.outcomes`.
"""


class BotError(Exception):
    """Base of everything this project raises on purpose."""


class Refused(BotError):
    """No order exists and none may be sent as it is."""


class Temporary(BotError):
    """A passing fault: try again with a limit."""


class Fatal(BotError):
    """The process has to end.

    Parameters
    ----------
    message : str
        What is wrong, naming the thing and its value.
    next_step : str
        What the operator does about it, in one sentence.
    """

    exit_code = 1

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}. {self.next_step}" if self.next_step else message


class ConfigError(Fatal):
    """A setting or a flag is wrong; restarting without changing it is useless."""

    exit_code = 2
