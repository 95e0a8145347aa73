"""What is said of one crystal, as a document: stability, frequencies, thermodynamics, and their errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import units

from megabar.analysis.phonons.errors import Alternatives, alternatives, together
from megabar.analysis.phonons.harmonic import Array, Harmonic
from megabar.analysis.phonons.imaginary import imaginary_modes
from megabar.analysis.phonons.motion import (
    debye_temperatures_K,
    extrapolated,
    mean_square_A2,
    sound_velocity_km_s,
)
from megabar.analysis.phonons.spectrum import LENGTH_A, ZERO_THZ, Spectrum, spectrum
from megabar.analysis.phonons.supercells import shortest_vector
from megabar.structures.errors import InputError

COARSER = 2 / 3
ROOM_K = 300.0
UNCONVERGED = 0.05
"""Shift of a frequency with the supercell, over the highest frequency, from which on it is said."""
GAMMA = 1e-8


@dataclass(frozen=True)
class Asked:
    """What is asked of a crystal.

    q: fractions of the primitive reciprocal vectors. temperatures_K: from 0 on. mesh: numbers of points, None: as dense
    as `LENGTH_A` makes it. velocities: whether group velocities at the q are wanted too.
    """

    q: tuple[tuple[float, float, float], ...] = ((0.0, 0.0, 0.0),)
    temperatures_K: tuple[float, ...] = (ROOM_K,)
    mesh: tuple[int, int, int] | None = None
    velocities: bool = False


def check_asked(asked: Asked) -> None:
    """Raise InputError for temperatures below zero and for meshes without points."""
    cold = [each for each in asked.temperatures_K if not (np.isfinite(each) and each >= 0)]
    if cold:
        raise InputError(f"--temperature is {cold[0]:g}; a temperature is a number of kelvins from 0 on")
    if asked.mesh is not None and min(asked.mesh) < 1:
        raise InputError(f"--mesh is {asked.mesh}; three numbers of points from 1 on are right")


def phonon_document(
    crystal: Harmonic,
    asked: Asked | None = None,
    pressure_GPa: float | None = None,
    other: Harmonic | None = None,
    further: Harmonic | None = None,
) -> dict[str, Any]:
    """Return the JSON-able document of a crystal: keys with units, ``notes`` last.

    other: the same crystal with symmetry imposed, or without, whose difference is an error; further: by atoms that were
    displaced further, likewise. Energies, entropies and
    heat capacities are harmonic and an atom; modes with imaginary frequencies carry none. Raises InputError as
    `check_asked`.
    """
    asked = asked or Asked()
    check_asked(asked)
    found = spectrum(crystal, asked.mesh or LENGTH_A, participation=True)
    coarser = spectrum(crystal, _coarser(found, asked), participation=True)
    otherwise = alternatives(crystal, found, coarser, other, further)
    notes: list[str] = []
    document = _crystal(crystal, pressure_GPa) | {"mesh": list(found.points)}
    document |= _stability(crystal, found, otherwise, notes)
    document |= _zero_point(found, otherwise)
    document |= _frequencies(crystal, asked, otherwise, notes)
    document |= _thermal(crystal, asked, found, coarser, otherwise)
    document |= _debye(crystal, found)
    return document | {"notes": notes}


def _coarser(found: Spectrum, asked: Asked) -> float | tuple[int, int, int]:
    if asked.mesh is None:
        return LENGTH_A * COARSER
    a, b, c = (max(1, round(COARSER * number)) for number in found.points)
    return a, b, c


def _crystal(crystal: Harmonic, pressure_GPa: float | None) -> dict[str, Any]:
    from megabar.structures.composition import formula_text, reduced
    from megabar.structures.symmetry import space_group

    primitive = crystal.primitive
    group = space_group(crystal.cell)
    masses = dict(zip(primitive.get_chemical_symbols(), primitive.get_masses().tolist(), strict=True))
    document: dict[str, Any] = {
        "formula": formula_text(reduced(dict(Counter(crystal.cell.get_chemical_symbols())))),
        "space_group": group.symbol,
        "pressure_GPa": pressure_GPa,
        "volume_A3_per_atom": crystal.volume_A3_per_atom,
        "atoms": len(primitive),
        "species": primitive.get_chemical_symbols(),
        "primitive_cell_A": primitive.cell[:].tolist(),
        "masses_u": masses,
        "supercell_matrix": np.asarray(crystal.supercell_matrix).tolist(),
        "supercell_atoms": len(crystal.phonopy.supercell),
        "supercell_images_A": shortest_vector(np.asarray(crystal.supercell_matrix).T @ crystal.cell.cell.array),
        "polar": crystal.polar is not None,
    }
    if crystal.polar is not None:
        document["dielectric_constant"] = crystal.polar.dielectric.tolist()
        document["born_charges_e"] = crystal.polar.born.tolist()
        document["born_charge_sum_e"] = crystal.polar.drift
    return document


def _stability(crystal: Harmonic, found: Spectrum, otherwise: Alternatives, notes: list[str]) -> dict[str, Any]:
    modes = imaginary_modes(crystal, found)
    if modes:
        notes.append(
            f"{found.imaginary:.2%} of the modes are imaginary and carry no energy, entropy or heat capacity here: "
            "these "
            "are not those of a stable phase"
        )
    if modes and not any(mode.commensurate for mode in modes):
        low = max(float(shift.max()) for shift in otherwise.shifts_THz(crystal, [list(modes[0].q)]).values())
        notes.append(
            "modes are imaginary only at q that do not fit into the supercell, where frequencies are interpolated "
            "(there "
            f"a smaller supercell moves them by up to {low:.2g} THz): a larger supercell tells whether they are real"
        )
    return {
        "stable": not modes,
        "imaginary": [
            {"q": list(mode.q), "frequency_THz": mode.frequency_THz, "commensurate": mode.commensurate}
            for mode in modes
        ],
        "imaginary_share": found.imaginary,
        "lowest_frequency_THz": found.lowest_THz,
        "highest_frequency_THz": float(found.frequencies_THz.max()),
    }


def _zero_point(found: Spectrum, otherwise: Alternatives) -> dict[str, Any]:
    parts = otherwise.zero_point_eV(found)
    return {
        "zero_point_eV_per_atom": found.zero_point_eV_per_atom,
        "zero_point_error_eV_per_atom": together(parts),
        "zero_point_error_parts_eV_per_atom": parts,
    }


def _frequencies(crystal: Harmonic, asked: Asked, otherwise: Alternatives, notes: list[str]) -> dict[str, Any]:
    q = np.array(asked.q, float).reshape(-1, 3)
    modes = crystal.modes(q, velocities=asked.velocities)
    shifts = otherwise.shifts_THz(crystal, q)
    errors = np.sqrt(sum(shift**2 for shift in shifts.values()))
    document: dict[str, Any] = {
        "q": q.tolist(),
        "frequencies_THz": modes.frequencies_THz.tolist(),
        "frequencies_error_THz": np.asarray(errors).tolist(),
    }
    if modes.velocities_km_s is not None:
        document["group_velocities_km_s"] = modes.velocities_km_s.tolist()
    if crystal.polar is not None and any(np.abs(each).max() < GAMMA for each in q):
        document["gamma_limits"] = [
            {
                "direction": direction,
                "frequencies_THz": crystal.modes([0, 0, 0], direction=direction).frequencies_THz[0].tolist(),
            }
            for direction in ([1, 0, 0], [0, 1, 0], [0, 0, 1])
        ]
        notes.append(
            "at Γ itself the frequencies are those without a macroscopic field; gamma_limits has those along the "
            "reciprocal vectors towards Γ, with the longitudinal modes"
        )
    highest = float(modes.frequencies_THz.max())
    worst = max(float(shift.max()) for shift in shifts.values())
    if worst > max(UNCONVERGED * highest, ZERO_THZ):  # at Γ there may be translations alone
        notes.append(
            f"the supercell is too small for these frequencies: in one of two thirds of its size they move by up to "
            f"{worst:.2g} THz"
        )
    return document


def _thermal(
    crystal: Harmonic, asked: Asked, found: Spectrum, coarser: Spectrum, otherwise: Alternatives
) -> dict[str, Any]:
    temperatures = list(asked.temperatures_K)
    thermal = found.thermal(temperatures)
    parts = otherwise.free_energy_eV(found, temperatures)
    fine, coarse = (mean_square_A2(crystal, each, temperatures) for each in (found, coarser))
    points, fewer = int(np.prod(found.points)), int(np.prod(coarser.points))
    moved = extrapolated(fine, coarse, points, fewer) if found.imaginary == 0 else None
    rows = [
        {
            "temperature_K": temperature,
            "free_energy_eV_per_atom": float(thermal.free_energy_eV[i]),
            "free_energy_error_eV_per_atom": together({cause: float(value[i]) for cause, value in parts.items()}),
            "entropy_kB_per_atom": float(thermal.entropy_eV_K[i] / units.kB),
            "heat_capacity_kB_per_atom": float(thermal.heat_capacity_eV_K[i] / units.kB),
            "mean_square_displacement_A2": None if moved is None else _numbers(moved[i]),
        }
        for i, temperature in enumerate(temperatures)
    ]
    return {**rows[0], "temperatures": rows} if rows else {"temperatures": []}


def _numbers(values: Array) -> list[float]:
    return [float(value) for value in values]


def _debye(crystal: Harmonic, found: Spectrum) -> dict[str, Any]:
    values = debye_temperatures_K(crystal, found)
    return {
        "debye_temperature_K": values["high_temperature"],
        "debye_temperature_zero_point_K": values["zero_point"],
        "debye_temperature_sound_K": values["sound"],
        "sound_velocity_km_s": None if found.imaginary > 0 else sound_velocity_km_s(crystal),
    }
