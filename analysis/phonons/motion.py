"""How far atoms move: mean square displacements; how fast sound travels: the Debye temperatures."""

from __future__ import annotations

import numpy as np
from ase import units
from numpy.typing import ArrayLike

from megabar.analysis.phonons.harmonic import Array, Harmonic
from megabar.analysis.phonons.spectrum import THZ, ZERO_THZ, Spectrum

HBAR2_A2_EV_U = units._hbar**2 / (units._amu * units._e) * 1e20
"""ħ² (Å² eV u)."""
SOUND_INV_A = 0.02
"""Length of q (1/Å, with 2π) at which the velocity of sound is read off."""
DIRECTIONS = 200


def mean_square_A2(crystal: Harmonic, found: Spectrum, temperatures_K: ArrayLike) -> Array:
    """Return ⟨u²⟩ (Å², of all three directions together) of the atoms of the primitive cell: (temperatures, atoms).

    ⟨u²⟩ = Σ ħ/(2mω) coth(ħω/2k_BT) |e|² (Wallace, Thermodynamics of Crystals, 1972), averaged over atoms that symmetry
    makes equal, since the mesh has one q of each star. found: with participation. Imaginary modes carry nothing.
    """
    assert found.participation is not None
    energies = THZ * np.where(found.frequencies_THz > ZERO_THZ, found.frequencies_THz, np.inf)
    masses = crystal.primitive.get_masses()
    same = np.asarray(crystal.phonopy.primitive_symmetry.get_map_atoms())
    rows = []
    for temperature in np.atleast_1d(np.asarray(temperatures_K, float)):
        spread = np.ones_like(energies)
        if temperature > 0:
            spread = 1 / np.tanh(np.minimum(energies, 1e6) / (2 * units.kB * temperature))
        modes = found.weights[:, None] * 0.5 * HBAR2_A2_EV_U * spread / energies
        own = np.einsum("qam,qm->a", found.participation, modes) / masses
        rows.append([own[same == kind].mean() for kind in same])
    return np.array(rows)


def extrapolated(fine: Array, coarse: Array, points: int, fewer: int) -> Array:
    """Return ⟨u²⟩ without the error of the mesh: the cell of Γ, which is left out, shrinks with 1/N^⅓.

    points, fewer: of both meshes. A sum over 1/q² misses a share of its integral that goes as the width of a cell.
    """
    one, two = points ** (-1 / 3), fewer ** (-1 / 3)
    return fine if two <= one else fine + (fine - coarse) * one / (two - one)


def debye_temperatures_K(crystal: Harmonic, found: Spectrum) -> dict[str, float | None]:
    """Return Debye temperatures (K) of a spectrum, None where modes are imaginary.

    high_temperature: with the same ⟨ω²⟩, θ² = (5/3) ħ²⟨ω²⟩/k_B²; zero_point: with the same zero-point energy, 9/8 k_B θ
    an atom; sound: with the same velocities of sound, θ = (ħ/k_B)(6π²n)^⅓ v_m (Grimvall, Thermophysical Properties of
    Materials, 1999).
    """
    if found.imaginary > 0:
        return {"high_temperature": None, "zero_point": None, "sound": None}
    squares = (found.weights[:, None] * found.frequencies_THz**2).sum() / (3 * found.atoms)
    velocity = sound_velocity_km_s(crystal)
    sound = None
    if velocity is not None:
        wave = (6 * np.pi**2 / crystal.volume_A3_per_atom) ** (1 / 3)  # 1/Å
        sound = float(THZ * (10 * velocity * wave / (2 * np.pi)) / units.kB)
    return {
        "high_temperature": float(np.sqrt(5 / 3 * squares) * THZ / units.kB),
        "zero_point": float(8 / 9 * found.zero_point_eV_per_atom / units.kB),
        "sound": sound,
    }


def sound_velocity_km_s(crystal: Harmonic) -> float | None:
    """Return v_m (km/s), the velocity of sound, v⁻³ averaged over branches and directions; None where a wave grows."""
    place = np.arange(DIRECTIONS) + 0.5
    up, turn = 1 - 2 * place / DIRECTIONS, np.pi * (1 + 5**0.5) * place  # Fibonacci's lattice on a sphere
    flat = np.sqrt(1 - up**2)
    directions = np.stack([flat * np.cos(turn), flat * np.sin(turn), up], axis=1)
    q = SOUND_INV_A * directions @ crystal.primitive.cell[:].T / (2 * np.pi)
    waves = crystal.modes(q).frequencies_THz[:, :3]
    if not waves.min() > 0:
        return None
    speeds = 2 * np.pi * waves / SOUND_INV_A / 10  # Å THz = 100 m/s
    return float((speeds**-3).mean() ** (-1 / 3))
