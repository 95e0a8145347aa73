"""What pw.x may start from: the files that a run before left, used only where they are as that run left them.

A note beside them holds their hashes and what they belong to; it is written after pw.x has ended by itself, so that a
run killed while writing leaves none. Three starts follow:

``stopped``  the very run that was told to stop goes on (``restart_mode = 'restart'``: density, wavefunctions, mixing
             history, iteration): same geometry, same parallel layout, same path settings. The iteration in which it
             stopped is begun again: k-points that it had done already are not trusted.
``density``  the charge density of a run on the same atoms in nearly the same cell (``startingpot = 'file'``).
``atoms``    superposed atomic densities, where there is nothing better.

Whichever it is, pw.x iterates to the same threshold; the start decides how long that takes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.files import read_json, sha256_of_file, write_json

NOTE = "restart.json"
OUT = Path("out")
SAVE = OUT / "pwscf.save"
DENSITIES = ("charge-density.dat", "charge-density.hdf5")
LARGEST_STRAIN = 0.1
SAME_A = 1e-8


def note_density(folder: Path, atoms: Atoms, identity: str) -> None:
    """Note that the density in a folder is of these atoms.

    identity: stands for everything else that the density depends on (settings, pseudopotentials).
    """
    density = _density(folder)
    if density is None:
        (folder / NOTE).unlink(missing_ok=True)
    else:
        _write(folder, [density], atoms, {"identity": identity})


def note_stopped(folder: Path, atoms: Atoms, identity: str, layout: Mapping[str, Any], iterations: int) -> None:
    """Note that pw.x stopped by itself in mid-run and left all that it needs to go on.

    layout: what must be the same for that: the command line and the path settings.
    iterations: self-consistent steps done.
    """
    density = _density(folder)
    if density is None:
        (folder / NOTE).unlink(missing_ok=True)
        return
    for path in (folder / OUT).glob("pwscf.restart_k*"):
        path.unlink()
    files = [density, SAVE / "data-file-schema.xml", *_scratch(folder)]
    content = {"identity": identity, "layout": dict(layout), "iterations": iterations}
    _write(folder, [each for each in files if (folder / each).is_file()], atoms, content)


def start_of(folder: Path, atoms: Atoms, identity: str, layout: Mapping[str, Any]) -> tuple[str, int]:
    """Return what a run can start from, and the self-consistent steps that it has done already.

    Raises CalculationFailed (``restart-damaged``) where a file is not as it was left.
    """
    note = read_json(folder / NOTE)
    if not isinstance(note, dict) or note.get("identity") != identity or note["symbols"] != list(atoms.symbols):
        return "atoms", 0
    strain = np.linalg.solve(np.array(note["cell"]), atoms.cell.array) - np.eye(3)
    if np.abs(strain).max() > LARGEST_STRAIN:
        return "atoms", 0
    for name, digest in note["files"].items():
        if sha256_of_file(folder / name, "gone") != digest:
            raise CalculationFailed("restart-damaged", f"{name} is not as the run before left it")
    same_cell = np.abs(atoms.cell.array - np.array(note["cell"])).max() < SAME_A
    same_places = np.abs(atoms.positions - np.array(note["positions"])).max() < SAME_A
    if same_cell and same_places and note.get("layout") == dict(layout):
        return "stopped", int(note["iterations"])
    return "density", 0


def prepare_start(folder: Path, start: str) -> None:
    """Leave in a folder what a start needs and nothing else; a note of the density remains while pw.x runs.

    pw.x overwrites the density only when it ends, so that a run killed before has still that of the run before it.
    """
    if start == "atoms":
        (folder / NOTE).unlink(missing_ok=True)
        shutil.rmtree(folder / OUT, ignore_errors=True)
        return
    note = read_json(folder / NOTE) or {}
    density = str(_density(folder))
    kept = {name: value for name, value in note.items() if name not in ("layout", "iterations")}
    write_json(folder / NOTE, {**kept, "files": {density: note["files"][density]}})
    if start == "density":
        remove_scratch(folder)


def forget_files(folder: Path) -> None:
    """Let the next run start from atoms."""
    (folder / NOTE).unlink(missing_ok=True)


def remove_scratch(folder: Path) -> None:
    """Remove wavefunctions and mixing history: they are the bulk of what pw.x leaves, and serve no other run."""
    for name in (*_scratch(folder), *(each.relative_to(folder) for each in (folder / SAVE).glob("wfc*"))):
        (folder / name).unlink(missing_ok=True)


def _scratch(folder: Path) -> list[Path]:
    return sorted(each.relative_to(folder) for each in (folder / OUT).glob("pwscf.*") if each.is_file())


def _density(folder: Path) -> Path | None:
    return next((SAVE / name for name in DENSITIES if (folder / SAVE / name).is_file()), None)


def _write(folder: Path, files: Iterable[Path], atoms: Atoms, content: Mapping[str, Any]) -> None:
    note = {
        **content,
        "files": {str(name): sha256_of_file(folder / name, "gone") for name in files},
        "symbols": list(atoms.symbols),
        "cell": atoms.cell.array.tolist(),
        "positions": atoms.positions.tolist(),
    }
    write_json(folder / NOTE, note)
