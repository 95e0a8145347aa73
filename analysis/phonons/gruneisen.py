"""Mode Grüneisen parameters: how frequencies answer to the volume, from one crystal at several volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import units
from numpy.typing import ArrayLike

from megabar.analysis.phonons.harmonic import Array, Harmonic, Polar
from megabar.analysis.phonons.spectrum import LENGTH_A, THZ, ZERO_THZ
from megabar.structures.errors import InputError

WIDE = 0.15
"""Relative difference of volumes from which on a difference quotient is no derivative."""


@dataclass(frozen=True, eq=False)
class Gruneisen:
    """Mode Grüneisen parameters γ = −d ln ω/d ln V at one volume.

    crystal: the one in the middle. q, weights: of a mesh, the weights' sum is 1. frequencies_THz, parameters: (q,
    modes), NaN where a mode is a translation or imaginary. change: difference of the volumes over that in the middle.
    """

    crystal: Harmonic
    q: Array
    weights: Array
    frequencies_THz: Array
    parameters: Array
    change: float

    def mean(self, temperatures_K: ArrayLike) -> Array:
        """Return γ(T), the mean weighted by the heat capacity of the modes, at temperatures (K) above 0."""
        energies = THZ * self._known(self.frequencies_THz)
        found = []
        for temperature in np.atleast_1d(np.asarray(temperatures_K, float)):
            half = np.minimum(energies / (2 * units.kB * temperature), 300.0)
            found.append(self._weighted((half / np.sinh(half)) ** 2))
        return np.array(found)

    @property
    def zero_point(self) -> float:
        """The mean weighted by the frequency: −d ln E₀/d ln V of the zero-point energy E₀."""
        return self._weighted(self._known(self.frequencies_THz))

    def _known(self, values: Array) -> Array:
        return np.asarray(values[np.isfinite(self.parameters)], float)

    def _weighted(self, share: Array) -> float:
        weights = share * self._known(np.broadcast_to(self.weights[:, None], self.parameters.shape))
        return float((weights * self._known(self.parameters)).sum() / weights.sum())


def gruneisen(
    smaller: Harmonic, larger: Harmonic, middle: Harmonic | None = None, length_A: float = LENGTH_A
) -> Gruneisen:
    """Return γ on a mesh from the difference of the dynamical matrices of two volumes.

    γ = −V/(2ω²ΔV) ⟨e|ΔD|e⟩, modes of the crystal in the middle, as phonopy's GruneisenMesh has it (Togo & Tanaka, Scr.
    Mater. 108, 1 (2015)). middle: between both volumes; without it, the mean of both.
    Raises InputError where the two are not one phase in one supercell, or have the same volume.
    """
    from phonopy.gruneisen.mesh import GruneisenMesh

    check_same_phase(smaller, larger)
    centre = between(smaller, larger) if middle is None else middle
    change = (larger.volume_A3_per_atom - smaller.volume_A3_per_atom) / centre.volume_A3_per_atom
    if not abs(change) > 1e-5:
        raise InputError("a Grüneisen parameter needs two volumes; these are the same")
    crystals = (centre, larger, smaller)
    mesh = GruneisenMesh(
        *(each.phonopy.dynamical_matrix for each in crystals),
        mesh=centre.phonopy.run_mesh(length_A, is_gamma_center=True).mesh_numbers,
        is_gamma_center=True,
        primitive_symmetry=centre.phonopy.primitive_symmetry,
        delta_strain=change,
    )
    frequencies = np.array(mesh.get_frequencies())
    weights = np.array(mesh.get_weights(), float)
    parameters = np.where(frequencies > ZERO_THZ, np.array(mesh.get_gruneisen()), np.nan)
    return Gruneisen(centre, np.array(mesh.get_qpoints()), weights / weights.sum(), frequencies, parameters, change)


def parameters_at(smaller: Harmonic, larger: Harmonic, middle: Harmonic | None, q: ArrayLike) -> Array:
    """Return γ of the modes at some q (fractions), in the order of their frequencies, (q, modes); as `gruneisen`."""
    from phonopy.gruneisen.core import GruneisenBase

    check_same_phase(smaller, larger)
    centre = between(smaller, larger) if middle is None else middle
    change = (larger.volume_A3_per_atom - smaller.volume_A3_per_atom) / centre.volume_A3_per_atom
    points = np.atleast_2d(np.asarray(q, float))
    found = GruneisenBase(
        *(each.phonopy.dynamical_matrix for each in (centre, larger, smaller)), delta_strain=change, qpoints=points
    )
    return np.where(centre.modes(points).frequencies_THz > ZERO_THZ, np.array(found.get_gruneisen()), np.nan)


def triples(crystals: Sequence[Harmonic]) -> list[tuple[Harmonic, Harmonic, Harmonic | None]]:
    """Return the smaller, the larger and the one in the middle (None: their mean) for each γ that some volumes give.

    Of two volumes there is one between them, of more one at each inner volume.
    """
    ordered = sorted(crystals, key=lambda each: each.volume_A3_per_atom)
    if len(ordered) == 2:
        return [(ordered[0], ordered[1], None)]
    return [(one, three, two) for one, two, three in zip(ordered, ordered[1:], ordered[2:], strict=False)]


def series(crystals: Sequence[Harmonic], length_A: float = LENGTH_A) -> list[Gruneisen]:
    """Return γ of one phase at some volumes, as `triples`."""
    return [gruneisen(*each, length_A=length_A) for each in triples(crystals)]


def same_phase(one: Harmonic, other: Harmonic) -> bool:
    """Return whether two crystals are one phase in one supercell, atom by atom."""
    from megabar.structures.symmetry import space_group

    return (
        one.force_constants.shape == other.force_constants.shape
        and one.cell.get_chemical_symbols() == other.cell.get_chemical_symbols()
        and np.array_equal(one.supercell_matrix, other.supercell_matrix)
        and np.allclose(one.primitive_matrix, other.primitive_matrix)
        and (one.polar is None) == (other.polar is None)
        and space_group(one.cell) == space_group(other.cell)
    )


def check_same_phase(one: Harmonic, other: Harmonic) -> None:
    """Raise InputError where two crystals are not one phase in one supercell."""
    if not same_phase(one, other):
        raise InputError(
            "Grüneisen parameters need one phase in one supercell at several volumes: equal atoms in equal order, "
            "space group, supercell_matrix, primitive_matrix, and Born charges for all or none"
        )


def between(one: Harmonic, other: Harmonic) -> Harmonic:
    """Return the mean of two crystals: of cells, force constants and Born charges."""
    cell = one.cell.copy()
    cell.set_cell((one.cell.cell[:] + other.cell.cell[:]) / 2)
    steps = other.cell.get_scaled_positions() - one.cell.get_scaled_positions()
    cell.set_scaled_positions(one.cell.get_scaled_positions() + (steps - np.round(steps)) / 2)
    polar = None
    if one.polar is not None and other.polar is not None:
        born, dielectric = one.polar.born + other.polar.born, one.polar.dielectric + other.polar.dielectric
        polar = replace(one.polar, born=born / 2, dielectric=dielectric / 2)
    assert polar is None or isinstance(polar, Polar)
    return replace(one, cell=cell, force_constants=(one.force_constants + other.force_constants) / 2, polar=polar)
