"""The names under which the port of status page, metrics and health answers."""

import pytest
from pydantic import ValidationError

from config import Settings
from monitoring.metrics.host_names import is_this_machine, names_of


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("127.0.0.1:8000", True),
        ("localhost:8000", True),
        ("LOCALHOST", True),
        ("[::1]:8000", True),
        ("172.17.0.1", True),
        ("Bot.lan:8000", True),
        ("host.docker.internal:8000", True),
        ("bot", True),
        ("evil.example:8000", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("bot.evil.example", False),
        ("evil.example@127.0.0.1", True),  # what precedes an @ is no part of the name
        ("127.0.0.1@evil.example", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_the_names_of_this_machine(host: str, answered: bool) -> None:
    """IP addresses, localhost and the names of the settings; any other name may be a web site's."""
    assert is_this_machine(host, names_of("Bot.lan", "host.docker.internal, BOT")) is answered


def test_by_default_no_other_name_is_answered() -> None:
    """The safe default: loopback and addresses."""
    settings = Settings.model_construct()
    assert names_of(settings.grafana_host, settings.grafana_allowed_hosts) == {"127.0.0.1"}


@pytest.mark.parametrize("names", ["*", "http://bot", "bot:8000", "bot;evil"])
def test_only_names_are_accepted(names: str) -> None:
    """No wildcard, no address with scheme or port."""
    with pytest.raises(ValidationError, match="grafana_allowed_hosts"):
        Settings.model_validate({"grafana_allowed_hosts": names})
