"""docker-compose.yml and its mounted files: valid, and consistent in names, ports and paths."""

import re
from typing import Any

import jsonschema
import pytest
import yaml
from bot_process import ROOT
from compose_schema import COMPOSE

from config import Settings
from grafana import import_dashboard
from grafana.dashboard import FILE

FOLDER = ROOT / "grafana"


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


@pytest.fixture
def services() -> dict[str, Any]:
    return read("docker-compose.yml")["services"]


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Mounted files by path in the container."""
    found = {}
    for text in service["volumes"]:
        source, target = text.removesuffix(":ro").rsplit(":", 1)
        found[target] = source
    return found


def test_it_is_of_the_compose_form():
    """It fits the part of the specification that it uses, and a misspelt key would not."""
    compose = read("docker-compose.yml")
    jsonschema.Draft202012Validator.check_schema(COMPOSE)
    jsonschema.validate(compose, COMPOSE)
    compose["services"]["redis"]["healthchek"] = compose["services"]["redis"].pop("healthcheck")
    with pytest.raises(jsonschema.ValidationError, match="healthchek"):
        jsonschema.validate(compose, COMPOSE)


def test_what_is_named_exists(services):
    """Mounted files, named volumes, services that others depend on, and the hosts of configurations exist."""
    volumes = read("docker-compose.yml")["volumes"]
    for service in services.values():
        for source in mounts(service).values():
            assert (FOLDER / source).is_dir() if source.startswith("./") else source in volumes, source
        assert service.get("depends_on", {}).keys() <= services.keys()
    used = {source for service in services.values() for source in mounts(service).values()}
    assert volumes.keys() <= used
    for name in ("prometheus/prometheus.yml", "alertmanager/alertmanager.yml"):
        hosts = set(re.findall(r"[\"/]([a-z.]+):\d+", (FOLDER / name).read_text()))
        assert hosts
        own = services[name.partition("/")[0]]["extra_hosts"]
        assert hosts <= services.keys() | {entry.partition(":")[0] for entry in own}


def test_configuration_is_read_from_where_it_is_mounted(services):
    """The path that a service is given is mounted, and the file exists."""
    flags = {
        "prometheus": "--config.file=/etc/prometheus/prometheus.yml",
        "alertmanager": "--config.file=/etc/alertmanager/alertmanager.yml",
    }
    for name, flag in flags.items():
        assert flag in services[name]["command"]
        folder, _, file = flag.partition("=")[2].rpartition("/")
        assert (FOLDER / mounts(services[name])[folder] / file).is_file()
    (provider,) = read("provisioning/dashboards/bot.yml")["providers"]
    grafana = services["grafana"]
    assert (FOLDER / mounts(grafana)[provider["options"]["path"]]).resolve() == FILE.parent
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{FILE.name}"
    assert (FOLDER / mounts(grafana)["/etc/grafana/provisioning"]).samefile(FOLDER / "provisioning")


def test_ports_agree(services):
    """Each service is addressed at the port it listens on, and the bot at the port of config.py."""
    inside = {name: service["ports"][0].rsplit(":", 1)[1] for name, service in services.items()}
    prometheus = read("prometheus/prometheus.yml")
    (alertmanager,) = prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert alertmanager == f"alertmanager:{inside['alertmanager']}"
    (bot,) = prometheus["scrape_configs"][0]["static_configs"][0]["targets"]
    assert bot == f"host.docker.internal:{Settings().grafana_port}"
    (source,) = read("provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == f"http://prometheus:{inside['prometheus']}"
    assert source["uid"] == import_dashboard.SOURCE_UID
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    assert inside["redis"] == str(Settings().redis_port)
    for name in ("prometheus", "alertmanager", "grafana"):
        assert f"127.0.0.1:{inside[name]}/" in services[name]["healthcheck"]["test"][-1]
