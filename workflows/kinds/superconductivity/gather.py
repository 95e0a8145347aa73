"""The q-points of a study at one pressure put together: coupling on the grid, and on the coarser one within it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.elph import ElectronPhonon
from megabar.analysis.superconductivity.readers.espresso_elph import QFiles, assemble
from megabar.workflows.kinds.superconductivity.grids import Grid, on_grid

Files = Mapping[str, NDArray[np.uint8]]
_COUPLING = re.compile(r"elph\.inp_lambda\.(\d+)$")
ELPH = "elph_dir"


def write_files(points: Sequence[Files], folder: Path) -> None:
    """Write the files of q-points into a folder as ph.x would leave them; what else a folder holds stays."""
    (folder / ELPH).mkdir(parents=True, exist_ok=True)
    for files in points:
        for name, content in files.items():
            inner = folder / ELPH if name.startswith(("elph.", "a2Fq2r.")) else folder
            (inner / name).write_bytes(content.tobytes())


def gathered(
    points: Sequence[tuple[Files, Sequence[float]]], grid: Grid, coarse: Grid | None, source: str
) -> tuple[ElectronPhonon, ElectronPhonon | None]:
    """Return the coupling on a grid of q, and on a coarser one that lies within it (None where there is none).

    points: of every q-point its files by name and its q (fractions). Raises InputError where they do not belong
    together or some are missing.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files([files for files, _ in points], folder)
        found = [(_q_files(files, folder), q) for files, q in points]
        found.sort(key=lambda each: each[0].number)
        whole = assemble([each for each, _ in found], source, prod(grid))
        if coarse is None:
            return whole, None
        within = [each for each, q in found if on_grid(q, coarse)]
        return whole, assemble(within, f"{source}, q {'×'.join(map(str, coarse))}", prod(coarse))


def _q_files(files: Files, folder: Path) -> QFiles:
    number = next(int(match[1]) for name in files if (match := _COUPLING.search(name)))
    gamma = tuple(folder / ELPH / name for name in sorted(files) if name.startswith("a2Fq2r."))
    return QFiles(number, folder / ELPH / f"elph.inp_lambda.{number}", folder / f"dyn{number}", gamma)
