"""Runs one benchmark for `./bot bench` and writes its figures: `python -m benchmarks.one NAME FILE`."""

import importlib
import sys
from pathlib import Path

import msgspec

from benchmarks.registry import BENCHMARKS


def main(name: str, file: str) -> None:
    (benchmark,) = [known for known in BENCHMARKS if known.name == name]
    module = importlib.import_module(f"benchmarks.{benchmark.module}")
    Path(file).write_bytes(msgspec.json.encode(list(module.measure())))


if __name__ == "__main__":
    main(*sys.argv[1:])
