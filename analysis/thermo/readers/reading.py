"""What every reader of free energies returns, and how files are opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.thermo.table import HelmholtzTable
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
SHARE_KEPT = 1e-3
"""Share of the modes that may be imaginary before a volume is left out: artefacts of interpolation near Γ are fewer."""
LEAST_VOLUMES = 4
COMPRESSED = {".xz": "lzma", ".lzma": "lzma", ".gz": "gzip", ".bz2": "bz2"}


@dataclass(frozen=True, eq=False)
class ThermalReading:
    """F(V,T) as some files have it, per cell as they have it.

    path: the file that names it. code: whose files these are. notes: what a reader must know.
    pressures_GPa, asked_K: what the files themselves ask for, where they do.
    """

    path: str
    code: str
    table: HelmholtzTable
    files: int = 1
    notes: tuple[str, ...] = ()
    pressures_GPa: Array | None = None
    asked_K: Array | None = field(default=None)


def text_of(path: Path) -> str:
    """Return the text of a file, decompressed where its name says that it is compressed.

    Raises InputError where there is no such file, it is empty or it is no text.
    """
    from importlib import import_module

    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    opened = import_module(COMPRESSED[path.suffix]).open if path.suffix in COMPRESSED else open
    try:
        with opened(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    except Exception as error:  # lzma has an error of its own, which is no OSError
        raise InputError(f"{path}: cannot be decompressed ({error})") from None
    if b"\0" in content:
        raise InputError(f"{path}: this is no text, so nothing of a phase's free energy can be read from it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if not text.strip():
        raise InputError(f"{path}: the file is empty")
    return str(text.replace("\r\n", "\n").replace("\r", "\n"))


def numbers_in(text: str) -> list[list[float]] | None:
    """Return the rows of numbers in a text without its comments (#), None where something else stands there."""
    rows = []
    for line in text.splitlines():
        words = line.split("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            rows.append([float(word.replace("D", "e").replace("d", "e")) for word in words])
        except ValueError:
            return None
    return rows


def without_imaginary(table: HelmholtzTable, shares: Array, names: list[str]) -> tuple[HelmholtzTable, list[str]]:
    """Leave out the volumes where too many modes are imaginary, and say so; shares: of the modes, at each volume."""
    bad, notes = shares > SHARE_KEPT, []
    if bad.any():
        left = ", ".join(f"{names[i]} ({100 * shares[i]:.2g}% of the modes)" for i in np.flatnonzero(bad))
        if np.count_nonzero(~bad) < LEAST_VOLUMES:
            raise InputError(
                f"imaginary modes in {left} leave {np.count_nonzero(~bad)} volumes: a phase that is not dynamically "
                "stable has no harmonic free energy"
            )
        notes.append(f"left out for its imaginary modes, which have no free energy: {left}")
        table = table.at_volumes(np.flatnonzero(~bad))
    few = (shares > 0.0) & ~bad
    if few.any():
        notes.append(
            f"{np.count_nonzero(few)} volumes have imaginary modes, {100 * shares[few].max():.2g}% of all at most: "
            "they have no part in F"
        )
    return table, notes
