"""Which phonons a stability study wants, and what they give: the free energy of each phase's vibrations.

Only what can matter is computed: phases within reach of the static hull, at volumes of their ladders where they are,
and more volumes where a transition's error depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import units

from megabar.analysis.hull import hulls_at
from megabar.structures.errors import InputError
from megabar.workflows.parts.lattice import sites
from megabar.workflows.parts.lattice.sites import FORCES, Site
from megabar.workflows.parts.lattice.supercell import Supercell
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.volumes.at_pressure import pressure_of
from megabar.workflows.parts.volumes.phase_state import PhaseState
from megabar.workflows.structure import Structure

if TYPE_CHECKING:
    from megabar.analysis.enthalpy import EnthalpyCurve
    from megabar.analysis.phonons.volumes import ModeSeries
    from megabar.workflows.parts.lattice.free_energy import Vibrations
    from megabar.workflows.store import CalculationRecord
    from megabar.workflows.tasks.interface import Histories

Rungs = Sequence[Mapping[str, Any]]
Records = Mapping[str, "CalculationRecord"]
REACH_eV, LIGHT_REACH_eV, LIGHT = 0.02, 0.06, frozenset({"H", "He"})
"""How far zero-point energies of phases of the same matter may differ (eV/atom), and where light atoms are in them."""
THERMAL_REACH = 0.5
"""The same of thermal free energies, in k_B T an atom."""
APART = Fraction(3, 2)
"""Rungs that the ends of a phase's volumes must be apart for one between them to be wanted too."""
SAME = Fraction(1, 4)
"""Rungs within which a volume with phonons serves for another."""
GRID_POINTS = 101


@dataclass(frozen=True)
class VibrationsPlan:
    """How the vibrations of a study's phases are computed. supercells: of the phases. isotopes: masses (u)."""

    supercells: tuple[Supercell, ...]
    zero_point: bool
    temperatures_K: tuple[float, ...]
    isotopes: Mapping[str, float]

    @property
    def told_K(self) -> tuple[float, ...]:
        """The temperatures (K) at which hulls are told; zero: with zero-point motion alone."""
        return tuple(sorted({*([0.0] if self.zero_point else []), *self.temperatures_K}))

    def supercell(self, phase: str) -> Supercell:
        """Return the supercell of a phase."""
        return next(each for each in self.supercells if each.phase == phase)

    def reach_eV(self, formula_elements: set[str]) -> float:
        """Return how far above the static hull (eV/atom) a phase of some elements may still matter."""
        own = LIGHT_REACH_eV if formula_elements & LIGHT else REACH_eV
        return float(own + THERMAL_REACH * units.kB * max(self.temperatures_K, default=0.0))

    def to_dict(self) -> dict[str, Any]:
        """Return the same as JSON-able data."""
        return {
            "supercells": [each.to_dict() for each in self.supercells],
            "zero_point": self.zero_point,
            "temperatures_K": list(self.temperatures_K),
            "isotopes": dict(self.isotopes),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> VibrationsPlan:
        """Return what ``to_dict`` stored."""
        return cls(
            supercells=tuple(Supercell.from_dict(each) for each in content["supercells"]),
            zero_point=content["zero_point"],
            temperatures_K=tuple(content["temperatures_K"]),
            isotopes=content["isotopes"],
        )


@dataclass(frozen=True)
class PhononPlace:
    """A volume of a phase's ladder with phonons: its rung, and where force constants are computed."""

    index: Fraction
    site: Site


def place(plan: VibrationsPlan, state: PhaseState, index: Fraction, method: Method) -> PhononPlace:
    """Return a computed volume of a phase as one with phonons."""
    record = state.done[index]
    name = f"{state.ladder.phase} at volume {index}"
    structure = Structure.from_dict(record.structure or {})
    return PhononPlace(index, Site(name, structure, record.key, plan.supercell(state.ladder.phase), method))


def places_asked(plan: VibrationsPlan, state: PhaseState, method: Method, rungs: Rungs) -> list[PhononPlace]:
    """Return the volumes of a phase whose phonons a study has asked for, by volume descending."""
    start = f"{state.ladder.phase} at volume "
    names = {rung["phase"] for rung in rungs if rung.get("kind") == FORCES and rung["phase"].startswith(start)}
    indices = sorted(Fraction(name.removeprefix(start)) for name in names)
    return [place(plan, state, index, method) for index in indices if index in state.done]


def phonons_wanted(
    plan: VibrationsPlan, method: Method, states: Sequence[PhaseState], pressures_GPa: tuple[float, ...], rungs: Rungs,
    records: Records,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the supercells that a finished static hull makes wanted: of the phases that vibrations may bring to it."""
    found: list[dict[str, Any]] = []
    for state, ends in within_reach(plan, states, pressures_GPa):
        for each in _wanted_places(plan, state, ends, method, rungs):
            found += [rung.to_dict() for rung in sites.wanted(each.site, rungs, records)]
    return found


def within_reach(
    plan: VibrationsPlan, states: Sequence[PhaseState], pressures_GPa: tuple[float, ...]
) -> list[tuple[PhaseState, tuple[float, float]]]:
    """Return the phases that may matter, each with the pressures (GPa) between which it does."""
    known = [(state, curve) for state in states if (curve := state.curve()) is not None]
    if not known:
        return []
    grid = np.unique([*np.linspace(pressures_GPa[0], pressures_GPa[-1], GRID_POINTS), *pressures_GPa])
    height = np.array([hull.above_eV for hull in hulls_at([curve for _, curve in known], grid)]).T
    found = []
    for (state, _), own in zip(known, height, strict=True):
        near = grid[own <= plan.reach_eV(set(state.ladder.structure.symbols))]
        if len(near):
            found.append((state, (float(near[0]), float(near[-1]))))
    return found


def _wanted_places(
    plan: VibrationsPlan, state: PhaseState, ends_GPa: tuple[float, float], method: Method, rungs: Rungs
) -> list[PhononPlace]:
    """Return the volumes at both ends of the pressures where a phase matters, one more for expansion, those between."""
    curve = state.curve()
    assert curve is not None
    done = sorted(index for index, record in state.done.items() if record.structure and record.pressure_GPa is not None)
    asked = places_asked(plan, state, method, rungs)
    if asked:
        return asked  # what else is wanted follows from what these give
    low, high = (_nearest(state, done, _volume(curve, end)) for end in ends_GPa)
    larger = [index for index in done if index < low]
    if plan.temperatures_K and larger:
        low = larger[-1]  # matter expands
    if low == high and len(done) > 1:
        low = min((index for index in done if index != high), key=lambda index: abs(index - high))
        low, high = sorted((low, high))
    chosen = [low, high]
    if high - low >= APART:
        chosen.append(min(done, key=lambda index: abs(index - (low + high) / 2)))
    return [place(plan, state, index, method) for index in sorted(set(chosen))]


def _volume(curve: EnthalpyCurve, pressure_GPa: float) -> float:
    return float(np.asarray(curve.volume(min(max(pressure_GPa, curve.from_GPa), curve.to_GPa))))


def _nearest(state: PhaseState, done: Sequence[Fraction], volume_A3: float) -> Fraction:
    return min(done, key=lambda index: abs(index - state.ladder.index_at(volume_A3)))


def further_place(
    plan: VibrationsPlan, state: PhaseState, volume_A3: float, method: Method, rungs: Rungs
) -> PhononPlace | None:
    """Return the computed volume nearest to one (Å³/atom) that a transition's error depends on.

    None where there are phonons of that volume already.
    """
    if not state.done:
        return None
    index = _nearest(state, sorted(state.done), volume_A3)
    asked = [each.index for each in places_asked(plan, state, method, rungs)]
    return None if any(abs(index - each) < SAME for each in asked) else place(plan, state, index, method)


@dataclass(frozen=True, eq=False)
class PhaseVibrations:
    """The vibrations of a phase over its volumes.

    series: modes against volume, None where there are none; missing says why. error_eV: of the force constants, by
    temperature (K), an atom. unstable: pressures (GPa), frequencies (THz) and q of the lowest imaginary modes;
    unstable_A3: the volumes (Å³/atom) that have them.
    """

    phase: str
    series: ModeSeries | None
    error_eV: Mapping[float, float]
    unstable: tuple[tuple[float, float, tuple[float, float, float]], ...]
    missing: str
    unstable_A3: tuple[float, ...] = ()

    def known_at(self, volume_A3: float) -> bool:
        """Return whether a volume (Å³/atom) is nearer to one without imaginary modes than to one with them."""
        if self.series is None:
            return False
        off = float(np.abs(np.log(self.series.volumes_A3 / volume_A3)).min())
        return all(abs(float(np.log(each / volume_A3))) > off for each in self.unstable_A3)

    def free_energy_error_eV(self, volume_A3: float, temperature_K: float) -> float:
        """Return the error of the free energy (eV/atom) at a volume (Å³/atom)."""
        assert self.series is not None
        return float(np.hypot(self.series.error_eV(volume_A3, temperature_K), self.error_eV[temperature_K]))


@dataclass(frozen=True, eq=False)
class Vibrating:
    """A place with its force constants, computed once."""

    place: PhononPlace
    pressure_GPa: float
    constants: sites.ForceConstants

    def with_masses(self, masses: Mapping[str, float]) -> Vibrating:
        """Return the same of isotopes (u)."""
        return replace(self, constants=self.constants.with_masses(masses))

    @property
    def vibrations(self) -> Vibrations:
        """The spectrum and its errors."""
        return self.constants.vibrations


def vibrating(
    plan: VibrationsPlan, method: Method, state: PhaseState, rungs: Rungs, records: Records, histories: Histories
) -> tuple[list[Vibrating], str]:
    """Return the places of a phase that have force constants, and what is missing."""
    found, missing = [], ""
    asked = places_asked(plan, state, method, rungs)
    for each in asked:
        try:
            constants = sites.force_constants(each.site, each.site.state(rungs, records), histories)
        except InputError as error:
            missing = str(error)
            continue
        if constants is None:
            missing = f"not all supercells are computed of volume {each.index}"
        else:
            found.append(Vibrating(each, pressure_of(state.done[each.index], state.curve()), constants))
    return found, missing if asked else "its phonons are not asked for: it is too far above the static hull"


def phase_vibrations(plan: VibrationsPlan, phase: str, places: Sequence[Vibrating], missing: str) -> PhaseVibrations:
    """Return the vibrations of a phase from its places; volumes with imaginary modes are left out, and named."""
    from megabar.analysis.phonons.imaginary import imaginary_modes
    from megabar.analysis.phonons.volumes import ModeSeries

    stable = [each for each in places if each.vibrations.stable]
    unstable = []
    for each in places:
        if not each.vibrations.stable:
            lowest = imaginary_modes(each.constants.crystal, each.vibrations.spectrum)[0]
            unstable.append((each.pressure_GPa, lowest.frequency_THz, lowest.q))
    if not stable:
        why = "imaginary modes at all its volumes" if unstable else missing or "no force constants"
        return PhaseVibrations(phase, None, {}, tuple(unstable), why)
    series = ModeSeries.of([each.constants.crystal for each in stable])
    errors = np.array([each.vibrations.error_eV(plan.told_K) for each in stable])
    mean = np.sqrt((errors**2).mean(axis=0))
    by_temperature = {each: float(value) for each, value in zip(plan.told_K, mean, strict=True)}
    volumes = tuple(each.constants.crystal.volume_A3_per_atom for each in places if not each.vibrations.stable)
    return PhaseVibrations(phase, series, by_temperature, tuple(unstable), missing, volumes)
