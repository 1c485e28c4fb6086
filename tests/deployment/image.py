"""What `docker build` would do, from Dockerfile and .dockerignore: instructions, settings, copied files."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

from bot_process import ROOT

DOCKERFILE = ROOT / "Dockerfile"
LOCK = ROOT / "requirements-runtime.lock"


def instructions() -> list[tuple[str, str]]:
    """Name and arguments of each instruction, with continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def arguments(name: str) -> list[str]:
    """The arguments of each instruction of a name, in order."""
    return [text for found, text in instructions() if found == name]


def entrypoint() -> list[str]:
    """The command that the container starts."""
    (text,) = arguments("ENTRYPOINT")
    return json.loads(text)


def health_check() -> list[str]:
    """The command of the health check."""
    (text,) = arguments("HEALTHCHECK")
    return json.loads(text.partition(" CMD ")[2])


def environment() -> dict[str, str]:
    """The variables of the image."""
    (text,) = arguments("ENV")
    return dict(word.split("=", 1) for word in shlex.split(text))


def volumes() -> list[str]:
    """The folders that are volumes."""
    (text,) = arguments("VOLUME")
    return json.loads(text)


def included(path: PurePosixPath) -> bool:
    """Whether a file of the project is copied.

    The last pattern that matches it, or a folder above it, decides.
    """
    kept = True
    for expression, keeps in _patterns():
        if any(expression.fullmatch(str(part)) for part in (path, *path.parents)):
            kept = keeps
    return kept


def context() -> Iterator[Path]:
    """The copied files, relative to the project's folder."""
    for top in sorted(ROOT.iterdir()):
        name = PurePosixPath(top.name)
        if top.is_dir() and included(name):
            inner = (path.relative_to(ROOT) for path in sorted(top.rglob("*")) if path.is_file())
            yield from (path for path in inner if included(PurePosixPath(path)))
        elif top.is_file() and included(name):
            yield Path(top.name)


def copy_context(target: Path) -> set[Path]:
    """Copy the files as `COPY . .` does; returns them, relative to the folder."""
    found = set(context())
    for path in found:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target / path)
    return found


def locked_packages(lock: Path = LOCK) -> dict[str, str]:
    """Version and hashes of each requirement of a lock file, by name."""
    blocks = re.split(r"^(?=[a-z0-9])", lock.read_text(), flags=re.MULTILINE)
    return {
        block.partition("==")[0]: re.sub(r" ;[^\n]*", " \\\\", block) for block in blocks if "==" in block
    }


@cache
def _patterns() -> list[tuple[re.Pattern[str], bool]]:
    """Each line of .dockerignore as an expression, and whether it keeps what it matches."""
    lines = (line.strip() for line in (ROOT / ".dockerignore").read_text().splitlines())
    patterns = [line for line in lines if line and not line.startswith("#")]
    return [(re.compile(_expression(line.removeprefix("!"))), line.startswith("!")) for line in patterns]


def _expression(pattern: str) -> str:
    parts = re.split(r"(\*\*/|\*)", pattern)
    return "".join({"**/": "(?:.*/)?", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)
