"""Other isotopes from the same force constants and electron-phonon matrix elements: no new calculation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.constants import atomic_mass, electron_mass

from megabar.analysis.superconductivity.elph import (
    ElectronPhonon,
    QPoint,
    lambdas_of,
    reading,
    spectrum,
    translations,
)
from megabar.analysis.superconductivity.readers.reading import Reading
from megabar.analysis.superconductivity.units import MEV_PER_RY
from megabar.structures.errors import InputError
from megabar.structures.isotopes import check_isotope

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
RY_MASS_PER_U = atomic_mass / electron_mass / 2
"""Rydberg units of mass (2 mₑ) in one atomic mass unit."""


def with_masses(data: ElectronPhonon, masses_u: Mapping[str, float]) -> ElectronPhonon:
    """Return the coupling with other masses (u) for some species: ``{"H": 2.014}`` makes a deuteride.

    Force constants Φ(q) and matrix elements G(q) do not depend on mass (harmonic, Born-Oppenheimer): D = M^-½ Φ M^-½
    is diagonalised again and λ_ν = e† M^-½ G M^-½ e/(2Nω²). Where G is not known (no a2Fq2r files), it is taken to be
    diagonal in the old modes: λ as a whole is kept then too, but not exactly its distribution over the modes.
    Raises InputError for a species that is not there or a mass that is none.
    """
    for species, mass in masses_u.items():
        if species not in data.species:
            there = ", ".join(dict.fromkeys(data.species))
            raise InputError(f"{data.source}: there is no {species} in it (it has {there})")
        check_isotope(species, mass, data.source)
    pairs = zip(data.species, data.masses, strict=True)
    masses = np.array([masses_u[each] * RY_MASS_PER_U if each in masses_u else mass for each, mass in pairs])
    notes = data.notes
    if any(point.coupling is None for point in data.points):
        notes += ("isotopes: the matrix elements were taken to be diagonal in the modes (there are no a2Fq2r files)",)
    points = tuple(_point(point, data.masses, masses, data.dos_per_Ry) for point in data.points)
    return replace(data, points=points, masses=masses, notes=notes)


def isotope_reading(data: ElectronPhonon, natural: Reading, masses_u: Mapping[str, float]) -> Reading:
    """Return the spectra with other masses (u), at the smearing that is quoted of the natural ones.

    μ* goes with the energy that it is referred to, and the repulsion between electrons knows nothing of masses: see
    `natural_reference_meV`. Raises InputError as `with_masses`.
    """
    found, reference = reading(with_masses(data, masses_u)), natural_reference_meV(natural)
    note = (
        f"isotopes: μ* is referred to the highest frequency of the natural masses, {reference:.4g} meV, unless another "
        "energy is asked for: it is one of electrons"
    )
    return replace(
        found,
        chosen=natural.chosen,
        why=natural.why,
        around=natural.around,
        notes=(*found.notes, note),
        mu_ref_meV=reference,
    )


def natural_reference_meV(natural: Reading) -> float:
    """Return the energy (meV) that μ* of all isotopes is referred to where none is given: ω_max of natural masses."""
    return natural.spectrum.omega_max_meV


def substitution_exponents(
    data: ElectronPhonon, natural: Reading, masses_u: Mapping[str, float], mu_star: float, reference_meV: float
) -> dict[str, float]:
    """Return −ln(Tc′/Tc)/ln(m′/m) of each species, its mass alone being changed; absent without a Tc or a change.

    Tc by the linearised Eliashberg equations at the smearing quoted, μ* with its reference kept.
    """
    from megabar.analysis.superconductivity.eliashberg.linearised import critical_temperature

    before = critical_temperature(natural.spectrum, mu_star, reference_meV)
    found = {}
    for species, mass in masses_u.items():
        usual = float(data.masses[data.species.index(species)]) / RY_MASS_PER_U
        after = critical_temperature(
            spectrum(with_masses(data, {species: mass}), natural.chosen), mu_star, reference_meV
        )
        if before > 0 and after > 0 and abs(mass / usual - 1) > 1e-6:
            found[species] = float(-np.log(after / before) / np.log(mass / usual))
    return found


def _point(point: QPoint, old: Array, new: Array, dos_per_Ry: Array) -> QPoint:
    root = np.sqrt(np.repeat(new, 3))
    squares, vectors = np.linalg.eigh(point.force_constants / (root[:, None] * root))
    matrices = point.coupling if point.coupling is not None else _diagonal(point, old, dos_per_Ry)
    shifts = translations(vectors, new) if point.translation.any() else point.translation
    return replace(
        point,
        omega_meV=np.sign(squares) * np.sqrt(np.abs(squares)) * MEV_PER_RY,
        lambda_=np.where(shifts, 0.0, lambdas_of(matrices, new, vectors, squares, dos_per_Ry)),
        eigenvectors=vectors,
        translation=shifts,
    )


def _diagonal(point: QPoint, masses: Array, dos_per_Ry: Array) -> Complex:
    """Return G (Cartesian) of every smearing as if it were diagonal in the modes: 2N Σ_ν √M e λω² e† √M."""
    root = np.sqrt(np.repeat(masses, 3))
    squares = np.sign(point.omega_meV) * (point.omega_meV / MEV_PER_RY) ** 2
    scaled = root[:, None] * point.eigenvectors
    weights = 2 * dos_per_Ry[:, None] * point.lambda_ * squares
    found: Complex = np.einsum("iv,sv,jv->sij", scaled, weights, scaled.conj())
    return found
