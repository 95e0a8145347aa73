"""N(ε) of a ground state, from the bands that pw.x left on its dense grid of k for ph.x."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from megabar.structures.errors import InputError
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.electrons import AT_FERMI, ENERGY, MISSING, STATES

BIN_EV = 0.02
DEEPEST_EV = 30.0
"""How far below E_F states are kept: deeper ones are cores, which pair nothing."""


def density_of_states_of(
    folder: Path, structure: Structure, output: str
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return N(ε) as arrays by name, and what to say of it, from the a2Fsave in a folder and the output of pw.x.

    Up to the energy above which bands are missing; E_F is where the electrons of the cell fill the states below. Where
    the bands cannot be read there is no array, and ``dos_missing`` says why: λ and Tc do not stand on N(ε).
    """
    try:
        return _density_of_states(folder, structure, output)
    except InputError as error:
        return {}, {MISSING: str(error)}


def _density_of_states(
    folder: Path, structure: Structure, output: str
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    from megabar.analysis.superconductivity.readers.espresso_bands import read_bands
    from megabar.analysis.superconductivity.tetrahedra import density_of_states, fermi_energy

    electrons = re.search(r"number of electrons\s*=\s*(\S+)", output)
    if electrons is None:
        raise InputError("pw.x does not say how many electrons there are")
    bands = read_bands(folder / "pwscf.a2Fsave", np.array(structure.cell))
    fermi = fermi_energy(bands, float(electrons[1]))
    below = min(fermi - float(bands.energy_eV.min()), DEEPEST_EV)
    steps = np.arange(-int(below / BIN_EV) - 1, int((bands.complete_to_eV - fermi) / BIN_EV) + 1)
    energy = np.asarray(steps * BIN_EV, np.float64)
    states = density_of_states(bands, fermi + energy, BIN_EV)
    facts = {
        "fermi_dense_eV": round(float(fermi), 4),
        AT_FERMI: round(float(np.interp(0.0, energy, states)), 5),
        "dos_complete_to_eV": round(float(bands.complete_to_eV - fermi), 3),
    }
    return {ENERGY: energy, STATES: states}, facts
