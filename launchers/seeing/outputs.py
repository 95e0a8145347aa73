"""The last lines of what a code wrote in a calculation's folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

NAMES = ("gpaw*.txt", "*.pwo", "CRASH", "run.abo", "INFO.OUT", "OUTCAR", "stdout.txt", "output.log")
"""What the codes, and the process around them, write to be read."""
OTHERWISE = ("relaxation.log",)
READ_BYTES = 20_000
LINES = 8


@dataclass(frozen=True)
class Output:
    """The end of an output file: its name in the folder, its last lines that are not empty."""

    file: str
    lines: tuple[str, ...]


def last_output(folder: Path) -> Output | None:
    """Return the end of the output that was written last, None where there is none or it cannot be read."""
    try:
        files = _written(folder, NAMES) or _written(folder, OTHERWISE)
        if not files:
            return None
        newest = max(files, key=lambda path: path.stat().st_mtime)
        lines = tuple(line.rstrip() for line in _end(newest).splitlines() if line.strip())
    except OSError:
        return None
    return Output(newest.name, lines[-LINES:])


def _written(folder: Path, names: tuple[str, ...]) -> list[Path]:
    return [path for name in names for path in folder.glob(name) if path.stat().st_size > 0]


def _end(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - READ_BYTES))
        return file.read().decode(errors="replace")
