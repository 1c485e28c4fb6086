"""The bill of materials and the licences of the packages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bot_process import ROOT

from tools.installed_packages import Package, packages


@pytest.mark.slow
def test_the_bill_of_materials_has_every_package(tmp_path: Path) -> None:
    """The command writes CycloneDX 1.6 with version, licence and place of each locked package, and who needs
    whom."""
    file = tmp_path / "sbom.json"
    subprocess.run([sys.executable, "-m", "tools.sbom", str(file)], cwd=ROOT, check=True)
    bom = json.loads(file.read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    found = {component["name"]: component for component in bom["components"]}
    nautilus = found["nautilus-trader"]
    assert nautilus["version"] == "1.231.0"
    assert nautilus["purl"] == "pkg:pypi/nautilus-trader@1.231.0"
    assert nautilus["licenses"] == [{"license": {"id": "LGPL-3.0-or-later"}}]
    assert (nautilus["scope"], found["hypothesis"]["scope"]) == ("required", "excluded")
    assert all(component["licenses"] for component in found.values())
    lock = (ROOT / "requirements.lock").read_text()
    for component in found.values():
        assert f"\n{component['name']}=={component['version']} " in f"\n{lock}", component["name"]
    needs = {row["ref"]: row.get("dependsOn", []) for row in bom["dependencies"]}
    assert f"nautilus-trader@{nautilus['version']}" in needs["polymarket-btc-15m-bot"]
    assert any(ref.startswith("h11@") for ref in needs[f"httpcore@{found['httpcore']['version']}"])


def test_copyleft_is_named() -> None:
    """Packages whose only choices are copyleft are known as such; the permissive choice of others counts."""
    kinds = {package.name: package.copyleft for package in packages()}
    assert kinds["nautilus-trader"]
    assert kinds["certifi"]
    assert not kinds["httpx"]
    assert not kinds["forbiddenfruit"]  # GPL or MIT
    assert not Package("x", "1", "MIT OR GPL-3.0-only", (), "run", True).copyleft
    assert Package("x", "1", "MPL-2.0 AND MIT", (), "run", True).copyleft
