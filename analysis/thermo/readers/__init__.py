"""Readers of free energies that others computed; `read_free_energies` finds out whose files they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from numpy.typing import ArrayLike

from megabar.analysis.thermo.readers.phonopy_qha import MARK, is_energies, number_of, read_phonopy_qha
from megabar.analysis.thermo.readers.qha_input import is_qha_input, read_qha_input
from megabar.analysis.thermo.readers.qha_settings import is_settings, read_qha_settings
from megabar.analysis.thermo.readers.reading import ThermalReading, numbers_in, text_of
from megabar.structures.errors import InputError

WHAT = (
    "what is read: e-v.dat with the thermal_properties.yaml of each volume (the input of phonopy-qha), a folder with "
    "them, or the input or settings.yaml of qha"
)


def read_free_energies(
    paths: Sequence[str | Path], electronic: str | Path | None = None, temperatures_K: ArrayLike | None = None
) -> ThermalReading:
    """Return F(V,T) of files of phonopy-qha (in any order, or their folder) or of qha.

    electronic: fe-v.dat, for phonopy-qha. temperatures_K: wanted of frequencies, which themselves have none.
    Raises InputError for files that are none of these, or contradict themselves or each other.
    """
    found = _expanded([Path(path) for path in paths])
    energies, thermal, single = [], [], []
    for path in found:
        text = text_of(path)
        if MARK in text:
            thermal.append(path)
        elif is_energies(text):
            energies.append(path)
        else:
            single.append((path, text))
    if single:
        path, text = single[0]
        reader = read_qha_input if is_qha_input(text) else read_qha_settings if is_settings(text) else None
        if reader is None:
            raise InputError(f"{path}: {_guess(text)}; {WHAT}")
        if len(found) > 1:
            raise InputError(f"{path}: an input of qha is read alone, and {len(found)} files are given")
        if electronic is not None:
            raise InputError(f"{electronic}: free energies of electrons go with the files of phonopy-qha only")
        return reader(path, temperatures_K)
    if len(energies) != 1 or not thermal:
        raise InputError(_missing(energies, thermal))
    return read_phonopy_qha(energies[0], thermal, None if electronic is None else Path(electronic))


def _expanded(paths: list[Path]) -> list[Path]:
    """Take the files of phonopy-qha out of a folder."""
    if len(paths) != 1 or not paths[0].is_dir():
        return paths
    folder = paths[0]
    thermal = [path for path in folder.glob("thermal_properties.yaml*") if path.is_file()]
    energies = [path for path in (folder / "e-v.dat", folder / "v-e.dat") if path.is_file()]
    if not thermal or not energies:
        if (folder / "settings.yaml").is_file():
            return [folder / "settings.yaml"]
        raise InputError(f"{folder}: there is no e-v.dat with thermal_properties.yaml-* in this folder; {WHAT}")
    return [energies[0], *sorted(thermal, key=lambda path: (number_of(path) or 0, path.name))]


def _missing(energies: list[Path], thermal: list[Path]) -> str:
    if len(energies) > 1:
        names = " and ".join(path.name for path in energies[:2])
        return (
            f"{energies[0]}: {names} both have two columns, as e-v.dat has; give one (fe-v.dat goes with --electronic)"
        )
    if energies:
        return (
            f"{energies[0]}: static energies have no temperature; give the thermal_properties.yaml of each volume too"
        )
    return f"{thermal[0]}: give e-v.dat too, the volumes (Å³) and the static energies (eV) in two columns"


def _guess(text: str) -> str:
    if "force_constants" in text or "supercell_matrix" in text or "displacements:" in text:
        return "this is a file of phonopy without free energies (`phonopy -t` writes them, one file a volume)"
    rows = numbers_in(text)
    if rows and len(rows[0]) > 2 and len({len(row) for row in rows}) == 1:
        return f"a table of {len(rows[0])} columns; free energies of electrons, fe-v.dat, are given with --electronic"
    return "this is not known here"
