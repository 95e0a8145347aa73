"""λ by mode, by q-point, by branch and by species, from the coupling on a grid of q."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.elph import ElectronPhonon, QPoint, species_shares, stable_modes
from megabar.analysis.superconductivity.units import MEV_PER_RY

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ModeRow:
    """One mode of one q-point. part: w_q λ_qν, its part of λ. linewidth_meV: γ_qν. shares: |e|² by species."""

    number: int
    q: tuple[float, float, float]
    weight: float
    mode: int
    omega_meV: float
    lambda_: float
    part: float
    linewidth_meV: float
    shares: dict[str, float]


def mode_rows(data: ElectronPhonon, smearing: int) -> tuple[ModeRow, ...]:
    """Return all modes of α²F at a smearing (its number), the largest part of λ first."""
    found = []
    for point in data.points:
        by_atom, widths = point.atom_shares(), linewidths_meV(data, smearing, point)
        for mode in np.flatnonzero(point.stable):
            shares: dict[str, float] = {}
            for species, share in zip(data.species, by_atom[mode], strict=True):
                shares[species] = shares.get(species, 0.0) + float(share)
            omega, coupling = float(point.omega_meV[mode]), float(point.lambda_[smearing, mode])
            found.append(
                ModeRow(
                    point.number,
                    point.q,
                    point.weight,
                    int(mode) + 1,
                    omega,
                    coupling,
                    point.weight * coupling,
                    float(widths[mode]),
                    shares,
                )
            )
    return tuple(sorted(found, key=lambda row: -row.part))


def linewidths_meV(data: ElectronPhonon, smearing: int, point: QPoint) -> Array:
    """Return γ_qν (meV) of all modes of a q-point at a smearing (its number), shape (modes,).

    γ_qν = π N(E_F) ω²_qν λ_qν, N(E_F) per spin: half the width at half the height of the phonon's line. Allen, Phys.
    Rev. B 6, 2577 (1972).
    """
    dos_per_meV = float(data.dos_per_Ry[smearing]) / MEV_PER_RY
    found: Array = np.pi * dos_per_meV * point.omega_meV**2 * np.abs(point.lambda_[smearing])
    return found


def lambda_by_q(data: ElectronPhonon, smearing: int) -> Array:
    """Return λ_q = Σ_ν λ_qν of the stable modes of every q-point, shape (points,); λ = Σ_q w_q λ_q."""
    return np.array([point.lambda_[smearing][point.stable].sum() for point in data.points])


def lambda_by_branch(data: ElectronPhonon, smearing: int) -> Array:
    """Return Σ_q w_q λ_qν by branch ν, in the order of frequency at each q, shape (modes,); their sum is λ."""
    parts = [point.weight * np.where(point.stable, point.lambda_[smearing], 0.0) for point in data.points]
    summed: Array = np.sum(parts, axis=0)
    return summed


def lambda_by_species(data: ElectronPhonon, smearing: int) -> dict[str, float]:
    """Return Σ_qν w_q λ_qν |e_s,qν|² by species; their sum is λ.

    The weight of a species in the motion, as in the projected α²F of alpha2f.x: not the coupling of its potential
    alone, whose cross terms with the others belong to neither.
    """
    coupling = stable_modes(data, smearing)[1]
    return {species: float(np.sum(coupling * share)) for species, share in species_shares(data).items()}
