"""What numbers look like that cannot be enthalpies in eV per atom at pressures in GPa."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import GPa

from megabar.analysis.curve import Array
from megabar.analysis.tables.columns import ENERGIES, PRESSURES
from megabar.structures.elements import elements_volume

FIRM_GPa = 30.0
"""Above this pressure the empty space of molecules is gone and volumes of elements add up better."""
LEAST, MOST = (0.2, 0.4), (2.2, 2.2)
"""What a volume is of that of its elements (`elements_volume`), below and above FIRM_GPa. The library's phases have 0.3
(stishovite, of oxygen that is a liquid as an element) to 1.0 at zero pressure and 0.68 to 1.07 above 30 GPa."""
SUSPICIOUS = (0.25, 1.6), (0.6, 1.4)
"""Beyond these the reader is told."""

PLAUSIBLE = float(np.log(1.7))
"""Misfit of volumes (see `_misfit`) up to which another quantity or unit is named."""


@dataclass(frozen=True, eq=False)
class Secants:
    """What lies between neighbouring points of a phase: pressures (GPa) of the middle and steps, volumes (Å³/atom)."""

    middle: Array
    step: Array
    volumes: Array
    expected: Array

    @property
    def ratio(self) -> float:
        """Median of the volumes over those of the elements, each step as long as it is."""
        ratios = self.volumes / self.expected
        order = np.argsort(ratios)
        weights = np.cumsum(self.step[order])
        return float(ratios[order][np.searchsorted(weights, weights[-1] / 2)])


def secants(counts: Mapping[str, int], pressures: Array, enthalpies: Array) -> Secants:
    """Return the slopes between points (GPa, eV/atom) as volumes, with those of the elements there."""
    middle, step = (pressures[1:] + pressures[:-1]) / 2, np.diff(pressures)
    return Secants(middle, step, np.diff(enthalpies) / step / GPa, elements_volume(counts, middle))


def bounds(found: Secants) -> tuple[Array, Array]:
    """Return the least and the greatest volume (Å³/atom) that can be right between the points, shape (n − 1,)."""
    firm = (found.middle > FIRM_GPa).astype(int)
    return found.expected * np.take(LEAST, firm), found.expected * np.take(MOST, firm)


def suspicious(found: Secants) -> bool:
    """Whether the volumes are possible, but far from those of the elements."""
    low, high = SUSPICIOUS[int(np.median(found.middle) > FIRM_GPa)]
    return not low < found.ratio < high


def looks_like(counts: Mapping[str, int], found: Secants, written: int, convex: bool) -> str:
    """Return what the numbers of a phase look like, in words: which other quantity or unit would give its volume.

    written: atoms of the formula as it is written. convex: whether the volumes grow with pressure.
    """
    energies = "energies E rather than enthalpies H = E + PV"
    if found.ratio < 0:
        return "the sign of the enthalpies looks flipped"
    if convex and found.ratio < 1.0:
        return f"these look like {energies}"
    misfit = {energies: _misfit(found, _slope_of_energy(counts, found))} | _by_pressure(counts, found)
    misfit |= _by_energy(found, written)
    best = min(misfit, key=lambda text: misfit[text])
    if misfit[best] < min(PLAUSIBLE, 0.5 * _misfit(found, found.expected)):
        return f"these look like {best}"
    return "the unit of the enthalpy or of the pressure looks wrong"


def _misfit(found: Secants, expected: Array) -> float:
    """Return by how much the volumes miss those expected: root mean square of the logarithm of their ratio."""
    known = (found.volumes > 0) & (expected > 0)
    if not known.any():
        return float("inf")
    off = np.log(found.volumes[known] / expected[known]) ** 2
    return float(np.sqrt(np.average(off, weights=found.step[known])))


def _slope_of_energy(counts: Mapping[str, int], found: Secants) -> Array:
    """Return dE/dP = −P dV/dP (Å³/atom) of the elements."""
    step = 1e-3 * np.abs(found.middle) + 1e-6
    ends = [elements_volume(counts, found.middle + sign * step) for sign in (-1, 1)]
    slope: Array = found.middle * (ends[0] - ends[1]) / (2 * step)
    return slope


def _by_energy(found: Secants, written: int) -> dict[str, float]:
    """Return the misfit of the volumes that would follow, were the enthalpies in another unit."""
    names = {name: f"{name} (column enthalpy_{name}_per_atom)" for name in ("meV", "Ry", "Ha")}
    names["kJ_per_mol"] = "kJ/mol (column enthalpy_kJ_per_mol_atoms)"
    misfit = {f"enthalpies in {text}": _misfit(found, found.expected / ENERGIES[name]) for name, text in names.items()}
    if written > 1:
        text = f"enthalpies per formula unit of {written} atoms (column enthalpy_eV_per_fu)"
        misfit[text] = _misfit(found, found.expected * written)
    return misfit


def _by_pressure(counts: Mapping[str, int], found: Secants) -> dict[str, float]:
    """Return the misfit of the volumes that would follow, were the pressures in another unit."""
    return {
        f"pressures in {name} (column pressure_{name})": _misfit(
            found, elements_volume(counts, found.middle * PRESSURES[name]) * PRESSURES[name]
        )
        for name in ("kbar", "Mbar")
    }


def in_words(pressures: Sequence[float]) -> str:
    """Return two pressures as ``between 10 and 20 GPa``."""
    return f"between {pressures[0]:g} and {pressures[1]:g} GPa"
