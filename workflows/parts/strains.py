"""Strained cells of a structure under pressure, a calculation each: their stresses make the elastic constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from megabar.analysis.elasticity.crystal import Crystal, crystal_of
from megabar.analysis.elasticity.elasticity import Elasticity, elasticity
from megabar.analysis.elasticity.fit import fitted
from megabar.analysis.elasticity.pulay import without_pulay
from megabar.analysis.elasticity.strains import AMPLITUDE, Strain, strained, strains_of
from megabar.structures.errors import InputError
from megabar.structures.symmetry import degrees_of_freedom, symmetrised
from megabar.workflows.calculation import Calculation
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.rung import NumberedRung, NumberedState, rungs_of
from megabar.workflows.store import CalculationRecord
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Histories, Task
from megabar.workflows.tasks.relax import Relax
from megabar.workflows.tasks.relax_atoms import SYMPREC_A, RelaxAtoms
from megabar.workflows.tasks.single_point import SinglePoint

Array = NDArray[np.float64]
Records = Mapping[str, CalculationRecord]
KIND = "strain"
TIGHTER = 0.1
"""Forces left of a strained cell, over those left of a relaxed one: they leave a stress, which is divided by the
strain."""

# Of the strained cells' self-consistency; docs/elasticity.md has what less of it makes of elastic constants.
GPAW_SCF = {"energy_eV_per_electron": 1e-6, "density_per_electron": 1e-5, "eigenstates_eV2_per_electron": 1e-9}
GPAW_STEPS = 100
SCF_ENERGY_eV = 1e-8
NOISE_GPA = 0.01
"""Noise of a component of a stress: what constants of MgO at strains of 0.005, 0.01 and 0.02 differ by, with pw.x."""


@dataclass(frozen=True)
class StrainSet:
    """The strained cells of one structure; number 0 is the structure itself, from number 1 on they are strained.

    phase: what their rungs go by; where a phase has strains at several pressures, each set needs a name of its own.
    structure: relaxed at its pressure and exactly symmetric (``strain_set`` makes it so). settings: of all its cells.
    force_eV_A: largest force that relaxing the atoms leaves. amplitudes: of the strains; further ones come after.
    raised: whether the cutoff is higher than that of the phase, whose Pulay stress these cells do not have then.
    """

    phase: str
    structure: Structure
    method: Method
    settings: Mapping[str, Any]
    force_eV_A: float
    amplitudes: tuple[float, ...] = (AMPLITUDE,)
    raised: bool = False

    @cached_property
    def crystal(self) -> Crystal:
        """The point symmetry of the structure."""
        return crystal_of(self.structure.atoms(), SYMPREC_A)

    @cached_property
    def strains(self) -> tuple[Strain, ...]:
        """The strains of numbers 1, 2, …"""
        return strains_of(self.crystal, self.amplitudes)

    @property
    def numbers(self) -> range:
        """The numbers of the cells."""
        return range(len(self.strains) + 1)

    def cell(self, number: int) -> Atoms:
        """Return a cell, its atoms moved with it."""
        atoms = self.structure.atoms()
        return atoms if number == 0 else strained(atoms, self.strains[number - 1].tensor)

    def calculation(self, number: int) -> Calculation:
        """Return the calculation of a cell: its atoms relaxed, or as it is where its symmetry leaves them no freedom.

        The symmetry is that of the strained cell, in its freedom as in the k-points, which codes reduce by what is left
        of it; the grid stays.
        """
        return self._calculations[number]

    @cached_property
    def _calculations(self) -> tuple[Calculation, ...]:
        return tuple(self._calculation(number) for number in self.numbers)

    def _calculation(self, number: int) -> Calculation:
        cell = Structure.of(self.cell(number))
        return Calculation(
            code=self.method.code,
            version=self.method.version,
            settings=self.settings,
            structure=cell,
            data=tuple(each for each in self.method.data if each.element in cell.symbols),
            task=self._task(cell.atoms()),
        )

    def _task(self, cell: Atoms) -> Task:
        free = degrees_of_freedom(cell, SYMPREC_A).internal
        return RelaxAtoms(self.force_eV_A) if free else SinglePoint()


@dataclass(frozen=True, eq=False)
class StrainSetState(NumberedState[StrainSet]):
    """How the strained cells stand."""


@dataclass(frozen=True, eq=False)
class Stresses:
    """Stresses of strained cells. strains, stresses_GPa: (n, 3, 3), tension positive; rest_GPa: of the unstrained."""

    numbers: tuple[int, ...]
    strains: Array
    stresses_GPa: Array
    rest_GPa: Array


def strain_set(
    phase: str,
    atoms: Atoms,
    method: Method,
    settings: Mapping[str, Any],
    limits: Relax,
    amplitudes: Sequence[float] = (AMPLITUDE,),
) -> StrainSet:
    """Return the strained cells of a structure that is relaxed at its pressure.

    settings: of the phase; they are made as sharp as stresses need (``sharp``). limits: how far the phase is relaxed.
    Raises InputError where no symmetry can be determined.
    """
    data = [each for each in method.data if each.element in atoms.symbols]
    sharpened = sharp(method.code, settings, max((each.cutoff_eV for each in data), default=0.0))
    return StrainSet(
        phase=phase,
        structure=Structure.of(symmetrised(atoms)),
        method=method,
        settings=sharpened,
        force_eV_A=TIGHTER * limits.force_eV_A,
        amplitudes=tuple(amplitudes),
        raised=sharpened.get("cutoff_eV") != settings.get("cutoff_eV"),
    )


def sharp(code: str, settings: Mapping[str, Any], cutoff_eV: float = 0.0) -> dict[str, Any]:
    """Return settings that are as sharp as the stresses of strained cells need them.

    cutoff_eV: what the atomic data need. With fewer plane waves than that GPAW's stresses are wrong under shear too;
    Quantum ESPRESSO's, at a constant cutoff, are not.
    """
    found = dict(settings)
    if code == "gpaw":
        scf = dict(settings["scf"])
        found["scf"] = {**scf, **{name: min(scf[name], value) for name, value in GPAW_SCF.items()}}
        found["scf"]["steps"] = max(scf["steps"], GPAW_STEPS)
        found["cutoff_eV"] = max(settings["cutoff_eV"], cutoff_eV)
    elif "scf_energy_eV" in settings:
        found["scf_energy_eV"] = min(settings["scf_energy_eV"], SCF_ENERGY_eV)
    return found


def strain_set_state(plan: StrainSet, rungs: Sequence[Mapping[str, Any]], records: Records) -> StrainSetState:
    """Return how strained cells stand; rungs as stored with the study, records by key."""
    return StrainSetState(plan, rungs_of(rungs, plan.phase, KIND), records)


def strains_wanted(state: StrainSetState, purpose: str = "elastic constants") -> list[NumberedRung]:
    """Return the cells that were not asked for yet: all of them at once, as none waits for another."""
    return [
        NumberedRung(state.plan.phase, number, state.plan.calculation(number).key, KIND, purpose)
        for number in state.plan.numbers
        if number not in state.keys
    ]


def collect(state: StrainSetState, histories: Histories, pulay_eV: float = 0.0) -> Stresses:
    """Return the stresses that are there; raises InputError where the code gives none, or the unstrained cell's lacks.

    pulay_eV: the constant of the phase's Pulay stress (of an atom; ``EnthalpyCurve.pulay_eV``), which is taken out
    where the cells have the cutoff of the phase.
    What failed is left out: whether the rest determines the elastic constants, and how well, is for the fit to say.
    """
    if 0 not in state.done:
        raise InputError(f"{state.plan.phase}: the stress of the unstrained cell is missing")
    numbers = [number for number in state.done if 0 < number < len(state.plan.numbers)]
    for number in (0, *numbers):
        if state.plan.calculation(number).key != state.keys[number]:
            raise RuntimeError(f"{state.plan.phase}: cell {number} was computed for another structure or method")
    computed = np.array([_stress(state, number, histories) for number in (0, *numbers)])
    volumes = [Structure.of(state.plan.cell(number)).volume_per_atom for number in (0, *numbers)]
    rest, *stresses = without_pulay(computed, volumes, 0.0 if state.plan.raised else pulay_eV)
    return Stresses(
        numbers=tuple(numbers),
        strains=np.array([state.plan.strains[number - 1].tensor for number in numbers]).reshape(-1, 3, 3),
        stresses_GPa=np.array(stresses).reshape(-1, 3, 3),
        rest_GPa=rest,
    )


def elastic_constants(
    state: StrainSetState, histories: Histories, pulay_eV: float = 0.0, noise_GPa: float = NOISE_GPA
) -> Elasticity:
    """Return the elastic constants that the stresses make; raises InputError where these do not determine them.

    pulay_eV: as in ``collect``. noise_GPa: standard error of a component of a stress.
    """
    found = collect(state, histories, pulay_eV)
    fit = fitted(state.plan.crystal, found.strains, found.stresses_GPa, found.rest_GPa, noise_GPa)
    return elasticity(fit, state.plan.structure.atoms())


def _stress(state: StrainSetState, number: int, histories: Histories) -> Array:
    found = histories(state.keys[number]).get("stress_GPa")
    if found is None:
        raise InputError(f"{state.plan.method.code} gives no stress here, which elastic constants follow from")
    xx, yy, zz, yz, xz, xy = (float(value) for value in np.asarray(found)[-1])
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
