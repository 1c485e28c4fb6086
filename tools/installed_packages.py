"""The installed packages that this project needs: version, licence, dependencies, and what for."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from email.message import Message
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
RUN, DEVELOPMENT = "run", "development"
"""What a package is needed for: to run the bot, or for its tests; an optional extra has its own name."""

SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT License": "MIT",
    "The MIT License (MIT)": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""SPDX identifiers of other spellings in the packages' metadata."""
STATED = {
    "alabaster": "BSD-3-Clause",
    "docutils": "LicenseRef-Public-Domain AND BSD-2-Clause AND 0BSD",
    "forbiddenfruit": "GPL-3.0-or-later OR MIT",
    "jinja2": "BSD-3-Clause",
    "libcst": "MIT AND PSF-2.0",
    "partd": "BSD-3-Clause",
    "promql-parser": "MIT",
    "pycryptodome": "BSD-2-Clause AND LicenseRef-Public-Domain",
    "sphinxcontrib-applehelp": "BSD-2-Clause",
    "sphinxcontrib-devhelp": "BSD-2-Clause",
    "sphinxcontrib-htmlhelp": "BSD-2-Clause",
    "sphinxcontrib-jsmath": "BSD-2-Clause",
    "sphinxcontrib-qthelp": "BSD-2-Clause",
    "sphinxcontrib-serializinghtml": "BSD-2-Clause",
    "uvloop": "MIT OR Apache-2.0",
    "zict": "BSD-3-Clause",
}
"""Licences that only the packages' licence files state exactly."""
EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
COPYLEFT = re.compile(r"\b(?:A|L)?GPL|\bMPL|\bEPL|\bEUPL|\bCDDL")


class Package(NamedTuple):
    """An installed package; `requires` are the names of those that it needs itself, and `direct` ones are in
    `pyproject.toml`."""

    name: str
    version: str
    licence: str
    requires: tuple[str, ...]
    purpose: str
    direct: bool

    @property
    def copyleft(self) -> bool:
        """Whether every choice of its licence has conditions for changed copies."""
        return all(COPYLEFT.search(choice) for choice in self.licence.split(" OR "))


class Incomplete(Exception):
    """A package is missing, has no known licence, or not the locked version."""


def packages(root: Path = ROOT) -> list[Package]:
    """The packages of `pyproject.toml` and all that they need on this platform, by name.

    Raises
    ------
    Incomplete
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    installed = {_name(found.name): found for found in distributions()}
    needs: dict[str, set[str]] = {}
    purposes: dict[str, str] = {}
    direct: set[str] = set()
    for purpose, wanted in _roots(project):
        direct |= {_name(Requirement(text).name) for text in wanted}
        for name in _closure(wanted, installed, needs):
            purposes.setdefault(name, purpose)
    return [
        Package(
            name=name,
            version=installed[name].version,
            licence=licence_of(name, installed[name].metadata),
            requires=tuple(sorted(needs[name])),
            purpose=purpose,
            direct=name in direct,
        )
        for name, purpose in sorted(purposes.items())
    ]


def _roots(project: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The requirements of each purpose, the most important one first."""
    yield RUN, project["project"]["dependencies"]
    yield from project["project"]["optional-dependencies"].items()
    yield DEVELOPMENT, list(_group(project["dependency-groups"], "dev"))


def _group(groups: dict[str, Any], name: str) -> Iterator[str]:
    """The requirements of a dependency group and of those that it includes."""
    for row in groups[name]:
        if isinstance(row, str):
            yield row
        else:
            yield from _group(groups, row["include-group"])


def _closure(
    wanted: Iterable[str], installed: dict[str, Distribution], needs: dict[str, set[str]]
) -> Iterator[str]:
    """The names of packages and of all that they require; `needs` collects who needs whom."""
    left = [Requirement(text) for text in wanted]
    done: set[tuple[str, str]] = set()
    while left:
        requirement = left.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name = _name(requirement.name)
        if name not in installed:
            raise Incomplete(f"{name} is not installed: run ./bot, or install requirements.lock")
        yield name
        own = needs.setdefault(name, set())
        for extra in ("", *requirement.extras):
            if (name, extra) in done:
                continue
            done.add((name, extra))
            for text in installed[name].requires or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    needed.marker = None
                    own.add(_name(needed.name))
                    left.append(needed)


def licence_of(name: str, metadata: Any) -> str:
    """The SPDX expression of a package's licence.

    Raises
    ------
    Incomplete
        If its metadata states none that is known here.
    """
    if name in STATED:
        return STATED[name]
    given: Message = metadata
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in given.get_all("Classifier", [])
        if text.startswith("License ::")
    ]
    for text in (given.get("License-Expression"), given.get("License"), *classifiers):
        known = SPDX.get((text or "").strip(), (text or "").strip())
        if known and EXPRESSION.fullmatch(known):
            return known
    raise Incomplete(f"{name} states no known licence: add what its licence file says to {__name__}.STATED")


def locked_versions(root: Path = ROOT) -> dict[str, str]:
    """The versions of `requirements.lock` for this platform, by name."""
    lines = (root / "requirements.lock").read_text().splitlines()
    rows = [Requirement(line.rstrip(" \\")) for line in lines if re.match(r"[A-Za-z0-9]", line)]
    return {
        _name(row.name): str(row.specifier).removeprefix("==")
        for row in rows
        if row.marker is None or row.marker.evaluate()
    }


def _name(text: str) -> str:
    """A package's name in its canonical spelling."""
    return str(canonicalize_name(text))
