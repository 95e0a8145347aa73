"""Lattice dynamics from the files of phonopy, ph.x and q2r.x: force constants or forces, Born charges; checked."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from megabar.analysis.phonons.harmonic import Array, Harmonic, Polar, harmonic
from megabar.analysis.phonons.readers.born import SUM, polar_in_document, read_born
from megabar.analysis.phonons.readers.cells import Cells, cells_of
from megabar.analysis.phonons.readers.constants import constants_in_document, read_constants
from megabar.analysis.phonons.readers.documents import beside, document_of
from megabar.analysis.phonons.readers.forces import (
    ForceSets,
    check_displacements,
    read_force_sets,
    sets_in_document,
)
from megabar.analysis.phonons.readers.reading import PhononReading
from megabar.analysis.phonons.readers.units import Units, units_of
from megabar.analysis.phonons.spectrum import ZERO_THZ
from megabar.analysis.phonons.sum_rule import Fit, fit_of, sum_rule_eV_A2, symmetrised, translation_THz
from megabar.structures.errors import InputError

DOCUMENTS = ("phonopy_params.yaml", "phonopy_disp.yaml", "phonopy.yaml", "disp.yaml")
"""In the order in which a folder is searched."""
UNEXPLAINED, UNEXPLAINED_RANDOM = 0.2, 0.85
"""Share of the forces that no force constants of the cell explain, from which on they are of another one: of small
displacements of one atom; of many displaced at random, where much may be anharmonic."""
LARGE_DRIFT, DRIFT = 0.3, 0.01
SEEN = 0.05


def read_phonons(source: str | Path) -> PhononReading:
    """Return the crystal of a document of phonopy, or of a folder with one, and what is beside it; or that of ph.x's.

    A document: phonopy_params.yaml, phonopy.yaml, phonopy_disp.yaml, disp.yaml. What it lacks of forces, force
    constants and Born charges is read from FORCE_CONSTANTS, force_constants.hdf5, FORCE_SETS and BORN beside it.
    A folder without one that has dyn files of ph.x, and a file of q2r.x, are read as these.
    Raises InputError, which names the file, for what contradicts itself.
    """
    named = Path(source)
    if _of_espresso(named):
        return _espresso(named)
    path = _document_path(named)
    document = document_of(path)
    units = units_of(document, path)
    cells = cells_of(document, path, units)
    asked = sets_in_document(document, path, cells, units)
    constants, sets, origin, notes = _data(document, path, cells, units, asked)
    if "phonopy" not in document and "physical_unit" not in document:
        notes.append(f"{path.name} does not say its units: Å and eV/Å were taken, those of VASP")
    polar, polar_from = _polar(document, path, cells, units)
    crystal = _crystal(cells, constants, sets, polar)
    crystal, other, more = _with_sum_rule(crystal, constants is not None, origin)
    fit = None
    if sets is not None and sets.forces_eV_A is not None:
        fit = fit_of(crystal, sets.displacements_A, sets.forces_eV_A)
        more += _judged(fit, sets, origin)
    notes += more + _polar_notes(crystal, polar_from)
    pressure = _pressure(document, path)
    return PhononReading(named, units.code, crystal, pressure, origin, polar_from, fit, other, tuple(notes))


def _of_espresso(source: Path) -> bool:
    from megabar.analysis.phonons.readers.espresso import is_espresso

    if source.is_dir() and any((source / name).exists() for name in DOCUMENTS):
        return False
    return source.exists() and source.suffix.lower() not in (".yaml", ".yml") and is_espresso(source)


def _espresso(source: Path) -> PhononReading:
    from megabar.analysis.phonons.readers.espresso import read_espresso

    crystal = read_espresso(source)
    notes = _polar_notes(crystal, source if crystal.polar is not None else None)
    return PhononReading(
        source=source,
        code="qe",
        harmonic=crystal,
        pressure_GPa=None,
        constants_from=source,
        polar_from=source if crystal.polar is not None else None,
        fit=None,
        other=read_espresso(source, sum_rule=False),
        notes=tuple(notes),
    )


def _document_path(source: Path) -> Path:
    if source.is_dir():
        found = beside(source, *DOCUMENTS)
        if found is None:
            raise InputError(
                f"{source}: there is none of {', '.join(DOCUMENTS)} in this folder; `phonopy-init` writes "
                "phonopy_disp.yaml"
            )
        return found
    if source.name.startswith(("FORCE_", "force_constants", "BORN")):
        raise InputError(f"{source}: it holds no cell; give the folder, with the phonopy_disp.yaml that belongs to it")
    return source


def _data(
    document: Mapping[str, Any], path: Path, cells: Cells, units: Units, asked: ForceSets | None
) -> tuple[Array | None, ForceSets | None, Path, list[str]]:
    """Return force constants, forces, the file that decides, and notes: in phonopy's order of preference."""
    folder = path.parent
    notes: list[str] = []
    constants = constants_in_document(document, path, cells, units)
    if constants is not None:
        return constants, asked if asked is not None and asked.forces_eV_A is not None else None, path, notes
    if asked is not None and asked.forces_eV_A is not None:
        return None, asked, path, notes
    file, forces = beside(folder, "FORCE_CONSTANTS", "force_constants.hdf5"), beside(folder, "FORCE_SETS")
    sets = None
    if forces is not None:
        sets = read_force_sets(forces, cells, units)
        fewer = check_displacements(sets, asked)
        notes += [fewer] if fewer else []
    if file is not None:
        if forces is not None:
            notes.append(f"{file.name} is used, as phonopy does; {forces.name} beside it is compared with it")
        return read_constants(file, cells, units), sets, file, notes
    if sets is None or forces is None:
        raise InputError(
            f"{path}: it holds neither forces nor force constants, and neither FORCE_SETS, FORCE_CONSTANTS nor "
            "force_constants.hdf5 is beside it; `phonopy-init -f` collects forces into FORCE_SETS"
        )
    return None, sets, forces, notes


def _polar(document: Mapping[str, Any], path: Path, cells: Cells, units: Units) -> tuple[Polar | None, Path | None]:
    found = polar_in_document(document, path, cells, units)
    if found is not None:
        return found, path
    file = beside(path.parent, "BORN")
    return (None, None) if file is None else (read_born(file, cells, units), file)


def _crystal(cells: Cells, constants: Array | None, sets: ForceSets | None, polar: Polar | None) -> Harmonic:
    if constants is not None:
        return Harmonic(cells.cell, cells.supercell_matrix, cells.primitive_matrix, constants, polar)
    assert sets is not None and sets.forces_eV_A is not None
    try:
        return harmonic(
            cells.cell, cells.supercell_matrix, cells.primitive_matrix, sets.displacements_A, sets.forces_eV_A, polar
        )
    except InputError as error:
        raise InputError(f"{sets.source}: {error}") from None


def _with_sum_rule(crystal: Harmonic, read: bool, origin: Path) -> tuple[Harmonic, Harmonic | None, list[str]]:
    """Return force constants that were read as they are, or with the sum rule where translations are no zeros."""
    if not read:
        return crystal, None, []
    better = symmetrised(crystal)
    off = translation_THz(crystal)
    if off <= ZERO_THZ:
        return crystal, better, []
    note = (
        f"{origin.name}: a shift of the whole crystal has {off:.3g} THz (forces of {sum_rule_eV_A2(crystal):.2g} "
        "eV/Å²), which must be zero: sum rule and symmetry were imposed, and by how much that moves the results is "
        "in their errors"
    )
    return better, crystal, [note]


def _judged(fit: Fit, sets: ForceSets, origin: Path) -> list[str]:
    """Return notes on forces that do not fit; InputError where they cannot be of this cell."""
    name, notes = sets.source, []
    other = f" and {origin.name}" if origin != sets.source else ""
    if fit.drift > LARGE_DRIFT:
        raise InputError(
            f"{name}: the forces of a supercell sum to {fit.drift:.0%} of their size an atom, and must sum to zero: "
            "forces are missing or of something else"
        )
    limit = UNEXPLAINED if sets.single else UNEXPLAINED_RANDOM
    if fit.residual > limit and fit.at_rest:
        raise InputError(
            f"{name}{other}: {fit.residual:.0%} of the forces are explained by no force constants of this cell: "
            "forces of another supercell, or atoms in another order"
        )
    if fit.residual > limit:
        raise InputError(
            f"{name}: forces of up to {fit.rest_eV_A:.2g} eV/Å are the same in all supercells, whatever is "
            "displaced: the structure is not relaxed"
        )
    if fit.residual > SEEN and not fit.at_rest:
        notes.append(
            f"forces of up to {fit.rest_eV_A:.2g} eV/Å ({fit.residual:.0%}) are the same in all supercells: the "
            "structure is not quite relaxed"
        )
    elif fit.residual > SEEN:
        notes.append(f"{fit.residual:.0%} of the forces are not harmonic: large displacements, or noise")
    if fit.drift > DRIFT:
        notes.append(f"the forces of a supercell sum to {fit.drift:.1%} of their size an atom (they should to zero)")
    return notes


def _polar_notes(crystal: Harmonic, polar_from: Path | None) -> list[str]:
    if crystal.polar is None:
        if len(set(crystal.cell.get_chemical_symbols())) > 1:
            return [
                "no Born charges are given: if this is an insulator, its longitudinal modes near Γ are too low "
                "(BORN beside the file, or `nac` in it)"
            ]
        return []
    largest = float(abs(crystal.polar.born).max())
    if crystal.polar.drift > SUM * largest:
        name = polar_from.name if polar_from is not None else "nac"
        return [
            f"{name}: the Born charges sum to {crystal.polar.drift:.2g} e over the primitive cell; the sum was removed"
        ]
    return []


def _pressure(document: Mapping[str, Any], path: Path) -> float | None:
    """Return the pressure (GPa) of a document that says it, as those do that are written here."""
    said = document.get("pressure_GPa")
    if said is None:
        return None
    try:
        found = float(said)
    except (TypeError, ValueError):
        found = float("nan")
    if not isfinite(found):
        raise InputError(f"{path}: pressure_GPa is {said!r}; a number is right")
    return found
