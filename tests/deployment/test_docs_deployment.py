"""docs/deployment.md and docs/release.md: commands for Docker fit compose.yaml and the programs."""

import argparse
import re
import shlex

import pytest
import yaml
from bot_process import ROOT

import redis_control
import runner
import state_backup
import view_paper_trades

TEXT = "\n".join((ROOT / "docs" / name).read_text() for name in ("deployment.md", "release.md"))
CODE = "\n".join("".join(found) for found in re.findall(r"```\w*\n(.*?)```|`([^`\n]+)`", TEXT, re.DOTALL))
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
COMMANDS = sorted({line for line in CODE.splitlines() if re.match(r"docker compose (?!(run|exec)$)", line)})
PROGRAMS = {
    "redis_control.py": redis_control.parse,
    "state_backup.py": state_backup.parse,
    "view_paper_trades.py": lambda arguments: view_paper_trades._parser().parse_args(arguments),
}
FLAGS = {
    "up": ["--build", "--detach"],
    "build": ["--pull"],
    "config": [],
    "down": ["--volumes"],
    "ps": [],
    "logs": ["--follow"],
    "stop": [],
    "run": ["--rm", "--service-ports", "--use-aliases"],
    "exec": [],
}
"""Subcommands and flags of Docker Compose 2.40 that the pages use."""


def docker_compose() -> argparse.ArgumentParser:
    """The command line of Docker Compose, as far as the pages use it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", choices=["monitoring"])
    commands = parser.add_subparsers(dest="command", required=True)
    services = sorted(COMPOSE["services"])
    for name, known in FLAGS.items():
        command = commands.add_parser(name)
        for flag in known:
            command.add_argument(flag, action="store_true")
        if name in ("run", "exec"):
            command.add_argument("service", choices=services)
            command.add_argument("rest", nargs=argparse.REMAINDER)
        elif name in ("logs", "stop"):
            command.add_argument("service", nargs="?", choices=services)
    commands.choices["run"].add_argument("--entrypoint")
    commands.choices["build"].add_argument("--build-arg")
    copy = commands.add_parser("cp")
    copy.add_argument("source")
    copy.add_argument("target")
    return parser


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_for_docker_is_understood(line):
    """Services and profiles are those of compose.yaml, and the bot's programs accept their arguments."""
    found = docker_compose().parse_args(shlex.split(line)[2:])
    if found.command == "run" and found.entrypoint is None:
        runner.parse(found.rest)
    elif found.command == "run":
        assert found.entrypoint == "python"
        PROGRAMS[found.rest[0]](found.rest[1:])
    elif found.command == "exec":
        assert found.rest[0] == "python"
        PROGRAMS[found.rest[1]](found.rest[2:])


def test_there_are_commands():
    """The pattern above finds the commands of the pages."""
    assert len(COMMANDS) > 20


def test_the_base_image_and_the_user_are_those_of_the_image():
    """The page names the base image and the user id of the Dockerfile, and the packages' lock file."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    base = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", dockerfile, re.MULTILINE)[1]
    assert f"docker buildx imagetools inspect {base}" in CODE
    assert "`bot`, id 10001" in TEXT
    assert "--uid 10001" in dockerfile
    assert "requirements-runtime.lock" in CODE
