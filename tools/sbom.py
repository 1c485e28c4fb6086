"""Writes the software bill of materials: the installed, locked packages as CycloneDX 1.6 JSON.

`python -m tools.sbom [FILE]`
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.contrib.this.builders import this_component
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from config import VERSION
from tools.installed_packages import DEVELOPMENT, RUN, Incomplete, Package, locked_versions, packages

NAME = "polymarket-btc-15m-bot"
SCOPES = {RUN: ComponentScope.REQUIRED, DEVELOPMENT: ComponentScope.EXCLUDED}


def document() -> str:
    """The bill of materials as JSON that its schema accepts.

    Raises
    ------
    Incomplete
        If an installed package has not the locked version, or no known licence.
    """
    found, locked = packages(), locked_versions()
    for package in found:
        if locked.get(package.name) != package.version:
            raise Incomplete(
                f"{package.name} {package.version} is installed, requirements.lock has "
                f"{locked.get(package.name, 'none')}: install the lock file"
            )
    text = JsonV1Dot6(_bom(found)).output_as_string(indent=2)
    errors = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if errors:
        raise Incomplete(f"the document does not fit the schema of CycloneDX 1.6: {errors}")
    return text


def _bom(found: list[Package]) -> Any:
    """The model. The library's decorators hide the types of its classes."""
    licences: Any = LicenseFactory()
    component: Any = Component
    bom: Any = Bom()
    bom.metadata.tools.components.add(this_component())
    bot = component(
        type=ComponentType.APPLICATION,
        name=NAME,
        version=VERSION,
        licenses=[licences.make_from_string("MIT")],
        bom_ref=NAME,
    )
    bom.metadata.component = bot
    components = {
        package.name: component(
            type=ComponentType.LIBRARY,
            name=package.name,
            version=package.version,
            licenses=[licences.make_from_string(package.licence)],
            purl=PackageURL("pypi", name=package.name, version=package.version),
            scope=SCOPES.get(package.purpose, ComponentScope.OPTIONAL),
            bom_ref=f"{package.name}@{package.version}",
        )
        for package in found
    }
    bom.components.update(components.values())
    bom.register_dependency(bot, [components[package.name] for package in found if package.direct])
    for package in found:
        bom.register_dependency(components[package.name], [components[name] for name in package.requires])
    return bom


def main() -> int:
    """Write the document; the exit code is 1 if it is incomplete."""
    parser = argparse.ArgumentParser(prog="python -m tools.sbom", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=Path("sbom.cdx.json"), help="(sbom.cdx.json)")
    file: Path = parser.parse_args().file
    try:
        text = document()
    except Incomplete as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    file.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"{file}: CycloneDX 1.6\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
