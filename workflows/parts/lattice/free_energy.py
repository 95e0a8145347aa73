"""The free energy of a phase's vibrations over its volumes, from force constants at some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.phonons.errors import Alternatives, alternatives
from megabar.analysis.phonons.harmonic import Harmonic
from megabar.analysis.phonons.imaginary import commensurate_points
from megabar.analysis.phonons.spectrum import ZERO_THZ, Spectrum, spectrum
from megabar.analysis.thermo.table import HelmholtzTable, helmholtz_table

Array = NDArray[np.float64]
IMAGINARY_SHARE = 1e-3
"""Share of interpolated imaginary modes from which on a harmonic free energy is none: near Γ there may be fewer."""


@dataclass(frozen=True, eq=False)
class Vibrations:
    """A phase's vibrations at one volume. further: the crystal by atoms displaced further, where that was computed."""

    crystal: Harmonic
    further: Harmonic | None = None

    @property
    def volume_A3(self) -> float:
        """Volume (Å³/atom)."""
        return self.crystal.volume_A3_per_atom

    @cached_property
    def spectrum(self) -> Spectrum:
        """The frequencies on a mesh."""
        return spectrum(self.crystal)

    @cached_property
    def stable(self) -> bool:
        """Whether there are no imaginary modes: at the supercell's own q none at all, between them next to none."""
        if self.spectrum.imaginary >= IMAGINARY_SHARE:
            return False
        own = self.crystal.modes(commensurate_points(self.crystal)).frequencies_THz
        return bool(own.min() >= -ZERO_THZ)

    @cached_property
    def otherwise(self) -> Alternatives:
        """The same crystal in a smaller supercell and by other displacements."""
        return alternatives(self.crystal, self.spectrum, further=self.further)

    def error_eV(self, temperatures_K: ArrayLike) -> Array:
        """Return the error of the free energy (eV/atom) at temperatures (K)."""
        at = np.atleast_1d(np.asarray(temperatures_K, float))
        parts = self.otherwise.free_energy_eV(self.spectrum, at.tolist())
        squares = np.array([np.asarray(each) ** 2 for each in parts.values()])
        return np.array(np.sqrt(squares.sum(axis=0)))


@dataclass(frozen=True, eq=False)
class FreeEnergy:
    """F(V,T) of a phase's vibrations, per atom. error_eV: of it at the table's temperatures, shape (m, n).

    unstable_A3: volumes (Å³/atom) that are left out, as they have imaginary modes.
    """

    table: HelmholtzTable
    error_eV: Array
    unstable_A3: tuple[float, ...]


def free_energy(volumes: Sequence[Vibrations], temperatures_K: ArrayLike) -> FreeEnergy | None:
    """Return F(V,T) over the volumes without imaginary modes; None where there is no such volume."""
    temperatures = np.unique(np.atleast_1d(np.asarray(temperatures_K, float)))
    stable = sorted((each for each in volumes if each.stable), key=lambda each: each.volume_A3)
    if not stable:
        return None
    known = [each.spectrum.thermal(temperatures) for each in stable]
    table = helmholtz_table(
        [each.volume_A3 for each in stable],
        None,
        temperatures,
        np.array([each.free_energy_eV for each in known]).T,
        np.array([each.entropy_eV_K for each in known]).T,
        np.array([each.heat_capacity_eV_K for each in known]).T,
        atoms=1,
    )
    error = np.array([each.error_eV(temperatures) for each in stable]).T
    return FreeEnergy(table, error, tuple(sorted(each.volume_A3 for each in volumes if not each.stable)))
