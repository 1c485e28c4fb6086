"""Backs up the state folder into one file, checks such a file, and restores it.

A backup has every file of the state folder except locks and temporary files, and a list with their sizes and
SHA-256 sums. Databases are copied with SQLite's own backup, so that a running bot may go on.
"""

if __name__ == "__main__":
    import sys
    from os.path import dirname

    sys.path.insert(0, dirname(__file__))  # PYTHONSAFEPATH leaves it out
    from bootstrap import ensure_environment

    ensure_environment("state_backup.py")

import argparse
import hashlib
import io
import os
import sqlite3
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import msgspec

from common.atomic_file import create_private_files, open_private
from config import VERSION, load_settings
from control.locks import holder, state_lock
from errors import BotError, Fatal
from monitoring.terminal import print_error, replace_unencodable

MANIFEST = "backup.json"
DATABASES = (".sqlite", ".sqlite3")
LEFT_OUT = (".lock", ".tmp", "-wal", "-shm", "-journal")
"""Ends of names that a restored folder does not need: locks, drafts, and what SQLite's backup has merged."""


class StoredFile(msgspec.Struct, frozen=True):
    """One file of a backup; the path is relative to the state folder, with `/`."""

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup has."""

    created: datetime
    version: str
    files: list[StoredFile]


def create(state: Path, target: Path) -> Manifest:
    """Write a backup of a state folder.

    Raises
    ------
    Fatal
        If the folder has no files, or the target exists or cannot be written; no part of it is then left.
    """
    paths = sorted(path for path in state.rglob("*") if path.is_file() and not path.name.endswith(LEFT_OUT))
    if not paths:
        raise Fatal(f"{state} has no files", "Name the folder with --state, or STATE_DIR in .env")
    if target.exists():
        raise Fatal(f"{target} exists", "Name another file; a backup is never replaced")
    files: list[StoredFile] = []
    draft = target.with_name(f".{target.name}.tmp")
    try:
        with open(draft, "wb", opener=open_private) as raw:
            with tarfile.open(fileobj=raw, mode="w:gz") as archive:
                for path in paths:
                    name = path.relative_to(state).as_posix()
                    content = _content(path)
                    if content is None:
                        continue
                    files.append(StoredFile(name, len(content), hashlib.sha256(content).hexdigest()))
                    _add(archive, name, content)
                manifest = Manifest(datetime.now(UTC), VERSION, files)
                _add(archive, MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            raw.flush()
            os.fsync(raw.fileno())
        check(draft)
        draft.replace(target)
    except OSError as error:
        raise Fatal(f"{target} cannot be written: {error.strerror or error}", "Choose another file") from None
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def check(backup: Path) -> Manifest:
    """Read a whole backup: every listed file is there with its sum, and every database is intact.

    Raises
    ------
    Fatal
        Naming the file that is missing, different or damaged.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return _extract(backup, Path(scratch))


def restore(backup: Path, state: Path) -> Manifest:
    """Check a backup and put it in the place of an empty or missing state folder.

    Raises
    ------
    Fatal
        If the folder has files or a bot runs on it; it is then unchanged.
    """
    if (who := holder(state_lock(state))) is not None:
        raise Fatal(f"{who} runs on {state}", "Stop it first")
    if state.is_dir() and any(path.name != state_lock(state).name for path in state.iterdir()):
        raise Fatal(f"{state} has files", "Move it away first, or name another folder with --state")
    draft = state.with_name(f".{state.name}.restore")
    try:
        draft.mkdir(parents=True, mode=0o700)
        manifest = _extract(backup, draft)
        if state.is_dir():
            state_lock(state).unlink(missing_ok=True)
            state.rmdir()
        draft.rename(state)
    except OSError as error:
        raise Fatal(f"{state} cannot be restored: {error.strerror or error}", f"Remove {draft}") from None
    finally:
        _remove(draft)
    return manifest


def _content(path: Path) -> bytes | None:
    """The bytes of a file, of a database those of a consistent copy; None if it is gone meanwhile."""
    try:
        if not path.name.endswith(DATABASES):
            return path.read_bytes()
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as source, closing(sqlite3.connect(":memory:")) as copy:
            source.backup(copy)
            return copy.serialize()
    except FileNotFoundError:
        return None
    except sqlite3.Error as error:
        raise Fatal(f"{path} cannot be copied: {error}", "Run python runner.py --doctor") from None


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), 0o600, int(datetime.now(UTC).timestamp())
    archive.addfile(entry, io.BytesIO(content))


def _extract(backup: Path, folder: Path) -> Manifest:
    """Extract into a folder and check everything."""
    next_step = "Use another backup"
    try:
        with tarfile.open(backup, "r:gz") as archive:
            archive.extractall(folder, filter="data")
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (tarfile.TarError, EOFError, msgspec.DecodeError, FileNotFoundError) as error:
        if not backup.exists():
            raise Fatal(f"{backup} does not exist", "Name the file of a backup") from None
        raise Fatal(f"{backup} is not a complete backup: {error}", next_step) from None
    except OSError as error:
        raise Fatal(f"{backup} cannot be read: {error.strerror or error}", next_step) from None
    (folder / MANIFEST).unlink()
    for fault in _faults(folder, manifest):
        raise Fatal(f"{backup}: {fault}", next_step)
    return manifest


def _faults(folder: Path, manifest: Manifest) -> Iterator[str]:
    listed = {file.path for file in manifest.files}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if (name := path.relative_to(folder).as_posix()) not in listed:
            yield f"{name} is not in its list"
    for file in manifest.files:
        path = folder / PurePosixPath(file.path)
        if not path.is_file():
            yield f"{file.path} is missing"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != file.sha256:
            yield f"{file.path} differs from its list"
        elif path.name.endswith(DATABASES) and (result := _integrity(path)) != "ok":
            yield f"{file.path} is damaged: {result}"


def _integrity(path: Path) -> str:
    try:
        with closing(sqlite3.connect(path)) as connection:
            (result,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            return str(result)
    except sqlite3.Error as error:
        return str(error)


def _remove(folder: Path) -> None:
    """Remove a folder that this command made, if it is still there."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with suppress(FileNotFoundError):
        folder.rmdir()


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; bad usage exits with 2."""
    parser = argparse.ArgumentParser(
        prog="python state_backup.py",
        description="Backs up the state folder: ledgers, practice accounts, mode and halts.",
        epilog="The file has the keys of the practice wallets and every trade: only its owner can read it.",
    )
    parser.add_argument("command", choices=("create", "check", "restore"))
    parser.add_argument("file", type=Path, help="the backup, such as state.tar.gz")
    parser.add_argument("--state", type=Path, help="state folder (default: the setting STATE_DIR)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command: 0 done, 1 it failed, 2 bad usage or settings."""
    create_private_files()
    replace_unencodable(sys.stdout)
    given = parse(arguments)
    try:
        if given.command == "check":
            manifest, what = check(given.file), f"{given.file} is complete"
        else:
            state = given.state or load_settings().state_dir
            if given.command == "create":
                manifest, what = create(state, given.file), f"{state} is backed up in {given.file}"
            else:
                manifest, what = restore(given.file, state), f"{state} is restored from {given.file}"
    except BotError as error:
        print_error(error)
        return error.exit_code if isinstance(error, Fatal) else 1
    size = sum(file.size for file in manifest.files)
    print(f"{what}: {len(manifest.files)} files, {size:,} bytes, of {manifest.created:%Y-%m-%d %H:%M} UTC")
    return 0


if __name__ == "__main__":
    sys.exit(main())
