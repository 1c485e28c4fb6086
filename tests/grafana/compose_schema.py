"""A schema of the part of the Compose specification that docker-compose.yml uses, without other keys."""

from typing import Any

NAME = "^[a-z0-9][a-z0-9_-]*$"
DURATION = {"type": "string", "pattern": "^([0-9]+(us|ms|s|m|h))+$"}
STRINGS = {"type": "array", "items": {"type": "string"}, "minItems": 1}


def closed(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


SERVICE = closed(
    ("image", "restart", "ports", "volumes", "healthcheck"),
    image={"type": "string", "pattern": r"^[a-z0-9./-]+:v?\d+\.\d+\.\d+(-[a-z]+)?$"},  # a whole version
    command=STRINGS,
    restart={"enum": ["no", "always", "on-failure", "unless-stopped"]},
    environment={"type": "object", "additionalProperties": {"type": "string"}},
    ports={
        "type": "array",
        "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"},  # this machine only
    },
    extra_hosts={"type": "array", "items": {"type": "string", "pattern": "^[^:]+:[^:]+$"}},
    volumes={
        "type": "array",
        "items": {"type": "string", "pattern": r"^(\./[\w-]+|[a-z-]+):/[\w/-]+(:ro)?$"},
    },
    healthcheck=closed(
        ("test", "interval", "timeout", "retries"),
        test={
            "type": "array",
            "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}],
            "items": {"type": "string"},
            "minItems": 2,
        },
        interval=DURATION,
        timeout=DURATION,
        retries={"type": "integer", "minimum": 1},
    ),
    depends_on={
        "type": "object",
        "additionalProperties": closed(
            ("condition",),
            condition={"enum": ["service_started", "service_healthy", "service_completed_successfully"]},
        ),
    },
)
COMPOSE = closed(
    ("name", "services", "volumes"),
    name={"type": "string", "pattern": NAME},
    services={"type": "object", "patternProperties": {NAME: SERVICE}, "additionalProperties": False},
    volumes={"type": "object", "patternProperties": {NAME: {"type": "null"}}, "additionalProperties": False},
)
