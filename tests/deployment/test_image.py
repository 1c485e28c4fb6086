"""Dockerfile and .dockerignore: what gets into the image, and that a bot runs from it alone."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import cache_from_source
from pathlib import Path, PurePosixPath

import image
import pytest
from bot_process import ROOT
from packaging.requirements import Requirement

from config import Settings

HADOLINT = Path(sys.executable).parent / "hadolint"
NOT_FOR_RUNNING = {"benchmarks", "grafana", "tools"}
"""Packages of the project that only its developers, their measurements and their dashboards use."""
COMPILE = ("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", ".")
"""Arguments of the interpreter in the Dockerfile."""
EXTRAS = {"chat", "redeem"}
"""Extras of pyproject.toml that the image has."""
RELEASE = ROOT / "docs" / "release.md"


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".env.live",
        ".env.example",
        ".git/config",
        ".venv/lib/python3.12/site-packages/httpx/__init__.py",
        "backup.tar.gz",
        "common/__pycache__/atomic_file.cpython-312.pyc",
        "data_sources/test.py",
        "docs/deployment.md",
        "learning_state.json",
        "logs/bot.log",
        "paper_trades.json",
        "recordings/polymarket/0.jsonl.zst",
        "state/live/ledger.sqlite",
        "state/synthetic/venue/wallet.json",
        "test.py",
        "tests/bot_process.py",
    ],
)
def test_no_key_no_state_and_no_test_gets_into_the_image(path):
    """Files with keys, accounts or results, and what running does not need, are not copied."""
    assert not image.included(PurePosixPath(path))


@pytest.mark.parametrize(
    "path", ["runner.py", "venue/data/books.parquet", "monitoring/report/html.py", "requirements.lock"]
)
def test_the_program_gets_into_the_image(path):
    """Programs, their packages with data, and the lock that `--doctor` compares with are copied."""
    assert image.included(PurePosixPath(path))


def test_no_package_of_the_program_is_missing():
    """Every first-party module of pyproject.toml is copied, except those that only developers use."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["deptry"]["known_first_party"]
    copied = {path.parts[0].removesuffix(".py") for path in image.context() if path.suffix == ".py"}
    assert set(declared) - copied == NOT_FOR_RUNNING


def test_the_base_is_pinned_and_the_user_is_not_root():
    """Both stages use one base image with a whole version, and the program runs as another user than root."""
    assert re.fullmatch(
        r"PYTHON_IMAGE=python:3\.12\.\d+-slim-bookworm(@sha256:[0-9a-f]{64})?", image.arguments("ARG")[0]
    )
    assert image.arguments("FROM") == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]
    assert image.arguments("USER") == ["10001:10001"]
    assert any("useradd --uid 10001" in text for text in image.arguments("RUN"))
    assert any("--require-hashes" in text and image.LOCK.name in text for text in image.arguments("RUN"))
    assert any(text.endswith(" ".join(("python", *COMPILE))) for text in image.arguments("RUN"))


def test_the_settings_of_the_image_are_on_its_volumes():
    """Every folder and file that a bot writes to is on a volume: the rest of the container is read-only."""
    names = {name.upper() for name, field in Settings.model_fields.items() if field.annotation is Path}
    paths = {name: value for name, value in image.environment().items() if name in names}
    assert paths.keys() == names
    assert all(any(value.startswith(folder) for folder in image.volumes()) for value in paths.values())


def test_the_linter_accepts_the_dockerfile():
    """hadolint has nothing to report, not even an advice on style."""
    if not HADOLINT.is_file():
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        [HADOLINT, "--failure-threshold", "style", image.DOCKERFILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_linter_notices_a_mistake(tmp_path):
    """A package without a version in the same file is reported."""
    if not HADOLINT.is_file():
        pytest.skip("hadolint is not installed")
    worse = tmp_path / "Dockerfile"
    worse.write_text(
        image.DOCKERFILE.read_text().replace("USER 10001:10001", "USER root\nRUN pip install httpx")
    )
    done = subprocess.run([HADOLINT, worse], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "DL3013" in done.stdout
    assert "DL3002" in done.stdout


# --- the packages ----------------------------------------------------------------------------------


def needed(requirement: Requirement, found: dict[str, set[str]]) -> None:
    """Add a requirement, and what it requires on this machine, to the names with their extras."""
    name = re.sub(r"[-_.]+", "-", requirement.name).lower()
    if name in found and requirement.extras <= found[name]:
        return
    found[name] = found.get(name, set()) | requirement.extras
    for text in distribution(name).requires or []:
        inner = Requirement(text)
        extras = ("", *requirement.extras)
        if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
            needed(inner, found)


def test_the_image_has_the_locked_packages_that_running_needs():
    """Each is in requirements.lock with the same version and hashes, none is missing, and no developer's tool
    is there. The checklist of a release makes the file with the same extras."""
    runtime, whole = image.locked_packages(), image.locked_packages(ROOT / "requirements.lock")
    assert {name: whole.get(name) for name in runtime} == runtime
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    command = next(line for line in RELEASE.read_text().splitlines() if f"-o {image.LOCK.name}" in line)
    assert set(re.findall(r"--extra (\w+)", command)) == EXTRAS
    wanted: dict[str, set[str]] = {}
    for text in (*project["dependencies"], *(text for name in EXTRAS for text in extras[name])):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate():
            needed(requirement, wanted)
    assert wanted.keys() - runtime.keys() == set()
    # pytest is there: poly_eip712_structs, which py-clob-client needs, declares it as a requirement.
    assert not runtime.keys() & {"ruff", "basedpyright", "hypothesis", "mutmut", "distributed"}


# --- a bot from the image's files and packages -----------------------------------------------------


def make_environment(folder: Path) -> Path:
    """Make an environment with the packages of the image and no others; returns its interpreter.

    The packages are linked from the environment of the tests.
    """
    here, library = (
        Path(sys.executable).parent,
        Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}"),
    )
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to((here / "python").resolve())
    shutil.copy(here.parent / "pyvenv.cfg", folder)
    for name in image.locked_packages():
        try:
            own = distribution(name).files or []
        except PackageNotFoundError:
            continue  # for another platform
        for file in own:
            if ".." not in file.parts and file.suffix != ".pyc":
                link(file.locate(), folder / library / "site-packages" / file)
    return folder / "bin" / "python"


def link(source: Path, target: Path) -> None:
    """Link a file of a package, and its compiled form, which is valid for the same source."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():  # two packages have a file of the same name
        target.symlink_to(source)
    compiled = Path(cache_from_source(source)) if source.suffix == ".py" else None
    if compiled is not None and compiled.is_file():
        link(compiled, target.parent / "__pycache__" / compiled.name)


def files(folder: Path) -> set[Path]:
    """All files below a folder."""
    return {path for path in folder.rglob("*") if path.is_file()}


def ended(process: subprocess.Popen, seconds: float) -> bool:
    """Wait for a limited time; whether the process has ended."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def is_healthy(app: Path, environment: dict[str, str], port: int) -> tuple[bool, str]:
    """Run the health check of the image, at the port of this test."""
    done = subprocess.run(
        [*image.health_check(), f"http://127.0.0.1:{port}/health"],
        cwd=app,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_bot_runs_from_the_files_and_packages_of_the_image(tmp_path, free_port):
    """With the copied files, locked packages and variables of the image alone, the entry point runs a market.

    The health check fails before the start and passes during the run, and only the volumes are written.
    """
    app = tmp_path / "app"
    image.copy_context(app)
    interpreter = make_environment(tmp_path / "venv")
    subprocess.run([interpreter, *COMPILE], cwd=app, check=True)
    before = files(app)
    environment = {
        name: str(tmp_path) + value if value.startswith("/var/") else value
        for name, value in image.environment().items()
    }
    environment |= {
        "PATH": f"{interpreter.parent}:{os.defpath}",
        "GRAFANA_PORT": str(free_port),
        "REDIS_PORT": "1",
        "HOME": str(tmp_path / "home"),
    }
    healthy, answer = is_healthy(app, environment, free_port)
    assert (healthy, "does not answer" in answer) == (False, True)
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [*image.entrypoint(), "--test-mode", "--markets", "1"],
            cwd=app,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            while not healthy and not ended(process, 0.5):
                healthy, answer = is_healthy(app, environment, free_port)
            code = process.wait(180)
        finally:
            process.kill()
            process.wait()
    seen = (tmp_path / "output").read_text()
    assert (code, healthy) == (0, True), f"{answer}\n{seen}"
    assert "Conclusion" in seen
    assert files(app) == before
    assert (tmp_path / "var/lib/polymarket-bot/state/mixed/ledger.sqlite").is_file()
    assert (tmp_path / "var/log/polymarket-bot/bot.log").is_file()
    assert not (tmp_path / "home").exists()
