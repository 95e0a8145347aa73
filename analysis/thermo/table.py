"""F(V,T) of a phase on a grid of temperatures and volumes: static energies, vibrations, electrons at temperature."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.thermo.splines import spline_slopes
from megabar.structures.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Thermal:
    """A thermal part of F on temperatures × volumes, each of shape (m, n): F (eV), S = −∂F/∂T and C_V (eV/K)."""

    free_energy_eV: Array
    entropy_eV_per_K: Array
    heat_capacity_eV_per_K: Array

    def __add__(self, other: Thermal) -> Thermal:
        """Return the sum of two parts."""
        return Thermal(
            self.free_energy_eV + other.free_energy_eV,
            self.entropy_eV_per_K + other.entropy_eV_per_K,
            self.heat_capacity_eV_per_K + other.heat_capacity_eV_per_K,
        )

    def scaled(self, factor: float) -> Thermal:
        """Return the part times a factor, e.g. 1/atoms."""
        return Thermal(
            self.free_energy_eV * factor, self.entropy_eV_per_K * factor, self.heat_capacity_eV_per_K * factor
        )

    def at_volumes(self, chosen: NDArray[np.intp]) -> Thermal:
        """Return the part at some of the volumes."""
        return Thermal(
            self.free_energy_eV[:, chosen], self.entropy_eV_per_K[:, chosen], self.heat_capacity_eV_per_K[:, chosen]
        )


@dataclass(frozen=True, eq=False)
class HelmholtzTable:
    """F(V,T) of a phase per cell; make it with `helmholtz_table`, which checks.

    volumes_A3: shape (n,), ascending. static_eV: shape (n,); None where a curve of enthalpies has it
    (`megabar.analysis.thermo.ladder`). temperatures_K: shape (m,), ascending. electronic: None where electrons stay in
    their ground state, or where the static energies include them. atoms: of the cell, None where nobody says.
    """

    volumes_A3: Array
    static_eV: Array | None
    temperatures_K: Array
    vibrational: Thermal
    electronic: Thermal | None = None
    atoms: int | None = None

    @property
    def thermal(self) -> Thermal:
        """All that depends on temperature, together."""
        return self.vibrational if self.electronic is None else self.vibrational + self.electronic

    @property
    def free_energy_eV(self) -> Array:
        """F(V,T), shape (m, n): static energies (0 without) and thermal parts."""
        static = np.zeros(len(self.volumes_A3)) if self.static_eV is None else self.static_eV
        return static + self.thermal.free_energy_eV

    def per_atom(self) -> HelmholtzTable:
        """Return the same per atom; raises InputError where the number of atoms is not known."""
        if self.atoms is None:
            raise InputError("how many atoms the cell has is not known, so nothing can be said per atom")
        factor = 1.0 / self.atoms
        return replace(
            self,
            volumes_A3=self.volumes_A3 * factor,
            static_eV=None if self.static_eV is None else self.static_eV * factor,
            vibrational=self.vibrational.scaled(factor),
            electronic=None if self.electronic is None else self.electronic.scaled(factor),
            atoms=1,
        )

    def at_volumes(self, chosen: ArrayLike) -> HelmholtzTable:
        """Return the table at some of its volumes (places in ascending order)."""
        places = np.asarray(chosen, dtype=np.intp)
        return replace(
            self,
            volumes_A3=self.volumes_A3[places],
            static_eV=None if self.static_eV is None else self.static_eV[places],
            vibrational=self.vibrational.at_volumes(places),
            electronic=None if self.electronic is None else self.electronic.at_volumes(places),
        )

    def at_temperatures(self, temperatures_K: ArrayLike) -> HelmholtzTable:
        """Return the table at other temperatures (K, made ascending) within its own.

        F between two temperatures is the cubic that has the values and the slopes −S at both, S that with the slopes
        C_V/T, C_V one through its neighbours.
        Raises InputError for temperatures that the table does not reach.
        """
        wanted = np.unique(np.atleast_1d(np.asarray(temperatures_K, dtype=float)))
        known = self.temperatures_K
        outside = wanted[(wanted < known[0] - 1e-9) | (wanted > known[-1] + 1e-9)]
        if outside.size:
            raise InputError(
                f"{outside[0]:g} K is asked for, and free energies are known from {known[0]:g} to {known[-1]:g} K"
            )
        if wanted.shape == known.shape and np.allclose(wanted, known, rtol=0.0, atol=1e-9):
            return self
        return replace(
            self,
            temperatures_K=wanted,
            vibrational=_at(self.vibrational, known, wanted),
            electronic=None if self.electronic is None else _at(self.electronic, known, wanted),
        )


def helmholtz_table(
    volumes_A3: ArrayLike,
    static_eV: ArrayLike | None,
    temperatures_K: ArrayLike,
    free_energy_eV: ArrayLike,
    entropy_eV_per_K: ArrayLike | None = None,
    heat_capacity_eV_per_K: ArrayLike | None = None,
    electronic: Thermal | ArrayLike | None = None,
    atoms: int | None = None,
) -> HelmholtzTable:
    """Return a checked table, its volumes and temperatures ascending.

    volumes_A3, static_eV: shape (n,), per cell. temperatures_K: shape (m,). free_energy_eV, entropy_eV_per_K,
    heat_capacity_eV_per_K: of the vibrations, shape (m, n); what is not given follows by a spline over temperature.
    electronic: a `Thermal`, or its free energies (eV), shape (m, n).
    Raises InputError for shapes that do not fit, numbers that are none, volumes or temperatures that repeat.
    """
    volumes, temperatures = _axis(volumes_A3, "volumes"), _axis(temperatures_K, "temperatures")
    if volumes.min() <= 0.0 or temperatures.min() < 0.0:
        raise InputError("volumes must be above zero and temperatures not below it")
    by_volume, by_temperature = np.argsort(volumes), np.argsort(temperatures)
    volumes, temperatures = volumes[by_volume], temperatures[by_temperature]
    for axis, name in ((volumes, "volume"), (temperatures, "temperature")):
        twice = np.flatnonzero(np.diff(axis) <= 1e-9 * axis[-1])
        if twice.size:
            raise InputError(f"the {name} {axis[twice[0]]:g} is there twice; give it once")
    shape = (len(temperatures), len(volumes))

    def grid(values: ArrayLike, what: str) -> Array:
        found = np.asarray(values, dtype=float)
        if found.shape != shape or not np.isfinite(found).all():
            raise InputError(f"the {what} must be finite numbers of {shape[0]} temperatures × {shape[1]} volumes")
        return found[np.ix_(by_temperature, by_volume)]

    energies = None if static_eV is None else np.asarray(static_eV, dtype=float)
    if energies is not None:
        if energies.shape != volumes.shape or not np.isfinite(energies).all():
            raise InputError(f"the static energies must be {len(volumes)} finite numbers, one a volume")
        energies = energies[by_volume]
    free = grid(free_energy_eV, "free energies")
    entropy = None if entropy_eV_per_K is None else grid(entropy_eV_per_K, "entropies")
    capacity = None if heat_capacity_eV_per_K is None else grid(heat_capacity_eV_per_K, "heat capacities")
    electrons: Thermal | None = None
    if isinstance(electronic, Thermal):
        electrons = Thermal(
            grid(electronic.free_energy_eV, "electronic free energies"),
            grid(electronic.entropy_eV_per_K, "electronic entropies"),
            grid(electronic.heat_capacity_eV_per_K, "electronic heat capacities"),
        )
    elif electronic is not None:
        electrons = thermal(temperatures, grid(electronic, "electronic free energies"))
    vibrations = thermal(temperatures, free, entropy, capacity)
    return HelmholtzTable(volumes, energies, temperatures, vibrations, electrons, atoms)


def static_table(table: HelmholtzTable) -> HelmholtzTable:
    """Return the table of the static lattice alone: at 0 K, without vibrations."""
    nothing = np.zeros((1, len(table.volumes_A3)))
    return replace(table, temperatures_K=np.zeros(1), vibrational=Thermal(nothing, nothing, nothing), electronic=None)


def thermal(
    temperatures_K: Array,
    free_energy_eV: Array,
    entropy_eV_per_K: Array | None = None,
    heat_capacity_eV_per_K: Array | None = None,
) -> Thermal:
    """Return a thermal part, S and C_V by a spline over temperature where they are not known.

    All of shape (m, n). At 0 K the entropy is zero. Raises InputError where fewer than four temperatures must tell.
    """
    if entropy_eV_per_K is None:
        entropy_eV_per_K = -_slopes(temperatures_K, free_energy_eV)
    if heat_capacity_eV_per_K is None:
        slopes = _slopes(temperatures_K, entropy_eV_per_K, at_zero=False)
        heat_capacity_eV_per_K = temperatures_K[:, None] * slopes
    return Thermal(free_energy_eV, entropy_eV_per_K, heat_capacity_eV_per_K)


def _slopes(temperatures: Array, values: Array, at_zero: bool = True) -> Array:
    if len(temperatures) < 4:
        raise InputError("entropies and heat capacities are not given, and fewer than four temperatures cannot tell")
    # A free energy leaves 0 K with no slope.
    return spline_slopes(temperatures, values, flat_start=at_zero and temperatures[0] == 0.0)


def _axis(values: ArrayLike, name: str) -> Array:
    found = np.atleast_1d(np.asarray(values, dtype=float))
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise InputError(f"the {name} must be a list of finite numbers")
    return found


def _at(part: Thermal, known: Array, wanted: Array) -> Thermal:
    if len(known) == 1:
        return part
    i = np.clip(np.searchsorted(known, wanted, side="right") - 1, 0, len(known) - 2)
    step = (known[i + 1] - known[i])[:, None]
    t = np.clip((wanted[:, None] - known[i][:, None]) / step, 0.0, 1.0)
    # C_V/T vanishes at 0 K for vibrations and stays finite for electrons: the slope of S there is that of its chord.
    entropy, capacity = part.entropy_eV_per_K, part.heat_capacity_eV_per_K
    slope = capacity / np.where(known > 0.0, known, 1.0)[:, None]
    if known[0] == 0.0:
        slope[0] = np.maximum(2.0 * (entropy[1] - entropy[0]) / (known[1] - known[0]) - slope[1], 0.0)
    return Thermal(
        _hermite(part.free_energy_eV, -entropy, i, t, step),
        _hermite(entropy, slope, i, t, step),
        _hermite(capacity, np.gradient(capacity, known, axis=0), i, t, step),
    )


def _hermite(values: Array, slopes: Array, i: NDArray[np.intp], t: Array, step: Array) -> Array:
    """Cubic between rows i and i + 1 that has their values and slopes."""
    s = 1.0 - t
    return np.asarray(
        s**2 * ((1.0 + 2.0 * t) * values[i] + t * step * slopes[i])
        + t**2 * ((1.0 + 2.0 * s) * values[i + 1] - s * step * slopes[i + 1])
    )
