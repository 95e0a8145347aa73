"""A crystal as phonopy_params.yaml, which phonopy-load and megabar read back."""

from __future__ import annotations

from pathlib import Path

from megabar.analysis.phonons.harmonic import Harmonic
from megabar.structures.errors import InputError


def write_params(crystal: Harmonic, path: Path, pressure_GPa: float | None = None) -> None:
    """Write a crystal as phonopy_params.yaml: cells, force constants (eV/Å²), Born charges.

    pressure_GPa: written as a key of ours, which phonopy passes over. InputError where the file cannot be written.
    """
    try:
        crystal.phonopy.save(path, settings={"force_constants": True, "force_sets": False, "displacements": False})
        if pressure_GPa is not None:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"\npressure_GPa: {float(pressure_GPa)!r}\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error})") from None
