"""Enthalpy curves H(P) of one phase from energies and stresses at several volumes.

E(ln V) is interpolated through energies and slopes dE/d ln V = −P V together (`megabar.analysis.kriging`), and
H(P) = E + P V with P = −dE/dV follows. E at constant cutoff is the good thermodynamic function; the stress of a
plane-wave code is off by the Pulay stress, about c/V with one constant c for a phase, so that
dE/d ln V = −P_stress V + c. The constant is solved for together with the curve and its scatter is part of σ(H).
G. P. Francis & M. C. Payne, J. Phys.: Condens. Matter 2, 4395 (1990), doi:10.1088/0953-8984/2/19/007.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.units import GPa
from numpy.typing import ArrayLike, NDArray

from megabar.analysis import eos, kriging
from megabar.structures.errors import InputError

Array = NDArray[np.float64]

# Steps of the table that stands for the curve between two neighbouring volumes; at 16 its own error is below 1 µeV.
_STEPS = 16
# σ(H) is smooth and costs more: every second step will do.
_SIGMA_STEP = 2
_ROUNDING_GPa = 1e-6


@dataclass(frozen=True)
class VolumePoint:
    """One calculation of a phase, per atom: volume, energy, pressure from the stress, and their known numerical noise.

    The energy is that of a fresh self-consistent run in the final cell, at the cutoff of all points of the phase.
    """

    volume_A3: float
    energy_eV: float
    pressure_GPa: float
    energy_error_eV: float = 0.0
    pressure_error_GPa: float = 0.0


@dataclass(frozen=True)
class Outlier:
    """A point that disagrees with what the others of its phase predict for its volume.

    energy_off_eV, pressure_off_GPa: computed minus predicted; sigmas: the larger of the two in standard uncertainties.
    """

    point: VolumePoint
    energy_off_eV: float
    pressure_off_GPa: float
    sigmas: float


@dataclass(frozen=True)
class _Branch:
    """A mechanically stable piece of the curve: pressure (GPa, ascending), enthalpy, volume, σ(H)."""

    pressure: Array
    enthalpy: Array
    volume: Array
    sigma: Array

    def at(self, p: Array) -> tuple[Array, Array, Array]:
        """H, V and σ(H) at pressures, nan outside: cubic Hermite in P, dH/dP = V."""
        inside = (p >= self.pressure[0] - _ROUNDING_GPa) & (p <= self.pressure[-1] + _ROUNDING_GPa)
        if len(self.pressure) == 1:
            h = self.enthalpy[0] + (p - self.pressure[0]) * GPa * self.volume[0]
            return (
                np.where(inside, h, np.nan),
                np.where(inside, self.volume[0], np.nan),
                np.where(inside, self.sigma[0], np.nan),
            )
        i = np.clip(np.searchsorted(self.pressure, p, side="right") - 1, 0, len(self.pressure) - 2)
        step = np.maximum(self.pressure[i + 1] - self.pressure[i], 1e-12)
        t = np.where(inside, (p - self.pressure[i]) / step, np.nan)
        v0, v1 = self.volume[i], self.volume[i + 1]
        chord = (self.enthalpy[i + 1] - self.enthalpy[i]) / (step * GPa)
        a, b = v0 - chord, v1 - chord
        s = 1.0 - t
        h = s * self.enthalpy[i] + t * self.enthalpy[i + 1] + step * GPa * t * s * (a * s - b * t)
        v = chord + (1.0 - 4.0 * t + 3.0 * t**2) * a + (3.0 * t**2 - 2.0 * t) * b
        return h, v, s * self.sigma[i] + t * self.sigma[i + 1]


@dataclass(frozen=True, eq=False)
class EnthalpyCurve:
    """H(P) of one phase; implements `megabar.analysis.curve.Curve`. Build it with `enthalpy_curve`.

    points: as computed, from the largest volume to the smallest (ascending pressure).
    pressures_GPa: shape (n,), pressure −dE/dV at the points, Pulay stress taken out.
    pulay_eV, pulay_error_eV: the constant c of the stress (see module) and its uncertainty; 0 and nan below 3 points.
    unstable_A3: (larger, smaller) volumes between which the pressure falls on compression: mechanical instability,
        noise of the stress, or points of different structures. H(P) is then the lowest of the branches.
    noise_eV, noise_GPa: noise of energies and of pressures (at the middle volume) found beyond the one given.
    """

    phase: str
    formula: str
    points: tuple[VolumePoint, ...]
    pressures_GPa: Array
    pulay_eV: float
    pulay_error_eV: float
    unstable_A3: tuple[tuple[float, float], ...]
    noise_eV: float
    noise_GPa: float
    branches: tuple[_Branch, ...]

    @property
    def from_GPa(self) -> float:
        """Lowest pressure (GPa) at which the curve is known."""
        return float(min(b.pressure[0] for b in self.branches))

    @property
    def to_GPa(self) -> float:
        """Highest pressure (GPa) at which the curve is known."""
        return float(max(b.pressure[-1] for b in self.branches))

    @property
    def volumes_A3(self) -> Array:
        """Computed volumes (Å³/atom), descending."""
        return np.array([p.volume_A3 for p in self.points])

    def evaluate(self, pressure_GPa: ArrayLike) -> tuple[Array, Array, Array]:
        """Enthalpy (eV/atom), volume (Å³/atom) and uncertainty (eV/atom) at once; nan outside the known pressures."""
        p = np.asarray(pressure_GPa, dtype=float)
        result = self.branches[0].at(p)
        for branch in self.branches[1:]:
            other = branch.at(p)
            lower = ~(other[0] >= result[0]) & ~np.isnan(other[0])
            h, v, s = (np.where(lower, new, old) for new, old in zip(other, result, strict=True))
            result = (h, v, s)
        return result[0][()], result[1][()], result[2][()]  # numbers for a number

    def enthalpy(self, pressure_GPa: ArrayLike) -> Array:
        """Enthalpy (eV/atom); nan outside the known pressures."""
        return self.evaluate(pressure_GPa)[0]

    def volume(self, pressure_GPa: ArrayLike) -> Array:
        """Volume dH/dP (Å³/atom); nan outside the known pressures."""
        return self.evaluate(pressure_GPa)[1]

    def uncertainty(self, pressure_GPa: ArrayLike) -> Array:
        """Standard uncertainty of the enthalpy (eV/atom): interpolation and noise; nan outside the known pressures."""
        return self.evaluate(pressure_GPa)[2]

    def pulay_pressure(self, volume_A3: float) -> tuple[float, float]:
        """Pulay pressure (computed stress minus −dE/dV, GPa) at a volume and its standard uncertainty."""
        return self.pulay_eV / volume_A3 / GPa, self.pulay_error_eV / volume_A3 / GPa

    @cached_property
    def _vinet(self) -> eos.EosFit:
        return self._fitted("vinet")  # asked for again after each result, while the curve stays

    def _fitted(self, kind: eos.Kind) -> eos.EosFit:
        return eos.fit(self.volumes_A3, [p.energy_eV for p in self.points], self.pressures_GPa, kind)

    def eos(self, kind: eos.Kind = "vinet") -> eos.EosFit:
        """Fit an equation of state to the energies and the corrected pressures; InputError with too few points."""
        return self._vinet if kind == "vinet" else self._fitted(kind)


def enthalpy_curve(
    phase: str, formula: str, points: Iterable[VolumePoint], extrapolate_ln_volume: float = 0.0
) -> EnthalpyCurve:
    """Build the curve of a phase from one or more points in any order.

    extrapolate_ln_volume: how far the curve goes on beyond its last volumes, in ln V, with quickly growing
    uncertainty (needs two points; with one the curve is known at that point's own pressure only).
    Raises InputError for no points, unusable numbers, or the same volume twice.
    """
    ordered = _checked(phase, points)
    if len(ordered) == 1:
        p = ordered[0]
        h = p.energy_eV + p.pressure_GPa * GPa * p.volume_A3
        only = _Branch(*(np.array([a]) for a in (p.pressure_GPa, h, p.volume_A3, p.energy_error_eV)))
        pressures = np.array([p.pressure_GPa])
        return EnthalpyCurve(phase, formula, ordered, pressures, 0.0, float("nan"), (), 0.0, 0.0, (only,))
    reference = ordered[0].energy_eV
    model = _krige(ordered, reference)
    x = model.x
    steps = np.arange(len(x) * _STEPS - _STEPS + 1) / _STEPS
    grid = np.interp(steps, np.arange(len(x)), x)
    skipped = 0
    if extrapolate_ln_volume > 0.0:
        skipped = _STEPS
        beyond = extrapolate_ln_volume * np.linspace(0.0, 1.0, _STEPS + 1)[1:]
        grid = np.concatenate([x[0] - beyond[::-1], grid, x[-1] + beyond])
    energy, slope = model.predict(grid)
    sigma = np.interp(grid, grid[::_SIGMA_STEP], model.uncertainty(grid[::_SIGMA_STEP])[0])
    volume = np.exp(grid)
    pressure = -slope / volume / GPa
    branches, unstable = _branches(pressure, energy + reference - slope, volume, sigma)
    computed = skipped + np.arange(len(x)) * _STEPS
    unstable = tuple(u for u in unstable if u[1] < volume[computed[-1]] and u[0] > volume[computed[0]])
    if unstable or not branches:
        inside = slice(computed[0], computed[-1] + 1)
        branches += _ends(branches, *(a[inside] for a in (pressure, energy + reference, volume, sigma)))
    at_points = pressure[computed][::-1]
    middle = float(np.exp(x.mean()))
    return EnthalpyCurve(
        phase, formula, ordered, at_points, model.offset, model.offset_error, unstable,
        model.energy_noise, model.slope_noise / middle / GPa, branches,
    )  # fmt: skip


def outliers(points: Iterable[VolumePoint], sigmas: float = 4.0, least_eV: float = 0.003) -> tuple[Outlier, ...]:
    """Return the points that the others of the phase contradict (another structure, a wrong SCF state), worst first.

    Each point is predicted from the others; the worst is set aside and the rest judged again, while four or more
    remain. A point is flagged when energy or pressure is off by more than ``sigmas`` standard uncertainties and the
    deviation matters: more than ``least_eV`` in energy, or as much over a step of 0.1 in ln V in pressure.
    Nothing is dropped: that is the caller's decision.
    """
    rest, found = list(_checked("the phase", points)), []
    while len(rest) >= 4:
        judged = [(_judge(p, [q for q in rest if q is not p]), p) for p in rest]
        suspects = [
            (o, p) for o, p in judged
            if o.sigmas > sigmas
            and max(abs(o.energy_off_eV), 0.1 * p.volume_A3 * GPa * abs(o.pressure_off_GPa)) > least_eV
        ]  # fmt: skip
        if not suspects:
            break
        worst, point = max(suspects, key=lambda item: item[0].sigmas)
        found.append(worst)
        rest = [q for q in rest if q is not point]
    return tuple(found)


def _judge(point: VolumePoint, others: list[VolumePoint]) -> Outlier:
    """Compare a point with what the others predict."""
    reference = others[0].energy_eV
    model = _krige(tuple(others), reference)
    x = np.log([point.volume_A3])
    energy, slope, energy_sigma, slope_sigma = (float(a[0]) for a in (*model.predict(x), *model.uncertainty(x)))
    per_GPa = point.volume_A3 * GPa
    energy_off = point.energy_eV - reference - energy
    slope_off = -point.pressure_GPa * per_GPa + model.offset - slope
    energy_sigma = float(np.hypot(energy_sigma, np.hypot(point.energy_error_eV, model.energy_noise)))
    slope_sigma = float(np.hypot(slope_sigma, np.hypot(point.pressure_error_GPa * per_GPa, model.slope_noise)))
    off = max(abs(energy_off) / max(energy_sigma, 1e-6), abs(slope_off) / max(slope_sigma, 1e-6))
    return Outlier(point, energy_off, -slope_off / per_GPa, off)


def _checked(phase: str, points: Iterable[VolumePoint]) -> tuple[VolumePoint, ...]:
    """Points by descending volume, after checks."""
    ordered = tuple(sorted(points, key=lambda p: -p.volume_A3))
    if not ordered:
        raise InputError(f"{phase}: an enthalpy curve needs at least one computed volume")
    for p in ordered:
        numbers = (p.volume_A3, p.energy_eV, p.pressure_GPa, p.energy_error_eV, p.pressure_error_GPa)
        if not np.isfinite(numbers).all() or p.volume_A3 <= 0.0 or min(numbers[3:]) < 0.0:
            raise InputError(f"{phase}: {p} is not usable: finite numbers, a volume above zero, errors not below zero")
    for p, q in itertools.pairwise(ordered):
        if p.volume_A3 / q.volume_A3 < 1.0 + 1e-5:
            raise InputError(f"{phase}: the volume {p.volume_A3:.5f} Å³/atom is there twice; give it once")
    return ordered


def _krige(ordered: tuple[VolumePoint, ...], reference: float) -> kriging.Kriging:
    """Fit E(ln V) − reference to points."""
    rows = np.array(
        [
            (p.volume_A3, p.energy_eV - reference, p.pressure_GPa, p.energy_error_eV, p.pressure_error_GPa)
            for p in ordered
        ]
    )
    rows = rows[np.argsort(rows[:, 0])]
    volume, energy, pressure, energy_error, pressure_error = rows.T
    per_GPa = volume * GPa
    return kriging.fit(np.log(volume), energy, -pressure * per_GPa, energy_error, pressure_error * per_GPa)


def _branches(
    pressure: Array, enthalpy: Array, volume: Array, sigma: Array
) -> tuple[tuple[_Branch, ...], tuple[tuple[float, float], ...]]:
    """Split the table (by ascending volume) where P(V) turns: stable pieces, and the volumes of the unstable ones."""
    stable = np.diff(pressure) < 0.0
    edges = np.flatnonzero(np.diff(stable)) + 1
    starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(stable)]])
    branches, unstable = [], []
    for i, j in zip(starts, ends, strict=True):
        if stable[i]:
            piece = slice(i, j + 1)
            branches.append(_Branch(*(a[piece][::-1].copy() for a in (pressure, enthalpy, volume, sigma))))
        else:
            unstable.append((float(volume[j]), float(volume[i])))
    return tuple(branches[::-1]), tuple(unstable[::-1])


def _ends(
    branches: tuple[_Branch, ...], pressure: Array, energy: Array, volume: Array, sigma: Array
) -> tuple[_Branch, ...]:
    """Branches of constant volume at both ends of the table: E + P V bounds H from above where the curve is unstable.

    They reach over the pressures of the stable branches; without any, over those of the table.
    """
    known = np.concatenate([b.pressure for b in branches]) if branches else pressure
    p = np.array([known.min(), known.max()])
    ends = ((energy[i], volume[i], sigma[i]) for i in (0, -1))
    return tuple(_Branch(p, e + p * GPa * v, np.full(2, v), np.full(2, s)) for e, v, s in ends)
