"""compose.yaml: valid, consistent with the image and with grafana/, and closed to other machines."""

import json
import re
import shutil
import subprocess
import tomllib
from typing import Any

import image
import pytest
import yaml
from bot_process import ROOT
from jsonschema import Draft202012Validator
from yamllint import linter
from yamllint.config import YamlLintConfig

from config import Settings
from monitoring.metrics.host_names import is_this_machine, names_of

SCHEMA = ROOT / "tests" / "data" / "compose-spec" / "compose-spec.json"
STYLE = YamlLintConfig(
    "extends: default\n"
    "rules: {document-start: disable, line-length: disable, braces: {max-spaces-inside: 0},"
    " comments: {min-spaces-from-content: 1}}\n"
)
YAML_FILES = [ROOT / "compose.yaml", *sorted((ROOT / "grafana").rglob("*.yml"))]
PROMETHEUS = ROOT / "grafana" / "prometheus"
FILES = ("prometheus.yml", "prometheus-compose.yml")


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


@pytest.fixture
def compose() -> dict[str, Any]:
    return read("compose.yaml")


@pytest.fixture
def services(compose) -> dict[str, Any]:
    return compose["services"]


def test_it_is_valid_by_the_published_schema(compose, services):
    """The Compose Specification's own schema accepts it, and refuses a misspelt key."""
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert [error.message for error in validator.iter_errors(compose)] == []
    services["bot"]["healthchek"] = {}
    (error,) = validator.iter_errors(compose)
    assert "healthchek" in error.message


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_linter_accepts_every_file(path):
    """yamllint finds nothing, such as a key that is there twice, in the files that services read."""
    assert list(linter.run(path.read_text(), STYLE)) == []


def test_the_linter_notices_a_key_that_is_there_twice():
    """YAML's own reader would take the second value without a word."""
    (problem,) = linter.run("image: one\nimage: two\n", STYLE)
    assert problem.rule == "key-duplicates"


def test_the_bot_runs_without_the_profile_and_the_others_only_with_it(services):
    """`docker compose up` starts the bot alone; the profile `monitoring` adds three services."""
    assert {name: service.get("profiles") for name, service in services.items()} == {
        "bot": None,
        "prometheus": ["monitoring"],
        "alertmanager": ["monitoring"],
        "grafana": ["monitoring"],
    }


def test_no_port_is_open_to_other_machines(services):
    """Every published port is bound to the loopback, and no service uses the network of this machine."""
    ports = {name: service["ports"] for name, service in services.items()}
    assert ports == {
        "bot": ["127.0.0.1:8000:8000"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "alertmanager": ["127.0.0.1:9093:9093"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    assert not any("network_mode" in service for service in services.values())


def test_no_variable_is_required(compose):
    """Docker Compose resolves variables before it selects a profile: a required one would stop the bot."""
    assert "${" not in json.dumps(compose)


def test_the_bot_has_what_the_image_needs(services):
    """Its folders are the volumes of the image, its port is that of the health check, its tag is the version
    of the program, and it may take longer to stop than the program does."""
    bot = services["bot"]
    listening = {"GRAFANA_HOST": "0.0.0.0", "GRAFANA_PORT": "8000", "GRAFANA_ALLOWED_HOSTS": "bot"}
    paths = {name: value for name, value in image.environment().items() if value.startswith("/var/")}
    assert bot["environment"] == paths | listening
    assert [volume.split(":")[1] for volume in bot["volumes"]] == image.volumes()
    assert Settings().grafana_port == 8000, (
        "the address that monitoring.health_check asks without an argument"
    )
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert bot["image"] == f"polymarket-btc-15m-bot:{version}"
    assert (bot["stop_grace_period"], image.arguments("STOPSIGNAL")) == ("15s", ["SIGTERM"])
    assert bot["env_file"] == [{"path": ".env", "required": False}]
    assert "command" not in bot, "simulation"


def test_the_bot_may_not_do_more_than_it_needs(services):
    """A read-only file system but for its volumes and /tmp, no capability, no new privilege, and limits."""
    bot = services["bot"]
    assert (bot["read_only"], bot["tmpfs"], bot["cap_drop"]) == (True, ["/tmp"], ["ALL"])
    assert bot["security_opt"] == ["no-new-privileges:true"]
    assert (bot["mem_limit"], bot["pids_limit"], bot["init"]) == ("1500m", 512, True)


def test_the_services_are_those_of_the_file_for_a_bot_outside(services):
    """Images, health checks, mounts and flags of the three services are those of grafana/docker-compose.yml.

    The address of the bot and Grafana's user, which would need a variable, are different.
    """
    outside = read("grafana/docker-compose.yml")["services"]
    outside["prometheus"].pop("extra_hosts")
    outside["prometheus"]["command"][0] = "--config.file=/etc/prometheus/prometheus-compose.yml"
    login = outside["grafana"]["environment"]
    del login["GF_SECURITY_ADMIN_PASSWORD"]
    login["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] = "true"
    for name in ("prometheus", "alertmanager", "grafana"):
        here = {key: value for key, value in services[name].items() if key not in ("profiles", "logging")}
        here["volumes"] = [text.replace("./grafana/", "./") for text in here["volumes"]]
        assert here == outside[name], name


def test_what_is_mounted_exists(compose, services):
    """Mounted folders are in the project, named volumes are declared, and each declared one is used."""
    sources = {text.split(":")[0] for service in services.values() for text in service["volumes"]}
    folders = {source for source in sources if source.startswith("./")}
    assert all((ROOT / folder).is_dir() for folder in folders)
    assert sources - folders == compose["volumes"].keys()


def test_prometheus_differs_in_the_address_of_the_bot_alone(services):
    """Its configuration is that for a bot outside of a container, with the name and port of the service; the
    bot answers under that name."""
    outside, here = (yaml.safe_load((PROMETHEUS / name).read_text()) for name in FILES)
    (target,) = here["scrape_configs"][0]["static_configs"][0].pop("targets")
    outside["scrape_configs"][0]["static_configs"][0].pop("targets")
    assert here == outside
    name, _, port = target.partition(":")
    assert services[name]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert is_this_machine(
        target, names_of("0.0.0.0", services[name]["environment"]["GRAFANA_ALLOWED_HOSTS"])
    )


def test_prometheus_accepts_its_configuration():
    """promtool reads the configuration with the rules that it names."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run(
        ["promtool", "check", "config", PROMETHEUS / FILES[1]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ rules found", done.stdout)
